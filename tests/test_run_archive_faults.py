"""Packing and restoring, killed at every step and with every write failing: nothing is lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fx_hooks.cli._common import guarded
from fx_hooks.runs.archive import sections, writer
from fx_hooks.runs.archive.reader import Archive
from tests.faults import (
    CHANGES,
    Outcome,
    Work,
    as_nobody,
    failing,
    failing_at_every_step,
    killed_at_every_step,
    needs_fork,
    run,
)
from tests.run_trees import LONG_AGO, Seen, pack, read_back_meanwhile, restore, seen, write

pytestmark = needs_fork

RUNS = ("outputs/a", "outputs/b")
NAME = "fx-archive-runs"


@pytest.fixture(params=["a.tar.gz", "a.tar.zst"])
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(params=[False, True], ids=["", "read back meanwhile"])
def often_written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is packed does not wait for a whole megabyte: sections end while it is written."""
    monkeypatch.setattr(writer, "CHUNK", 1000)
    if request.param:
        read_back_meanwhile(monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    write(root / "outputs/a/train.log", "step 1\n")
    write(root / "outputs/a/files/model.pt", os.urandom(3000))
    write(root / "outputs/b/train.log", "step 2\n")
    os.link(root / "outputs/a/files/model.pt", root / "outputs/b/same.pt")
    os.symlink("/nowhere", root / "outputs/b/link")
    os.utime(root / "outputs/b/link", ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)
    return root


def whole(archive: Path, expected: dict[bytes, Seen]) -> bool:
    """Whether all runs are in *archive*, to the last bit."""
    there = archive.with_name("check")
    restore(archive, there)
    found = seen(there)
    shutil.rmtree(there)
    return {path: found[path] for path in found if path != b"outputs"} == {
        path: expected[path] for path in expected if path != b"outputs"
    }


def packing(root: Path, target: Path, *, force: bool = False) -> Work:
    def work() -> int:
        written = pack(root, target, *RUNS, force=force)
        return 0 if len(written.runs) == 2 else 1

    return lambda: guarded(NAME, work)


@pytest.mark.slow
@pytest.mark.usefixtures("often_written")
def test_packing_killed_at_every_step(root: Path, tmp_path: Path, name: str) -> None:
    expected = seen(root)
    out = tmp_path / "out"

    def prepare() -> Work:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        return packing(root, out / name)

    calls = set()
    placed = 0
    for outcome in killed_at_every_step(prepare):
        calls.add(outcome.call)
        assert seen(root) == expected
        if (out / name).exists():
            assert whole(out / name, expected)
            placed += 1
        else:
            # It starts over, and what was left is gone.
            assert packing(root, out / name)() == 0
            assert sorted(os.listdir(out)) == [name, f"{name}.manifest.json"]
            assert whole(out / name, expected)
    assert outcome.code == 0
    assert calls >= {"open", "write", "fsync", "link", "unlink"}
    assert 1 < placed < len(outcome.steps)
    assert outcome.steps.index("fsync") < outcome.steps.index("link")


@pytest.mark.slow
def test_replacing_killed_at_every_step(root: Path, tmp_path: Path, name: str) -> None:
    expected = seen(root)
    out = tmp_path / "out"
    old = tmp_path / "old"
    old.mkdir()
    pack(root, old / name, "outputs/a")
    before = (old / name).read_bytes()
    manifest = (old / f"{name}.manifest.json").read_bytes()

    def prepare() -> Work:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(old, out)
        return packing(root, out / name, force=True)

    for _ in killed_at_every_step(prepare):
        if (out / name).read_bytes() != before:
            assert whole(out / name, expected)
        # The copy next to it is never that of another one.
        if (out / f"{name}.manifest.json").exists():
            with Archive(os.fsencode(out / name)) as archive:
                assert archive.text == (out / f"{name}.manifest.json").read_bytes()
    assert (out / f"{name}.manifest.json").read_bytes() != manifest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "calls"),
    [
        pytest.param(errno.ENOSPC, ("write",), id="full disk"),
        pytest.param(errno.EIO, ("write", "fsync"), id="broken disk"),
        pytest.param(errno.EDQUOT, ("write", "fsync", "link", "open"), id="quota"),
    ],
)
@pytest.mark.usefixtures("often_written")
def test_packing_where_a_write_fails(
    root: Path, tmp_path: Path, name: str, error: int, calls: tuple[str, ...]
) -> None:
    expected = seen(root)
    out = tmp_path / "out"

    def prepare() -> Work:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        return packing(root, out / name)

    count = 0
    for outcome in failing_at_every_step(prepare, error, calls):
        count += 1
        assert seen(root) == expected
        if not outcome.step:
            break
        reason = os.strerror(error)
        if (out / name).exists():
            # Only the name of the copy next to it is missing, or the name is not synced yet.
            assert whole(out / name, expected)
            assert outcome.call in ("link", "open", "fsync")
            assert not outcome.code or outcome.err.endswith(": the archive is whole all the same\n")
        else:
            assert os.listdir(out) == []
        if outcome.code:
            assert outcome.code == 2
            assert outcome.err.startswith(f"{NAME}: error: {out}/{name}")
            assert outcome.err.count("\n") == 1
            assert f"cannot be written: {reason}" in outcome.err
    assert outcome.code == 0
    assert count > 2


@pytest.fixture
def archive(root: Path, tmp_path: Path, name: str) -> Path:
    pack(root, tmp_path / name, *RUNS)
    return tmp_path / name


def restoring(archive: Path, there: Path, *, force: bool = False) -> Work:
    def work() -> int:
        restore(archive, there, force=force)
        return 0

    return lambda: guarded(NAME, work)


def runs_in(there: Path) -> dict[str, dict[bytes, Seen]]:
    return {run: seen(there / run) for run in RUNS if (there / run).exists()}


def same(one: dict[bytes, Seen], other: dict[bytes, Seen]) -> bool:
    """Whether they are equal, but for hard links into other runs and staging directories."""
    return {path: item._replace(names=frozenset()) for path, item in one.items()} == {
        path: item._replace(names=frozenset()) for path, item in other.items()
    }


@pytest.mark.slow
def test_restoring_killed_at_every_step(root: Path, archive: Path, tmp_path: Path) -> None:
    expected = runs_in(root)
    there = tmp_path / "there"

    def prepare() -> Work:
        shutil.rmtree(there, ignore_errors=True)
        there.mkdir()
        return restoring(archive, there)

    calls = set()
    for outcome in killed_at_every_step(prepare):
        calls.add(outcome.call)
        found = runs_in(there)
        assert all(same(found[run], expected[run]) for run in found)
        # It can be started over, and then nothing else is left.
        assert restoring(archive, there, force=True)() == 0
        assert os.listdir(there) == ["outputs"]
        assert runs_in(there) == expected
    assert outcome.code == 0
    assert calls >= {"mkdir", "write", "fsync", "link", "symlink", "rename", "chmod", "utime"}


@pytest.mark.slow
def test_replacing_runs_killed_at_every_step(root: Path, archive: Path, tmp_path: Path) -> None:
    expected = runs_in(root)
    there = tmp_path / "there"
    old = tmp_path / "old"
    write(old / "outputs/a/train.log", "older\n")
    write(old / "outputs/b/other.log", "older\n")
    (old / "outputs/b").chmod(0o555)
    before = runs_in(old)

    def prepare() -> Work:
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(old, there)
        return restoring(archive, there, force=True)

    gaps = 0
    for outcome in killed_at_every_step(prepare):
        found = runs_in(there)
        gaps += outcome.code is None and len(found) < 2
        for run_, files in found.items():
            assert same(files, expected[run_]) or same(files, before[run_])
        # The next one puts back first what had made room, even if it then has nothing to do.
        assert restoring(archive, there)() == (0 if not found else 2)
        found = runs_in(there)
        assert len(found) == 2
        assert [name for name in os.listdir(there) if name.startswith(".fx-")] == []
        for run_, files in found.items():
            assert same(files, expected[run_]) or same(files, before[run_])
            # What was there is nowhere lost, as the archive does not have it.
            assert any(same(other, before[run_]) for other in (files, *kept(there, run_)))
    assert outcome.code == 0
    assert gaps > 0


def kept(there: Path, run_: str) -> list[dict[bytes, Seen]]:
    """What was replaced, and is kept next to its place."""
    folder, name = os.path.split(there / run_)
    return [seen(place) for place in Path(folder).glob(f"{name}.replaced-*")]


@pytest.mark.slow
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("error", "calls"),
    [
        pytest.param(errno.ENOSPC, ("write",), id="full disk"),
        pytest.param(errno.EIO, [c for c in CHANGES if c not in ("unlink", "rmdir")], id="broken"),
    ],
)
def test_restoring_where_a_step_fails(
    root: Path, archive: Path, tmp_path: Path, error: int, calls: tuple[str, ...], force: bool
) -> None:
    expected = runs_in(root)
    there = tmp_path / "there"
    old = tmp_path / "old"
    old.mkdir()
    if force:
        write(old / "outputs/a/train.log", "older\n")
    before = runs_in(old)

    def prepare() -> Work:
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(old, there)
        return restoring(archive, there, force=force)

    for outcome in failing_at_every_step(prepare, error, calls):
        if any(name.startswith(".fx-") for name in os.listdir(there)):
            # Cleaning up is what has failed; the next one does it.
            assert outcome.call in ("mkdir", "chmod", "rename")
            restoring(archive, there)()
        assert [name for name in os.listdir(there) if name.startswith(".fx-")] == []
        found = runs_in(there)
        if not outcome.step:
            break
        if not outcome.code:  # what only makes removing easier may fail
            assert outcome.call in ("mkdir", "chmod")
            assert found == expected
            continue
        assert outcome.err.startswith(f"{NAME}: error: ")
        assert outcome.err.endswith(f": cannot be restored: {os.strerror(error)}\n")
        assert outcome.code == 2
        assert found.keys() >= before.keys()
        for run_, files in found.items():
            if outcome.call not in ("chmod", "utime"):
                assert same(files, expected[run_]) or same(files, before.get(run_, {})), outcome
            if run_ in before:
                there_is = (files, *kept(there, run_))
                assert any(same(other, before[run_]) for other in there_is), outcome
    assert outcome.code == 0


def test_the_harness_itself(tmp_path: Path) -> None:
    def work() -> int:
        descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, b"abcd")
        os.close(descriptor)
        with open(tmp_path / "other", "w", encoding="utf-8"):
            pass
        print("done")
        return 7

    def prepare() -> Work:
        for name in os.listdir(tmp_path):
            (tmp_path / name).unlink()
        return work

    assert run(work) == Outcome(7, "done\n", "", 0, ("open", "write", "open"))
    left = []
    for outcome in killed_at_every_step(prepare):
        left.append({path.name: path.read_text() for path in tmp_path.iterdir()})
        assert (outcome.code is None) == (outcome.step > 0)
    assert left == [{}, {"file": "ab"}, {"file": "abcd"}, {"file": "abcd", "other": ""}]
    assert outcome.steps == ("open", "write", "open")
    left = []
    for _ in failing_at_every_step(prepare):
        left.append({path.name: path.read_text() for path in tmp_path.iterdir()})
    assert left == [{"file": "ab", "other": ""}, {"file": "abcd", "other": ""}]
    with pytest.raises(AssertionError, match="Input/output error"):
        failing(prepare(), 1, errno.EIO)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts in a namespace of its own")
def test_a_disk_that_is_really_full(root: Path, tmp_path: Path, name: str) -> None:
    write(root / "outputs/a/large.bin", os.urandom(2_000_000))
    mount = tmp_path / "small"
    mount.mkdir()
    code = (
        "import sys; from tests.run_trees import pack; from fx_hooks.cli._common import guarded;"
        "sys.exit(guarded('x', lambda: len(pack(*sys.argv[1:]).left_out)))"
    )
    script = (
        'mount -t tmpfs -o size=1m none "$1" || exit 77; shift; "$@"; code=$?;'
        ' ls -A "$0"; exit $code'
    )
    target = str(mount / name)
    arguments = (sys.executable, "-c", code, str(root), target, *RUNS)
    done = subprocess.run(
        ("unshare", "-rm", "sh", "-c", script, str(mount), str(mount), *arguments),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr}")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        f"x: error: {target}: cannot be written: No space left on device: nothing was kept\n",
    )


def test_what_an_interruption_leaves(
    root: Path, archive: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, there = tmp_path / "out", tmp_path / "there"
    out.mkdir()
    there.mkdir()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place, work in (
        ("os.read", packing(root, out / name)),
        ("os.write", packing(root, out / name)),
        ("os.fsync", packing(root, out / name)),
        ("fx_hooks.runs.archive.reader.Archive.members", packing(root, out / name)),
        ("os.write", restoring(archive, there)),
        ("os.fsync", restoring(archive, there)),
        ("os.utime", restoring(archive, there)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, interrupt)
            assert work() == 130, place
    assert os.listdir(out) == []
    assert os.listdir(there) == []


def test_where_no_threads_can_be_started(root: Path, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def limited(work: Work) -> Work:
        import resource

        def with_none() -> int:
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
            return work()

        return with_none

    for work in (packing(root, out / archive.name), restoring(archive, out)):
        outcome = as_nobody(tmp_path, limited(work))
        assert outcome.code == 2
        assert (
            outcome.err == f"{NAME}: error: no more threads can be started: see ulimit -u and -v\n"
        )
        assert os.listdir(out) == []


def test_where_threads_run_out(
    root: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_back_meanwhile(monkeypatch)
    write(root / "outputs/a/noise.bin", os.urandom(20_000))
    out = tmp_path / "out"
    out.mkdir()
    real = threading.Thread.start
    left = -1

    def start(thread: threading.Thread) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    codes = []
    for number in range(9):
        left = number
        codes.append(packing(root, out / name)())
        assert bool(os.listdir(out)) == (codes[-1] == 0)
        if not codes[-1]:
            break
    assert codes == [*[2] * (len(codes) - 1), 0]
    assert len(codes) > 3


def test_what_zstd_refuses(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    zstandard = pytest.importorskip("zstandard")

    def refuse(*_: object) -> bytes:
        raise zstandard.ZstdError("Allocation error: not enough memory")

    out = tmp_path / "out"
    out.mkdir()
    for name in ("compress", "flush"):
        with monkeypatch.context() as patch:
            patch.setattr(sections._Chunker, name, refuse)
            assert packing(root, out / "a.tar.zst")() == 2
        assert capfd.readouterr().err == (
            f"{NAME}: error: zstd cannot pack: Allocation error: not enough memory\n"
        )
        assert os.listdir(out) == []


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_an_interruption_as_a_thread_starts(
    root: Path,
    tmp_path: Path,
    name: str,
    started: bool,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    read_back_meanwhile(monkeypatch)
    write(root / "outputs/a/noise.bin", os.urandom(20_000))
    out = tmp_path / "out"
    out.mkdir()
    begun = [0]
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if "ReadBack" not in repr(vars(thread)):  # one that compresses
            real(thread)
            return
        begun[0] += 1
        if started or begun[0] < number:
            real(thread)
        if begun[0] == number:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert packing(root, out / name)() == 130
    assert begun == [number]
    assert capfd.readouterr().err == f"{NAME}: interrupted\n"
    assert os.listdir(out) == []


# --- as somebody who may not do everything -----------------------------------------------


def test_what_may_not_be_read_is_left_out_and_named(root: Path) -> None:
    (root / "outputs/a/files/model.pt").chmod(0)
    out = root / "out"
    out.mkdir()

    def work() -> int:
        for left in pack(root, out / "a.tar.gz", *RUNS).left_out:
            print(left)
        return 0

    done = as_nobody(root, lambda: guarded(NAME, work))
    assert done.code == 0
    # It has another name in the other run.
    assert done.out == (
        "LeftOut(path=b'outputs/a', reason='files/model.pt cannot be read: Permission denied')\n"
        "LeftOut(path=b'outputs/b', reason='same.pt cannot be read: Permission denied')\n"
    )
    assert os.listdir(out) == []
    (root / "outputs/a/files/model.pt").chmod(0o600)
    (root / "outputs/a/files").chmod(0)
    done = as_nobody(root, lambda: guarded(NAME, work))
    (root / "outputs/a/files").chmod(0o755)
    assert done.out == (
        "LeftOut(path=b'outputs/a', reason='files cannot be read: Permission denied')\n"
    )
    assert sorted(os.listdir(out)) == ["a.tar.gz", "a.tar.gz.manifest.json"]


def test_where_nothing_may_be_written(root: Path, archive: Path, name: str) -> None:
    out = root / "out"
    out.mkdir()
    out.chmod(0o555)
    done = as_nobody(root, packing(root, out / name))
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"{NAME}: error: {out}/{name}: cannot be written: Permission denied: nothing was kept\n"
    )
    archive.chmod(0o644)
    archive.rename(root / name)
    done = as_nobody(root, restoring(root / name, out))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"{NAME}: error: outputs/a: cannot be restored: Permission denied\n"
    assert os.listdir(out) == []


def test_directories_that_nobody_may_write_to_come_back(root: Path) -> None:
    write(root / "outputs/a/locked/inner/file", "x")
    for name in ("outputs/a/locked/inner", "outputs/a/locked", "outputs/a"):
        (root / name).chmod(0o555)
    (root / "outputs/a/locked/inner/file").chmod(0o444)
    expected = runs_in(root)
    pack(root, root / "a.tar.gz", *RUNS)
    there = root / "there"
    there.mkdir()
    done = as_nobody(root, restoring(root / "a.tar.gz", there))
    assert (done.code, done.err) == (0, "")
    assert runs_in(there) == expected
    done = as_nobody(root, restoring(root / "a.tar.gz", there, force=True))
    assert (done.code, done.err) == (0, "")
    assert runs_in(there) == expected
    assert os.listdir(there) == ["outputs"]


@pytest.mark.skipif(sys.platform != "linux", reason="mounts in a namespace of its own")
def test_runs_on_a_file_system_of_their_own(root: Path, archive: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    (there / "outputs").mkdir(parents=True)
    code = (
        "import os, sys; from tests.run_trees import restore, seen, write;"
        "archive, there, root = sys.argv[1:];"
        "os.mkdir(there + '/outputs/.fx-restore.01234567');"
        "restore(archive, there); restore(archive, there, force=True);"
        "print(seen(there + '/outputs/a') == seen(root + '/outputs/a'));"
        "print(os.stat(there).st_dev != os.stat(there + '/outputs/a').st_dev);"
        "print(sorted(os.listdir(there)), sorted(os.listdir(there + '/outputs')))"
    )
    script = 'mount -t tmpfs none "$0/outputs" || exit 77; exec "$@"'
    os.unlink(root / "outputs/b/same.pt")
    arguments = (sys.executable, "-c", code, str(archive), str(there), str(root))
    done = subprocess.run(
        ("unshare", "-rm", "sh", "-c", script, str(there), *arguments),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr}")
    assert (done.stdout, done.stderr) == ("True\nTrue\n['outputs'] ['a', 'b']\n", "")


@pytest.mark.slow
def test_several_at_once(root: Path, tmp_path: Path) -> None:
    out, there = tmp_path / "out", tmp_path / "there"
    out.mkdir()
    there.mkdir()
    write(root / "outputs/a/large.bin", os.urandom(4_000_000))
    code = (
        "import sys; from tests.run_trees import pack, restore;"
        "from fx_hooks.cli._common import guarded; work, *names = sys.argv[1:];"
        "sys.exit(guarded('x', lambda: globals()[work](*names) and 0))"
    )

    def together(*arguments: str) -> list[str]:
        processes = [
            subprocess.Popen(
                (sys.executable, "-c", code, *arguments),
                cwd=Path(__file__).parent.parent,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        ends = [(process.communicate()[1], process.returncode) for process in processes]
        assert sorted(end for _, end in ends) == [0, 2, 2]
        return [text for text, end in ends if end]

    for text in together("pack", str(root), str(out / "a.tar.gz"), *RUNS):
        assert "another process has just made it" in text or "is there already" in text
    assert sorted(os.listdir(out)) == ["a.tar.gz", "a.tar.gz.manifest.json"]
    for text in together("restore", str(out / "a.tar.gz"), str(there)):
        assert "another process has just put it there" in text or "is there already" in text
    assert os.listdir(there) == ["outputs"]
    assert runs_in(there) == runs_in(root)
