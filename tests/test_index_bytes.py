"""The index, read directly: the same entries as git lists, or "not sure"."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_hooks.fastpath import index_bytes
from fx_hooks.fastpath.index_bytes import Index, NotSureError
from fx_hooks.fastpath.listed_index import ListedIndex, listed_index
from tests.support import Repo, git_version, working_directory

BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@contextmanager
def opened(data: bytes, repo: Repo) -> Iterator[Index]:
    """An index of these bytes."""
    place = repo.git_directory / "an-index"
    place.write_bytes(data)
    descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        yield Index(descriptor)
    finally:
        os.close(descriptor)


def read(repo: Repo) -> bytes:
    return (repo.git_directory / "index").read_bytes()


def fill(repo: Repo, names: list[bytes], mode: str = "100644") -> None:
    blob = repo.git("hash-object", "-w", "--stdin").strip()
    lines = [f"{mode} {blob}\t".encode() + name + b"\0" for name in names]
    repo.git("update-index", "-z", "--index-info", stdin=b"".join(lines))


def many(count: int, seed: int = 1) -> list[bytes]:
    chance = random.Random(seed)
    parts = [b"a", b"best_models", b"src", b"sub.d", "é".encode(), b"x" * 60, b".hydra", b"\xff"]
    folders = [b"/".join(chance.choices(parts, k=chance.randrange(1, 5))) for _ in range(count)]
    return sorted({b"%b/f%d" % (folder, place // 3) for place, folder in enumerate(folders)})


@pytest.fixture(params=["whole", "in-parts"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that is read at once, or where it is looked for."""
    if request.param == "in-parts":
        monkeypatch.setattr(index_bytes, "_WHOLE", -1)


pytestmark = pytest.mark.usefixtures("way")


def agree(repo: Repo, more: list[bytes]) -> None:
    """All entries, some of them, and none, are those that git lists."""
    with working_directory(repo.root):
        theirs = listed_index(None)
    assert isinstance(theirs, ListedIndex)
    names = sorted(set(theirs.all_paths) | set(more))
    folders = [name.rpartition(b"/")[0] + b"/" for name in more if b"/" in name]
    with opened(read(repo), repo) as ours:
        expected = theirs.entries(names)
        found = ours.entries(names)
        assert found.keys() == expected.keys()
        for path, (mode, _, blob, flags) in found.items():
            assert (mode, blob, flags & index_bytes.STAGE) == (*expected[path][::2], 0)
        for name in (*more, *names[:: max(1, len(names) // 40)]):
            assert ours.entries([name]).keys() == theirs.entries([name]).keys()
        for folder in folders:
            assert ours.any_below([folder]) == theirs.any_below([folder]), folder
        assert ours.any_below(folders) == theirs.any_below(folders)
        for tail in (b"/f1", b"/.hydra/f2", b"/nothing"):
            for some in (folders[:1], [b"src", b"a", b"best_models/src"], [b"zz"]):
                inside = [folder.rstrip(b"/") for folder in some]
                expected_there = theirs.has_in_any_folder(inside, tail)
                assert ours.has_in_any_folder(inside, tail) == expected_there
        modules = {path for path, entry in expected.items() if entry[0] == 0o160000}
        assert modules <= ours.entries(names, index_bytes.SUBMODULE).keys()


@pytest.mark.parametrize("form", ["sha1", "sha256"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 40, 3_000])
def test_the_same_entries_as_git(empty: Repo, form: str, count: int) -> None:
    repo = Repo.init(empty.root / form, f"--object-format={form}")
    repo.git("read-tree", "--empty")
    fill(repo, many(count))
    fill(repo, [b"modules/one", b"z"] if count else [], "160000")
    others = [b".fx-hooks.yaml", b"a/nothing", b"best_models/milestones.yaml", b"zz", b"\xff\xff/x"]
    if count:
        agree(repo, others)
        repo.git("commit", "-q", "-m", "1", "--no-verify")  # leaves a TREE behind
    agree(repo, [*others, *(name + b"/x" for name in many(5)), *(name[:-1] for name in many(5))])


def test_more_entries_than_are_read_at_once(empty: Repo) -> None:
    empty.git("init", "-q", ".")
    fill(empty, many(20_000))
    assert len(read(empty)) > 1.5 * (1 << 20)
    agree(empty, [b"no such"])


def test_paths_longer_than_any_look(repo: Repo) -> None:
    fill(repo, [b"%c/" % letter + b"n" * 5_000 for letter in b"abcdefgh"])
    fill(repo, [b"%c/" % letter + b"n" * (4_090 + letter - 98) for letter in b"bcdefghi"])
    fill(repo, [b"c/" + b"n" * 70_000])
    agree(repo, [b".fx-hooks.yaml", b"c/n", b"d/" + b"n" * 5_000, b"i"])


def test_flags_of_all_kinds(repo: Repo) -> None:
    fill(repo, many(400))
    repo.git("update-index", "--assume-unchanged", "train.py")
    repo.git("update-index", "--skip-worktree", "train.py")
    repo.write("later.py", "")
    repo.git("add", "-N", "later.py")
    assert read(repo)[7] == 3
    agree(repo, [b"later.py", b"train.py", b"x"])


@pytest.mark.parametrize("extension", ["untracked-cache", "fsmonitor", "threads"])
def test_extensions_that_say_nothing_of_entries(repo: Repo, extension: str) -> None:
    fill(repo, many(300))
    if extension == "threads":
        repo.git("-c", "index.threads=2", "update-index", "--force-write-index")
        assert b"EOIE" in read(repo)
    elif extension == "fsmonitor":
        repo.git("config", "core.fsmonitor", "true-is-no-program")
        repo.git("update-index", "--fsmonitor")
        assert b"FSMN" in read(repo)
    else:
        repo.git("update-index", "--untracked-cache")
        assert b"UNTR" in read(repo)
    agree(repo, [b".fx-hooks.yaml"])


def not_sure(data: bytes, repo: Repo) -> None:
    with pytest.raises(NotSureError), opened(data, repo) as index:
        index.entries([b"train.py", b"x"])


@pytest.mark.parametrize("kind", ["version-4", "split", "split-and-more", "sparse"])
def test_kinds_that_are_left_to_git(repo: Repo, kind: str) -> None:
    fill(repo, many(200))
    repo.git("commit", "-q", "-m", "1", "--no-verify")
    if kind == "version-4":
        repo.git("update-index", "--index-version=4")
    elif kind == "sparse":
        if git_version() < (2, 35):
            pytest.skip("this git has no `set --sparse-index`")
        repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "src")
    else:
        repo.git("update-index", "--split-index")
        if kind == "split-and-more":
            repo.stage("new.py")
            repo.stage("train.py", "other")
    not_sure(read(repo), repo)


def test_unmerged_entries(repo: Repo) -> None:
    lines = "".join(f"100644 {BLOB} {stage}\tboth.py\n" for stage in (1, 2, 3))
    repo.git("update-index", "--index-info", stdin=lines.encode())
    with opened(read(repo), repo) as index:
        assert index.entries([b"train.py"]).keys() == {b"train.py"}
        with pytest.raises(NotSureError):
            index.entries([b"both.py"])


def test_an_index_that_is_cut_off(repo: Repo) -> None:
    fill(repo, many(30))
    data = read(repo)
    for length in range(0, len(data) - 1, 7):
        with suppress(NotSureError), opened(data[:length], repo) as index:
            # As many bytes are left as a checksum has; git itself reads no such index.
            assert index.entries([*many(30), b"zzz"]).keys() <= {*many(30)}


def test_an_extension_that_nobody_knows(repo: Repo) -> None:
    fill(repo, many(30))
    data = read(repo)
    not_sure(data[:-20] + b"what\0\0\0\1x" + data[-20:], repo)
    not_sure(data[:-20] + b"TREE\xff\xff\xff\xffx" + data[-20:], repo)


def test_an_entry_within_the_path_of_another_one(repo: Repo) -> None:
    """Its object id has the mode, its path the rest of what looks like an entry."""
    real = [b"a%03d" % number for number in range(200)]
    inner = b"zz" + b"i" * 270
    fake = b"p" * 14 + (len(inner) | 0x1000).to_bytes(2, "big").replace(b"\0", b"\1") + inner
    fill(repo, real)
    fill(repo, [fake])
    data = bytearray(read(repo))
    place = data.index(fake) - 22
    data[place : place + 4] = b"\0\0\x81\xa4"
    data[-20:] = hashlib.sha1(data[:-20]).digest()
    with opened(bytes(data), repo) as index:
        assert index.entries([inner, fake, b"a100"]).keys() == {fake, b"a100"}


NAMES = st.lists(
    st.binary(min_size=1, max_size=90).filter(
        lambda name: (
            b"\0" not in name
            and b"\n" not in name
            and not {b"", b".", b"..", b".git"} & set(name.lower().split(b"/"))
            and not name.lower().startswith(b"git~")
        )
    ),
    max_size=60,
    unique=True,
)


@settings(
    database=None, deadline=None, max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(NAMES, NAMES)
@pytest.mark.slow
def test_any_names(empty: Repo, names: list[bytes], others: list[bytes]) -> None:
    (empty.git_directory / "index").unlink(missing_ok=True)
    fill(empty, names)
    if names:
        agree(empty, others)
