"""What commits bring in, asked of real git."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fx_hooks.git.repository import LINK_MODE, SUBMODULE_MODE, ObjectStore
from fx_hooks.history.walk import Walk
from fx_hooks.util.errors import FatalError
from tests.support import Repo, git_version, working_directory


def walked(repo: Repo, *new: str, old: tuple[str, ...] = ()) -> list[tuple[str, bytes]]:
    """Subject and path of all that is brought in, the newest commit first."""
    with working_directory(repo.root):
        walk = Walk(ObjectStore(), new or ("--all",), old)
        found = list(walk)
    subjects = [
        repo.git("log", "-1", "--encoding=UTF-8", "--format=%s", commit).strip()
        for commit in walk.commits
    ]
    assert len(walk.times) == len(walk.commits)
    return [(subjects[item.commit], item.path) for item in found]


def commit(repo: Repo, subject: str, *names: str | bytes) -> str:
    for name in names:
        repo.stage(name, f"{subject} {name!r}")
    repo.git("commit", "-q", "--no-verify", "--allow-empty", "-m", subject)
    return repo.git("rev-parse", "HEAD").strip()


def test_added_and_deleted_again(empty: Repo) -> None:
    commit(empty, "one", "a", "b")
    empty.git("rm", "-q", "a")
    commit(empty, "two", "b")
    assert walked(empty) == [("two", b"b"), ("one", b"a"), ("one", b"b")]


def test_a_merge_brings_in_only_what_no_side_has(empty: Repo) -> None:
    base = commit(empty, "base", "both", "kept")
    empty.git("checkout", "-q", "-b", "side")
    commit(empty, "side", "both", "from side")
    empty.git("checkout", "-q", "main")
    commit(empty, "main", "both", "from main")
    empty.git("merge", "-q", "side", fails=True)
    empty.stage("both", "resolved")
    commit(empty, "merge", "evil")
    assert walked(empty, "HEAD", old=(base,)) == [
        ("merge", b"both"),
        ("merge", b"evil"),
        ("main", b"both"),
        ("main", b"from main"),
        ("side", b"both"),
        ("side", b"from side"),
    ]


def test_a_whole_history_is_read_in_parts(empty: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(empty, "one", "a", "b")
    empty.git("checkout", "-q", "-b", "side")
    commit(empty, "side", "b", "c")
    empty.git("checkout", "-q", "main")
    empty.git("rm", "-q", "a")
    commit(empty, "two", "d")
    commit(empty, "nothing")
    empty.git("merge", "-q", "--no-ff", "--no-commit", "side")
    commit(empty, "merge", "evil")
    with working_directory(empty.root):
        log, whole = Walk(ObjectStore(), ["HEAD"]), Walk(ObjectStore(), ["--all"])
        monkeypatch.setattr("fx_hooks.history.walk._FEW", 1)
        found, expected = ([(walk.commits[item.commit], *item[1:]) for item in walk]
                           for walk in (whole, log))  # fmt: skip
    # Those of the same second may come in another order.
    assert sorted(found) == sorted(expected)
    assert len(found) == 6
    assert sorted(whole.commits) == sorted(log.commits)
    assert len(whole.times) == len(whole.commits) == 5
    assert whole.removed == {b"a"}
    assert [commit for commit, *_ in found] == sorted(
        (commit for commit, *_ in found), key=whole.commits.index
    )


def test_a_commit_that_is_lost_is_an_error(empty: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(empty, "one", "a")
    lost = commit(empty, "two", "b")
    commit(empty, "three", "c")
    # From here on git knows what commits there are without reading them.
    empty.git("commit-graph", "write", "--reachable")
    (empty.root / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    monkeypatch.setattr("fx_hooks.history.walk._FEW", 1)
    with working_directory(empty.root), pytest.raises(FatalError, match="git fsck shows what"):
        list(Walk(ObjectStore(), ["--all"]))


def test_an_octopus_and_a_merge_that_takes_one_side_alone(empty: Repo) -> None:
    base = commit(empty, "base", "base")
    for name in ("x", "y", "z"):
        empty.git("checkout", "-q", "-b", name, base)
        commit(empty, name, name)
    empty.git("checkout", "-q", "main")
    empty.git("merge", "-q", "x", "y", "-m", "octopus")
    empty.git("merge", "-q", "-s", "ours", "z", "-m", "ours")
    assert sorted(walked(empty, "main", old=(base,))) == [
        ("x", b"x"),
        ("y", b"y"),
        ("z", b"z"),
    ]


def test_a_criss_cross_merge(empty: Repo) -> None:
    base = commit(empty, "base", "base")
    empty.git("checkout", "-q", "-b", "side")
    side = commit(empty, "side", "s")
    empty.git("checkout", "-q", "main")
    main = commit(empty, "main", "m")
    empty.git("merge", "-q", "--no-ff", side, "-m", "one")
    empty.git("checkout", "-q", "side")
    empty.git("merge", "-q", "--no-ff", main, "-m", "other")
    empty.git("merge", "-q", "--no-ff", "main", "-m", "both")
    assert sorted(walked(empty, old=(base,))) == [("main", b"m"), ("side", b"s")]


def test_modes_links_submodules_and_odd_names(empty: Repo) -> None:
    odd = b"a\nb\t:\"'\\ \xff"
    commit(empty, "one", odd, "run.sh", ":100644 x")
    empty.git("update-index", "--chmod=+x", "run.sh")
    empty.link("link", "target")
    empty.git("add", "link")
    empty.gitlink("sub")
    commit(empty, "two")
    with working_directory(empty.root):
        found = {item.path: item for item in Walk(ObjectStore(), ["HEAD"])}
        newest_first = list(Walk(ObjectStore(), ["HEAD"]))
    assert found.keys() == {odd, b"run.sh", b":100644 x", b"link", b"sub"}
    assert (found[b"link"].mode, found[b"sub"].mode) == (LINK_MODE, SUBMODULE_MODE)
    assert [item.mode for item in newest_first if item.path == b"run.sh"] == [0o100755, 0o100644]
    assert found[b"sub"].blob == "1" * 40


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param(("log.showRoot", "false"), id="root"),
        pytest.param(("diff.renames", "true"), id="renames"),
        pytest.param(("diff.relative", "true"), id="relative"),
        pytest.param(("diff.ignoreSubmodules", "all"), id="submodules"),
        pytest.param(
            ("log.diffMerges", "off"),
            id="merges",
            marks=pytest.mark.skipif(git_version() < (2, 32), reason="needs git 2.32"),
        ),
        pytest.param(("log.follow", "true"), id="follow"),
        pytest.param(("color.ui", "always"), id="colour"),
        pytest.param(("log.decorate", "full"), id="decorate"),
        pytest.param(("format.pretty", "fuller"), id="format"),
        pytest.param(("core.quotePath", "false"), id="quotes"),
        pytest.param(("log.abbrevCommit", "true"), id="abbrev"),
        pytest.param(("i18n.logOutputEncoding", "UTF-16"), id="encoding"),
    ],
)
def test_no_setting_hides_anything(empty: Repo, setting: tuple[str, str]) -> None:
    commit(empty, "one", "folder/file", "wandb/x")
    empty.git("checkout", "-q", "-b", "side")
    commit(empty, "side", "wandb/modèle")
    empty.git("checkout", "-q", "main")
    empty.git("mv", "wandb/x", "wandb/y")
    empty.gitlink("sub")
    commit(empty, "two")
    empty.git("merge", "-q", "--no-ff", "--no-commit", "side")
    commit(empty, "merge", "wandb/only in the merge")

    def as_git_likes() -> list[str]:
        """What git prints if nothing is said against its settings."""
        log = ("log", "--raw", "-m")
        return [empty.git(*log, "--all", cwd="folder"), empty.git(*log, "--", "wandb/y")]

    expected = walked(empty)
    assert expected[0] == ("merge", b"wandb/only in the merge")
    assert len(expected) == 6
    empty.git("config", "diff.renames", "false")  # not git's own choice, so that all differ
    liked = as_git_likes()
    empty.git("config", *setting)
    assert as_git_likes() != liked
    assert walked(empty) == expected
    with working_directory(empty.root / "folder"):
        assert len(list(Walk(ObjectStore(), ["--all"]))) == 6


def test_replaced_and_grafted_commits_are_seen_as_they_are_pushed(empty: Repo) -> None:
    first = commit(empty, "one", "one")
    second = commit(empty, "two", "two")
    harmless = empty.git("commit-tree", "-m", "nothing", f"{first}^{{tree}}").strip()
    empty.git("replace", second, harmless)
    assert walked(empty, "HEAD", old=(first,)) == [("nothing", b"two")]
    empty.git("replace", "-d", second)
    (empty.root / ".git" / "info" / "grafts").write_text(f"{second}\n")
    assert len(walked(empty, "HEAD")) == 2


def test_options_and_more_ids_than_a_command_line_holds(empty: Repo) -> None:
    commit(empty, "one", "one")
    empty.git("update-ref", "refs/remotes/origin/main", "HEAD")
    two = commit(empty, "two", "two")
    assert walked(empty, two, old=("--remotes=origin",)) == [("two", b"two")]
    assert walked(empty, *[two] * 60_000, old=("--remotes=origin",)) == [("two", b"two")]


def test_a_bare_repository_and_sha256(home: Path, tmp_path: Path) -> None:  # noqa: ARG001
    repo = Repo.init(tmp_path / "repo", "--object-format=sha256")
    commit(repo, "one", "file")
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    bare = Repo(tmp_path / "bare")
    assert walked(bare) == [("one", b"file")]
    with working_directory(bare.root):
        store = ObjectStore()
        (item,) = Walk(store, ["--all"])
        ((name, weight),) = store.weigh([item.blob])
    assert (len(item.blob), name) == (64, item.blob)
    assert weight is not None
    assert weight[0] == len("one 'file'")
    assert weight[1] > 0


@pytest.mark.skipif(os.name == "nt", reason="git is a script of ours")
def test_the_weights_of_so_many_that_two_tell_them(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    """Of a blob that is not here git says "missing"; an old one stops in a partial clone."""
    stream = b"".join(b"blob\nmark :%d\ndata 5\n%05d\n" % (n, n) for n in range(1, 12_001))
    marks = tmp_path / "marks"
    repo.git("fast-import", "--quiet", f"--export-marks={marks}", stdin=stream)
    blobs = sorted(line.split()[1] for line in marks.read_text().splitlines())
    form = "%(objectname) %(objectsize) %(objectsize:disk)"
    asked = repo.git("cat-file", f"--batch-check={form}", stdin="\n".join(blobs).encode())
    expected: dict[str, tuple[int, ...] | None] = {}
    for line in asked.splitlines():
        name, *sizes = line.split()
        expected[name] = tuple(map(int, sizes))
    repo.git("config", "remote.origin.promisor", "true")
    old = tmp_path / "old" / "git"
    old.parent.mkdir()
    stops = "awk '/missing$/ {exit 128} {print}'"
    old.write_text(f'#!/bin/sh\n{shutil.which("git")} "$@" | {stops}\n')
    old.chmod(0o755)
    with working_directory(repo.root):
        assert [*ObjectStore().weigh(blobs)] == [*expected.items()]
        for odd in ([0], [7_000], [1, 11_000, 11_999]):
            wanted = list(blobs)
            for place in odd:
                wanted[place] = f"{place:040x}"
            answer = {name: expected.get(name) for name in wanted}
            with subtests.test(odd=odd, git="says so"):
                assert dict(ObjectStore().weigh(wanted)) == answer
            with subtests.test(odd=odd, git="stops"), monkeypatch.context() as patch:
                patch.setenv("PATH", f"{old.parent}{os.pathsep}{os.environ['PATH']}")
                assert dict(ObjectStore().weigh(wanted)) == answer


def test_what_git_cannot_walk_is_an_error(repo: Repo) -> None:
    with working_directory(repo.root), pytest.raises(FatalError, match="git log failed"):
        list(Walk(ObjectStore(), ["1" * 40]))


def test_nobody_has_to_read_to_the_end(repo: Repo) -> None:
    with working_directory(repo.root):
        assert next(iter(Walk(ObjectStore(), ["HEAD"]))).path == b"train.py"
