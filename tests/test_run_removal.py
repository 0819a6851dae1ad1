"""One run is deleted, or stays whole in its place, whatever comes between."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fx_hooks.runs import deletion as run_removal
from fx_hooks.runs.deletion import Gone, LeftAside, Stays, left_aside, remove_run
from fx_hooks.runs.liveness import Processes, Use
from fx_hooks.util.disk import Problem, Scan, Size, scan
from tests.faults import as_nobody, demoted, give_to_nobody, needs_fork
from tests.run_trees import Seen, seen, write
from tests.support import IS_ROOT

RUN = b"outputs/a"
fcntl = pytest.importorskip("fcntl", reason="what is deleted is locked on POSIX systems only")
pytestmark = needs_fork


def nothing(_: bytes) -> None:
    return None


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A folder with one run that no process uses."""
    monkeypatch.setattr(run_removal, "find_processes", lambda _: Processes((), frozenset()))
    root = tmp_path / "root"
    write(root / "outputs/a/model.pt", b"x" * 5000)
    write(root / "outputs/a/inner/file", "x")
    return os.fsencode(root)


def place(tree: bytes, path: bytes = RUN) -> bytes:
    return os.path.join(tree, path)


def remove(
    tree: bytes,
    path: bytes = RUN,
    *,
    differs: Callable[[bytes], str | None] = nothing,
    log: Callable[[], None] = lambda: None,
) -> None:
    size = scan(place(tree, path), skip=()).top.size()
    remove_run(tree, path, size, differs=differs, log=log)


def finish(tree: bytes, path: bytes, *, done: bool = True) -> str | None:
    """What settling says, after it was checked whether anything is left to do."""
    recovery = run_removal.finish_interrupted(tree, path, log=lambda _: None)
    if recovery is None:
        return None
    assert recovery.done == done
    return recovery.text


def why_it_stays(tree: bytes, differs: Callable[[bytes], str | None] = nothing) -> str:
    """Why the run stays; it is whole, and nothing lies next to it."""
    before = all_of(tree)
    with pytest.raises(Stays) as caught:
        remove(tree, differs=differs)
    assert all_of(tree) == before
    return str(caught.value)


def all_of(tree: bytes) -> dict[bytes, Seen]:
    """All there is; the folder of the run gets a new time by the renaming."""
    found = seen(tree)
    if b"outputs" in found:
        found[b"outputs"] = found[b"outputs"]._replace(mtime=0)
    return found


def fails(monkeypatch: pytest.MonkeyPatch, name: str, *calls: int, error: int) -> None:
    """Let those *calls* of a function of :mod:`os` fail, by their number from 1."""
    real = getattr(os, name)
    count = iter(range(1, 1000))

    def failing(*arguments: object, **options: object) -> object:
        if next(count) in calls:
            raise OSError(error, os.strerror(error))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, failing)


def test_it_goes_with_the_folder_that_is_empty_then(tree: bytes) -> None:
    remove(tree)
    assert os.listdir(tree) == [b"outputs"]
    assert os.listdir(place(tree, b"outputs")) == []


def test_a_run_in_the_root_goes_and_nothing_above(tree: bytes) -> None:
    write(os.path.join(tree, b"version_0/metrics.csv"))
    remove(tree, b"version_0")
    assert os.listdir(tree) == [b"outputs"]


def test_one_that_is_locked(tree: bytes) -> None:
    descriptor = os.open(place(tree), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert why_it_stays(tree) == "another process is deleting it"
    finally:
        os.close(descriptor)


def test_what_cannot_be_opened_or_renamed(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        not_opened(patch, place(tree))
        assert why_it_stays(tree) == "it cannot be opened: Permission denied"
    with monkeypatch.context() as patch:
        fails(patch, "rename", 1, error=errno.EROFS)
        assert why_it_stays(tree) == "it cannot be renamed: Read-only file system"
    with monkeypatch.context() as patch:
        fails(patch, "rename", 2, error=errno.EIO)
        assert why_it_stays(tree) == "it cannot be renamed: Input/output error"


def _denied(place: bytes) -> int:
    raise PermissionError(errno.EACCES, "Permission denied", place)


def not_opened(patch: pytest.MonkeyPatch, run: bytes) -> None:
    """Let the directory *run* be seen, but not be opened to be locked."""
    real = os.open

    def open_(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if path == run and flags & os.O_NOFOLLOW:
            _denied(path)
        return real(path, flags, *args, **options)

    patch.setattr(os, "open", open_)


def test_one_that_cannot_be_put_back_is_named(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = seen(place(tree))
    with monkeypatch.context() as patch:
        fails(patch, "rename", 2, 3, error=errno.EIO)
        with pytest.raises(
            LeftAside, match=r"it cannot be put back: Input/output error; it is \.fx-aside-a\."
        ):
            remove(tree)
    (left,) = left_aside(scan(tree).top)
    assert seen(place(tree, left)) == whole
    with monkeypatch.context() as patch:
        fails(patch, "rename", 1, error=errno.EROFS)
        said = finish(tree, left, done=False)
        assert said == f"{left.decode()} is outputs/a as it was, and stays: Read-only file system"
    assert finish(tree, left) == "outputs/a was to be deleted, and is back in its place"
    assert seen(place(tree)) == whole


def test_somebody_makes_another_one_meanwhile(tree: bytes) -> None:
    whole = seen(place(tree))

    def differs(here: bytes) -> str | None:
        if here == place(tree):
            return None
        write(place(tree) + b"/new", "new")
        return "new"

    with pytest.raises(
        LeftAside, match=r"there is a new one in its place; the old one is \.fx-aside-"
    ):
        remove(tree, differs=differs)
    assert os.listdir(place(tree)) == [b"new"]
    (left,) = left_aside(scan(tree).top)
    assert seen(place(tree, left)) == whole
    said = finish(tree, left, done=False)
    assert said is not None
    assert said.endswith("is outputs/a as it was: there is a new one in its place")
    assert seen(place(tree, left)) == whole


def test_one_that_has_gone_or_is_something_else(tree: bytes) -> None:
    size = scan(place(tree)).top.size()
    changes: list[tuple[Callable[[], object], type[Exception], str | None]] = [
        (lambda: os.rename(place(tree), place(tree, b"b")), Gone, None),
        (lambda: os.symlink(b"b", place(tree)), Stays, "it cannot be opened: Not a directory"),
        (lambda: shutil.rmtree(place(tree, b"outputs")), Gone, None),
        (lambda: write(tree + b"/outputs"), Stays, "outputs is a link by now"),
    ]
    for change, kind, reason in changes:
        change()
        before = all_of(tree)
        with pytest.raises(kind, match=reason):
            remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
        assert all_of(tree) == before


def test_one_that_somebody_else_has_put_aside(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come back; one that is on its way out does not."""
    size = scan(place(tree)).top.size()
    os.rename(place(tree), place(tree, b"outputs/.fx-aside-a.01234567"))
    with pytest.raises(LeftAside) as caught:
        remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
    assert str(caught.value) == "another process has set it aside; it is now .fx-aside-a.01234567"
    gone = place(tree, b"outputs/.fx-gone-a.01234567")
    os.rename(place(tree, b"outputs/.fx-aside-a.01234567"), gone)
    with pytest.raises(Gone):
        remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
    os.rename(gone, place(tree))
    fails(monkeypatch, "rename", 1, error=errno.ENOENT)
    with pytest.raises(Gone):
        remove(tree)


def test_the_way_to_it_that_cannot_be_seen(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.lstat

    def lstat(path: bytes) -> os.stat_result:
        if path == place(tree, b"outputs"):
            _denied(path)
        return real(path)

    monkeypatch.setattr(os, "lstat", lstat)
    with pytest.raises(Stays, match="the way to it cannot be seen: Permission denied"):
        remove_run(tree, RUN, Size(0, 0, 0, 0), differs=nothing, log=lambda: None)


def test_a_link_in_its_place_where_folders_cannot_be_opened(
    tree: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where nothing is locked and paths are all there is."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(run_removal, "BY_DESCRIPTOR", False)
    size = scan(place(tree)).top.size()
    os.rename(place(tree), place(tree, b"b"))
    os.symlink(place(tree, b"b"), place(tree))
    with pytest.raises(Stays, match="it is not a directory any more"):
        remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
    os.unlink(place(tree))
    with pytest.raises(Stays, match="it cannot be read: No such file"):
        remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
    os.rename(place(tree, b"b"), place(tree))
    remove(tree)
    assert os.listdir(place(tree, b"outputs")) == []
    write(place(tree, b"outputs/.fx-gone-a.01234567/rest"))
    write(place(tree, b"outputs/.fx-gone-a.01234567/inner/deep/rest"))
    assert finish(tree, b"outputs/.fx-gone-a.01234567") == "the rest of outputs/a is deleted"


def test_a_process_or_a_mount_that_comes_meanwhile(
    tree: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*, use: bool) -> Callable[[bytes], Processes]:
        def find(root: bytes) -> Processes:
            (aside,) = left_aside(scan(root).top)
            if use:
                return Processes((Use(aside + b"/model.pt", "python", 7, True),), frozenset())
            return Processes((), frozenset(), "", (b"data", aside + b"/inner"))

        return find

    monkeypatch.setattr(run_removal, "find_processes", found(use=True))
    assert why_it_stays(tree) == "python (process 7) uses it"
    monkeypatch.setattr(run_removal, "find_processes", found(use=False))
    assert why_it_stays(tree).startswith("something is mounted at outputs/.fx-aside-a.")


@pytest.mark.parametrize("name", [b"model.pt", b"inner/new", b"a\nb"])
def test_one_that_was_written_to(tree: bytes, name: bytes) -> None:
    size = scan(place(tree)).top.size()
    write(place(tree) + b"/" + name, "more", mtime=time.time_ns())
    before = all_of(tree)
    with pytest.raises(Stays, match="it has changed meanwhile"):
        remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
    assert all_of(tree) == before


def test_one_whose_blocks_were_allocated_meanwhile(tree: bytes) -> None:
    """Of what was written just now, or is compressed, the system says later how much it takes."""
    size = scan(place(tree)).top.size()
    remove_run(tree, RUN, size._replace(disk=0), differs=nothing, log=lambda: None)
    assert not os.path.exists(place(tree))


def test_what_cannot_be_read_any_more(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    size = scan(place(tree)).top.size()
    found = scan(place(tree))

    def stays(found: Scan) -> str:
        monkeypatch.setattr(run_removal, "scan", lambda *_, **__: found)
        with pytest.raises(Stays) as caught:
            remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
        return str(caught.value)

    denied = Problem(b"inner", "Permission denied")
    assert stays(found._replace(problems=(denied,))) == "inner cannot be read: Permission denied"
    mounted = stays(found._replace(mounts=(b"inner",)))
    assert mounted == "inner in it is on another file system"


def test_the_way_to_it_has_changed(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    size = scan(place(tree)).top.size()
    os.rename(place(tree, b"outputs"), place(tree, b"else"))
    os.symlink(b"else", place(tree, b"outputs"))
    with pytest.raises(Stays, match="outputs is a link by now"):
        remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
    assert os.path.exists(place(tree, b"else/a/model.pt"))
    os.unlink(place(tree, b"outputs"))
    os.rename(place(tree, b"else"), place(tree, b"outputs"))
    device = os.stat(tree).st_dev
    monkeypatch.setattr(os, "stat", lambda _: SimpleNamespace(st_dev=device + 1))
    with pytest.raises(Stays, match="it is on another file system"):
        remove_run(tree, RUN, size, differs=nothing, log=lambda: None)


def test_another_cleaner_takes_the_empty_folder_away(
    tree: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rmdir

    def and_the_folder(place: bytes, **options: int) -> None:
        real(place, **options)
        if not options and b".fx-gone-" in place:
            real(os.path.dirname(place))

    monkeypatch.setattr(os, "rmdir", and_the_folder)
    remove(tree)
    assert os.listdir(tree) == []


def test_a_name_that_is_too_long(tree: bytes) -> None:
    long = b"outputs/" + b"a" * 191
    os.rename(place(tree), place(tree, long))
    size = scan(place(tree, long)).top.size()
    with pytest.raises(Stays, match="its name is too long to be put aside"):
        remove_run(tree, long, size, differs=nothing, log=lambda: None)
    os.rename(place(tree, long), place(tree, long[:-1]))
    remove_run(tree, long[:-1], size, differs=nothing, log=lambda: None)
    assert os.listdir(place(tree, b"outputs")) == []


def test_links_lead_to_the_newest_that_is_left(tree: bytes) -> None:
    names = [b"run-20240101_000000-a", b"offline-run-20240102_000000-b", b"run-20240103_000000-c"]
    for name in names:
        write(place(tree, b"logs/wandb/" + name + b"/logs/debug.log"))
    here = place(tree, b"logs/wandb")
    os.symlink(names[2], here + b"/latest-run")
    os.symlink(names[2] + b"/logs/debug.log", here + b"/debug.log")
    os.symlink(b"elsewhere", here + b"/debug-internal.log")
    remove(tree, b"logs/wandb/" + names[2])
    assert os.readlink(here + b"/latest-run") == names[1]
    assert os.readlink(here + b"/debug.log") == names[1] + b"/logs/debug.log"
    assert os.readlink(here + b"/debug-internal.log") == b"elsewhere"
    os.unlink(here + b"/debug-internal.log")
    for name in names[:2]:
        remove(tree, b"logs/wandb/" + name)
    # Neither a dangling link nor an empty folder, but what is in the root stays.
    assert os.listdir(place(tree, b"logs")) == []


def test_links_that_are_absolute_are_mended_where_they_lead_into_the_same_folder(
    tree: bytes,
) -> None:
    names = [b"run-20240101_000000-a", b"run-20240102_000000-b"]
    for name in names:
        write(place(tree, b"wandb/" + name + b"/logs/debug.log"))
    os.symlink(tree, tree + b"-link")
    here = place(tree, b"wandb")
    os.symlink(here + b"/" + names[1], here + b"/latest-run")
    os.symlink(tree + b"-link/wandb/" + names[1] + b"/logs/debug.log", here + b"/debug.log")
    os.symlink(b"/elsewhere/" + names[1], here + b"/debug-internal.log")
    remove(tree + b"-link", b"wandb/" + names[1])
    assert os.readlink(here + b"/latest-run") == names[0]
    assert os.readlink(here + b"/debug.log") == names[0] + b"/logs/debug.log"
    assert os.readlink(here + b"/debug-internal.log") == b"/elsewhere/" + names[1]


def test_what_differs_from_what_was_packed(tree: bytes) -> None:
    said = why_it_stays(tree, differs=lambda _: "model.pt has changed")
    assert said == "it has changed since it was packed: model.pt has changed"


def test_where_the_log_ends_the_run_is_put_back(tree: bytes) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    def denied() -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    before = all_of(tree)
    with pytest.raises(KeyboardInterrupt):
        remove(tree, log=interrupted)
    assert all_of(tree) == before
    with pytest.raises(Stays, match="the log cannot be written: Permission denied"):
        remove(tree, log=denied)
    assert all_of(tree) == before


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_on_a_full_disk_the_name_stays_until_it_is_in_the_log(tree: bytes, error: int) -> None:
    """What is deleted makes the room that the log needs."""
    left: list[list[bytes]] = []
    is_full = True

    def log() -> None:
        gone = [name for name in os.listdir(place(tree, b"outputs")) if b".fx-gone-" in name]
        left.extend(os.listdir(place(tree, b"outputs/" + name)) for name in gone)
        if is_full or not gone:
            raise OSError(error, os.strerror(error))

    with pytest.raises(LeftAside) as caught:
        remove(tree, log=log)
    assert left == [[]]
    (name,) = left_aside(scan(tree).top)
    shown_name = os.path.basename(name).decode()
    reason = (
        f"the log cannot be written: {os.strerror(error)}; until then its folder is {shown_name}"
    )
    assert str(caught.value) == reason
    recovery = run_removal.finish_interrupted(tree, name, log=lambda _: log())
    assert recovery == (f"{name.decode()} is the rest of a deleted run: {reason}", False)
    is_full = False
    noted: list[bytes] = []
    recovery = run_removal.finish_interrupted(tree, name, log=noted.append)
    assert recovery == ("the rest of outputs/a is deleted", True)
    assert noted == [RUN]
    write(place(tree) + b"/inner/file", "x")
    remove(tree, log=log)
    assert os.listdir(place(tree, b"outputs")) == []


def test_only_a_part_can_be_deleted(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fails(patch, "unlink", 2, error=errno.EPERM)
        with pytest.raises(LeftAside) as caught:
            remove(tree)
    (left,) = left_aside(scan(tree).top)
    name = os.path.basename(left).decode()
    reason = f"only a part of it could be deleted: Operation not permitted; the rest is {name}"
    assert str(caught.value) == reason
    with monkeypatch.context() as patch:
        fails(patch, "unlink", 1, error=errno.EPERM)
        said = finish(tree, left, done=False)
    assert said == f"{left.decode()} is the rest of a deleted run: {reason}"
    with monkeypatch.context() as patch:
        not_opened(patch, place(tree, left))
        said = finish(tree, left, done=False)
    assert said == f"{left.decode()} is left from an interruption, and stays: Permission denied"
    with monkeypatch.context() as patch:
        fails(patch, "geteuid", 1, error=errno.EIO)
        said = finish(tree, left, done=False)
    assert said == f"{left.decode()} is the rest of a deleted run: Input/output error"
    assert finish(tree, left) == "the rest of outputs/a is deleted"
    assert os.listdir(place(tree, b"outputs")) == []


def test_its_folder_alone_cannot_be_deleted(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fails(patch, "rmdir", 2, error=errno.EBUSY)
        with pytest.raises(LeftAside, match="its folder could not be deleted: Device or resource"):
            remove(tree)
    (left,) = left_aside(scan(tree).top)
    assert finish(tree, left) == "the rest of outputs/a is deleted"


@pytest.mark.slow
def test_folders_that_lie_very_deep(tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deeper than Python nests calls, and than a process has files open."""

    def deep(here: bytes) -> None:
        os.makedirs(here, exist_ok=True)
        for _ in range(1300):
            here += b"/d"
            os.mkdir(here)
        write(here + b"/file", "x")

    deep(place(tree))
    remove(tree)
    assert os.listdir(place(tree, b"outputs")) == []
    deep(place(tree, b"outputs/.fx-gone-a.01234567"))
    monkeypatch.setattr(run_removal, "BY_DESCRIPTOR", False)
    assert finish(tree, b"outputs/.fx-gone-a.01234567") == "the rest of outputs/a is deleted"
    assert os.listdir(place(tree, b"outputs")) == []


def test_a_file_system_that_is_mounted_in_what_goes(
    tree: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last moment: what is behind a mount is not deleted even then."""
    write(place(tree, b"outputs/.fx-gone-a.01234567/inner/file"))
    real = os.fstat
    inner = os.stat(place(tree, b"outputs/.fx-gone-a.01234567/inner"))

    def elsewhere(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if status.st_ino != inner.st_ino:
            return status
        fields = list(status)
        fields[stat.ST_DEV] += 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", elsewhere)
    said = finish(tree, b"outputs/.fx-gone-a.01234567", done=False)
    assert said is not None
    assert "another file system is mounted in it; the rest is" in said
    assert os.path.exists(place(tree, b"outputs/.fx-gone-a.01234567/inner/file"))


def test_what_is_not_finished(tree: bytes) -> None:
    """What git tracks, what somebody works on, what is behind a link, and what has gone."""
    left = b"outputs/.fx-gone-a.01234567"
    write(place(tree, left) + b"/file")
    before = all_of(tree)
    assert finish(tree, RUN) is None
    top = scan(tree).top
    assert left_aside(top, [b"outputs/a", left + b"/file"]) == []
    assert left_aside(top, [b"outputs/a"]) == [left]
    descriptor = os.open(place(tree, left), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert finish(tree, left) is None
    os.close(descriptor)
    assert finish(tree, b"outputs/.fx-gone-b.01234567") is None
    os.symlink(place(tree, b"outputs"), place(tree, b"link"))
    assert finish(tree, b"link/.fx-gone-a.01234567") is None
    os.unlink(place(tree, b"link"))
    assert all_of(tree) == before


# --- permissions --------------------------------------------------------------------------


def closed(tree: bytes) -> None:
    """Folders that nobody may write to, as a careful team leaves them."""
    write(place(tree) + b"/inner/deep/deeper/file", "x")
    for name in (b"/inner/deep/deeper", b"/inner/deep", b"/inner", b""):
        os.chmod(place(tree) + name, 0o555)


def test_folders_of_our_own_that_are_closed(tree: bytes, tmp_path: Path) -> None:
    closed(tree)

    def work() -> int:
        remove(tree)
        return 0

    assert as_nobody(tmp_path, work).code == 0
    assert os.listdir(place(tree, b"outputs")) == []


def test_a_closed_folder_is_opened_before_it_is_moved(
    tree: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for those who are not root: what changes its parent has to be writable."""
    closed(tree)
    real = os.rename

    def rename(old: Any, new: Any, **options: int) -> None:
        if options and not os.stat(old, dir_fd=options["src_dir_fd"]).st_mode & 0o200:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(old, new, **options)

    monkeypatch.setattr(os, "rename", rename)
    remove(tree)
    assert os.listdir(place(tree, b"outputs")) == []


def test_what_is_put_back_is_as_closed_as_before(tree: bytes) -> None:
    closed(tree)
    assert why_it_stays(tree, differs=lambda here: "x" if here != place(tree) else None)
    remove(tree)
    assert os.listdir(place(tree, b"outputs")) == []


@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_folders_of_somebody_else(tree: bytes, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed ones, and sticky ones, in which everybody may write but not delete."""
    os.chmod(place(tree, b"outputs/a/inner"), mode)
    monkeypatch.setattr(os, "geteuid", lambda: os.lstat(tree).st_uid + 1)
    monkeypatch.setattr(os, "access", lambda folder, _: os.lstat(folder).st_mode & 0o002)
    for name in (b"", b"outputs"):
        os.chmod(place(tree, name), 0o777)
    os.chmod(place(tree), 0o777)
    reason = "inner belongs to another user: what is in it cannot be deleted"
    assert why_it_stays(tree) == reason
    os.rename(place(tree), place(tree, b"outputs/.fx-gone-a.01234567"))
    assert finish(tree, b"outputs/.fx-gone-a.01234567", done=False) == (
        f"outputs/.fx-gone-a.01234567 is the rest of a deleted run: {reason}"
    )
    os.chmod(place(tree, b"outputs/.fx-gone-a.01234567"), mode)
    said = finish(tree, b"outputs/.fx-gone-a.01234567", done=False)
    assert said is not None
    assert said.endswith(": it belongs to another user: what is in it cannot be deleted")


def test_a_link_to_a_folder_of_somebody_else_goes(
    tree: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = place(tree, b"theirs")
    os.mkdir(theirs)
    os.symlink(theirs, place(tree, b"outputs/a/inner/link"))
    monkeypatch.setattr(os, "geteuid", lambda: os.lstat(tree).st_uid + 1)
    monkeypatch.setattr(os, "access", lambda folder, _: not folder.endswith(b"link"))
    remove(tree)
    assert os.listdir(place(tree, b"outputs")) == []
    assert os.path.isdir(theirs)


@pytest.mark.skipif(not IS_ROOT, reason="needs another user")
def test_really_somebody_elses(tree: bytes, tmp_path: Path) -> None:
    size = scan(place(tree)).top.size()

    def work() -> int:
        try:
            remove_run(tree, RUN, size, differs=nothing, log=lambda: None)
        except Stays as exc:
            print(exc)
            return 1
        return 0

    give_to_nobody(tmp_path)
    os.chown(place(tree, b"outputs/a/inner"), 0, 0)
    before = all_of(tree)
    done = demoted(work)
    assert (done.code, done.out) == (
        1,
        "inner belongs to another user: what is in it cannot be deleted\n",
    )
    os.chmod(place(tree, b"outputs/a/inner"), 0o700)
    done = demoted(work)
    assert (done.code, done.out) == (1, "inner cannot be read: Permission denied\n")
    os.chmod(place(tree, b"outputs/a/inner"), 0o755)
    os.chown(place(tree, b"outputs"), 0, 0)
    done = demoted(work)
    assert (done.code, done.out) == (1, "it cannot be renamed: Permission denied\n")
    assert all_of(tree) == before
