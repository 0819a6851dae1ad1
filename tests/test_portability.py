"""The tests themselves start on every platform: what one lacks is asked for where it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutations import TESTED

TESTS = Path(__file__).parent
# What a job of its own runs, with packages that are not here.
APART = {"__init__", "live_readers"}
MODULES = sorted(f"tests.{path.stem}" for path in TESTS.glob("*.py") if path.stem not in APART)
# What Python's documentation of `os`, `signal` and the module index calls "not Windows".
LIKE_WINDOWS = """\
import importlib, os, signal, sys
import hypothesis, jsonschema, pathlib, pathspec, psutil, pytest, subprocess, tempfile, yaml
import multiprocessing.connection, concurrent.futures, http.server, sqlite3, ctypes, zipfile

missing = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
sys.modules.update(dict.fromkeys(missing))
for name in (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "POSIX_SPAWN_OPEN",
    "WNOHANG", "chown", "chroot", "fchdir", "fchmod", "fchown", "fork", "getegid", "geteuid",
    "getgid", "getgroups", "getpgid", "getuid", "getxattr", "initgroups", "killpg", "lchown",
    "mkfifo", "mknod", "openpty", "posix_fallocate", "posix_spawn", "posix_spawnp", "pread",
    "pwrite", "sched_getaffinity", "sendfile", "setgid", "setgroups", "setsid", "setuid",
    "setxattr", "statvfs", "sync", "uname", "wait", "writev",
):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "alarm"):
    delattr(signal, name)
sys.platform = "win32"
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except pytest.skip.Exception:
        pass  # as a whole, for a reason of its own
    except Exception as exc:
        print(f"{name}: {type(exc).__name__}: {exc}")
"""


@pytest.mark.slow
def test_the_tests_can_be_imported_on_windows() -> None:
    done = subprocess.run(
        (sys.executable, "-c", LIKE_WINDOWS, *MODULES),
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("module", TESTED)
def test_the_modules_that_are_changed_have_tests(module: str) -> None:
    assert (TESTS.parent / "fx_hooks" / f"{module}.py").exists()
    assert all((TESTS / f"test_{name}.py").exists() for name in TESTED[module].split())
