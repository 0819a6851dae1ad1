"""The folders of single runs in the paths of files, by name alone: to group what is shown.

Each tool's package has them as ``RUN_FOLDERS``, a verbose expression for what stands between
two slashes. This module costs a command next to nothing.
"""

import re

from fx_hooks.frameworks import huggingface, hydra, lightning, wandb

RUN_FOLDER = re.compile(
    rb"(?: ^ | / ) (?: %s ) (?= / )"
    % b"\n|".join(each.RUN_FOLDERS for each in (wandb, hydra, lightning, huggingface)),
    re.VERBOSE,
)
