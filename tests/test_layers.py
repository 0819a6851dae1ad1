"""What may import what: read from the source, so that nobody has to remember it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import fx_hooks

ROOT = Path(fx_hooks.__file__).parent


class Import(NamedTuple):
    """One imported module, in full; *local* ones stand in a function.

    Those in ``if TYPE_CHECKING`` are left out: they exist for the reader alone.
    """

    module: str
    local: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def imports(name: str) -> list[Import]:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    return list(read_imports(tree, local=False))


def read_imports(node: ast.AST, *, local: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, local)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "imports are written in full"
            assert child.module is not None
            for alias in child.names:
                full = f"{child.module}.{alias.name}"
                yield Import(full if full in MODULES else child.module, local)
        elif isinstance(child, ast.If) and is_type_checking(child.test):
            for other in child.orelse:
                yield from read_imports(other, local=local)
        else:
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from read_imports(child, local=local or function)


def is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def imported(name: str) -> set[str]:
    return {found.module for found in imports(name)}


def importers(package: str) -> set[str]:
    """Our modules that import *package* or something in it."""
    return {
        name
        for name in MODULES
        if any(f"{found}.".startswith(f"{package}.") for found in imported(name))
    }


def ours(name: str) -> set[str]:
    return {found for found in imported(name) if f"{found}.".startswith("fx_hooks.")}


# The packages, each above those that stand before it.
LAYERS = (
    "util", "fastpath", "git", "frameworks", "policy", "weights", "artifacts", "reporting",
    "best_models", "gitignore", "history", "runs", "cli",
)  # fmt: skip
ENTRY_POINTS = {
    f"fx_hooks.{name}"
    for name in (
        "__main__",
        "check_artifacts",
        "check_best_models",
        "check_range",
        "sync_gitignore",
    )
}
COMMANDS = {name for name in MODULES if name.startswith("fx_hooks.cli.") and "._" not in name}
FAST_PATH = {name for name in MODULES if f"{name}.".startswith("fx_hooks.fastpath.")}


def package(name: str) -> str:
    """The package of ours that a module is in; its own name where it stands at the top."""
    return name.split(".")[1] if "." in name else name


def test_all_modules_are_read() -> None:
    assert set(MODULES) >= ENTRY_POINTS
    assert {"fx_hooks.cli.check_range", "fx_hooks.cli.explain"} <= COMMANDS
    assert {package(name) for name in MODULES} - {"fx_hooks", *LAYERS} == {
        package(name) for name in ENTRY_POINTS
    }
    # The reader finds imports of every form.
    assert "fx_hooks.fastpath.table_cache" in imported("fx_hooks.fastpath.work_tree")
    assert Import("re", local=True) in imports("fx_hooks.fastpath.matcher")
    assert "typing" not in imported("fx_hooks.fastpath.matcher")


@pytest.mark.parametrize(
    ("package", "only"),
    [
        pytest.param(
            "subprocess", {"fx_hooks.git.process", "fx_hooks.git.repository"}, id="subprocess"
        ),
        pytest.param("yaml", {"fx_hooks.util.strict_yaml"}, id="yaml"),
        pytest.param("pathspec", {"fx_hooks.policy.patterns"}, id="pathspec"),
        # Of our own files, and from a process of our own.
        pytest.param(
            "marshal", {"fx_hooks.fastpath.table_cache", "fx_hooks.util.forked"}, id="marshal"
        ),
        pytest.param("pickle", set(), id="pickle"),
        pytest.param("torch", set(), id="torch"),
    ],
)
def test_imported_in_one_place(package: str, only: set[str]) -> None:
    assert importers(package) == only


def test_the_policy_knows_neither_git_nor_formats() -> None:
    pure = {name for name in MODULES if f"{name}.".startswith("fx_hooks.policy.")}
    pure -= {"fx_hooks.policy.in_force"}  # which reads it from the index and from commits
    known = {package(other) for name in pure for other in ours(name)}
    assert known <= {"fx_hooks", "util", "fastpath", "frameworks", "policy"}


def test_packages_import_downwards_only() -> None:
    wrong = {
        f"{name} imports {other}"
        for name in MODULES
        if package(name) in LAYERS
        for other in ours(name)
        if package(other) != "fx_hooks"
        and (
            package(other) not in LAYERS
            or LAYERS.index(package(other)) > LAYERS.index(package(name))
        )
    }
    assert wrong == set()


def test_no_module_runs_in_a_circle() -> None:
    below: dict[str, set[str]] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"imports run in a circle: {' -> '.join((*above, name))}"
        if name not in below:
            below[name] = ours(name) - {name}
            for other in sorted(below[name]):
                visit(other, (*above, name))

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("command", sorted(COMMANDS | ENTRY_POINTS))
def test_a_command_imports_no_other(command: str) -> None:
    entry = f"fx_hooks.{command.rpartition('.')[2]}"
    assert importers(command) <= {entry} - {command}


def test_a_name_stands_for_one_module() -> None:
    names = Counter(
        name.rpartition(".")[2]
        for name in MODULES
        if name not in ENTRY_POINTS
        and not MODULES[name].name.startswith("__")
        and package(name) != "frameworks"
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("name", sorted(FAST_PATH | ENTRY_POINTS))
def test_the_fast_path_imports_next_to_nothing(name: str) -> None:
    allowed = FAST_PATH | {"fx_hooks", "os", "sys", "marshal", "binascii"}
    assert {found.module for found in imports(name) if not found.local} <= allowed


@pytest.mark.parametrize("name", sorted(ENTRY_POINTS))
def test_an_entry_point_imports_nothing_before_it_answers_an_interruption(name: str) -> None:
    assert {found.module for found in imports(name) if not found.local} == {"sys"}


def test_docstrings_name_the_thing() -> None:
    """No docstring begins as a question would."""
    questions = [
        f"{name}: {text.splitlines()[0]}"
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and (text := ast.get_docstring(node) or "").startswith(
            ("What ", "Whether ", "Which ", "How ", "Where ")
        )
    ]
    assert not questions


@pytest.mark.parametrize("name", sorted(FAST_PATH))
def test_the_fast_path_starts_next_to_nothing_later(name: str) -> None:
    later = {found.module for found in imports(name) if found.local}
    # A repository without projects does not pay for them, nor a plain index for a list from git,
    # nor small files for a look into large ones, nor a commit for a digest of all that is tracked.
    known = {
        "fast_git", "index_bytes", "projects", "listed_index", "near_miss", "loose_objects",
        "looked_into",
    }  # fmt: skip
    known = {f"fx_hooks.fastpath.{module}" for module in known}
    assert later <= {"atexit", "gc", "re", "zlib", "hashlib", "fx_hooks.util.files", *known}
