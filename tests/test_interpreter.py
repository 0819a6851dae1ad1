"""The interpreter of a command: whose modules it imports, and in which encoding it reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fx_hooks.fastpath import interpreter
from tests.contract_support import STATE
from tests.support import Repo, mostly_slow, unmeasured

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shells and locales of POSIX")
ROOT = Path(interpreter.__file__).parents[2]
# As pip has written it since version 24: nothing is imported before us.
SCRIPT = "import sys\nfrom fx_hooks.{} import main\nsys.exit(main())\n"
MODULES = ("types", "token", "argparse", "json", "subprocess", "yaml", "enum", "typing", "string")
LATIN = "en_US.ISO-8859-1"


def run(
    repo: Repo, module: str, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    script = repo.root.parent / "script"
    script.write_text(SCRIPT.format(module))
    return subprocess.run(
        (sys.executable, script, *arguments),
        cwd=repo.root,
        env=unmeasured() | {"LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with modules of the user's that break everything that imports them."""
    folder = tmp_path / "library"
    folder.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text("raise SystemExit('imported')\n")
    return folder


@pytest.mark.parametrize(
    ("module", "code"),
    [("check_artifacts", 1), ("check_best_models", 0), ("sync_gitignore", 1), ("__main__", 2)],
)
def test_no_module_comes_from_pythonpath(repo: Repo, library: Path, module: str, code: int) -> None:
    repo.stage("model.pt")
    path = os.pathsep.join((str(library), str(ROOT)))
    done = run(repo, module, PYTHONPATH=path)
    assert (done.returncode, b"imported" in done.stderr) == (code, False), done.stderr


def test_no_module_comes_from_the_current_folder(repo: Repo, library: Path) -> None:
    repo.stage("model.pt")
    for name in MODULES:
        repo.write(f"{name}.py", (library / f"{name}.py").read_bytes())
    program = "import sys\nsys.argv = ['x']\n" + SCRIPT.format("check_artifacts")
    done = subprocess.run(
        (sys.executable, "-c", program),
        cwd=repo.root,
        env=unmeasured() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (1, b"")


def test_what_was_imported_before_is_imported_anew(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / "token.py").write_text("mine = True\n")
    monkeypatch.setenv("PYTHONPATH", str(library))
    monkeypatch.syspath_prepend(str(library))
    monkeypatch.delitem(sys.modules, "token")
    import token

    assert hasattr(token, "mine")
    interpreter.leave_out_users_modules()
    assert str(library) not in sys.path
    assert "token" not in sys.modules


def test_a_folder_that_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    before = list(sys.path)
    monkeypatch.setattr(sys, "path", ["", *before])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    interpreter.leave_out_users_modules()
    assert sys.path == [entry for entry in before if entry]


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a locale whose encoding is ISO-8859-1."""
    folder = tmp_path_factory.mktemp("locales")
    made = ("localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / LATIN))
    try:
        subprocess.run(made, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("localedef cannot make a locale here")
    return str(folder)


@pytest.mark.parametrize("locale", mostly_slow([LATIN, "C", "POSIX"], 3))
def test_names_are_utf8_in_every_locale(repo: Repo, latin: str, locale: str) -> None:
    repo.stage("config/größe.yaml", "# Größe\nhydra:\n  run:\n    dir: läufe/${now:%H}\n")
    repo.write("größe.pt", STATE)
    weak = {
        "LC_ALL": locale, "LOCPATH": latin, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    for module, *arguments in (
        ("__main__", "add-milestone", "größe.pt", "--why", "schön", "--metric", "güte=1"),
        ("__main__", "init", "--yes"),
    ):
        if arguments[0] == "add-milestone":
            repo.write("best_models/größe_meta.json", '{"config": {"ä": 1}}')
        done = run(repo, module, *arguments, **weak)
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.returncode == 0, done.stderr
        repo.git("add", "-f", "best_models")
    assert '"best_models/größe.pt":' in (repo.root / "best_models/milestones.yaml").read_text(
        "utf-8"
    )
    policy = (repo.root / ".fx-hooks.yaml").read_text("utf-8")
    assert 'paths: ["/läufe"]  # config/größe.yaml:4' in policy
    repo.git("add", ".gitignore", ".fx-hooks.yaml")
    for module in ("check_artifacts", "check_best_models", "sync_gitignore"):
        assert run(repo, module, **weak).returncode == 0


def test_the_terminal_keeps_its_encoding(repo: Repo, latin: str) -> None:
    repo.stage("größe.pt")
    weak = {"LC_ALL": LATIN, "LOCPATH": latin, "PYTHONUTF8": "0"}
    done = run(repo, "check_artifacts", **weak)
    assert "größe.pt  ".encode("latin-1") in done.stdout
    # What is copied from it has to name the same file.
    assert b"git reset -q -- \"$(printf 'gr\\303\\266\\303\\237e.pt')\"" in done.stdout


@pytest.mark.parametrize("closed", mostly_slow([">&- 2>&-", "", ">&-", "2>/dev/full", "2>&-"], 3))
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("check-artifacts", 1),
        ("check-artifacts --nope", 2),
        ("explain --nope", 2),
        ("init", 2),
        ("nope", 2),
        ("sync-gitignore --check", 1),
        ("--version", 0),
    ],
)
def test_exit_codes_hold_where_nothing_can_be_written(
    repo: Repo, command: str, code: int, closed: str
) -> None:
    repo.stage("model.pt")
    line = f"exec {sys.executable} -m fx_hooks {command} {closed} </dev/null"
    done = subprocess.run(
        ("sh", "-c", line),
        cwd=repo.root,
        env=unmeasured() | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert done.returncode == code


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("", id="nothing"),
        pytest.param("print('said', end='')", id="what waits to be written"),
        pytest.param("import atexit; atexit.register(print, 'said')", id="a callback"),
        pytest.param(
            "import threading, time\n"
            "threading.Thread(target=lambda: (time.sleep(0.2), print('said'))).start()",
            id="a thread",
        ),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_the_end_waits_for_what_others_have_to_do(tmp_path: Path, before: str, code: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"{before}\nfrom fx_hooks.fastpath import interpreter\n"
        f"def run(): interpreter.end({code})\nrun()\n"
    )
    done = subprocess.run(
        (sys.executable, script), env=unmeasured() | {"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.strip() == (b"said" if before else b"")


@pytest.mark.parametrize("before", [True, False])
def test_garbage_is_looked_for_while_a_command_works(tmp_path: Path, before: bool) -> None:
    """And where the host of a command does not want it, it stays so."""
    script = tmp_path / "script.py"
    script.write_text(
        "import gc\n"
        f"gc.enable() if {before} else gc.disable()\n"
        "from fx_hooks.fastpath import interpreter\n"
        "interpreter.begin()\n"
        "meanwhile = gc.isenabled()\n"
        "from fx_hooks.cli._common import guarded\n"
        "guarded('x', lambda: print(meanwhile, gc.isenabled()) or 0)\n"
    )
    done = subprocess.run(
        (sys.executable, script), env=unmeasured() | {"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.stdout.decode().split() == ["False", str(before)]


@pytest.mark.parametrize("way", [(), ("-m", "cProfile")], ids=["alone", "profiled"])
def test_the_end_comes_at_once_for_a_script_alone(tmp_path: Path, way: tuple[str, ...]) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "class Last:\n def __del__(self): print('taken apart')\nlast = Last()\n"
        "from fx_hooks.fastpath import interpreter\n"
        "def run(): interpreter.end(0)\nrun()\n"
    )
    # Without the packages of the environment, which may register callbacks.
    done = subprocess.run(
        (sys.executable, "-S", *way, script),
        env=unmeasured() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"function calls" in done.stdout) == bool(way)
    assert (b"taken apart" in done.stdout) <= bool(way)
