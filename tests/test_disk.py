"""Sizes are those of ``du``, whatever links and holes there are."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_hooks.util import disk
from fx_hooks.util.disk import Scan, freed_by, scan, size_of
from fx_hooks.util.forked import Forked
from tests.support import IS_ROOT

if TYPE_CHECKING:
    from tests.realruns.states import States

pytestmark = pytest.mark.skipif(os.name == "nt", reason="compares with du")


def du(*options: str, path: Path) -> int:
    output = subprocess.run(
        ("du", "-s", *options, path), check=True, capture_output=True, text=True
    ).stdout
    return int(output.split()[0])


def size_by_du(path: Path) -> int:
    """What files and links hold, as du counts it: without what directories have."""
    listed = subprocess.run(
        ("find", path, "!", "-type", "d", "-print0"), check=True, capture_output=True
    ).stdout
    if not listed:
        return 0
    command = ("du", "--apparent-size", "-B1", "-c", "--files0-from=-")
    output = subprocess.run(command, input=listed, check=True, capture_output=True).stdout
    return int(output.splitlines()[-1].split()[0])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Links of both kinds, holes, empty folders and odd names."""
    root = tmp_path / "tree"
    (root / "a" / "empty").mkdir(parents=True)
    (root / "b\nc").mkdir()
    (root / "a" / "full").write_bytes(os.urandom(10_000))
    os.link(root / "a" / "full", root / "b\nc" / "again")
    with (root / "a" / "holes").open("wb") as file:
        file.truncate(50_000_000)
        file.seek(20_000_000)
        file.write(b"x" * 5000)
    (root / "link").symlink_to("/nowhere/at/all")
    (root / "up").symlink_to(tmp_path)
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_bytes(b"x")
    os.mkfifo(root / "pipe")
    return root


needs_gnu = pytest.mark.skipif(
    shutil.which("du") is None
    or b"GNU" not in subprocess.run(("du", "--version"), capture_output=True).stdout,
    reason="needs the du of GNU",
)


@needs_gnu
def test_sizes_are_those_of_du(tree: Path) -> None:
    size = scan(os.fsencode(tree)).top.size()
    assert size.disk == du("-B1", path=tree)
    assert size.bytes == size_by_du(tree)
    assert size.files == 7


@needs_gnu
def test_sizes_of_real_runs_are_those_of_du(made_states: States) -> None:
    found = scan(os.fsencode(made_states.root), skip=())
    assert found.top.size().disk == du("-B1", path=made_states.root)
    assert found.top.size().bytes == size_by_du(made_states.root)


def test_a_file_with_two_names_counts_once(tree: Path) -> None:
    found = scan(os.fsencode(tree))
    first, second = found.find(b"a"), found.find(b"b\nc")
    assert first is not None
    assert second is not None
    together = size_of((first, second))
    assert together.bytes == first.size().bytes
    assert together.files == 3
    assert freed_by((second,)).bytes == 0
    assert freed_by((first, second)).bytes == together.bytes
    assert found.find(b"a/nothing") is None


def test_a_link_is_not_followed(tree: Path) -> None:
    found = scan(os.fsencode(tree))
    assert set(found.top.folders) == {b"a", b"b\nc"}
    assert {b"link", b"up"} <= set(found.top.names())


def test_the_root_itself_may_be_a_link(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "other").symlink_to(tree)
    assert scan(os.fsencode(tmp_path / "other")).top.size() == scan(os.fsencode(tree)).top.size()


@pytest.mark.skipif(IS_ROOT or os.name == "nt", reason="every file is readable")
def test_what_cannot_be_read_is_told(tree: Path) -> None:
    (tree / "a").chmod(0)
    try:
        found = scan(os.fsencode(tree))
    finally:
        (tree / "a").chmod(0o700)
    assert [problem.path for problem in found.problems] == [b"a"]


def test_a_folder_that_goes_away_meanwhile_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.open

    def goes(path: object, *rest: int) -> int:
        if os.fspath(path).endswith(b"a"):  # type: ignore[call-overload]
            raise FileNotFoundError(2, "No such file or directory", path)
        return plain(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", goes)
    found = scan(os.fsencode(tree))
    assert found.problems == ((b"a", "No such file or directory"),)


def test_progress_is_told(tree: Path) -> None:
    told: list[int] = []
    scan(os.fsencode(tree), progress=told.append)
    assert told[-1] == 10


def test_progress_is_told_now_and_then(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(2100):
            (tmp_path / folder / str(number)).touch()
    told: list[int] = []
    scan(os.fsencode(tmp_path), progress=told.append)
    assert told == [2102, 4202, 4202]


def listed(found: Scan) -> list[tuple[object, ...]]:
    """All of a scan, in an order that no file system chose."""
    return sorted(
        (
            folder.path, folder.disk, folder.mtime, folder.owner, folder.others, folder.sums,
            sorted(folder.files), sorted(folder.links), sorted(folder.folders),
            folder.parent.path if folder.parent else None, folder.size(),
        )
        for folder in found.top.walk()
    )  # fmt: skip


class Two:
    """Two processes scan whatever has a few folders."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[Forked] = []
        monkeypatch.setattr(disk, "_ALONE", 1)
        monkeypatch.setattr(disk, "_MANY", 2)
        # The runner of the tests has threads of its own, which hold nothing that is used here.
        monkeypatch.setattr(disk, "can_fork", lambda: True)
        monkeypatch.setattr(disk, "Forked", self.start)

    def start(self, work: Callable[[], object]) -> Forked:
        self.started.append(Forked(work))
        return self.started[-1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot fork here")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), max_size=20))
def test_two_processes_find_what_one_finds(paths: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        root = Path(folder)
        for number, path in enumerate(sorted(paths)):
            (root / path).mkdir(parents=True, exist_ok=True)
            (root / path / "file").write_bytes(b"x" * 5000 * number)
            (root / path).chmod(0o777 if number % 3 == 1 else 0o755)
            (root / path / "file").chmod(0o666 if number % 2 else 0o644)
            if number % 4 == 0:
                os.link(root / path / "file", root / path / "again")
        wanted = {entry.stat().st_ino for entry in root.rglob("*") if entry.name in "ac"}
        alone = scan(os.fsencode(root), wanted=wanted)
        two = Two(monkeypatch)
        told: list[int] = []
        both = scan(os.fsencode(root), wanted=wanted, progress=told.append)
        assert listed(both) == listed(alone)
        assert sorted(both.met) == sorted(alone.met)
        assert (both.problems, both.mounts) == ((), ())
        entries = sum(len(one.files) + len(one.folders) for one in both.top.walk())
        assert told[-1] == entries
        if len({path.partition("/")[0] for path in paths}) > 1:
            assert len(two.started) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot fork here")
@pytest.mark.parametrize("way", ["killed", "none left", "fails", "not reaped"])
def test_a_second_process_that_does_not_answer(
    tree: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """One reads it all then."""
    for number in range(10):
        (tree / "a" / str(number)).mkdir()
        (tree / "b\nc" / str(number)).touch()
    expected = listed(scan(os.fsencode(tree)))
    two = Two(monkeypatch)
    if way == "killed":
        monkeypatch.setattr(disk, "_read_apart", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    elif way == "fails":
        monkeypatch.setattr(disk, "_read_apart", lambda *_: 1 / 0)
    elif way == "none left":
        monkeypatch.setattr(os, "fork", refused)
    before = signal.signal(
        signal.SIGCHLD, signal.SIG_IGN if way == "not reaped" else signal.SIG_DFL
    )
    try:
        assert listed(scan(os.fsencode(tree))) == expected
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert len(two.started) == (way != "none left")
    for process in two.started:
        with pytest.raises(ChildProcessError):
            os.waitpid(process._process, os.WNOHANG)


def refused() -> int:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot fork here")
def test_an_interrupted_scan_leaves_no_process(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = Two(monkeypatch)
    monkeypatch.setattr(disk, "_read_apart", lambda *_: time.sleep(60))

    def stops(_: int) -> None:
        if two.started:
            raise KeyboardInterrupt

    monkeypatch.setattr(disk, "_STEP", 0)
    with pytest.raises(KeyboardInterrupt):
        scan(os.fsencode(tree), progress=stops)
    with pytest.raises(ChildProcessError):
        os.waitpid(two.started[0]._process, os.WNOHANG)


def test_where_folders_are_read_by_their_path(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows; the names are those of the other way."""
    expected = scan(os.fsencode(tree))
    monkeypatch.setattr(os, "supports_fd", set())
    found = scan(os.fsencode(tree))
    assert found.top.size() == expected.top.size()
    assert sorted(found.top.names()) == sorted(expected.top.names())
    assert {folder.path for folder in found.top.walk()} == {
        folder.path for folder in expected.top.walk()
    }


class Entry:
    """An entry of a directory that `stat` says something else of."""

    def __init__(self, entry: os.DirEntry[Any], answer: Exception | int) -> None:
        self.name = entry.name
        self._entry = entry
        self._answer = answer

    def stat(self, *, follow_symlinks: bool) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        found = self._entry.stat(follow_symlinks=follow_symlinks)
        fields = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return SimpleNamespace(**{**fields, "st_dev": found.st_dev + self._answer})


def test_what_goes_away_cannot_be_asked_or_is_elsewhere(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "a" / "gone").touch()
    (tree / "a" / "odd").touch()
    answers: dict[str, Exception | int] = {
        "gone": FileNotFoundError(2, "No such file or directory"),
        "odd": OSError(5, "Input/output error"),
        "empty": 1,
    }
    real = os.scandir

    @contextmanager
    def entries(place: int | bytes) -> Iterator[Iterator[Any]]:
        with real(place) as found:
            yield (
                Entry(entry, answers[os.fsdecode(entry.name)])
                if os.fsdecode(entry.name) in answers
                else entry
                for entry in found
            )

    monkeypatch.setattr(os, "scandir", entries)
    monkeypatch.setattr(os, "supports_fd", {*os.supports_fd, entries})
    found = scan(os.fsencode(tree))
    assert found.problems == ((b"a/odd", "Input/output error"),)
    assert found.mounts == (b"a/empty",)
    folder = found.find(b"a")
    assert folder is not None
    assert sorted(folder.names()) == [b"full", b"holes"]
    assert folder.folders == {}


def test_a_root_that_is_no_folder(tree: Path) -> None:
    with pytest.raises(NotADirectoryError):
        scan(os.fsencode(tree / "a" / "full"))


def test_no_root(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan(os.fsencode(tmp_path / "none"))
