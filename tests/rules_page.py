"""Write docs/rules.md from the built-in policy: `python -m tests.rules_page`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fx_hooks.policy.loader import load_policy, rule_origins

if TYPE_CHECKING:
    from fx_hooks.policy.model import Entry, Policy

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"

HEAD = """\
# The built-in rules

Made from `fx_hooks/frameworks/*/rules.yaml`, one file for each tool, and from
`fx_hooks/policy/builtin.yaml`. The last pattern that matches a path, or a directory above it,
decides; patterns are those of `.gitignore`. `disable` switches a rule off by its name, `keep` lets
single paths through.
"""

TEST_DATA = """\
## Test data

Several rules let through files below a directory called `test`; or whose name begins with `test`
and one of `-`, `_`, `.`, `c`, `d`, `f`, `s` (`test_files`, `testcases`, `testdata`, `tests`), ends
with `tests` (`unit-tests`), or has `fixture` in it. In the rules it is called *test data*. Folders
with the name of an artifact (`model.ckpt/`, `checkpoint-500/`) are refused there, too, and so is a
real run.
"""

MISJUDGEMENTS = """\
## Known misjudgements

Measured on 48 public repositories that were labelled by hand (`python -m tests.verdicts`): of the
paths that are refused, 99.8 % are artifacts, and of the artifacts at the head of the repositories
all are refused. What is known to be judged wrongly:

- A hand-written `multirun.yaml` is refused outside a folder whose name begins with `conf`: name it
  under `keep`.
- Test data in a folder of another name (`unit_test/`, `samples/`) is refused.
- A sweep definition that somebody keeps in `wandb/` at the root is refused (`wandb/sweep.yaml`), so
  that git need not look into that folder: put it beside the configs, or name it under `keep`.
- Weights that a package ships with its source (`silero_vad.onnx`, LPIPS' `alex.pth`) are refused:
  name them under `keep`.
- `.log` and `.err` files that document something outside test data are refused.
- One source file right in `logs/` makes it a package, and lets through what else is there and has
  no signature (`logs/plot.py` lets `logs/result.csv` through).
- A directory with `.hydra/config.yaml` and source only deeper down (`ml/src/train.py`, run in `ml/`
  with `hydra.run.dir=.`) is taken for a run as a whole.
- Passed, though they are artifacts: `hparams.yaml` without a `version_N/` above it, output
  redirected into `*.out` (a suffix that LaTeX uses, too) or `*.txt`, Stable-Baselines3 archives
  with a name of their own, Ultralytics runs outside `runs/`, `best_weights.data-00000-of-00001`
  without `ckpt` in the name.
"""


def page(policy: Policy) -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    marks = {mark.rule: mark for mark in policy.run_marks}
    entries: dict[str, list[Entry]] = {}
    for entry in policy.entries[: policy.admitted_from]:
        entries.setdefault(entry.rule, []).append(entry)
    test_data = [entry.pattern for entry in entries["weights"] if not entry.blocks]
    origins = rule_origins()
    for rule in dict.fromkeys([*entries, *marks]):
        members = entries.get(rule, [])
        source = members[0] if members else marks[rule]
        why, advice = source.why, source.advice
        parts.append(f"## {rule}\n\n{why}.{f' To do: {advice}.' if advice else ''}\n")
        lines = []
        if rule in marks:
            lines.append(f"- refused: all in a directory with `{marks[rule].path}` in it")
            lines.append("- but: the root, and directories that hold source files themselves")
        exceptions = [entry.pattern for entry in members if not entry.blocks]
        # That an exception is a file, not a folder, goes without saying.
        folders = {f"{pattern}/**" for pattern in exceptions}
        paths = [e.pattern for e in members if e.blocks and e.pattern not in folders]
        if paths:
            lines.append(f"- refused: {_list(paths)}")
        if exceptions:
            shown = "*test data*" if exceptions == test_data else _list(exceptions)
            lines.append(f"- but not: {shown}")
        if any(entry.binary_only for entry in members):
            lines.append("- but not: files that are text (a Git LFS pointer is no text)")
        if any(entry.unless_source for entry in members):
            lines.append("- but not: a directory that holds source files itself: it is a package")
        named = [f"{tool}: {source}" if tool else source for tool, source in origins[rule]]
        lines += [f"- from {source}" for source in named]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, TEST_DATA, MISJUDGEMENTS])


def _list(patterns: list[str]) -> str:
    return ", ".join(f"`{pattern}`" for pattern in patterns)


if __name__ == "__main__":
    PAGE.write_text(page(load_policy()), encoding="utf-8")
