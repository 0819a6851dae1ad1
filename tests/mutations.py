"""Change the program a little, many times, and name the changes that no test notices.

``python -m tests.mutations`` makes a hundred changes, by chance, to the modules that matter most:
``--count`` and ``--seed`` choose others, ``--only`` a part of a module's name. Each is made in a
copy of the checkout, in which the tests of its module run. One that lives is a missing test, or
changes nothing that anybody could notice.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
# Modules, and the tests that are to notice a change in them.
TESTED = {
    "artifacts/classifier": "verdicts explain content projects",
    "artifacts/unnamed": "looked_into trees",
    "best_models/contract": "best_models milestones",
    "best_models/metadata": "provenance best_models",
    "best_models/milestones": "milestones best_models",
    "fastpath/artifacts": "fastpath projects same_answers",
    "fastpath/best_models": "best_models same_answers",
    "fastpath/commit_range": "fastpath_range",
    "fastpath/index_bytes": "index_bytes fastpath",
    "fastpath/looked_into": "fastpath looked_into",
    "fastpath/matcher": "policy_patterns fastpath",
    "fastpath/table_cache": "fastpath",
    "fastpath/work_tree": "fastpath",
    "frameworks/wandb/ending": "runs wandb_uploads",
    "frameworks/wandb/record": "provenance",
    "frameworks/wandb/sync_logs": "runs",
    "history/commit_check": "check_range nothing_slips_through",
    "history/subtrees": "subtrees",
    "policy/compiler": "policy_patterns fastpath",
    "policy/patterns": "policy_patterns policy_load",
    "runs/deletion": "run_removal",
    "runs/selection": "choice kept_runs",
    "weights/archives": "weights",
    "weights/content": "weights content",
    "weights/pickles": "weights",
    "weights/safetensors": "weights",
}
SECONDS = 600
_COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_OTHERS = {ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add}


class Change(NamedTuple):
    """Other code in place of an expression or statement of a module."""

    module: str
    line: int
    old: str
    new: str
    text: str


def changes(module: str) -> Iterator[Change]:
    """All changes to *module* that this knows to make."""
    source = (ROOT / "fx_hooks" / f"{module}.py").read_text("utf-8")
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    tree = ast.parse(source)
    # Before Python 3.12 nobody knows where these begin.
    formatted = {inner for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
                 for inner in ast.walk(node)}  # fmt: skip
    for node in ast.walk(tree):
        # A constant of False is for type checkers, where `typing` would cost too much.
        is_hint = isinstance(node, ast.Constant) and lines[node.lineno - 1].startswith(b"TYPE_CH")
        for new in _variants(node) if node not in formatted and not is_hint else ():
            assert isinstance(node, (ast.expr, ast.stmt))
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            begin = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            data = source.encode()
            text = (data[:begin] + new.encode() + data[end:]).decode()
            yield Change(module, node.lineno, data[begin:end].decode(), new, text)


def _variants(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = _COMPARISONS[type(node.ops[0])]()
        yield f"({ast.unparse(ast.Compare(node.left, [other], node.comparators))})"
    elif isinstance(node, ast.BoolOp):
        yield f"({ast.unparse(ast.BoolOp(_OTHERS[type(node.op)](), node.values))})"  # type: ignore[arg-type]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in (ast.Add, ast.Sub):
        yield f"({ast.unparse(ast.BinOp(node.left, _OTHERS[type(node.op)](), node.right))})"  # type: ignore[arg-type]
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield repr(not node.value)
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield repr(node.value + 1)
    elif isinstance(node, (ast.Continue, ast.Break, ast.Raise)):
        yield "pass"
    elif isinstance(node, ast.If):
        test = "True" if isinstance(node.body[-1], (ast.Return, ast.Raise, ast.Continue)) else ""
        if test == "True" and not node.orelse:
            yield "pass"


def is_noticed(change: Change, place: Path) -> bool:
    """Run the tests with *change* in the copy of the checkout at *place*."""
    path = place / "fx_hooks" / f"{change.module}.py"
    before = path.read_text("utf-8")
    path.write_text(change.text, "utf-8")
    files = [f"tests/test_{name}.py" for name in TESTED[change.module].split()]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(place)}
    command = (sys.executable, "-m", "pytest", "-qx", "-m", "", "-p", "no:cacheprovider", *files)
    try:
        done = subprocess.run(command, cwd=place, env=environ, capture_output=True, timeout=SECONDS)
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(before, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", default="", help="modules whose name has this in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    chance = random.Random(options.seed)
    modules = [name for name in TESTED if options.only in name]
    every = {module: list(changes(module)) for module in modules}
    # As many of each module, so that the long ones are not all of it.
    wanted = [chance.choice(every[modules[turn % len(modules)]]) for turn in range(options.count)]
    with tempfile.TemporaryDirectory() as folder:
        places: SimpleQueue[Path] = SimpleQueue()
        for job in range(options.jobs):
            place = Path(folder, str(job))
            shutil.copytree(
                ROOT, place, ignore=shutil.ignore_patterns(".git", ".venv", "*cache*__")
            )
            places.put(place)

        def lives(change: Change) -> bool:
            place = places.get()
            try:
                return not is_noticed(change, place)
            finally:
                places.put(place)

        living = 0
        with ThreadPoolExecutor(options.jobs) as pool:
            for change, lived in zip(wanted, pool.map(lives, wanted), strict=True):
                living += lived
                print("LIVES" if lived else "noticed", f"{change.module}.py:{change.line}:",
                      f"{change.old} -> {change.new}", flush=True)  # fmt: skip
    print(f"{len(wanted)} changes made, {living} live")


if __name__ == "__main__":
    main()
