"""Names and texts of others stay inert wherever a command prints them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fx_hooks.util.terminal import Inert
from tests.contract_support import LISTING, META, STATE, entry, listing
from tests.support import Repo

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")

NAMES = [
    "##[error]a", "::error ::a", "a\n::error ::b", "a\r::warning ::b", "\x1b[31mred", "a\u202eb",
    "\u2066a\u2069", "a\x9b31mb", "</script><b>", "a\x07b", "a\u200bb", "\ufeffa",
]  # fmt: skip
COMMANDS = [
    ("check_artifacts", "--all-files"),
    ("check_artifacts", "--all-files", "--verbose"),
    *(
        (command, *words, "--format", name)
        for command, words in (("check_artifacts", ["--all-files"]), ("check_best_models", []))
        for name in ("json", "sarif", "gitlab", "github")
    ),
    ("check_best_models",),
    ("check_range",),
    ("check_range", "--format", "github"),
    ("cli.explain", "--all-files"),
    ("cli.report_space",),
    ("cli.report_space", "--format", "json"),
    ("cli.report_space", "--history"),
    ("cli.clean_runs", "."),
    ("cli.archive_runs", "--dry-run", "outputs", "a.tar.gz"),
    ("cli.archive_runs", "outputs", "##[x].tar.gz"),
    ("cli.archive_runs", "--list", "there.tar.gz"),
    ("cli.archive_runs", "--list", "there.tar.gz", "--format", "json"),
    ("cli.archive_runs", "--restore", "there.tar.gz", "--dry-run"),
    ("sync_gitignore", "--diff"),
    ("sync_gitignore", "--findings"),
    ("cli.init", "--dry-run"),
    ("cli.rules",),
    ("cli.add_milestone", "best_models/##[error]a.pt", "--why", "##[x]", "--dry-run"),
    ("cli.add_milestone", "##[none", "--why", "x"),
    ("cli.explain", "##[none", "\x1b[31m"),
]


def obeyed(text: str) -> Iterator[str]:
    """The lines that GitHub's runner takes for commands (``ActionCommandManager``)."""
    stopped = ""
    for line in text.splitlines():
        if stopped:
            if line.strip() == f"::{stopped}::":
                stopped = ""
        elif line.lstrip().startswith("::stop-commands::"):
            stopped = line.split("::")[2]
        elif line.lstrip().startswith("::") or "##[" in line:
            yield line


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Every kind of file under every odd name."""
    repo = Repo.init(tmp_path_factory.mktemp("hostile") / "repo")
    for key, value in (("user.name", "a"), ("user.email", "a@b")):
        repo.git("config", key, value)
    for name in NAMES:
        for path in (f"{name}.pt", f"best_models/{name}.zip", f"best_models/{name}_meta.json"):
            repo.write(path, '{"apikey": "x"')
        repo.write(f"conf/{name}.yaml", "hydra: {run: {dir: '##[x]'}}\n")
        repo.write(f"outputs/{name}/.hydra/config.yaml", "a: 1\n")
    repo.write("best_models/##[error]a.pt", STATE)
    repo.write("best_models/##[error]a_meta.json", META)
    repo.write(LISTING, listing(entry(STATE, "best_models/##[error]a.pt", why="'##[x]'")))
    repo.write(".gitignore", "##[x]\n::error ::x\n!*.pt\n\x1b[31m\n")
    for place, folders, files in os.walk(repo.root / "outputs"):
        for each in (*folders, *files):
            os.utime(os.path.join(place, each), (1_700_000_000, 1_700_000_000))
    repo.stage_all()
    repo.commit("-m", "##[error]x\n\n::error ::x")
    pack = (sys.executable, "-m", "fx_hooks.cli.archive_runs", "outputs", "there.tar.gz")
    subprocess.run(pack, cwd=repo.root, check=False, capture_output=True)
    return repo


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_nothing_printed_is_obeyed(
    hostile: Repo, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = subprocess.run(
        (sys.executable, "-m", f"fx_hooks.{words[0]}", *words[1:]),
        cwd=hostile.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    text = result.stdout.decode("utf-8")
    assert "Traceback" not in text
    lines = list(obeyed(text))
    if "github" in words:
        kinds = ("::error ", "::warning ", "::notice ", "::group::", "::endgroup::")
        assert lines
        assert all(line.startswith(kinds) for line in lines), lines
    else:
        assert lines == []
    # What moves the cursor, hides or turns text round is not sent to any terminal.
    odd = {char for char in text if not char.isprintable()} - {"\n"}
    assert odd == set(), ascii(odd)
    if ("json" in words or "sarif" in words or "gitlab" in words) and words[0] != "cli.explain":
        json.loads(text)


def test_what_is_guarded_is_still_read() -> None:
    stream = io.StringIO()
    inert = Inert(stream)
    print("a", file=inert)
    print("##[error]", end="", file=inert)
    inert.flush()
    print("b\n ::error ::c\nd", file=inert)
    inert.flush()
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if not line.startswith("::")] == [
        "a", "##[error]", "b", " ::error ::c", "d",
    ]  # fmt: skip
    assert list(obeyed(stream.getvalue())) == []
