"""Fast paths and commands agree: under settings of git, kinds of index, states of a repository.

All settings one by one take minutes (``python -m tests.git_agreement``); what came of it is
recorded. Here are pairs of a kind and a state, and settings by chance.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_hooks.fastpath import fast_git
from tests.git_agreement import (
    ELSEWHERE,
    RECORD,
    Scene,
    Setting,
    applied,
    git_accepts,
    lonely,
    make_scene,
    names_of_settings,
    run,
    values_of,
)
from tests.support import WEIGHTS, Repo, git_version, working_directory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Scene]:
    """A clean scene and a refused one: nobody writes to them."""
    base = tmp_path_factory.mktemp("scenes")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in {**lonely(), "HOME": str(base)}.items():
            patch.setenv(name, value)
        kinds = (False, True)
        return {refused: make_scene(base / str(refused), refused=refused) for refused in kinds}


@pytest.fixture
def scene(made: dict[bool, Scene], refused: bool, home: Path, tmp_path: Path) -> Scene:  # noqa: ARG001
    shutil.copytree(made[refused].repo.root, tmp_path / "scene", symlinks=True)
    repo = Repo(tmp_path / "scene")
    for path in repo.on_disk():
        # git looks once more at what is as new as its index, and has no size of it till then.
        os.utime(path, (1e9, 1e9), follow_symlinks=False)
    repo.git("update-index", "-q", "--refresh")
    return made[refused]._replace(repo=repo)


def test_no_setting_was_found_that_makes_them_differ() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record["disagreements"] == []
    assert record["tried"] > 2 * len(record["settings"])


def test_every_setting_of_this_git_is_covered() -> None:
    """What a newer git adds has to be tried: `python -m tests.git_agreement --update`."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    missing = sorted(set(names_of_settings()) - set(record["settings"]))
    newest = tuple(int(number) for number in record["git"].split(".")[:2])
    if missing and git_version() > newest:
        pytest.xfail(f"not covered: {', '.join(missing)}")
    if git_version() < newest:
        pytest.skip("an older git has settings that are gone since")
    assert not missing


@pytest.mark.slow
@pytest.mark.parametrize("refused", [True])
def test_the_suite_finds_what_is_wrong(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the fast path says in full, a setting hides what a merge adds."""
    if git_version() < (2, 32):
        pytest.skip("this git has no log.diffMerges")
    wrong = [Setting("log.diffMerges", "off")]
    with applied(scene, wrong):
        assert list(scene.disagreements()) == []
        assert fast_git._IN_FULL[-1] == "log.diffMerges=separate"
        monkeypatch.setattr(fast_git, "_IN_FULL", fast_git._IN_FULL[:-2])
        (said,) = scene.disagreements()
    assert said.startswith("range")


@pytest.mark.parametrize("refused", [False])
def test_the_fast_paths_are_sure_where_all_is_clean(scene: Scene) -> None:
    with working_directory(scene.repo.root):
        assert [q.name for q in scene.questions() if not q.fast(q.arguments)] == []
        scene.repo.stage("pkg/x.pt", WEIGHTS)
        assert run(scene.questions()[0])[0] == 1


# Kinds of index, and states of a repository


def version_4(repo: Repo) -> None:
    repo.git("update-index", "--index-version=4")


def split(repo: Repo) -> None:
    repo.git("update-index", "--split-index")
    repo.stage("pkg/later.py", "x = 1\n")


def sparse(repo: Repo) -> None:
    if git_version() < (2, 35):
        pytest.skip("this git has no `set --sparse-index`")
    repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "pkg")


def untracked_cache(repo: Repo) -> None:
    repo.git("update-index", "--untracked-cache")


def extended(repo: Repo) -> None:
    repo.git("update-index", "--skip-worktree", "pkg/m1.py")


def threads(repo: Repo) -> None:
    repo.git("-c", "index.threads=2", "update-index", "--force-write-index")


def partial(repo: Repo) -> None:
    other = repo.git_directory / "next-index"
    shutil.copy(repo.git_directory / "index", other)
    os.environ["GIT_INDEX_FILE"] = str(other)


def without_sizes(repo: Repo) -> None:
    """An index that a program wrote from a listing."""
    listed = repo.git("ls-files", "-s", "-z").encode()
    repo.git("read-tree", "--empty")
    repo.git("update-index", "-z", "--index-info", stdin=listed)


def replaced(repo: Repo) -> None:
    """For everything git shows something else than a push sends."""
    shown = {
        ".fx-hooks.yaml": b"ignore: [pkg/]\n", ".gitignore": b"nothing\n",
        "pkg/m1.py": WEIGHTS + b"1", "chosen/README.md": WEIGHTS + b"2", "pkg/x.pt": b"small\n",
    }  # fmt: skip
    for path, content in shown.items():
        if repo.git("ls-files", path):
            other = repo.git("hash-object", "-w", "--stdin", stdin=content).strip()
            repo.git("replace", f":{path}", other)
    without_sizes(repo)


def grafted(repo: Repo) -> None:
    """For the newest commits git shows one that has little of them, and what is above is gone."""
    first = repo.git("rev-list", "--max-parents=0", "--all").strip()
    other = repo.git("commit-tree", f"{first}^{{tree}}", "-m", "1").strip()
    tips = set(repo.git("rev-list", "--no-walk", "--all").split())
    for tip in tips:
        repo.git("replace", tip, other)
    place = repo.root / repo.git("rev-parse", "--git-path", "info/grafts").strip()
    place.parent.mkdir(exist_ok=True)
    place.write_text("".join(f"{tip}\n" for tip in tips))


def borrowed(repo: Repo) -> None:
    """All objects lie with another repository, in packs."""
    repo.git("repack", "-q", "-a", "-d")
    objects = repo.root / repo.git("rev-parse", "--git-path", "objects").strip()
    elsewhere = repo.root.parent / "objects"
    shutil.move(objects, elsewhere)
    (objects / "info").mkdir(parents=True)
    (objects / "info" / "alternates").write_text(f"{elsewhere}\n")
    without_sizes(repo)


KINDS = (
    version_4, split, sparse, untracked_cache, extended, threads, partial,
    without_sizes, replaced, grafted, borrowed,
)  # fmt: skip


def conflict(repo: Repo) -> None:
    """Two branches that change the same file; what is staged comes back later."""
    repo.git("stash", "-q")
    repo.git("checkout", "-q", "-b", "other")
    repo.stage("pkg/m0.py", "x = 2\n")
    repo.stage("brought.pt", WEIGHTS)
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.stage("pkg/m0.py", "x = 3\n")
    repo.commit()


def resolve(repo: Repo) -> None:
    repo.stage("pkg/m0.py", "x = 4\n")


def merge(repo: Repo) -> None:
    conflict(repo)
    repo.git("merge", "-q", "other", fails=True)
    resolve(repo)


def cherry_pick(repo: Repo) -> None:
    conflict(repo)
    repo.git("cherry-pick", "other", fails=True)
    resolve(repo)


def rebase(repo: Repo) -> None:
    conflict(repo)
    repo.git("rebase", "-q", "other", fails=True)
    resolve(repo)


def am(repo: Repo) -> None:
    conflict(repo)
    patch = repo.git("format-patch", "--binary", "--stdout", "-1", "other")
    repo.git("am", "-q", "-3", stdin=patch.encode(), fails=True)
    resolve(repo)


def bisect(repo: Repo) -> None:
    repo.git("stash", "-q")
    repo.git("bisect", "start", "HEAD", "HEAD~2")
    repo.stage("pkg/x.pt", WEIGHTS)


def detached(repo: Repo) -> None:
    repo.git("checkout", "-q", "--detach")


def unborn(repo: Repo) -> None:
    repo.git("symbolic-ref", "HEAD", "refs/heads/fresh")


def linked(repo: Repo) -> None:
    place = repo.root.parent / "linked"
    repo.git("worktree", "add", "-q", "-f", str(place), "-b", "linked")
    repo.root = place
    repo.stage("pkg/x.pt", WEIGHTS)


def with_submodule(repo: Repo) -> None:
    repo.gitlink("vendor/thing")
    repo.gitlink("outputs/thing")


def plain(repo: Repo) -> None:
    pass


STATES = (
    plain, merge, cherry_pick, rebase, am, bisect, detached, unborn, linked, with_submodule,
)  # fmt: skip


def enter(scene: Scene, *changes: Callable[[Repo], None]) -> None:
    for change in changes:
        change(scene.repo)


@pytest.fixture(autouse=True)
def own_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a kind sets outlives its test."""
    monkeypatch.setenv("GIT_INDEX_FILE", "")
    monkeypatch.delenv("GIT_INDEX_FILE")


@pytest.mark.slow
@pytest.mark.parametrize("refused", [False, True], ids=["clean", "refused"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kinds_and_states(
    scene: Scene, kind: Callable[[Repo], None], state: Callable[[Repo], None]
) -> None:
    enter(scene, state, kind)
    # With tables of before, and with those that the commands have just left.
    assert list(scene.disagreements(always=True)) == []
    assert list(scene.disagreements(always=True)) == []


SETTINGS = st.sampled_from([name for name in names_of_settings() if name not in ELSEWHERE]).flatmap(
    lambda name: st.sampled_from(values_of(name)).map(lambda value: Setting(name, value))
)


@pytest.mark.slow
@pytest.mark.parametrize("refused", [False, True], ids=["clean", "refused"])
@settings(
    database=None, deadline=None, max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(wanted=st.lists(SETTINGS, min_size=3, max_size=3, unique_by=lambda one: one.name))
def test_three_settings_by_chance(scene: Scene, wanted: list[Setting]) -> None:
    with applied(scene, wanted):
        said = list(scene.disagreements())
        assert not said or not git_accepts(scene), (wanted, said)
