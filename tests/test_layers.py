"""What may import what: read from the source, so that nobody has to remember it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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


# What a person starts. None of them is a library of another one.
VERBS = {
    name
    for name in MODULES
    if name.startswith(("fx_hooks.tools.", "fx_hooks.check_")) or name == "fx_hooks.sync_gitignore"
}
POLICY = {name for name in MODULES if f"{name}.".startswith("fx_hooks.policy.")}
# What every commit of every person starts.
GATE = {
    "fx_hooks",
    "fx_hooks.atomic",
    "fx_hooks.check_artifacts",
    "fx_hooks.check_best_models",
    "fx_hooks.check_range",
    "fx_hooks.gate",
    "fx_hooks.gitignore",
    "fx_hooks.gitignore.state",
    "fx_hooks.history",
    "fx_hooks.history.gate",
    "fx_hooks.policy",
    "fx_hooks.policy.cache",
    "fx_hooks.policy.match",
    "fx_hooks.quickgit",
    "fx_hooks.sync_gitignore",
}


def test_all_modules_are_read() -> None:
    assert {"fx_hooks.check_artifacts", "fx_hooks.tools.explain"} <= VERBS
    assert {"fx_hooks.policy.load", "fx_hooks.policy.match"} <= POLICY
    assert set(MODULES) >= GATE
    # The reader finds imports of every form.
    assert "fx_hooks.policy.cache" in imported("fx_hooks.gate")
    assert Import("re", local=True) in imports("fx_hooks.policy.match")
    assert "typing" not in imported("fx_hooks.policy.match")


@pytest.mark.parametrize(
    ("package", "only"),
    [
        pytest.param("subprocess", {"fx_hooks.git"}, id="subprocess"),
        pytest.param("yaml", {"fx_hooks.policy.load"}, id="yaml"),
        pytest.param("pathspec", {"fx_hooks.policy.patterns"}, id="pathspec"),
        pytest.param("marshal", {"fx_hooks.policy.cache"}, id="marshal"),
        pytest.param("pickle", set(), id="pickle"),
        pytest.param("torch", set(), id="torch"),
    ],
)
def test_imported_in_one_place(package: str, only: set[str]) -> None:
    assert importers(package) == only


def test_the_policy_knows_neither_git_nor_formats() -> None:
    allowed = POLICY | {"fx_hooks", "fx_hooks.atomic", "fx_hooks.errors"}
    assert {name: ours(name) - allowed for name in POLICY} == {name: set() for name in POLICY}


@pytest.mark.parametrize(
    "name", ["fx_hooks", "fx_hooks.atomic", "fx_hooks.errors", "fx_hooks.finding"]
)
def test_knows_nothing_of_ours(name: str) -> None:
    assert ours(name) == set()


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_is_imported_by_nothing(verb: str) -> None:
    assert importers(verb) == set()


def test_a_desk_belongs_to_its_verb() -> None:
    # The second half of a verb that asks its gate first.
    assert importers("fx_hooks.best_models.desk") == {"fx_hooks.check_best_models"}
    assert importers("fx_hooks.history.desk") == {"fx_hooks.check_range"}
    assert importers("fx_hooks.desk") == {"fx_hooks.check_artifacts"}
    assert importers("fx_hooks.gitignore.desk") == {"fx_hooks.sync_gitignore"}


def test_imports_point_down_only() -> None:
    below: dict[str, set[str]] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"imports run in a circle: {' -> '.join((*above, name))}"
        if name not in below:
            below[name] = ours(name) - {name}
            for other in sorted(below[name]):
                visit(other, (*above, name))

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("name", sorted(GATE))
def test_the_gate_imports_next_to_nothing(name: str) -> None:
    allowed = GATE | {"os", "sys", "marshal", "binascii"}
    assert {found.module for found in imports(name) if not found.local} <= allowed


@pytest.mark.parametrize("name", sorted(GATE - VERBS))
def test_the_gate_starts_next_to_nothing_later(name: str) -> None:
    assert {found.module for found in imports(name) if found.local} <= {"re", "fx_hooks.atomic"}
