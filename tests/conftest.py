"""Fixtures: git without the settings of whoever runs the tests, and a fresh repository."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from fx_hooks.util.files import replace_file

pytest.register_assert_rewrite("tests.support")

from tests.realruns.states import States, make_states  # noqa: E402
from tests.support import CLEAN, Repo, run_main, working_directory  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", metavar="SEED", help="run the tests in an order of that seed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the modules, and the tests of each; all workers come to the same order."""
    seed = config.getoption("--shuffle")
    if seed is not None:
        chance = random.Random(seed)
        order = {item.path: chance.random() for item in items}
        items.sort(key=lambda item: (order[item.path], chance.random()))


@pytest.fixture(scope="session")
def git_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git puts into new repositories: the tables of the built-in policy, and no hooks.

    To compile them anew for each repository would take a fifth of the time of all tests.
    ``Repo.check`` forgets them first, and so do the tests of the tables themselves.
    """
    path = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        made = Repo.init(tmp_path_factory.mktemp("compiled"))
        made.stage("train.py", "")
        with working_directory(made.root):
            assert run_main([]) == CLEAN
    (path / "hooks").mkdir()
    shutil.copytree(made.git_directory / "info", path / "info")
    shutil.copy(made.tables, path)
    return path


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at all processes takes long, and few tests have one that has to do with runs."""
    from fx_hooks.cli import clean_runs
    from fx_hooks.runs import deletion, inventory
    from fx_hooks.runs.liveness import Processes

    for module in (inventory, clean_runs, deletion):
        monkeypatch.setattr(module, "find_processes", lambda _: Processes((), frozenset()))


def _set_environment(patch: pytest.MonkeyPatch, home: Path, git_template: Path) -> None:
    """Leave git nothing but a name, and a date."""
    for name in os.environ:
        if name.startswith(("GIT_", "GITHUB_", "XDG_", "PRE_COMMIT", "NO_COLOR")):
            patch.delenv(name)
    patch.setenv("HOME", str(home))
    patch.setenv("GIT_TEMPLATE_DIR", str(git_template))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{role}_NAME", "A Person")
        patch.setenv(f"GIT_{role}_EMAIL", "person@example.org")
        patch.setenv(f"GIT_{role}_DATE", "2024-01-31T23:59:59+0000")


@pytest.fixture
def home(tmp_path: Path, git_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and an environment in which git knows nothing but a name."""
    path = tmp_path / "home"
    path.mkdir()
    _set_environment(monkeypatch, path, git_template)
    return path


@pytest.fixture
def empty(home: Path, tmp_path: Path) -> Repo:  # noqa: ARG001
    """A repository before its first commit."""
    return Repo.init(tmp_path / "repo")


@pytest.fixture(scope="session")
def first_commit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit, to be copied: to make each anew takes a tenth of all tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        _set_environment(patch, home, git_template=home)  # there is nothing in it
        made = Repo.init(tmp_path_factory.mktemp("committed"))
        made.stage("train.py", "print('hello')\n")
        made.commit()
    return made.root


@pytest.fixture
def repo(home: Path, tmp_path: Path, first_commit: Path, git_template: Path) -> Repo:  # noqa: ARG001
    """A repository with one commit."""
    copied = Repo(tmp_path / "repo")
    shutil.copytree(first_commit, copied.root, dirs_exist_ok=True)
    shutil.copytree(git_template, copied.git_directory, dirs_exist_ok=True)
    # The index knows the file by its number.
    copied.git("update-index", "--refresh")
    return copied


@pytest.fixture
def remote(repo: Repo, tmp_path: Path) -> Repo:
    """A bare repository that has the first commit, and is ``origin``."""
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "remote.git"))
    repo.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    repo.git("fetch", "-q", "origin")
    repo.git("branch", "-q", "--set-upstream-to=origin/main")
    return Repo(tmp_path / "remote.git")


@pytest.fixture(scope="session")
def made_states(tmp_path_factory: pytest.TempPathFactory) -> States:
    """A repository with a real run of every state: nobody writes to it.

    Whichever worker comes first makes it, for all of them.
    """
    pytest.importorskip("hydra")
    pytest.importorskip("wandb")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return _made_once(shared / "states")


def _made_once(target: Path) -> States:
    done = target / "places"
    try:
        target.mkdir()
    except FileExistsError:
        end = time.monotonic() + 120
        while not done.exists():
            assert time.monotonic() < end, "another worker does not get done with the runs"
            time.sleep(0.1)
    else:
        # What cannot be made is said by the worker that tried, and by all others.
        try:
            text = make_states(target).to_json()
        except Exception as exc:
            text = json.dumps({"error": str(exc)})
        replace_file(str(done), text.encode(), 0o644)
    return States.from_json(target, done.read_text())


@pytest.fixture
def states(made_states: States, tmp_path: Path) -> States:
    """A copy of that repository, to do anything with."""
    return made_states.copy(tmp_path)
