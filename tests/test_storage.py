"""Archives at addresses, through the real commands: fsspec's own memory stands for a server."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from fx_hooks.cli import archive_runs, clean_runs, show_run
from fx_hooks.runs.archive import manifest, storage, tree
from tests.run_trees import seen, write
from tests.support import Repo, working_directory
from tests.test_kept_runs import ago
from tests.test_kept_runs import job as make_job

FIRST, SECOND = "outputs/2026-01-05/10-00-00", "outputs/2026-01-06/10-00-00"


class Object(io.BytesIO):
    """An upload: what is closed is sent, what is committed is there."""

    def __init__(self, store: dict[str, Any], path: str) -> None:
        super().__init__()
        self._store, self._path = store, path

    def write(self, data: Any, /) -> int:
        ObjectStore.step()
        return super().write(data)

    def close(self) -> None:
        """Keep the content for the commit."""

    def commit(self) -> None:
        ObjectStore.step()
        self._store[self._path] = MemoryFile(None, self._path, self.getvalue())

    def discard(self) -> None:
        ObjectStore.step()


class File(io.BytesIO):
    """What is read by SFTP, as paramiko has it: ``seek`` returns nothing."""

    asked: ClassVar[list[tuple[int, int]]] = []

    def seek(self, offset: int, whence: int = 0, /) -> None:  # type: ignore[override]
        super().seek(offset, whence)

    def stat(self) -> Any:
        return SimpleNamespace(st_size=len(self.getvalue()))

    def readv(self, chunks: Any) -> Iterator[bytes]:
        for offset, size in chunks:
            self.asked.append((offset, size))
            self.seek(offset)
            yield self.read(size)


class ObjectStore(MemoryFileSystem):  # type: ignore[misc]
    """Objects appear when their upload is committed, as in S3; calls can be made to fail."""

    protocol = "oss"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    fails_at: int | None = None
    count = 0
    error: BaseException = ConnectionError("the network is gone")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).removeprefix(f"{cls.protocol}://").strip("/")

    @classmethod
    def step(cls) -> None:
        ObjectStore.count += 1
        if ObjectStore.count == ObjectStore.fails_at:
            raise cls.error

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        self.step()
        if mode == "wb" and self.protocol == "oss":
            assert options["autocommit"] is False
            return Object(self.store, path)
        file = super()._open(path, mode, **options)
        if mode == "rb":
            file = (io.BytesIO if self.protocol == "oss" else File)(file.getvalue())
        real = getattr(file, "write" if mode == "wb" else "read")

        def counted(*arguments: Any) -> Any:
            ObjectStore.step()
            return real(*arguments)

        setattr(file, "write" if mode == "wb" else "read", counted)
        return file

    def exists(self, path: str, **options: Any) -> bool:
        self.step()
        return bool(super().exists(path, **options))

    def mv(self, source: str, target: str, **options: Any) -> None:
        self.step()
        super().mv(source, target, **options)


class Server(ObjectStore):
    """Files are there as soon as they are opened, as by SFTP."""

    protocol = "tosftp"
    store: ClassVar[dict[str, Any]] = {}


register_implementation("oss", ObjectStore, clobber=True)
register_implementation("tosftp", Server, clobber=True)


@pytest.fixture(autouse=True)
def alone(no_processes: None) -> Iterator[None]:  # noqa: ARG001
    ObjectStore.fails_at, ObjectStore.count = None, 0
    yield
    ObjectStore.fails_at = None
    for system in (ObjectStore, Server):
        system.store.clear()
        system.pseudo_dirs[:] = [""]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "WAITS", (0.0, 0.0))


@pytest.fixture(params=["oss://bucket", "tosftp://host/dir"])
def place(request: pytest.FixtureRequest) -> str:
    if request.param.startswith("tosftp"):
        Server().makedirs("/host/dir", exist_ok=True)
    return str(request.param)


@pytest.fixture
def jobs(repo: Repo) -> dict[str, Any]:
    for path in (FIRST, SECOND):
        write(make_job(repo.root, path) / "large.bin", os.urandom(300_000), mtime=ago(40))
    return {path: seen(repo.root / path) for path in (FIRST, SECOND)}


def names() -> list[str]:
    return sorted(name.rpartition("/")[2] for name in {**ObjectStore.store, **Server.store})


def archive(repo: Repo, *arguments: str) -> int:
    with working_directory(repo.root):
        return archive_runs.main(arguments)


def clean(repo: Repo, *arguments: str) -> int:
    with working_directory(repo.root):
        return clean_runs.main(("--yes", *arguments))


@pytest.mark.parametrize("end", ["tar.gz", "tar.zst"])
def test_there_and_back(
    repo: Repo, jobs: dict[str, Any], place: str, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{place}/a.{end}"
    assert archive(repo, "outputs", address) == 0
    assert names() == [f"a.{end}", f"a.{end}.manifest.json"]
    capsys.readouterr()
    assert archive(repo, "--list", address) == 0
    assert FIRST in (out := capsys.readouterr().out)
    assert SECOND in out
    shutil.rmtree(repo.root / "outputs")
    assert archive(repo, "--restore", address, SECOND) == 0
    assert not (repo.root / FIRST).exists()
    assert seen(repo.root / SECOND) == jobs[SECOND]
    assert archive(repo, "--restore", address, FIRST) == 0
    assert seen(repo.root / FIRST) == jobs[FIRST]


def test_large_blocks_by_sftp(repo: Repo, jobs: dict[str, Any]) -> None:
    """No answer is waited for that could be asked for with others; one run is read alone."""
    Server().makedirs("/host/dir", exist_ok=True)
    address = "tosftp://host/dir/a.tar.gz"
    assert archive(repo, "outputs", address) == 0
    File.asked.clear()
    assert archive(repo, "--list", address) == 0
    assert len(File.asked) <= 2
    File.asked.clear()
    shutil.rmtree(repo.root / "outputs")
    assert archive(repo, "--restore", address) == 0
    assert len(File.asked) <= 3
    assert {path: seen(repo.root / path) for path in jobs} == jobs


@pytest.mark.parametrize("kind", [File, io.BytesIO])
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(-1, 2000), st.booleans()), max_size=20))
def test_blocks_are_what_is_in_the_file(kind: Any, steps: list[tuple[int, int, bool]]) -> None:
    content = bytes(range(256)) * 10
    plain, before = io.BytesIO(content), storage._AHEAD
    storage._AHEAD = 100
    blocks = storage.Reader(kind(content))
    try:
        for offset, size, moves in steps:
            if moves:
                assert plain.seek(offset) == blocks.seek(offset)
            assert plain.read(size) == blocks.read(size)
            assert plain.tell() == blocks.seek(0, 1)
        assert plain.seek(-5, 2) == blocks.seek(-5, 2)
        assert plain.read() == blocks.read()
    finally:
        blocks.close()
        storage._AHEAD = before


def test_the_next_block_comes_while_one_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second in a row on: who reads one place wants no other."""
    monkeypatch.setattr(storage, "_AHEAD", 100)
    monkeypatch.setattr(File, "asked", [])
    blocks = storage.Reader(File(bytes(1000)))
    for size, asked in ((100, [0]), (1, [0, 100, 200]), (100, [0, 100, 200, 300])):
        blocks.read(size)
        wait([blocks._ahead] if blocks._ahead else [])
        assert [start for start, _ in File.asked] == asked
    blocks.close()


@pytest.mark.parametrize("read", [1, 2, 3])
def test_a_file_that_becomes_shorter(read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_AHEAD", 2)
    for file in (File(b"0123456789"), io.BytesIO(b"0123456789")):
        reader = storage.Reader(file)
        reader.read(2 * read)
        wait([reader._ahead] if reader._ahead else [])
        file.truncate(2 * read + 1)
        with pytest.raises(OSError, match="shorter"):
            reader.read()
        reader.close()


def test_more_is_packed_while_a_part_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_PART", 100)
    is_going, real = threading.Event(), Object.write

    def slow(self: Object, data: bytes) -> int:
        assert is_going.wait(5)
        return real(self, data)

    monkeypatch.setattr(Object, "write", slow)
    upload = storage.Upload(storage.Storage("oss://bucket/a.tar.gz"))
    for data in (b"a" * 100, b"b" * 60):
        upload.write(data)
    is_going.set()
    upload.write(b"c" * 60)
    upload.sync()
    sent = storage.Storage("oss://bucket/a.tar.gz").reader()
    assert sent.read() == b"a" * 100 + b"b" * 60 + b"c" * 60
    sent.close()


def test_what_is_being_sent_ends_before_it_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 may keep a part that comes when its upload has been aborted."""
    monkeypatch.setattr(storage, "_PART", 100)
    done: list[str] = []

    def slow(_: Object, data: bytes) -> int:
        time.sleep(0.3)
        done.append("sent")
        return len(data)

    monkeypatch.setattr(Object, "write", slow)
    monkeypatch.setattr(Object, "discard", lambda _: done.append("taken back"))
    upload = storage.Upload(storage.Storage("oss://bucket/a.tar.gz"))
    upload.write(bytes(100))
    upload.close()
    assert done == ["sent", "taken back"]


def test_cleaned_after_archiving(
    repo: Repo, jobs: dict[str, Any], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{place}/a.tar.zst"
    assert clean(repo, "--archive", address, ".") == 0
    assert not (repo.root / FIRST).exists()
    capsys.readouterr()
    with working_directory(repo.root):
        assert show_run.main((FIRST,)) == 0
        assert address in capsys.readouterr().out
        assert show_run.main((FIRST, "--format", "json")) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["kind"], found["archives"], found["unread"]) == ("Hydra job", [address], [])
        assert found["config"]
        # Out of reach, it is named all the same.
        ObjectStore.fails_at, ObjectStore.count = 1, 0
        assert show_run.main((FIRST,)) == 0
        out = capsys.readouterr().out
        assert f"in the archive {address} (which cannot be read: the network is gone)" in out
        ObjectStore.fails_at = None
    assert archive(repo, "--restore", address) == 0
    assert seen(repo.root / FIRST) == jobs[FIRST]


def test_what_is_there_is_replaced_with_force_alone(
    repo: Repo, jobs: dict[str, Any], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{place}/a.tar.gz"
    assert archive(repo, FIRST, address) == 0
    assert archive(repo, FIRST, address) == 2
    assert "is there already" in capsys.readouterr().err
    assert archive(repo, "--force", SECOND, address) == 0
    shutil.rmtree(repo.root / SECOND)
    assert archive(repo, "--force", FIRST, address) == 2
    assert "may hold the only copy" in capsys.readouterr().err
    assert archive(repo, "--restore", address) == 0
    assert seen(repo.root / SECOND) == jobs[SECOND]


@pytest.mark.parametrize("error", [TimeoutError("the server said no more"), KeyboardInterrupt()])
def test_an_upload_that_was_completed_all_the_same(
    repo: Repo, jobs: dict[str, Any], error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes long, and is asked again, says that it knows of no such upload."""
    real, state = Object.commit, storage.Storage.state
    uploads: list[Object] = []

    def late(self: Object) -> None:
        uploads.append(self)
        if isinstance(error, KeyboardInterrupt):
            real(uploads.pop())
        raise error

    def complete(self: storage.Storage) -> Any:
        found = state(self)
        while uploads:  # but for the first look it is too late
            real(uploads.pop())
        return found

    monkeypatch.setattr(storage.Storage, "state", complete)
    monkeypatch.setattr(Object, "commit", late)
    if isinstance(error, KeyboardInterrupt):
        assert clean(repo, "--archive", "oss://bucket/a.tar.gz", FIRST) == 130
        assert (names(), (repo.root / FIRST).exists()) == ([], True)
    else:
        assert clean(repo, "--archive", "oss://bucket/a.tar.gz", FIRST) == 0
        assert not (repo.root / FIRST).exists()
        assert archive(repo, "--restore", "oss://bucket/a.tar.gz") == 0
    assert seen(repo.root / FIRST) == jobs[FIRST]


def test_parts_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 takes 10,000 of them."""
    monkeypatch.setattr(storage, "_PART", 100)
    monkeypatch.setattr(storage, "_MOST_PARTS", 30)
    sizes: list[int] = []
    monkeypatch.setattr(Object, "write", lambda _, data: sizes.append(len(data)))
    upload = storage.Upload(storage.Storage("oss://bucket/a.tar.gz"))
    for _ in range(600):
        upload.write(bytes(10))
    upload.close()
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[29], sizes[-1]) == (100, 100, 200)


def test_an_upload_that_fails_leaves_the_one_before(
    repo: Repo, jobs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "oss://bucket/a.tar.gz"
    assert archive(repo, FIRST, address) == 0

    def refused(_: Object) -> None:
        raise PermissionError(13, "Forbidden")

    monkeypatch.setattr(Object, "commit", refused)
    assert clean(repo, "--force", "--archive", address, ".") == 2
    shutil.rmtree(repo.root / FIRST)
    assert archive(repo, "--restore", address) == 0
    assert {path: seen(repo.root / path) for path in jobs} == jobs


def test_an_archive_of_somebody_else_that_comes_meanwhile(
    repo: Repo,
    jobs: dict[str, Any],
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They delete their run when theirs is read back, and it is in that archive alone then."""
    address = f"{place}/a.tar.gz"
    assert archive(repo, SECOND, address) == 0
    store = (ObjectStore if place.startswith("oss") else Server).store
    theirs = {**store}
    store.clear()

    def meanwhile(written: Any) -> bytes:
        store.update(theirs)
        return manifest.to_json(written)

    monkeypatch.setattr("fx_hooks.runs.archive.writer.to_json", meanwhile)
    assert clean(repo, "--archive", address, FIRST) == 2
    assert f"{address}: is there already" in capsys.readouterr().err
    shutil.rmtree(repo.root / SECOND)
    assert archive(repo, "--restore", address) == 0
    assert {path: seen(repo.root / path) for path in jobs} == jobs


@pytest.mark.usefixtures("jobs")
def test_a_run_that_changes_is_left_out(
    repo: Repo, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tree.difference

    def difference(at: bytes, *arguments: Any) -> str | None:
        if os.fsencode(FIRST) in at:
            return "model.ckpt is being written"
        return real(at, *arguments)

    monkeypatch.setattr(tree, "difference", difference)
    address = f"{place}/a.tar.gz"
    assert clean(repo, "--archive", address, ".") == 1
    assert "model.ckpt is being written" in capsys.readouterr().out
    assert [(repo.root / path).exists() for path in (FIRST, SECOND)] == [True, False]
    assert archive(repo, "--list", address) == 0
    assert FIRST not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [ConnectionError("gone"), PermissionError(13, "Forbidden"), ValueError("odd"), TypeError()],
    ids=lambda error: type(error).__name__,
)
def test_failures_at_every_step(
    repo: Repo,
    jobs: dict[str, Any],
    place: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No run goes that is not in a whole archive, and what looks whole is whole."""
    monkeypatch.setattr(ObjectStore, "error", error)
    address = f"{place}/a.tar.gz"
    for step in range(1, 200):
        ObjectStore.fails_at, ObjectStore.count = step, 0
        code = clean(repo, "--archive", address, ".")
        is_through = ObjectStore.count < step
        ObjectStore.fails_at = None
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        if is_through:
            assert code == 0
            break
        assert (code, [(repo.root / path).exists() for path in jobs]) == (2, [True, True]), step
        assert output.err.startswith(f"fx-clean-runs: error: {address}"), output.err
        if "a.tar.gz" in names():  # it was moved there, and the move did not end
            assert place.startswith("tosftp")
            assert archive(repo, "--restore", address, "--force") == 0
            assert {path: seen(repo.root / path) for path in jobs} == jobs
        else:  # the list of what is in it is moved after the archive, never before
            assert "a.tar.gz.manifest.json" not in names()
        parts = {name for name in names() if re.fullmatch(r"\.fx-a\.tar\.gz\..+\.part", name)}
        assert len(parts) <= 2
        assert set(names()) <= parts | {"a.tar.gz", "a.tar.gz.manifest.json"}
        ObjectStore.store.clear()
        for name in set(Server.store):
            if not name.endswith(".part"):  # the next one takes its place
                Server.store.pop(name)
    else:
        pytest.fail("it never ended")
    assert archive(repo, "--restore", address) == 0
    assert {path: seen(repo.root / path) for path in jobs} == jobs


@pytest.mark.usefixtures("jobs")
def test_two_machines_write_the_same_name(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither writes into what the other one does, nor takes it for a leftover."""
    Server().makedirs("/host/dir", exist_ok=True)
    address = "tosftp://host/dir/a.tar.gz"
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_machine", lambda: "0123abcd")
        other = storage.Upload(storage.Storage(address))
    other.write(b"theirs")
    assert archive(repo, FIRST, address) == 0
    assert archive(repo, "--list", address) == 0
    other.sync()
    assert storage.Storage(other.temporary).reader().read() == b"theirs"
    other.close()
    assert names() == ["a.tar.gz", "a.tar.gz.manifest.json"]


@pytest.mark.usefixtures("jobs")
def test_what_is_left_elsewhere(repo: Repo) -> None:
    Server().makedirs("/host/dir", exist_ok=True)
    dead = subprocess.Popen((sys.executable, "-c", ""))
    dead.wait()
    day, here = timedelta(days=1, minutes=1), storage._machine()
    ours = sys.platform == "linux"  # what can be known to be
    left = {
        f".fx-a.tar.gz.{here}-{dead.pid}.part": (timedelta(), ours),
        f".fx-b.tar.zst.{here}-{os.getppid()}.part": (day, False),
        ".fx-a.tar.gz.manifest.json.0123abcd-1.part": (day, True),
        ".fx-a.tar.gz.0123abcd-1.part": (timedelta(), False),
        ".fx-a.tar.gz.part": (day, True),
        ".fx-b.tar.gz.part": (timedelta(), False),
        ".fx-b.tar.gz.parts": (day, False),
    }
    for name, (age, _) in left.items():
        file = MemoryFile(None, f"/host/dir/{name}", b"half")
        file.created = datetime.now(tz=timezone.utc) - age
        Server.store[f"/host/dir/{name}"] = file
    assert archive(repo, FIRST, "tosftp://host/dir/a.tar.gz") == 0
    whole = {"a.tar.gz", "a.tar.gz.manifest.json"}
    assert set(names()) == whole | {name for name, (_, goes) in left.items() if not goes}


def test_what_reads_back_differently_keeps_the_runs(
    repo: Repo,
    jobs: dict[str, Any],
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = ObjectStore._open

    def damaged(self: ObjectStore, path: str, mode: str = "rb", **options: Any) -> Any:
        file = real(self, path, mode, **options)
        if mode == "rb":
            read = file.read
            file.read = lambda *size: (read(*size) or b"")[::-1]
        return file

    monkeypatch.setattr(ObjectStore, "_open", damaged)
    assert clean(repo, "--archive", f"{place}/a.tar.gz", ".") == 2
    assert "a.tar.gz: cannot be trusted" in capsys.readouterr().err
    assert {path: seen(repo.root / path) for path in jobs} == jobs
    assert names() == []


@pytest.mark.usefixtures("jobs")
def test_addresses_that_do_not_do(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for address, why in (
        ("sftp://me:hunter2@host/a.tar.gz", "leave the password out"),
        ("nothing://host/a.tar.gz", "Protocol not known: nothing"),
        ("oss://bucket/a.zip", "an archive is called NAME.tar.gz"),
    ):
        for arguments in ((".", address), ("--list", address), ("--restore", address)):
            assert archive(repo, *arguments) == 2
            output = capsys.readouterr()
            assert why in output.err
            assert "hunter2" not in output.err + output.out
    real = importlib.import_module

    for module, why in (
        ("fsspec", "oss://bucket/a.tar.gz: needs fsspec"),
        ("s3fs", "No module named 's3fs': the extra 'storage' brings what S3 and SFTP need"),
    ):

        def missing(name: str, module: str = module) -> Any:
            if name.startswith("fsspec"):
                raise ModuleNotFoundError(f"No module named '{module}'", name=module)
            return real(name)

        monkeypatch.setattr(importlib, "import_module", missing)
        assert archive(repo, ".", "oss://bucket/a.tar.gz") == 2
        said = capsys.readouterr().err
        assert f"{why}: pip install 'fx-hooks[storage] @ git+https://" in said


def test_the_root_of_an_address_is_no_path(tmp_path: Path, repo: Repo) -> None:
    """Two slashes in a path are one."""
    make_job(repo.root, FIRST)
    target = f"{tmp_path}//a.tar.gz"
    assert archive(repo, FIRST, target) == 0
    assert (tmp_path / "a.tar.gz").exists()
