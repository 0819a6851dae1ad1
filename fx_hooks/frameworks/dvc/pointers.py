"""The pointers of DVC: small YAML files, each next to the data that it stands for.

``dvc/dvcfile.py`` (DVC_FILE_SUFFIX) and ``dvc/schema.py``: a mapping with ``outs``, as ``dvc
add`` and ``dvc import`` write it, or ``deps`` and ``cmd`` in old stages.
"""

import re

POINTER_SUFFIX = b".dvc"
MAX_BYTES = 1 << 16
_KEY = rb"(?m)^(outs|deps|stages):[ \t\r]*$"
_OUT = rb"(?m)^[ \t]*(- )?[ \t]*(path|md5|etag|checksum|hash|repo):"


def is_pointer(content: bytes) -> bool:
    """Return True if *content*, of a file with the suffix of a pointer, is one."""
    return b"\0" not in content and bool(re.search(_KEY, content) and re.search(_OUT, content))
