"""Write docs/rules.md from the built-in policy: `python -m tests.rules_page`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fx_hooks.policy.loader import load_policy, rule_origins

if TYPE_CHECKING:
    from fx_hooks.policy.model import Entry, Policy, RunMark

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"

HEAD = """\
# The built-in rules

These rules hold in every repository, without any configuration. The patterns are those of
`.gitignore`. The last pattern that matches a path, or a folder above it, decides. In your
[`.fx-hooks.yaml`](policy.md#fx-hooksyaml), `disable` switches off a rule by its name, and `keep`
lets single paths through.

This page is made from `fx_hooks/frameworks/*/rules.yaml`, one file for each tool, and from
`fx_hooks/policy/builtin.yaml`. Each rule says where its names come from: the documentation or the
source code of the tool.
"""

TEST_DATA = """\
## Test data

Several rules let files through that are *test data*. These are files below a folder

- that is called `test`;
- whose name begins with `test` and then `-`, `_`, `.`, `c`, `d`, `f` or `s` (`test_files`,
  `testcases`, `testdata`, `tests`);
- whose name ends with `tests` or `-test` (`unit-tests`, `parser-test`);
- that is called `spec`;
- whose name has `fixture` in it.

Even there, folders with the name of an artifact (`model.ckpt/`, `checkpoint-500/`) are refused, and
so is a real run.
"""

MISJUDGEMENTS = """\
## Known misjudgements

How right the rules are about repositories that they were made with, and about others, is measured
on [a page of its own](accuracy.md).

Refused, although it is not an artifact. Name it under `keep`:

- a hand-written `multirun.yaml` outside a folder whose name begins with `conf`;
- test data in a folder of another name (`unit_test/`, `samples/`);
- a sweep definition in `wandb/` at the root (`wandb/sweep.yaml`): better move it to your configs;
- weights that a package ships with its source (`silero_vad.onnx`, LPIPS' `alex.pth`);
- `.log` and `.err` files that document something, outside test data;
- a folder with `.hydra/config.yaml` in it and source code only deeper down (`ml/src/train.py`, run
  in `ml/` with `hydra.run.dir=.`): all of it counts as a run;
- by `.gitignore` alone: a pointer of DVC deeper than right in `outputs/`, `multirun/` or `logs/`.
  The hooks let it in, but `dvc add` does not write where git ignores. Letting it in would make
  `git status` walk through all runs. Name its folder under `keep` (`/outputs/data/*.dvc`).

Not refused, although it is an artifact:

- files without a name of their own in a `logs/` that has a source file right in it:
  `logs/plot.py` makes the folder a package, so `logs/result.csv` passes;
- `hparams.yaml` alone, without a `version_N/` above it and without its run next to it;
- output redirected into `*.out` without a number (LaTeX uses that suffix, too) or `*.txt`;
- real logs and weights of experiments below `tests/`, `spec/` or `fixtures/`: they count as test
  data. A pattern under `ignore` (`/tests/exp/`) ends that for a folder;
- weights below 16 KiB under names that say nothing, and pickles of any library;
- a folder by date and time without a log in it, if Hydra wrote no `.hydra/` there;
- DVC's pointers pass in every folder, but git itself ignores those deeper in `outputs/` and
  `wandb/`: `.gitignore` would make git look into thousands of runs;
- `best_weights.data-00000-of-00001`, without `ckpt` in the name.
"""


def _sentence(text: str) -> str:
    """Begin *text* with a capital letter, unless a path or a name with a dot comes first."""
    word = text.split()[0]
    return text if set(word) & set("/._*") else text[0].upper() + text[1:]


def page(policy: Policy) -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    marks: dict[str, list[RunMark]] = {}
    for mark in policy.run_marks:
        marks.setdefault(mark.rule, []).append(mark)
    entries: dict[str, list[Entry]] = {}
    for entry in policy.entries[: policy.admitted_from]:
        entries.setdefault(entry.rule, []).append(entry)
    test_data = [entry.pattern for entry in entries["weights"] if not entry.blocks]
    origins = rule_origins()
    for rule in dict.fromkeys([*entries, *marks]):
        members = entries.get(rule, [])
        source = members[0] if members else marks[rule][0]
        why, advice = source.why, source.advice
        todo = f" What to do: {advice}." if advice else ""
        parts.append(f"## {rule}\n\n{_sentence(why)}.{todo}\n")
        lines = []
        for mark in marks.get(rule, ()):
            files = _all_of(mark.only_with or (mark.path,))
            lines.append(f"- Refused: everything in a folder with {files} in it")
        if rule in marks:
            lines.append("- Except: the root, and folders with source files right in them")
        exceptions = [entry.pattern for entry in members if not entry.blocks]
        # That an exception is a file, not a folder, goes without saying.
        folders = {f"{pattern}/**" for pattern in exceptions}
        paths: dict[tuple[str, ...], list[str]] = {}
        for entry in members:
            if entry.blocks and entry.pattern not in folders:
                paths.setdefault(entry.only_with, []).append(entry.pattern)
        for signs, patterns in paths.items():
            where = f", only with {_all_of(signs)}" if signs else ""
            lines.append(f"- Refused{where}: {_list(patterns)}")
        if exceptions:
            shown = "[test data](#test-data)" if exceptions == test_data else _list(exceptions)
            lines.append(f"- Except: {shown}")
        if any(entry.binary_only for entry in members):
            lines.append("- Except: files that are text (a Git LFS pointer is not text)")
        if any(entry.unless_source for entry in members):
            lines.append("- Except: a folder with source files right in it: it is a package")
        named = [f"{tool}: {source}" if tool else source for tool, source in origins[rule]]
        lines += [f"- From {source}" for source in named]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, TEST_DATA, MISJUDGEMENTS])


def _all_of(signs: tuple[str, ...]) -> str:
    return " and ".join(f"`{sign}`" for sign in signs)


def _list(patterns: list[str]) -> str:
    return ", ".join(f"`{pattern}`" for pattern in patterns)


if __name__ == "__main__":
    PAGE.write_text(page(load_policy()), encoding="utf-8")
