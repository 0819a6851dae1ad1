"""Who uses a run is seen, by whatever path and in whatever way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fx_hooks.runs import deletion as run_removal
from fx_hooks.runs import liveness as run_processes
from fx_hooks.runs.liveness import Processes, Use, find_processes
from fx_hooks.util.disk import scan
from tests.run_trees import write

pytest.importorskip("psutil")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
RUN = b"outputs/job"
# Each is told the run and a further name of a file in it, and holds that until its input ends.
WAYS = {
    "open file": "file = open(run + '/model.ckpt', 'rb')",
    "another name": "file = open(other, 'rb')",
    "folder": "number = os.open(run + '/data', os.O_RDONLY)",
    "mapped": (
        "file = open(other, 'rb'); data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ);"
        " file.close()"
    ),
    "works there": "os.chdir(run + '/data')",
}


@contextmanager
def other_process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            process.kill()


def use_of_run(root: Path) -> Use | None:
    found = find_processes(os.fsencode(root))
    tree = scan(os.fsencode(root), wanted=found.numbered)
    return found.found_in(tree).using(RUN)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    place = tmp_path / "work" / os.fsdecode(RUN)
    write(place / "model.ckpt", b"x" * 9000)
    write(place / "data" / "x")
    os.link(place / "model.ckpt", tmp_path / "other")
    return place


@LINUX
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_use_a_run(tmp_path: Path, run: Path, way: str) -> None:
    code = f"import mmap, os, sys; run, other = sys.argv[1:]; {WAYS[way]}; print(); "
    code += "sys.stdout.flush(); sys.stdin.read()"
    assert use_of_run(tmp_path / "work") is None
    with other_process(sys.executable, "-c", code, str(run), str(tmp_path / "other")) as process:
        assert process.stdout is not None
        process.stdout.readline()
        use = use_of_run(tmp_path / "work")
        assert use is not None
        assert use.pid == process.pid
        assert use.opened == (way != "works there")
        size = scan(os.fsencode(run)).top.size()
        with pytest.raises(run_removal.Stays, match="uses it"):
            run_removal.remove_run(
                os.fsencode(tmp_path / "work"), RUN, size, differs=lambda _: None, log=lambda: None
            )
        assert run.is_dir()


@LINUX
def test_a_program_that_runs_from_there(tmp_path: Path, run: Path) -> None:
    program = shutil.copy(str(shutil.which("cat")), str(run / "cat"))
    with other_process(program) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        use = use_of_run(tmp_path / "work")
        assert use is not None
        assert use.pid == process.pid


def test_a_folder_that_is_read_in_passing(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_processes, "MOMENT", 0)
    number = run.stat().st_ino
    read = tmp_path / "fd"
    use = Use(b"", "du", 1, True, str(read))
    found = Processes((), frozenset(), numbered={number: use})
    tree = scan(os.fsencode(run), wanted=found.numbered)
    assert tree.met == ((b"", number),)
    assert found.found_in(tree, RUN).using(RUN) is None
    read.mkdir()
    assert found.found_in(tree, RUN).using(RUN) is None
    read.rmdir()
    read.symlink_to(run)
    assert found.found_in(tree, RUN).using(RUN) == use._replace(path=RUN)


def test_where_there_is_no_proc(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_processes, "HAS_PROC", False)
    code = "import sys; file = open(sys.argv[1]); print(); sys.stdout.flush(); sys.stdin.read()"
    with other_process(sys.executable, "-c", code, str(run / "model.ckpt")) as process:
        assert process.stdout is not None
        process.stdout.readline()
        use = find_processes(os.fsencode(tmp_path / "work")).using(RUN)
        assert use is not None
        assert use.pid == process.pid
