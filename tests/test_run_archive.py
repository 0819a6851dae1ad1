"""Runs packed and put back: nothing of them is lost, and nothing else is touched."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_hooks.policy.source_names import is_source
from fx_hooks.runs.archive import read_back, writer
from fx_hooks.runs.archive import restore as run_restore
from fx_hooks.runs.archive import tree as run_tree
from fx_hooks.runs.archive.autorun import runs_code
from fx_hooks.runs.archive.manifest import MEMBER
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.util import files
from fx_hooks.util.errors import FatalError
from tests.run_trees import (
    LONG_AGO,
    at_the_end_of,
    once,
    pack,
    read_back_meanwhile,
    restore,
    seen,
    sparse,
    write,
)

KINDS = ["a.tar.gz", "a.tar.zst"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="has no such files on Windows")
needs_holes = pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="cannot see holes")
RUN = "outputs/2025-05-01/12-00-00"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one small run in it."""
    root = tmp_path / "root"
    write(root / RUN / "train.log", "step 1\n")
    write(root / RUN / ".hydra/config.yaml", "lr: 0.1\n", mode=0o600)
    write(root / RUN / "model.pt", bytes(range(256)) * 1000)
    return root


@pytest.fixture(params=[False, True], ids=["at the end", "meanwhile"])
def when(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the archive is read back: all at once, or while it is written, too."""
    if request.param:
        read_back_meanwhile(monkeypatch)


def no_temporaries(folder: Path) -> bool:
    return not [name for name in os.listdir(folder) if name.startswith(".fx-")]


@pytest.mark.usefixtures("when")
@pytest.mark.parametrize("name", KINDS)
def test_all_comes_back(root: Path, tmp_path: Path, name: str) -> None:
    written = pack(root, tmp_path / name, RUN)
    assert [run.path for run in written.runs] == [RUN.encode()]
    assert written.left_out == ()
    assert written.size == (tmp_path / name).stat().st_size
    restore(tmp_path / name, tmp_path / "there")
    expected = seen(root / RUN)
    assert seen(tmp_path / "there" / RUN) == expected
    assert len(expected) == 4
    assert no_temporaries(tmp_path)
    assert no_temporaries(tmp_path / "there")


@pytest.mark.parametrize("name", KINDS)
def test_the_manifest_beside_is_the_one_inside(root: Path, tmp_path: Path, name: str) -> None:
    pack(root, tmp_path / name, RUN)
    beside = (tmp_path / f"{name}.manifest.json").read_bytes()
    with Archive(os.fsencode(tmp_path / name)) as archive:
        assert archive.text == beside
    manifest = json.loads(beside)
    assert (manifest["format"], manifest["version"]) == ("fx-runs", 1)
    (run,) = manifest["runs"]
    assert (run["path"], run["about"]) == (RUN, {"state": "finished"})
    files = {file["path"]: file for file in run["files"]}
    assert set(files) == {"", ".hydra", ".hydra/config.yaml", "model.pt", "train.log"}
    assert files["train.log"] == {
        "path": "train.log",
        "type": "file",
        "mode": "0644",
        "mtime": "1700000000.123456789",
        "size": 7,
        "sha256": hashlib.sha256(b"step 1\n").hexdigest(),
    }
    assert run["size"] == 7 + 8 + 256_000


@posix
@pytest.mark.parametrize("name", KINDS)
def test_gnu_tar_unpacks_the_same(root: Path, tmp_path: Path, name: str) -> None:
    if b"GNU tar" not in subprocess.run(("tar", "--version"), capture_output=True).stdout:
        pytest.skip("tar is not GNU tar")
    if name.endswith("zst") and shutil.which("zstd") is None:
        pytest.skip("no zstd")
    run = root / RUN
    write(run / ("x" * 120) / ("y" * 200) / "deep.txt")
    write(os.fsencode(run) + b"/not-utf-8-\xff\nname", b"odd")
    write(run / "before.txt", mtime=-1_500_000_001)
    os.link(run / "model.pt", run / "z-again.pt")
    os.symlink("/nowhere/at all", run / "absolute")
    os.symlink("../12-00-00/model.pt", run / "relative")
    (run / "empty").mkdir(mode=0o700)
    sparse(run / "sparse.bin", 5_000_000, [(0, b"a" * 4096), (1 << 21, b"b" * 10_000)])
    sparse(run / "hole.bin", 3_000_000, [])
    pack(root, tmp_path / name, RUN)
    there = tmp_path / "there"
    there.mkdir()
    option = "-xzpf" if name.endswith("gz") else "--zstd -xpf"
    done = subprocess.run(
        ("tar", *option.split(), tmp_path / name), cwd=there, stderr=subprocess.PIPE
    )
    assert done.returncode == 0, done.stderr
    assert seen(there / RUN) == seen(run)
    assert sorted(os.listdir(there)) == [MEMBER, "outputs"]
    # and ours as well
    restore(tmp_path / name, tmp_path / "ours")
    assert seen(tmp_path / "ours" / RUN) == seen(run)
    assert seen(run)[b"hole.bin"].holes or not hasattr(os, "SEEK_HOLE")


@pytest.mark.usefixtures("when")
@needs_holes
def test_holes_come_back(root: Path, tmp_path: Path) -> None:
    run = root / RUN
    sparse(run / "all.bin", 1 << 40, [(1 << 39, b"x")])
    sparse(run / "start.bin", 1 << 24, [(0, b"x" * 70_000)])
    sparse(run / "end.bin", 1 << 24, [((1 << 24) - 10, b"x" * 10)])
    os.truncate(run / "all.bin", 1 << 26)
    sparse(run / "many.bin", 1 << 26, [(n << 17, b"y" * 100) for n in range(200)])
    written = pack(root, tmp_path / "a.tar.gz", RUN)
    assert written.size < 1 << 20
    restore(tmp_path / "a.tar.gz", tmp_path / "there")
    assert seen(tmp_path / "there" / RUN) == seen(run)
    for name in ("all.bin", "start.bin", "end.bin", "many.bin"):
        # The list of its parts may take a block more or less.
        blocks = (tmp_path / "there" / RUN / name).stat().st_blocks
        assert blocks <= (run / name).stat().st_blocks + 64 < 1 << 13


def test_a_sparse_file_with_a_size_of_its_own_is_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Above 8 GiB of data the header has this record, and tarfile miscounts.
    real = writer.sparse_header

    def with_size(*args: object) -> bytes:
        member = args[0]
        header = real(*args)  # type: ignore[arg-type]
        table = header[-512:]
        member.pax_headers["size"] = str(member.size)  # type: ignore[attr-defined]
        return writer.header(member) + table  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "sparse_header", with_size)
    parts = {10_000: [(0, 4096), (8192, 100)]}
    monkeypatch.setattr(run_tree, "data_of", lambda _, status: parts.get(status.st_size))
    (root / RUN / "model.pt").write_bytes(bytes(10_000))
    pack(root, tmp_path / "a.tar.gz", RUN)
    restore(tmp_path / "a.tar.gz", tmp_path / "there")
    assert (tmp_path / "there" / RUN / "model.pt").read_bytes() == bytes(10_000)


@pytest.mark.usefixtures("when")
@posix
def test_hard_links_within_and_between_runs(root: Path, tmp_path: Path) -> None:
    other = root / "outputs/2025-05-02/12-00-00"
    other.mkdir(parents=True)
    os.link(root / RUN / "model.pt", other / "same.pt")
    os.link(root / RUN / "model.pt", other / "same-again.pt")
    os.link(root / RUN / "train.log", tmp_path / "elsewhere")
    (other / "own.log").write_text("own")
    written = pack(root, tmp_path / "a.tar.gz", RUN, "outputs/2025-05-02/12-00-00")
    assert [run.size for run in written.runs] == [256_015, 3]
    restore(tmp_path / "a.tar.gz", tmp_path / "both")
    expected, found = seen(root), seen(tmp_path / "both")
    # Folders above runs are not part of them.
    above = {b"outputs", b"outputs/2025-05-01", b"outputs/2025-05-02"}
    assert {path: found[path] for path in found.keys() - above} == {
        path: expected[path] for path in expected.keys() - above
    }
    assert len(found[b"outputs/2025-05-02/12-00-00/same.pt"].names) == 3
    # One run alone has the content all the same.
    restore(tmp_path / "a.tar.gz", tmp_path / "one", "outputs/2025-05-02")
    assert seen(tmp_path / "one/outputs/2025-05-02/12-00-00") == seen(other)
    assert not (tmp_path / "one/outputs/2025-05-01").exists()


@posix
def test_where_links_cannot_be_made_files_are_copied(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.link(root / RUN / "model.pt", root / RUN / "z.pt")
    pack(root, tmp_path / "a.tar.gz", RUN)
    number = errno.EPERM

    def link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    restore(tmp_path / "a.tar.gz", tmp_path / "there")
    one, two = (tmp_path / "there" / RUN / name for name in ("model.pt", "z.pt"))
    assert one.read_bytes() == two.read_bytes() == (root / RUN / "z.pt").read_bytes()
    assert one.stat().st_mtime_ns == two.stat().st_mtime_ns == LONG_AGO
    # The archive itself gets its name all the same, and never another's.
    pack(root, tmp_path / "b.tar.gz", RUN)
    place = os.fsencode(tmp_path / "b.tar.gz")
    with pytest.raises(FileExistsError):
        files.move(os.fsencode(root / RUN / "z.pt"), place, replace=False)
    number = errno.EIO
    with pytest.raises(FatalError, match=r"z\.pt: cannot be restored: Input/output error"):
        restore(tmp_path / "a.tar.gz", tmp_path / "again")
    assert os.listdir(tmp_path / "again") == []


@posix
def test_what_cannot_be_packed_is_named(root: Path, tmp_path: Path) -> None:
    run = root / RUN
    os.mkfifo(run / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(run)
        try:
            server.bind("socket")
        finally:
            os.chdir(before)
    (packed,) = pack(root, tmp_path / "a.tar.gz", RUN).runs
    assert packed.left_out == (b"pipe", b"socket")
    assert writer.changed_since(os.fsencode(root), packed) is None
    restore(tmp_path / "a.tar.gz", tmp_path / "there")
    assert seen(tmp_path / "there" / RUN).keys() == seen(run).keys() - {b"pipe", b"socket"}


def test_permissions_but_no_foreign_identities(root: Path, tmp_path: Path) -> None:
    run = root / RUN
    for name, mode in (("train.log", 0o4755), ("model.pt", 0o2070), (".hydra", 0o1777)):
        (run / name).chmod(mode)
    run.chmod(0o555)
    try:
        pack(root, tmp_path / "a.tar.gz", RUN)
        restore(tmp_path / "a.tar.gz", tmp_path / "there")
    finally:
        run.chmod(0o755)
    there = tmp_path / "there" / RUN
    modes = {name: stat.S_IMODE((there / name).stat().st_mode) for name in os.listdir(there)}
    if sys.platform != "win32":
        assert modes == {"train.log": 0o755, "model.pt": 0o070, ".hydra": 0o777}
        assert stat.S_IMODE(there.stat().st_mode) == 0o555
    there.chmod(0o755)


# --- a run that is not as it was ---------------------------------------------------------


def while_packing(monkeypatch: pytest.MonkeyPatch, name: str, change: object) -> None:
    """Call *change* when the file *name* has just been read for the first time."""
    real_open, real_read = os.open, os.read
    watched: list[int] = []

    def open_(path: Any, *args: Any, **options: Any) -> int:
        descriptor = real_open(path, *args, **options)
        if os.fsencode(path).endswith(os.fsencode(name)):
            watched.append(descriptor)
        return descriptor

    def read(descriptor: int, size: int) -> bytes:
        data = real_read(descriptor, size)
        if descriptor in watched:
            monkeypatch.setattr(os, "open", real_open)
            monkeypatch.setattr(os, "read", real_read)
            change()  # type: ignore[operator]
        return data

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "read", read)


def new_with_the_old_time(run: Path) -> None:
    write(run / "new.log")
    os.utime(run, ns=(LONG_AGO, LONG_AGO))


@pytest.mark.usefixtures("when")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            lambda run: write(run / "model.pt", b"longer", mtime=time.time_ns()),
            "model.pt is being written",
            id="rewritten",
        ),
        pytest.param(lambda run: write(run / "new.log"), "its directory has changed", id="new"),
        pytest.param(
            new_with_the_old_time,
            "new.log is new",
            id="new, with the old time",
        ),
        pytest.param(lambda run: (run / "train.log").unlink(), "train.log is gone", id="deleted"),
        pytest.param(
            lambda run: shutil.rmtree(run), "train.log is gone", id="all deleted"
        ),
        pytest.param(
            lambda run: (run / ".hydra/config.yaml").chmod(0o644),
            ".hydra/config.yaml has changed",
            id="permissions",
            marks=posix,
        ),
    ],
)  # fmt: skip
def test_a_run_that_changes_meanwhile_is_left_out(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: object, reason: str
) -> None:
    run = root / RUN
    other = "outputs/2025-05-02/12-00-00"
    write(root / other / "a.log")
    write(root / "outputs/2025-04-01/12-00-00/a.log")
    os.utime(run, ns=(LONG_AGO, LONG_AGO))
    # What was packed of it before could have been linked to.
    os.link(run / ".hydra/config.yaml", root / other / "linked.yaml")
    while_packing(monkeypatch, "model.pt", lambda: change(run))  # type: ignore[operator]
    written = pack(root, tmp_path / "a.tar.gz", RUN, other, "outputs/2025-04-01/12-00-00")
    assert [(left.path, left.reason) for left in written.left_out] == [(RUN.encode(), reason)]
    restore(tmp_path / "a.tar.gz", tmp_path / "there")
    assert sorted(os.listdir(tmp_path / "there/outputs")) == ["2025-04-01", "2025-05-02"]
    assert (tmp_path / "there" / other / "linked.yaml").read_text() == "lr: 0.1\n"


@pytest.mark.usefixtures("when")
def test_a_file_that_gets_shorter_while_it_is_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = run_tree.data_of

    def data_of(descriptor: int, status: os.stat_result) -> object:
        if status.st_size > 1000:
            os.truncate(root / RUN / "model.pt", 10)
        return real(descriptor, status)

    monkeypatch.setattr(run_tree, "data_of", data_of)
    written = pack(root, tmp_path / "a.tar.gz", RUN)
    assert written == writer.Written(
        (), (writer.LeftOut(RUN.encode(), "model.pt is being written"),), 0
    )
    assert sorted(os.listdir(tmp_path)) == ["root"]


def test_a_run_that_is_not_there(root: Path, tmp_path: Path) -> None:
    written = pack(root, tmp_path / "a.tar.gz", "outputs/gone", RUN, f"{RUN}/train.log")
    assert [left.reason for left in written.left_out] == [
        "it is not a directory",
        "it is gone, or something in it is",
    ]
    assert len(written.runs) == 1


@posix
def test_what_is_mounted_in_a_run_is_not_packed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.lstat

    def elsewhere(place: bytes) -> os.stat_result:
        """All but the run itself lies on another device."""
        fields = list(real(place))
        fields[stat.ST_DEV] += 1
        return os.stat_result(fields)

    top = os.fsencode(root / RUN)
    status = elsewhere(top)
    monkeypatch.setattr(os, "lstat", lambda place: status if place == top else real(place))
    written = pack(root, tmp_path / "a.tar.gz", RUN)
    (left,) = written.left_out
    assert left.reason.endswith(" in it is on another file system")
    assert written.runs == ()


def test_what_has_changed_since(root: Path, tmp_path: Path) -> None:
    (packed,) = pack(root, tmp_path / "a.tar.gz", RUN).runs
    base = os.fsencode(root)
    assert writer.changed_since(base, packed) is None
    (root / RUN).rename(root / "aside")
    assert writer.changed_since(base, packed) == ("it is gone, or something in it is")
    assert writer.changed_since(base, packed, os.fsencode(root / "aside")) is None
    mtime = (root / "aside").stat().st_mtime_ns
    (root / "aside/model.pt").rename(root / "model.pt")
    os.utime(root / "aside", ns=(mtime, mtime))
    assert writer.changed_since(base, packed, os.fsencode(root / "aside")) == "model.pt is gone"
    (root / "model.pt").rename(root / "aside/model.pt")
    os.utime(root / "aside", ns=(mtime, mtime))
    (root / "aside/train.log").write_text("step 2\n")
    assert writer.changed_since(base, packed, os.fsencode(root / "aside")) == (
        "train.log has changed"
    )


@posix
@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        pytest.param("open", errno.EACCES, "model.pt cannot be read: Permission denied", id="open"),
        pytest.param("open", errno.ENOENT, "model.pt is gone", id="gone"),
        pytest.param("read", errno.EIO, "model.pt cannot be read: Input/output error", id="read"),
        pytest.param(
            "scandir", errno.EACCES, ".hydra cannot be read: Permission denied", id="list"
        ),
        pytest.param("lseek", errno.EINVAL, None, id="no holes known"),
    ],
)
def test_what_cannot_be_read(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    error: int,
    reason: str | None,
) -> None:
    sparse(root / RUN / "model.pt", 1 << 20, [(0, b"x")])
    real = getattr(os, call)

    def refused(what: object, *arguments: object) -> object:
        name = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else os.fsdecode(what)  # type: ignore[arg-type]
        at_data = call != "lseek" or arguments[1] == getattr(os, "SEEK_DATA", None)
        if name.endswith(("model.pt", ".hydra")) and at_data:
            raise OSError(error, os.strerror(error), os.fsencode(name))
        return real(what, *arguments)

    if call in ("read", "lseek") and sys.platform != "linux":
        pytest.skip("asks /proc which file it is")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refused)
        written = pack(root, tmp_path / "a.tar.gz", RUN)
    if reason is None:
        restore(tmp_path / "a.tar.gz", tmp_path / "there")
        assert (tmp_path / "there" / RUN / "model.pt").stat().st_size == 1 << 20
    else:
        assert [left.reason for left in written.left_out] == [reason]


def test_a_large_file(root: Path, tmp_path: Path) -> None:
    block = bytes(range(256)) * 256
    write(root / RUN / "large.bin", block * 300)
    with open(root / RUN / "large.bin", "ab") as file:
        file.truncate(24 << 20)
    pack(root, tmp_path / "a.tar.zst", RUN)
    restore(tmp_path / "a.tar.zst", tmp_path / "there")
    assert seen(tmp_path / "there" / RUN) == seen(root / RUN)


def test_what_reads_back_otherwise(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writer._Packer.finish

    def finish(self: writer._Packer, text: bytes) -> None:
        real(self, text.replace(b"fx-hooks ", b"fx-hookz "))

    monkeypatch.setattr(writer._Packer, "finish", finish)
    with pytest.raises(FatalError, match="what was read back is not what was written"):
        pack(root, tmp_path / "a.tar.gz", RUN)
    assert os.listdir(tmp_path) == ["root"]


@pytest.mark.parametrize("name", KINDS)
def test_read_back_while_it_is_written(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """All but the end of it has been compared by then; a run that was cut out, never."""
    read_back_meanwhile(monkeypatch)
    for number in range(4):
        write(root / f"outputs/{number}/noise.bin", os.urandom(5000))
    while_packing(monkeypatch, "noise.bin", lambda: write(root / "outputs/0/noise.bin", "other"))
    finish = read_back.ReadBack.finish
    told, before, started = [], [], []
    work = read_back.ReadBack._work

    def working(self: read_back.ReadBack) -> None:
        started.append(os.path.basename(os.fsdecode(self._name)))
        work(self)

    monkeypatch.setattr(read_back.ReadBack, "_work", working)

    def finishing(self: read_back.ReadBack, size: int, progress: Any) -> object:
        for _ in range(200):  # it lags behind
            before.append(self.done)
            if self.done > 5000:
                break
            time.sleep(0.05)
        told.extend(compared := finish(self, size, progress))
        return compared

    monkeypatch.setattr(read_back.ReadBack, "finish", finishing)
    written = pack(root, tmp_path / name, *(f"outputs/{number}" for number in range(4)))
    assert [left.path for left in written.left_out] == [b"outputs/0"]
    assert tuple(told) == written.runs
    assert before[-1] > 5000
    restore(tmp_path / name, tmp_path / "there")
    assert sorted(os.listdir(tmp_path / "there/outputs")) == ["1", "2", "3"]
    assert started == [name]  # the copy of the manifest has no runs


@pytest.mark.parametrize("name", KINDS)
def test_a_small_run_that_changes_after_a_large_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The end of the large one is not synced yet, and waits for more to be written."""
    read_back_meanwhile(monkeypatch)
    write(root / "outputs/0/noise.bin", os.urandom(5000))
    write(root / "outputs/1/small.bin", "x")
    changes = lambda: write(root / "outputs/1/small.bin", "other")  # noqa: E731
    while_packing(monkeypatch, "small.bin", changes)
    written = pack(root, tmp_path / name, "outputs/0", "outputs/0-gone", "outputs/1")
    assert [left.path for left in written.left_out] == [b"outputs/0-gone", b"outputs/1"]
    restore(tmp_path / name, tmp_path / "there")
    assert os.listdir(tmp_path / "there/outputs") == ["0"]


@pytest.mark.usefixtures("when")
@pytest.mark.parametrize("name", KINDS)
def test_a_disk_that_writes_something_else(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(root / RUN / "noise.bin", os.urandom(20_000))
    real = files.write_all

    def write_all(descriptor: int, data: bytes) -> None:
        if len(data) > 300:
            data = data[:200] + bytes([data[200] ^ 1]) + data[201:]
        real(descriptor, data)

    monkeypatch.setattr(files, "write_all", write_all)
    with pytest.raises(FatalError, match=r"a\.tar\.\w+: cannot be trusted: "):
        pack(root, tmp_path / name, RUN)
    assert os.listdir(tmp_path) == ["root"]


@posix
def test_folders_that_cannot_be_synced(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, number = os.fsync, errno.EINVAL

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    pack(root, tmp_path / "a.tar.gz", RUN)
    number = errno.EIO
    with pytest.raises(FatalError, match=r"Input/output error: the archive is whole all the same"):
        pack(root, tmp_path / "b.tar.gz", RUN)
    assert (tmp_path / "b.tar.gz").exists()


@posix
def test_the_way_it_goes_on_windows(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is closed before it gets its name, folders are not synced, links may be refused."""
    os.symlink("model.pt", root / RUN / "link")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setattr(os, "link", lambda *_, **__: pytest.fail("names are given by renaming"))
        left = tmp_path / ".fx-a.tar.gz.01234567"
        left.touch()
        pack(root, tmp_path / "a.tar.gz", RUN)
        assert not left.exists()
        pack(root, tmp_path / "a.tar.gz", RUN, force=True)
    assert no_temporaries(tmp_path)
    restore(tmp_path / "a.tar.gz", tmp_path / "there")
    expected = seen(root / RUN)
    assert seen(tmp_path / "there" / RUN) == expected

    monkeypatch.setattr(run_restore, "BY_DESCRIPTOR", False)
    monkeypatch.setattr(run_restore, "CAN_SET_LINK_TIMES", False)
    assert restore(tmp_path / "a.tar.gz", tmp_path / "links").notes == ()
    assert os.readlink(tmp_path / "links" / RUN / "link") == "model.pt"

    def symlink(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "A required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", symlink)
    with pytest.raises(FatalError, match="link: cannot be restored: A required privilege"):
        restore(tmp_path / "a.tar.gz", tmp_path / "again")
    monkeypatch.setattr(run_restore, "WINDOWS", True)
    restored = restore(tmp_path / "a.tar.gz", tmp_path / "windows")
    assert restored.notes == (
        f"{RUN}/link: link to model.pt left out: A required privilege is not held by the client",
    )
    found = seen(tmp_path / "windows" / RUN)
    assert {path for path in found if found[path] == expected[path]} == expected.keys() - {b"link"}


# --- the target --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("runs.tgz", "an archive is called NAME.tar.gz or NAME.tar.zst", id="name"),
        pytest.param("nowhere/a.tar.gz", "nowhere: is not a directory: make it first", id="folder"),
        pytest.param("folder.tar.gz", "folder.tar.gz: is a directory", id="a directory"),
        pytest.param("x" * 245 + ".tar.gz", "cannot be written: File name too long", id="long"),
        pytest.param("link.tar.gz", "link.tar.gz: is a symbolic link", id="a link", marks=posix),
        pytest.param("old.tar.gz", "old.tar.gz: is there already: .* --force", id="an archive"),
        pytest.param("b.tar.gz", "b.tar.gz.manifest.json: is there already", id="a manifest"),
        pytest.param(f"root/{RUN}/a.tar.gz", f"lies in {RUN}, which is to be packed", id="in run"),
        pytest.param(f"root/{RUN}/.hydra/a.tar.gz", "put it elsewhere", id="deep in run"),
        pytest.param("inner/a.tar.gz", f"lies in {RUN}", id="in run by a link", marks=posix),
    ],
)
def test_a_target_that_cannot_be(root: Path, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.tar.gz").mkdir()
    if sys.platform != "win32":
        (tmp_path / "link.tar.gz").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "inner").symlink_to(root / RUN)
    (tmp_path / "old.tar.gz").write_bytes(b"precious")
    (tmp_path / "b.tar.gz.manifest.json").write_bytes(b"precious")
    before = seen(tmp_path)
    with pytest.raises(FatalError, match=message):
        pack(root, tmp_path / name, RUN)
    assert seen(tmp_path) == before


@pytest.mark.parametrize("name", KINDS)
def test_force_replaces(root: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.manifest.json").write_bytes(b"old")
    for _ in range(2):
        pack(root, tmp_path / name, RUN, force=True)
        with Archive(os.fsencode(tmp_path / name)) as archive:
            assert archive.text == (tmp_path / f"{name}.manifest.json").read_bytes()
    (tmp_path / f"{name}.manifest.json").unlink()
    # The run has gone on.
    write(root / RUN / "new.log", "more")
    with open(root / RUN / "train.log", "a") as log:
        log.write("more")
    pack(root, tmp_path / name, RUN, force=True)
    assert (tmp_path / f"{name}.manifest.json").exists()


@pytest.mark.parametrize("name", KINDS)
def test_the_only_copy_of_a_run_is_not_replaced(root: Path, tmp_path: Path, name: str) -> None:
    """Gone, gone in part, or another one at its place; nor is what cannot be read."""
    for number in range(3):
        write(root / f"outputs/{number}/train.log", "x")
        write(root / f"outputs/{number}/late.log", "x", mtime=LONG_AGO + 1)
    os.mkdir(root / "outputs/empty")
    paths = [f"outputs/{number}" for number in range(3)]
    pack(root, tmp_path / name, "outputs/empty", *paths)
    before = (tmp_path / name).read_bytes()

    def refused(reason: str) -> None:
        with pytest.raises(FatalError) as caught:
            pack(root, tmp_path / name, RUN, force=True)
        assert str(caught.value) == (
            f"{tmp_path / name}: {reason}: it is not replaced: choose another name"
        )
        assert (tmp_path / name).read_bytes() == before

    shutil.rmtree(root / "outputs/2")
    refused("may hold the only copy of outputs/2")
    (root / "outputs/1/late.log").unlink()
    refused("may hold the only copy of outputs/1 and 1 more")
    write(root / "outputs/0/train.log", "y")
    refused("may hold the only copy of outputs/0 and 2 more")
    before = before[:-1]
    (tmp_path / name).write_bytes(before)
    refused("cannot be trusted: it is cut off, or was not written by fx-archive-runs")


def test_a_run_that_goes_while_its_archive_is_replaced(root: Path, tmp_path: Path) -> None:
    write(root / "outputs/other/train.log", "x")
    pack(root, tmp_path / "a.tar.gz", "outputs/other")
    before = (tmp_path / "a.tar.gz").read_bytes()
    goes = once("verifying", lambda: shutil.rmtree(root / "outputs/other"))
    with pytest.raises(FatalError, match="may hold the only copy of outputs/other"):
        pack(root, tmp_path / "a.tar.gz", RUN, force=True, progress=goes)
    assert (tmp_path / "a.tar.gz").read_bytes() == before
    assert no_temporaries(tmp_path)


def test_a_packed_run_that_changes_while_its_archive_is_replaced(
    root: Path, tmp_path: Path
) -> None:
    """That all of it was read a moment ago is not proof then."""
    pack(root, tmp_path / "a.tar.gz", RUN)
    before = (tmp_path / "a.tar.gz").read_bytes()
    changes = at_the_end_of(
        "verifying", lambda: write(root / RUN / "train.log", "step 2\n", mtime=5)
    )
    with pytest.raises(FatalError, match=f"may hold the only copy of {RUN}"):
        pack(root, tmp_path / "a.tar.gz", RUN, force=True, progress=changes)
    assert (tmp_path / "a.tar.gz").read_bytes() == before


def test_what_is_replaced_is_read_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digests are those of what is packed; what is not packed again is read."""
    write(root / "outputs/other/train.log", "x")
    pack(root, tmp_path / "a.tar.gz", RUN, "outputs/other")
    read = []
    real = run_tree._beginning

    def beginning(path: bytes, size: int) -> str | None:
        read.append(os.path.relpath(path, bytes(root)))
        return real(path, size)

    monkeypatch.setattr(run_tree, "_beginning", beginning)
    writer.check_target(bytes(root), [], os.fsencode(tmp_path / "a.tar.gz"), force=True)
    assert read == []
    pack(root, tmp_path / "a.tar.gz", RUN, force=True)
    assert read == [b"outputs/other/train.log"]


def test_somebody_else_is_faster(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.tar.gz"
    theirs = once("verifying", lambda: target.write_bytes(b"theirs"))
    with pytest.raises(FatalError, match="another process has just made it"):
        pack(root, target, RUN, progress=theirs)
    assert target.read_bytes() == b"theirs"
    assert sorted(os.listdir(tmp_path)) == ["a.tar.gz", "root"]


@posix
def test_what_a_dead_process_left_goes_and_that_of_a_living_one_stays(
    root: Path, tmp_path: Path
) -> None:
    target = os.fsencode(tmp_path / "a.tar.gz")
    dead, living = files.name_beside(target), files.name_beside(target)
    other = tmp_path / ".fx-b.tar.gz.12345678"  # of an archive with another name
    other.write_bytes(b"")
    Path(os.fsdecode(dead)).write_bytes(b"half")
    descriptor = files.create(living)
    try:
        pack(root, tmp_path / "a.tar.gz", RUN)
        assert not os.path.lexists(dead)
        assert os.path.lexists(living)
        assert not other.exists()
    finally:
        os.close(descriptor)


def test_a_disk_that_does_not_keep_what_is_written(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        if os.fstat(descriptor).st_size > 1000:
            os.pwrite(descriptor, b"\xaa", 300)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FatalError, match=r"a\.tar\.gz: cannot be trusted: "):
        pack(root, tmp_path / "a.tar.gz", RUN)
    assert os.listdir(tmp_path) == ["root"]


def test_a_manifest_that_is_too_large(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_BYTES", 100)
    with pytest.raises(FatalError, match="too many files for one archive: pack fewer runs"):
        pack(root, tmp_path / "a.tar.gz", RUN)
    assert os.listdir(tmp_path) == ["root"]


# --- anything that a directory can hold --------------------------------------------------

NAMES = st.binary(min_size=1, max_size=12).filter(
    # What some program would run is not put back, nor a package, which other tests show.
    lambda name: (
        not set(name) & {0, 47}
        and name not in (b".", b"..")
        and not (runs_code(name) or is_source(name) or name.lower().startswith(b"__init__."))
    )
) | st.sampled_from([b"x" * 200, b"line\nbreak", b"\xff\xfe", "käse".encode(), b" ", b"-x", b"\\"])
TIMES = st.integers(-(10**18), 4 * 10**18)
FILES = st.tuples(
    st.sampled_from(["file", "file", "folder", "link", "hard link", "sparse"]),
    st.lists(NAMES, min_size=1, max_size=4),
    st.binary(max_size=3000),
    st.integers(0, 0o777),
    TIMES,
)


def grow(run: bytes, files: list[tuple[str, list[bytes], bytes, int, int]]) -> None:
    """Make as much of *files* below *run* as can be there together."""
    os.makedirs(run)
    made: list[bytes] = []
    settled: list[tuple[bytes, int, int]] = []
    for kind, parts, content, mode, mtime in files:
        place = os.path.join(run, *parts)
        if os.path.lexists(place):
            continue
        folders = [os.path.join(run, *parts[:depth]) for depth in range(len(parts))]
        if any(
            os.path.lexists(above) and not stat.S_ISDIR(os.lstat(above).st_mode)
            for above in folders
        ):
            continue
        os.makedirs(folders[-1], exist_ok=True)
        if kind == "folder":
            os.mkdir(place)
        elif kind == "link":
            os.symlink(content.replace(b"\0", b"") or b"nowhere", place)
            os.utime(place, ns=(mtime, mtime), follow_symlinks=False)
            continue
        elif kind == "hard link" and made:
            os.link(made[len(content) % len(made)], place)
            continue
        else:
            with open(place, "wb") as file:
                if kind == "sparse":
                    file.seek(len(content) * 1000)
                file.write(content)
                if kind == "sparse":
                    file.truncate(len(content) * 5000 + mode * 100)
            made.append(place)
        settled.append((place, mode, mtime))
    for place, mode, mtime in reversed(settled):
        # Root reads everything; everybody else needs to.
        os.chmod(place, mode | (0o700 if os.path.isdir(place) else 0o400))
        os.utime(place, ns=(mtime, mtime))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trees")


@pytest.mark.slow
@posix
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=st.lists(FILES, max_size=12),
    second=st.lists(FILES, max_size=4),
    name=st.sampled_from(KINDS),
)
def test_any_tree_comes_back(
    place: Path, first: list[object], second: list[object], name: str
) -> None:
    shutil.rmtree(place)
    root = place / "root"
    grow(os.fsencode(root) + b"/runs/a", first)  # type: ignore[arg-type]
    grow(os.fsencode(root) + b"/runs/b", second)  # type: ignore[arg-type]
    written = pack(root, place / name, b"runs/a", b"runs/b")
    assert (len(written.runs), written.left_out) == (2, ())
    restore(place / name, place / "there")
    for run in ("runs/a", "runs/b"):
        assert seen(place / "there" / run) == seen(root / run)


@pytest.mark.skipif(sys.platform == "win32", reason="files there have no holes unless asked for")
def test_runs_that_are_nearly_all_holes(tmp_path: Path) -> None:
    """A buffer in a file, as np.memmap makes it: a terabyte long, with little in it."""
    run = tmp_path / "outputs" / "a"
    run.mkdir(parents=True)
    sparse(run / "buffer.bin", 1 << 40, [(0, b"a" * 4096), (1 << 39, b"b" * 4096)])
    sparse(run / "empty.bin", 1 << 40, [])
    os.link(run / "buffer.bin", run / "same.bin")
    if (run / "buffer.bin").stat().st_blocks > 100:
        pytest.skip("this file system has no holes")
    pack(tmp_path, tmp_path / "a.tar.gz", "outputs/a")
    there = tmp_path / "there"
    restore(tmp_path / "a.tar.gz", there)
    with open(there / "outputs/a/buffer.bin", "rb") as file:
        assert file.read(4097) == b"a" * 4096 + b"\0"
        file.seek(1 << 39)
        assert file.read(4097) == b"b" * 4096 + b"\0"
    for name in ("buffer.bin", "empty.bin"):
        status = (there / "outputs/a" / name).stat()
        assert (status.st_size, status.st_blocks < 100) == (1 << 40, True)
    assert (there / "outputs/a/same.bin").stat().st_nlink == 2
    with Archive(bytes(tmp_path / "a.tar.gz")) as archive:
        (packed,) = archive.manifest.runs
    assert [entry.data for entry in packed.entries] == [None, 8192, 0, 8192]
    assert run_tree.not_held(bytes(run), packed.entries) is None
    with open(run / "buffer.bin", "r+b") as file:
        file.write(b"c")
    assert run_tree.not_held(bytes(run), packed.entries) == b"buffer.bin"
