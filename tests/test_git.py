"""What git says, through :mod:`fx_hooks.git.repository` and :mod:`fx_hooks.fastpath.fast_git`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_hooks.fastpath import fast_git
from fx_hooks.git.repository import (
    LINK_MODE,
    SUBMODULE_MODE,
    LfsPointer,
    NotARepository,
    ObjectStore,
    Repository,
    lfs_pointer,
    zsplit,
)
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import parents
from tests.support import CLEAN, WEIGHTS, Repo, git_version

if TYPE_CHECKING:
    from hypothesis.strategies import DataObject

EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
NOBODY = "1" * 40


@pytest.fixture
def here(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.chdir(repo.root)
    return repo


def blob_of(repo: Repo, name: str) -> str:
    return repo.git("rev-parse", f":{name}").strip()


@pytest.mark.parametrize(
    ("output", "fields"),
    [(b"", []), (b"a\0", [b"a"]), (b"a\0b\n\0", [b"a", b"b\n"]), (b"\0", [b""])],
)
def test_zsplit(output: bytes, fields: list[bytes]) -> None:
    assert zsplit(output) == fields


def test_places(here: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    here.write("pkg/x")
    monkeypatch.chdir(here.root / "pkg")
    repository = Repository()
    assert repository.root == os.fsencode(os.path.realpath(here.root))
    assert repository.git_directory == os.path.realpath(here.root / ".git")


def test_root_with_odd_name(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.exists()
    repo = Repo.init(tmp_path / os.fsdecode(b"odd \xff\n"))
    repo.stage("x.pt", WEIGHTS)
    monkeypatch.chdir(repo.root)
    assert Repository().root == os.fsencode(os.path.realpath(repo.root))
    assert repo.mend() == {b"x.pt"}


@pytest.fixture
def odd_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that says all it has to say to people in words that nobody knows."""
    if os.name == "nt":
        pytest.skip("needs a shell")
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\n"{shutil.which("git")}" "$@" 2>"{tmp_path}/said"\ncode=$?\n'
        f'tr "a-z" "b-za" <"{tmp_path}/said" >&2\nexit $code\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("odd_messages")
@pytest.mark.parametrize("kind", [ObjectStore, Repository])
def test_no_repository(
    home: Path, kind: type[ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(NotARepository, match="not in a git repository"):
        kind()
    # Nothing that git would take for one.
    (home / ".git").mkdir()
    (home / "HEAD").touch()
    with pytest.raises(NotARepository, match="not in a git repository"):
        kind()


@pytest.mark.usefixtures("odd_messages")
def test_bare_repository(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Repo.init(home, "--bare")
    monkeypatch.chdir(home)
    with pytest.raises(NotARepository, match="not in a work tree"):
        Repository()
    monkeypatch.chdir(home / "refs")
    with pytest.raises(NotARepository, match="not in a work tree"):
        Repository()
    assert ObjectStore().git_directory == os.path.realpath(home)


@pytest.mark.usefixtures("odd_messages")
def test_in_the_git_directory(here: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here.root / ".git" / "refs")
    with pytest.raises(NotARepository, match="not in a work tree"):
        Repository()


@pytest.mark.usefixtures("odd_messages")
def test_a_repository_above_a_ceiling(here: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    here.write("pkg/x")
    monkeypatch.chdir(here.root / "pkg")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", f"/nowhere{os.pathsep}{here.root}")
    with pytest.raises(NotARepository, match="not in a git repository"):
        Repository()


@pytest.mark.usefixtures("odd_messages")
@pytest.mark.parametrize("fault", ["configuration", "GIT_DIR", "gitfile", "deleted folder"])
def test_a_repository_that_git_refuses(
    here: Repo, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.write("pkg/x")
    monkeypatch.chdir(here.root / "pkg")
    if fault == "configuration":
        here.write(".git/config", "[core\n")
    elif fault == "GIT_DIR":
        monkeypatch.setenv("GIT_DIR", str(here.root / "nowhere"))
    elif fault == "gitfile":
        (here.root / ".git").rename(here.root / "elsewhere")
        here.write(".git", "gitdir: nowhere\n")
    else:
        shutil.rmtree(here.root / "pkg")
    with pytest.raises(FatalError, match=r"^git rev-parse failed: .*gbubm: .") as caught:
        Repository()
    assert not isinstance(caught.value, NotARepository)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root")
@pytest.mark.skipif(git_version() < (2, 36), reason="this git asks nobody whose it is")
def test_a_repository_of_somebody_else(here: Repo) -> None:
    os.chown(here.root, 12345, -1)
    os.chown(here.root / ".git", 12345, -1)
    with pytest.raises(FatalError) as caught:
        Repository()
    # The first line names the fault, and a later one the command.
    assert f"git config --global --add safe.directory {here.root}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_index(here: Repo) -> None:
    here.stage("é\n.txt", b"12345")
    here.stage(b"\xff", b"")
    here.link("link", "nowhere")
    here.git("add", "link")
    here.gitlink("sub")
    entries = {entry.path: entry for entry in Repository().index()}
    assert list(entries) == sorted(entries)
    assert set(entries) == {b"train.py", "é\n.txt".encode(), b"\xff", b"link", b"sub"}
    assert {entry.stage for entry in entries.values()} == {0}
    assert entries[b"link"].mode == LINK_MODE
    assert entries[b"sub"].mode == SUBMODULE_MODE
    assert entries[b"sub"].blob == NOBODY
    assert entries[b"train.py"].mode == 0o100644
    assert entries[b"\xff"].blob == EMPTY_BLOB


def test_index_with_unmerged_entries(here: Repo) -> None:
    here.stage("both.txt", "base\n")
    here.commit()
    here.git("checkout", "-q", "-b", "side")
    here.stage("both.txt", "theirs\n")
    here.stage("new.txt", "theirs\n")
    here.commit()
    here.git("checkout", "-q", "main")
    here.stage("both.txt", "ours\n")
    here.stage("new.txt", "ours\n")
    here.commit()
    assert not Repository().merging()
    here.git("merge", "side", fails=True)
    repository = Repository()
    assert repository.merging()
    stages = [(entry.path, entry.stage) for entry in repository.index()]
    assert stages == [
        (b"both.txt", 1), (b"both.txt", 2), (b"both.txt", 3),
        (b"new.txt", 2), (b"new.txt", 3),
        (b"train.py", 0),
    ]  # fmt: skip
    assert {(change.path, change.status) for change in repository.staged()} == {
        (b"both.txt", "U"),
        (b"new.txt", "U"),
    }


def test_staged(here: Repo) -> None:
    here.stage("moved.txt", "one\ntwo\nthree\n")
    here.stage("gone.txt")
    here.stage("typed.txt")
    here.commit()
    here.git("mv", "moved.txt", "to.txt")
    here.git("rm", "-q", "gone.txt")
    here.remove("typed.txt")
    here.link("typed.txt", "nowhere")
    here.git("add", "typed.txt")
    here.stage("train.py", "x = 2\n")
    here.stage("new\n.txt", b"12345")
    here.gitlink("sub")
    here.write("untracked.txt")
    changes = {change.path: change for change in Repository().staged()}
    assert {path: change.status for path, change in changes.items()} == {
        b"gone.txt": "D",
        b"moved.txt": "D",
        b"new\n.txt": "A",
        b"sub": "A",
        b"to.txt": "A",
        b"train.py": "M",
        b"typed.txt": "T",
    }
    assert changes[b"typed.txt"].mode == LINK_MODE
    assert changes[b"train.py"].blob == blob_of(here, "train.py")
    assert changes[b"sub"].mode == SUBMODULE_MODE


def test_staged_before_the_first_commit(empty: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    empty.stage("train.py")
    monkeypatch.chdir(empty.root)
    repository = Repository()
    assert repository.head() is None
    assert [(change.path, change.status) for change in repository.staged()] == [(b"train.py", "A")]


def test_head(here: Repo) -> None:
    repository = Repository()
    head = here.git("rev-parse", "HEAD").strip()
    assert repository.head() == head
    assert repository.head() == head


def intended() -> set[bytes]:
    repository = Repository()
    return repository.intended(repository.index_by_path(), repository.staged_by_path())


def test_intended(here: Repo) -> None:
    here.stage("new")
    here.write("é")
    here.git("add", "-N", "é")
    assert intended() == {"é".encode()}
    here.stage("empty", "")
    here.commit("empty")
    assert intended() == {"é".encode()}
    for name in ("empty", "train.py"):  # both are in HEAD
        here.git("rm", "-q", "--cached", name)
        here.git("add", "-N", name)
    assert intended() == {"é".encode(), b"empty", b"train.py"}


def test_held(here: Repo) -> None:
    here.stage("a/b/c", "1")
    here.stage("a/40000 b/x", "2")  # an entry, not the beginning of one
    here.stage("a/100644 f", "3")
    here.link("a/link", "b")
    here.stage_all()
    here.commit()
    first = here.git("rev-parse", "HEAD").strip()
    here.stage("a/b/\nd", "4")
    here.git("rm", "-q", "-r", "a/40000 b")
    here.commit()
    store = ObjectStore()
    both = [first, here.git("rev-parse", "HEAD").strip()]
    folders = {b"a", b"a/b", b"a/40000 b", b"a/link", b"none", b"none/there", b"train.py"}
    names = [b"c", b"\nd", b"e", b"x", b"b", b"40000 b/x", b"b/c", b"b/c/d", b"train.py"]
    assert store.held([first], folders, names) == {
        b"a/b", b"a/b/c", b"a/40000 b/x",
    }  # fmt: skip
    assert store.held(both, folders, names) == {b"a/b", b"a/b/c", b"a/b/\nd", b"a/40000 b/x"}
    assert store.held(both, {b"a"}, names) == {b"a/b", b"a/b/c", b"a/40000 b/x"}
    assert store.held(both, {b"a/b"}, names) == set()  # not without the folder above
    assert store.held([first], set(), names) == set()
    blob = here.git("rev-parse", "HEAD:a/b").strip()
    (here.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(FatalError):
        store.held(["HEAD"], folders, names)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_held_in_any_tree(here: Repo, data: DataObject) -> None:
    """As a list of all paths says it."""
    parts = st.sampled_from(["a", "b", "40000 a", "c d"])
    paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
    blob = here.git("hash-object", "-w", "--stdin").strip()
    here.git("read-tree", "--empty")
    drawn = data.draw(st.sets(paths, max_size=8))
    # No file is a folder, too: git 2.30 adds both, and fails later.
    files = [path for path in drawn if not any(one.startswith(path + "/") for one in drawn)]
    lines = [f"100644 {blob}\t{path}\n" for path in files]
    here.git("update-index", "--add", "--index-info", stdin="".join(lines).encode())
    tree = here.git("write-tree").strip()
    listed = os.fsencode(here.git("ls-tree", "-r", "-t", "-z", "--name-only", tree))
    every = set(listed.split(b"\0"))
    folders = {above for path in every for above in (*parents(path), path) if above}
    some = {folder for folder in folders if data.draw(st.booleans())}
    some = {above for folder in some for above in (*parents(folder), folder)}
    names = set(map(os.fsencode, data.draw(st.lists(paths, max_size=5))))
    expected = {path for path in every for folder in some for name in names
                if path == folder + b"/" + name}  # fmt: skip
    assert ObjectStore().held([tree], some, names) == expected


def test_left_out(here: Repo) -> None:
    here.stage("é x")
    here.commit()
    assert Repository().left_out() == set()
    here.git("update-index", "--skip-worktree", "é x")
    assert Repository().left_out() == {"é x".encode()}


@pytest.mark.parametrize(
    ("cwd", "variables", "way"),
    [
        pytest.param(".", {}, "", id="root"),
        pytest.param("a", {}, "..", id="folder"),
        pytest.param("a/b", {}, "../..", id="deeper"),
        pytest.param(".", {"GIT_PREFIX": "a/b/"}, "../..", id="hook"),
        pytest.param("a/b", {"GIT_PREFIX": ""}, "", id="hook elsewhere"),
        pytest.param("a/b", {"PRE_COMMIT": "1", "PWD": "."}, "", id="runner from the root"),
        pytest.param(".", {"PRE_COMMIT": "1", "PWD": "a"}, "..", id="runner from a folder"),
        pytest.param("a/b", {"PRE_COMMIT": "1", "PWD": ".."}, "", id="runner from outside"),
    ],
)
def test_way_to_root(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, cwd: str, variables: dict[str, str], way: str
) -> None:
    (repo.root / "a/b").mkdir(parents=True)
    monkeypatch.chdir(repo.root / cwd)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(repo.root / value) if name == "PWD" else value)
    assert Repository().path_to_root() == way


def test_blob_id_is_that_of_add(here: Repo) -> None:
    here.write(".gitattributes", "*.txt text\n")
    here.write("a.txt", "one\r\ntwo\r\n")
    here.git("add", "a.txt")
    (entry,) = [entry for entry in Repository().index() if entry.path == b"a.txt"]
    assert Repository().blob_id("a.txt", b"one\r\ntwo\r\n") == entry.blob
    assert Repository().blob_id("a.bin", b"one\r\ntwo\r\n") != entry.blob


def test_modified_on_disk(here: Repo) -> None:
    here.stage("same.txt")
    here.stage("gone.txt")
    here.remove("gone.txt")
    here.write("train.py", "changed\n")
    assert Repository().modified_on_disk() == {b"train.py", b"gone.txt"}


def test_sizes(here: Repo) -> None:
    here.stage("empty", b"")
    here.stage("large", bytes(100_000))
    blobs = [blob_of(here, name) for name in ("large", "empty", "large", "train.py")]
    sizes = Repository().sizes(blobs)
    assert sizes == {blobs[0]: 100_000, blobs[1]: 0, blobs[3]: 15}


def test_sizes_of_nothing(here: Repo) -> None:
    assert here.root.exists()
    assert Repository().sizes([]) == {}
    assert Repository().contents([]) == {}


def test_sizes_of_missing_objects(here: Repo) -> None:
    blob = blob_of(here, "train.py")
    sizes = Repository().sizes([NOBODY, blob, "2" * 40])
    assert sizes == {NOBODY: None, blob: 15, "2" * 40: None}


def test_contents(here: Repo) -> None:
    tricky = b"\n" * 3 + NOBODY.encode() + b" missing\n\0\n"
    here.stage("tricky", tricky)
    here.stage("empty", b"")
    blobs = [blob_of(here, name) for name in ("tricky", "empty", "train.py")]
    found = Repository().contents([blobs[0], NOBODY, blobs[1], blobs[2], blobs[0]])
    assert found == {blobs[0]: tricky, blobs[1]: b"", blobs[2]: b"print('hello')\n"}


@pytest.fixture
def partial(here: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A clone without blobs that are not checked out; what it lacks cannot be fetched."""
    for number in range(8):
        here.stage(f"data/{number}.txt", f"number {number}\n")
    here.stage("data/x.pt", WEIGHTS)
    here.commit()
    here.git("config", "uploadpack.allowFilter", "true")
    url = here.root.as_uri()
    here.git("clone", "-q", "--filter=blob:none", "--sparse", url, str(tmp_path / "partial"))
    clone = Repo(tmp_path / "partial")
    assert not (clone.root / "data").exists()
    clone.git("remote", "set-url", "origin", (tmp_path / "nowhere").as_uri())
    monkeypatch.chdir(clone.root)
    return clone


def missing(repo: Repo) -> list[str]:
    """The objects that the clone does not have."""
    lines = repo.git("rev-list", "--objects", "--all", "--missing=print").splitlines()
    return [line for line in lines if line.startswith("?")]


def test_sizes_in_a_partial_clone(partial: Repo) -> None:
    repository = Repository()
    blobs = {entry.path: entry.blob for entry in repository.index()}
    assert f"?{blobs[b'data/x.pt']}" in missing(partial)
    sizes = repository.sizes(blobs.values())
    assert set(sizes) == set(blobs.values())
    # git 2.39 stops at each missing object; that is asked for a few times.
    assert sizes[blobs[b"data/x.pt"]] is None
    assert set(sizes.values()) <= {None, 15}
    present = blobs[b"train.py"]
    assert repository.sizes([blobs[b"data/0.txt"], present]) == {
        blobs[b"data/0.txt"]: None,
        present: 15,
    }


def test_contents_in_a_partial_clone(partial: Repo) -> None:
    repository = Repository()
    blobs = {entry.path: entry.blob for entry in repository.index()}
    assert repository.contents([blobs[b"train.py"]]) == {blobs[b"train.py"]: b"print('hello')\n"}
    assert repository.contents([blobs[b"data/0.txt"]]) == {}
    assert len(missing(partial)) == 9


def test_check_in_a_partial_clone(partial: Repo) -> None:
    partial.stage("fine.txt")
    assert partial.check() == CLEAN
    assert partial.check("fine.txt") == CLEAN
    result = partial.check("--all-files")
    assert result.code == 1
    assert "x.pt" in result.out
    partial.stage("y.pt", WEIGHTS + b"another")
    assert partial.mend() == {b"y.pt"}
    assert len(missing(partial)) == 9


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 12345\n" % (b"a" * 64)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(POINTER, LfsPointer("a" * 64, 12345), id="pointer"),
        pytest.param(
            POINTER.replace(b"oid", b"ext-0-foo sha256:%b\noid" % (b"b" * 64)),
            LfsPointer("a" * 64, 12345),
            id="extension",
        ),
        pytest.param(POINTER[:-1], LfsPointer("a" * 64, 12345), id="no-last-line-end"),
        pytest.param(b"", None, id="empty"),
        pytest.param(WEIGHTS, None, id="weights"),
        pytest.param(b"text\n" + POINTER, None, id="later"),
        pytest.param(POINTER + b"x" * 1024, None, id="too-large"),
        pytest.param(POINTER.replace(b"12345", b"-1"), None, id="negative-size"),
        pytest.param(POINTER.replace(b"12345", b"many"), None, id="no-number"),
        pytest.param(POINTER.replace(b"sha256", b"md5"), None, id="other-hash"),
        pytest.param(POINTER.split(b"size")[0], None, id="no-size"),
        pytest.param(POINTER.split(b"oid")[0], None, id="no-oid"),
    ],
)
def test_lfs_pointer(content: bytes, expected: LfsPointer | None) -> None:
    assert lfs_pointer(content) == expected


def test_lfs_pointer_is_weights(repo: Repo) -> None:
    repo.stage("x.pt", POINTER)
    assert repo.mend() == {b"x.pt"}


def test_failure_is_one_line_with_the_command(here: Repo) -> None:
    assert here.root.exists()
    with pytest.raises(FatalError) as caught:
        Repository().run("rev-parse", "--verify", "no-such-thing")
    assert str(caught.value).startswith("git rev-parse failed: ")
    assert "\n" not in str(caught.value)


@pytest.fixture(params=["spawned", "by subprocess"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let git be started in both ways that there are."""
    if request.param == "by subprocess":
        monkeypatch.delattr(os, "posix_spawnp", raising=False)


@pytest.mark.usefixtures("here", "either_way")
def test_a_process_says_all_and_how_it_ended(tmp_path: Path) -> None:
    repository = Repository()
    content = b"x" * 300_000
    blob = repository.run("hash-object", "-w", "--stdin", stdin=content).decode().strip()
    assert repository.contents([blob, NOBODY]) == {blob: content}
    assert repository.heads([NOBODY, blob], 5) == {blob: b"xxxxx"}
    with (tmp_path / "copy").open("wb") as file:
        assert repository.copy_blob(blob, file)
        assert not repository.copy_blob(NOBODY, file)
    assert (tmp_path / "copy").read_bytes() == content
    with pytest.raises(FatalError, match="git cat-file failed: "):
        repository.run("cat-file", "blob", NOBODY)
    assert repository.run("cat-file", "-e", NOBODY, codes=(0, 1)) == b""


@pytest.fixture
def instead(here: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a script in the place of git, for a repository that is known already."""

    def put(script: str) -> None:
        program = tmp_path / "bin" / "git"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    assert here.root.exists()
    return put


@pytest.mark.skipif(os.name == "nt", reason="git is a script of ours")
@pytest.mark.usefixtures("either_way")
def test_a_process_of_which_nobody_wants_more_ends(
    instead: Callable[[str], None], tmp_path: Path
) -> None:
    repository = Repository()
    instead(f"echo $$ > '{tmp_path}/id'\nprintf 'a\\0'\nexec sleep 600")
    lists = repository.batches(("log",), (b"", b""))
    assert next(chain.from_iterable(lists)) == b"a"
    lists.close()  # type: ignore[attr-defined]
    with repository.opened_blob(NOBODY) as content:
        assert content.read(2) == b"a\0"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "id").read_text()), 0)


@pytest.mark.skipif(os.name == "nt", reason="git is a script of ours")
@pytest.mark.usefixtures("either_way")
def test_two_processes_at_a_time_answer_in_order(
    instead: Callable[[str], None], tmp_path: Path
) -> None:
    repository = Repository()
    instead(f"cat\nprintf '\\0b\\0'\n: > '{tmp_path}/'$$.ran")
    lists = repository.batches(("log",), (b"1", b"2", b"3", b"4", b"5", b"6"))
    said = chain.from_iterable(lists)
    assert [*islice(said, 3)] == [b"1", b"b", b"2"]
    # Two have ended, and two more may run already.
    assert len(list(tmp_path.glob("*.ran"))) <= 4
    assert [*said] == [b"b", b"3", b"b", b"4", b"b", b"5", b"b", b"6", b"b"]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells")
@pytest.mark.usefixtures("either_way")
def test_a_process_ends_where_nobody_reads_from_it(instead: Callable[[str], None]) -> None:
    """The interpreter ignores SIGPIPE, and git would ignore it, too."""
    repository = Repository()
    instead("grep SigIgn /proc/self/status")
    said = repository.run("log")
    assert int(said.split()[1], 16) & 1 << 12 == 0


@pytest.mark.usefixtures("either_way")
def test_git_missing(here: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(here.root / "nowhere"))
    with pytest.raises(FatalError, match="git was not found"):
        Repository()


def test_relative_git_directory_holds_in_a_subfolder(
    here: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.write("pkg/x")
    monkeypatch.chdir(here.root / "pkg")
    monkeypatch.setenv("GIT_DIR", "../.git")
    monkeypatch.setenv("GIT_WORK_TREE", "..")
    repository = Repository()
    assert [entry.path for entry in repository.index()] == [b"train.py"]
    assert repository.modified_on_disk() == set()


@pytest.mark.parametrize("spelling", ["other-index", "../other-index"])
def test_relative_index_file_means_what_it_means_for_git(
    here: Repo, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.stage("wandb/x.dat")
    (here.root / ".git" / "index").rename(here.root / "other-index")
    here.write("pkg/x")
    monkeypatch.chdir(here.root / "pkg")
    monkeypatch.setenv("GIT_INDEX_FILE", spelling)
    names = here.git("ls-files", "--full-name", ":/", cwd="pkg").split()
    assert [entry.path.decode() for entry in Repository().index()] == names


# The calls of the fast path


def test_quick_output(here: Repo) -> None:
    here.stage("é\n", b"x")
    assert fast_git.output("ls-files", "-z") == "train.py\0é\n\0".encode()


def test_quick_output_of_a_failure(here: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    assert here.root.exists()
    assert fast_git.output("no-such-command") is None
    assert fast_git.output("rev-parse", "--verify", "no-such-thing") is None
    assert capfd.readouterr() == ("", "")


def test_quick_output_that_is_large(here: Repo) -> None:
    here.stage("large", bytes(3_000_000))
    assert fast_git.output("cat-file", "blob", ":large") == bytes(3_000_000)


@pytest.mark.skipif(not hasattr(os, "posix_spawnp"), reason="not started there")
@pytest.mark.parametrize("ignored", [False, True], ids=["waited-for", "ignored"])
def test_a_quick_call_that_nobody_reads_leaves_nothing(
    here: Repo, monkeypatch: pytest.MonkeyPatch, ignored: bool
) -> None:
    here.stage("large", bytes(3_000_000))
    started: list[int] = []
    spawn = os.posix_spawnp

    def spawned(*arguments: Any, **more: Any) -> int:
        started.append(spawn(*arguments, **more))
        return started[-1]

    monkeypatch.setattr(os, "posix_spawnp", spawned)
    before = len(os.listdir("/dev/fd"))
    old = signal.signal(signal.SIGCHLD, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        # One that waits for a reader, and one that has ended.
        for arguments in (("cat-file", "blob", ":large"), ("--version",)):
            with fast_git.Call(*arguments):
                time.sleep(0.2)
    finally:
        signal.signal(signal.SIGCHLD, old)
    assert len(os.listdir("/dev/fd")) == before
    for process in started:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_quick_output_without_git(here: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0
    monkeypatch.setenv("PATH", str(here.root / "nowhere"))
    for _ in range(3):
        assert fast_git.output("ls-files") is None
    after = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0
    assert after == before


def test_quick_output_where_the_system_cannot(here: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    here.stage("fine.txt")
    monkeypatch.delattr(os, "posix_spawnp", raising=False)
    assert fast_git.output("ls-files") is None
    assert here.check() == CLEAN
    assert here.check("fine.txt") == CLEAN
    here.stage("x.pt", WEIGHTS)
    assert here.mend() == {b"x.pt"}


def test_quick_output_reads_nothing_from_standard_input(here: Repo) -> None:
    assert here.root.exists()
    assert fast_git.output("cat-file", "--batch-check") == b""


@pytest.mark.parametrize("damage", ["damaged", "lost", "branch", "detached"])
@pytest.mark.usefixtures("odd_messages")
def test_head_that_is_damaged(here: Repo, damage: str) -> None:
    head = here.git("rev-parse", "HEAD").strip()
    path = here.root / ".git/objects" / head[:2] / head[2:]
    if damage == "branch":
        here.write(".git/refs/heads/main", "no id\n")
    elif damage == "damaged":
        path.chmod(0o644)
        path.write_bytes(b"no object")
    else:
        if damage == "detached":
            here.git("checkout", "-q", "--detach")
        path.unlink()
    with pytest.raises(FatalError, match=r"lost or damaged|git rev-parse failed"):
        Repository().head()


def test_head_that_leads_nowhere_yet(here: Repo) -> None:
    here.git("checkout", "-q", "--orphan", "new")
    assert Repository().head() is None


def test_only_the_tags_of_a_remote_are_asked_for_online(
    remote: Repo, here: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.git("tag", "v1")
    here.git("push", "-q", "origin", "v1")
    store = ObjectStore()
    assert store.remote_tags("origin") == {store.head()}
    with pytest.raises(FatalError):
        store.run("ls-remote", str(remote.root))
    # What a person forbids stays forbidden.
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "https")
    with pytest.raises(FatalError):
        store.remote_tags("origin")


def test_a_question_starts_no_program(here: Repo) -> None:
    odd = "own" if git_version() < (2, 31) else "o=n"  # what `-c` of an older git cannot say
    here.stage(".gitattributes", f"* filter=own diff=own\n*.txt filter={odd}\n")
    here.stage("a.txt", "x\n")
    here.stage(".fx-hooks.yaml", "disable: []\n")
    here.stage("best_models/a.json", "{}")
    here.stage("a.pt", WEIGHTS)
    here.git("-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "-m", "x")
    # Whatever starts one leaves its mark.
    marks = here.root / ".git/marks"
    program = "echo >> .git/marks; cat"
    for key in (
        "core.fsmonitor", "filter.own.clean", "filter.own.smudge", "filter.own.process",
        "diff.own.textconv", "diff.own.command", "diff.external", "gpg.program",
        f"filter.{odd}.clean",
    ):  # fmt: skip
        here.git("config", key, program)
    here.git("config", "filter.own.required", "true")
    here.git("config", "log.showSignature", "true")
    (here.root / "a.pt").write_bytes(b"another")
    (here.root / "a.txt").write_bytes(b"y\n")
    for arguments in (["--all-files"], ["--", "a.pt"], ["--all-files", "--verbose"]):
        assert here.check(*arguments).code == 1
    repository = Repository()
    assert repository.modified_on_disk() >= {b"a.pt", b"a.txt"}
    assert intended() == set()
    for name in ("x", "x.txt"):
        assert len(repository.blob_id(name, b"a\r\n")) == 40
    assert repository.untracked() == []
    assert not marks.exists()
    # Whether it fails depends on what was written within the second of the index.
    subprocess.run(("git", "status"), cwd=here.root, capture_output=True)
    assert marks.exists()  # so these are programs that git starts
