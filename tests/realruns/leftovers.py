"""What frameworks leave in a repository: `python -m tests.realruns.leftovers`.

Each program in `tests/realruns/leaves/` is a tiny, real use of one framework. It runs in a
repository of its own, with an environment that holds the framework's packages, and all that it
leaves is committed and judged. `--small` runs those whose packages are small, and `--check` records
nothing: it ends with 1 if something passes without a reason. Name frameworks to run only these;
`--page` runs none, and writes the page.

`tests/data/left.tsv` has every file left, with the verdict of the command, its size and what its
content says; docs/leftovers.md is made from that. A file that is let through needs a reason in
`tests/realruns/framework_table.py`: it belongs in Git, or says too little.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from tests.outside import FINE, Judged, Labelled, find_content, judge
from tests.realruns.framework_table import FRAMEWORKS, LARGE
from tests.realruns.snapshots import DATA, environment, read_listing

PROGRAMS = Path(__file__).resolve().parent / "leaves"
RECORD = DATA / "left.tsv"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "leftovers.md"
_SECONDS = 300


class Left(NamedTuple):
    """One file that a framework left, and what the command said of it.

    *rule* and *what* are what its content says.
    """

    framework: str
    verdict: str
    size: int
    rule: str
    what: str
    path: str


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="*", metavar="FRAMEWORK", help=", ".join(FRAMEWORKS))
    parser.add_argument("--pythons", type=Path, default=Path.home() / ".pyenv" / "versions")
    parser.add_argument("--python", default="3.11", metavar="X.Y")
    parser.add_argument("--venvs", type=Path, default=Path(".venvs"))
    parser.add_argument("--small", action="store_true", help="only those with small packages")
    parser.add_argument("--check", action="store_true", help="record nothing")
    parser.add_argument("--page", action="store_true", help="only write the page")
    options = parser.parse_args(argv)
    for name in options.frameworks:
        if name not in FRAMEWORKS:
            parser.error(f"{name}: there are {', '.join(FRAMEWORKS)}")
    names = [] if options.page else options.frameworks or FRAMEWORKS
    wrong = 0
    for name in names:
        if options.small and FRAMEWORKS[name].environment in LARGE:
            continue
        found = [*run(name, options)]
        if not options.check:
            record(name, found)
        complaints = [*complaints_of(found)]
        print(f"{name}: {len(found)} files", *complaints, sep="\n  ", flush=True)
        wrong += len(complaints)
    if not options.check:
        known = recorded()
        if known.keys() == FRAMEWORKS.keys():
            PAGE.write_text(page(known), "utf-8")
    return int(wrong > 0)


def run(name: str, options: argparse.Namespace) -> Iterator[Left]:
    """Run the program of a framework, and yield what it leaves."""
    framework = FRAMEWORKS[name]
    python = environment(
        framework.environment or name,
        sorted({package for one in FRAMEWORKS.values() for package in one.packages
                if one.environment == framework.environment} if framework.environment
               else framework.packages),
        needs=options.python, venvs=options.venvs, pythons=options.pythons,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="fx-left-") as folder:
        repo, home = Path(folder) / name / "repo", Path(folder) / "home"
        repo.mkdir(parents=True)
        home.mkdir()
        git = ("git", "-C", str(repo), "-c", "user.name=anna", "-c", "user.email=anna@example.org")
        subprocess.run((*git, "init", "-q"), check=True)
        program = repo / "train.py"
        shutil.copy(PROGRAMS / f"{name}.py", program)
        environ = {
            "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home), "USER": "anna", "LOGNAME": "anna", "TZ": "UTC",
            "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3",
        }  # fmt: skip
        output = Path(folder) / "output.txt"
        with output.open("wb") as written:
            done = subprocess.run(
                (python, program.name), cwd=repo, env=environ, timeout=_SECONDS, stdout=written,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name} exited with {done.returncode}:\n{output.read_text()}")
        program.unlink()
        subprocess.run((*git, "add", "-A", "-f"), check=True)
        subprocess.run((*git, "commit", "-q", "--no-verify", "-m", "What is left"), check=True)
        paths = os.fsdecode(subprocess.check_output((*git, "ls-files", "-z"))).split("\0")[:-1]
        content = {
            path: (rule, what) for _, rule, what, path in find_content(Path(folder), {name: []})
        }
        for path, said in zip(paths, _explained(repo, paths), strict=True):
            size = (repo / path).lstat().st_size
            yield Left(name, said, size, *content.get(path, ("", "")), _scrubbed(path))


def _explained(repo: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield what ``fx-explain`` says of each path: blocked or allowed."""
    command = (sys.executable, "-m", "fx_hooks", "explain", "--stdin", "-z", "--format", "json")
    given = os.fsencode("".join(f"{path}\0" for path in paths))
    done = subprocess.run(command, cwd=repo, input=given, stdout=subprocess.PIPE, check=True)
    for line in done.stdout.splitlines():
        yield json.loads(line)["verdict"]


def _scrubbed(path: str) -> str:
    """Return *path* without the name of this machine."""
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(socket.gethostname())}(?=[./_-]|$)", "host", path)


def recorded() -> dict[str, list[Left]]:
    """Return the recorded files by framework."""
    found: dict[str, list[Left]] = {}
    for row in read_listing(RECORD) if RECORD.exists() else ():
        one = Left(**{**row, "size": int(row["size"])})  # type: ignore[arg-type]
        found.setdefault(one.framework, []).append(one)
    return found


def record(name: str, left: Sequence[Left]) -> None:
    """Put what a framework left in place of what was recorded of it."""
    known = {**recorded(), name: sorted(left, key=lambda one: one.path)}
    with RECORD.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(Left._fields)
        writer.writerows(one for each in FRAMEWORKS for one in known.get(each, ()))


def judged(left: Sequence[Left]) -> list[Judged]:
    """Return the verdicts on what a framework left; its files for Git are labelled as fine."""
    sample: dict[str, list[Labelled]] = {}
    content: dict[str, dict[bytes, tuple[str, str]]] = {}
    for one in left:
        label = FINE if any(judgement(FRAMEWORKS[one.framework].belongs, one.path)) else "T"
        sample.setdefault(one.framework, []).append(Labelled(label, "", os.fsencode(one.path)))
        if one.what:
            content.setdefault(one.framework, {})[os.fsencode(one.path)] = (one.rule, one.what)
    return [*judge(sample, content)]


def judgement(patterns: Mapping[str, str], path: str) -> tuple[str, str]:
    """Return the first of *patterns* that matches, with its reason; or nothing."""
    found = (one for one in patterns.items() if fnmatchcase(path, one[0]))
    return next(found, ("", ""))


def complaints_of(left: Sequence[Left]) -> Iterator[str]:
    """Yield what is refused although it belongs in Git, and what passes without a reason."""
    said = {(one.framework, one.path): one.verdict for one in left}
    for one in judged(left):
        path = os.fsdecode(one.verdict.path)
        if one.verdict.blocked != (said[one.repository, path] == "blocked"):
            yield f"the command said otherwise: {path}"
        if one.verdict.blocked and one.label == FINE:
            yield f"refused, and belongs in Git: {path}"
        elif not one.verdict.blocked and not (
            one.label == FINE or any(judgement(FRAMEWORKS[one.repository].passes, path))
        ):
            yield f"passes: {path}"


HEAD = """\
# What frameworks leave

This page says for each framework what the hooks refuse of its output, and what they let pass. Look
up yours. If you have files like those in the last column, refuse them with a line in
[your own rules](policy.md#fx-hooksyaml).

Each framework was run once, tiny but for real, in a repository of its own. It trained, logged,
saved and resumed as its documentation shows. Then all that it left was added to Git by force, and
judged.
The columns:

- **files**: how many files it left.
- **refused**: how many of them the hooks refuse.
- **for Git**: how many of the rest belong in Git, such as the configuration of a model.
- **passes, though it is output**: what else is left, and why no rule refuses it. Most of these
  files have a name that the program chose. You choose such names, too, and no rule can know them.

| framework | files | refused | for Git | passes, though it is output |
| --- | --- | --- | --- | --- |
"""

FOOT = """
Weights are known by their content, too, under any name. What a framework keeps outside of the
repository, such as a cache in your home folder, does not count here.

The programs are in `tests/realruns/leaves/`. `python -m tests.realruns.leftovers` runs them again.

## By which rules

How many files each rule refuses. [The built-in rules](rules.md) say why each of them exists.

| framework | rules |
| --- | --- |
"""


def page(known: Mapping[str, Sequence[Left]]) -> str:
    """Return the page: a table of what is left, refused and let through, and one of the rules."""
    rows, rules = "", ""
    for key, framework in FRAMEWORKS.items():
        verdicts = judged(known[key])
        refused = [one for one in verdicts if one.verdict.blocked]
        passes: dict[str, Counter[str]] = {}
        for one in verdicts:
            if not one.verdict.blocked and one.label != FINE:
                pattern, why = judgement(framework.passes, os.fsdecode(one.verdict.path))
                passes.setdefault(why, Counter())[pattern] += 1
        said = "; ".join(f"{_named(patterns)}: {why}" for why, patterns in passes.items())
        fine = sum(one.label == FINE for one in verdicts)
        rows += f"| {framework.name} | {len(verdicts)} | {len(refused)} | {fine} | {said} |\n"
        by_rule = Counter(_rule(one, known[key]) for one in refused)
        listed = ", ".join(f"`{rule}` {count}" for rule, count in sorted(by_rule.items()))
        rules += f"| {framework.name} | {listed} |\n"
    return HEAD + rows + FOOT + rules


def _named(patterns: Mapping[str, int]) -> str:
    return ", ".join(
        f"`{pattern}`" + f" ({count} files)" * (count > 1) for pattern, count in patterns.items()
    )


def _rule(one: Judged, left: Sequence[Left]) -> str:
    decider = one.verdict.decider
    if decider is not None:
        return decider.rule
    path = os.fsdecode(one.verdict.path)
    return next(each.rule for each in left if each.path == path)


if __name__ == "__main__":
    raise SystemExit(main())
