"""What is wrong with the input is said in one line, with exit code 2, and never clean."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import CLEAN, IS_ROOT, SCRIPT, WEIGHTS, Repo, Result, run_main, working_directory


def assert_error(result: Result, *words: str) -> None:
    assert result.code == 2, result
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("fx-check-artifacts: error: ")
    for word in words:
        assert word in lines[0]


def assert_usage_error(result: Result, *words: str) -> None:
    assert result.code == 2, result
    assert result.out == ""
    assert "Traceback" not in result.err
    last = result.err.splitlines()[-1]
    assert last.startswith("fx-check-artifacts: error: ")
    for word in words:
        assert word in last


# The policy


BAD_POLICIES = [
    pytest.param("ignore: [\n", ":1:9", id="broken"),
    pytest.param("ignore:\n- *.pt\n", ":2", id="alias"),
    pytest.param("keep: ['a\n", "YAML", id="open-quote"),
    pytest.param("\tkeep: []\n", ":1", id="tab"),
    pytest.param("keep: []\n---\nkeep: []\n", "YAML", id="two-documents"),
    pytest.param("kep: [x.pt]\n", "'keep'", id="unknown-key"),
    pytest.param("keep: [a]\nkeep: [b]\n", ":2: keep: duplicate", id="duplicate-key"),
    pytest.param("ignore:\n- {rule: a, paths: [x], paths: [y]}\n", "duplicate", id="inner"),
    pytest.param("- x.pt\n", "mapping", id="list"),
    pytest.param("x.pt\n", "mapping", id="text"),
    pytest.param("keep: x.pt\n", "keep: must be a list", id="not-a-list"),
    pytest.param("keep:\n- a\n- 3\n", ":3: keep[1]", id="number"),
    pytest.param("keep:\n- null\n", ":2: keep[0]", id="null"),
    pytest.param("keep: ['!x.pt']\n", "keep[0]", id="negation"),
    pytest.param("keep: ['']\n", "is empty", id="empty-pattern"),
    pytest.param("keep: ['[a']\n", "keep[0]", id="open-set"),
    pytest.param("keep: ['[z-a]']\n", "keep[0]", id="reversed-range"),
    pytest.param("keep: ['a/../b']\n", "'..'", id="parent"),
    pytest.param("keep: [/]\n", "'/'", id="slash"),
    pytest.param("disable: [wandbb]\n", "'wandb'", id="unknown-rule"),
    pytest.param("ignore:\n- {rule: weights, paths: [x]}\n", "taken", id="taken-name"),
    pytest.param(b"keep: [\xff]\n", "UTF-8", id="not-utf-8"),
    pytest.param(b"keep: [a]\n\x00\n", ":2: has the character", id="nul"),
    pytest.param("[" * 5000, "YAML", id="deep"),
    pytest.param("? [a]\n: b\n", ":1", id="odd-key"),
    pytest.param("keep: !!python/object/apply:os.system [id]\n", ":1", id="tag"),
    pytest.param("#" * 1_100_000, "bytes", id="huge"),
]


@pytest.mark.parametrize(("text", "word"), BAD_POLICIES)
def test_bad_policy(repo: Repo, text: str | bytes, word: str) -> None:
    repo.write(".fx-hooks.yaml", text)
    assert_error(repo.check("train.py"), ".fx-hooks.yaml:", word)
    repo.git("add", ".fx-hooks.yaml")
    assert_error(repo.check(), ".fx-hooks.yaml:", word)


@pytest.mark.parametrize("arguments", [[], ["--"], ["train.py"], ["--all-files"], ["--verbose"]])
def test_bad_policy_is_an_error_however_it_is_asked(repo: Repo, arguments: list[str]) -> None:
    assert repo.check_once(*arguments) == CLEAN
    repo.stage(".fx-hooks.yaml", "kep: []\n")
    # Tables of the policy before are there.
    assert_error(repo.check_once(*arguments), ".fx-hooks.yaml:1: kep: unknown key")
    assert_error(repo.check(*arguments), ".fx-hooks.yaml:1: kep: unknown key")


def test_bad_policy_given(repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("kep: []\n")
    assert_error(repo.check("--policy", str(path)), f"{path}:1: kep")
    assert_error(repo.check("--policy", str(tmp_path / "none.yaml")), "none.yaml")
    assert_error(repo.check("--policy", str(tmp_path)), str(tmp_path))
    assert_error(repo.check("--policy", ""))
    path.write_text("keep: []\n")
    assert repo.check("--policy", str(path)) == CLEAN


def test_policy_given_counts_alone(repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("keep: [x.pt]\n")
    repo.stage("x.pt", WEIGHTS)
    repo.stage(".fx-hooks.yaml", "ignore: [train.py]\n")
    assert repo.check("--policy", str(path)) == CLEAN
    assert repo.check("--policy", str(path), "train.py") == CLEAN
    # It leaves no tables behind that the next commit would take for its own.
    assert repo.check_once("--policy", str(path)) == CLEAN
    assert repo.check_once("x.pt").code == 1
    assert repo.check_once("train.py").code == 1


def test_directory_as_policy(repo: Repo) -> None:
    repo.write(".fx-hooks.yaml/x", "")
    assert_error(repo.check("train.py"), ".fx-hooks.yaml", "folder")


def test_policy_as_dangling_link(repo: Repo) -> None:
    repo.link(".fx-hooks.yaml", "nowhere")
    # It is there and cannot be read, whatever stands behind it.
    assert_error(repo.check("train.py"), ".fx-hooks.yaml")


def test_policy_as_link_to_itself(repo: Repo) -> None:
    repo.link(".fx-hooks.yaml", ".fx-hooks.yaml")
    assert_error(repo.check("train.py"), ".fx-hooks.yaml")


def test_policy_as_staged_link(repo: Repo) -> None:
    repo.write("policy.yaml", "keep: []\n")
    repo.link(".fx-hooks.yaml", "policy.yaml")
    repo.git("add", ".fx-hooks.yaml", "policy.yaml")
    assert_error(repo.check("train.py"), ".fx-hooks.yaml", "link")


def test_policy_as_submodule(repo: Repo) -> None:
    repo.gitlink(".fx-hooks.yaml")
    assert_error(repo.check("train.py"), ".fx-hooks.yaml")


@pytest.mark.skipif(IS_ROOT or os.name == "nt", reason="every file is readable")
def test_unreadable_policy(repo: Repo) -> None:
    repo.write(".fx-hooks.yaml", "keep: []\n")
    (repo.root / ".fx-hooks.yaml").chmod(0)
    assert_error(repo.check("train.py"), ".fx-hooks.yaml: cannot be read")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("milestone: {}\n", id="unknown-key"),
        pytest.param("milestones: [x.pt]\n", id="list"),
        pytest.param("milestones: {elsewhere/x.pt: {}}\n", id="elsewhere"),
        pytest.param("milestones: {best_models/../x.pt: {}}\n", id="parent"),
        pytest.param("milestones: {\n", id="broken"),
    ],
)
def test_bad_milestones(repo: Repo, text: str) -> None:
    with working_directory(repo.root):
        assert run_main([]) == CLEAN  # leaves tables for the fast path
        repo.stage("best_models/milestones.yaml", text)
        for arguments in ([], ["--", "train.py"], ["--all-files"]):
            assert_error(run_main(arguments), "best_models/milestones.yaml:")


@pytest.mark.parametrize("name", [".fx-hooks.yaml", "pipe"])
def test_policy_as_pipe(repo: Repo, name: str) -> None:
    os.mkfifo(repo.root / name)
    arguments = ["train.py"] if name.startswith(".") else ["--policy", name]
    assert_error(repo.check(*arguments), f"{name}: is a pipe")


def test_policy_without_end(repo: Repo) -> None:
    assert_error(repo.check("--policy", "/dev/zero"), "/dev/zero:1: has more than")


# The repository


@pytest.mark.parametrize("arguments", [[], ["--"], ["x.py"], ["--all-files"], ["--", "x.py"]])
def test_not_a_repository(home: Path, arguments: list[str]) -> None:
    with working_directory(home):
        assert_error(run_main(arguments), "not in a git repository")


@pytest.mark.parametrize("arguments", [[], ["x.py"], ["--all-files"]])
def test_bare_repository(home: Path, arguments: list[str]) -> None:
    bare = Repo.init(home / "bare.git", "--bare")
    with working_directory(bare.root):
        assert_error(run_main(arguments), "work tree")


def test_inside_the_git_directory(repo: Repo) -> None:
    assert_error(repo.check("x.py", cwd=".git"), "work tree")


@pytest.mark.parametrize("arguments", [[], ["--all-files"]])
def test_git_missing(
    repo: Repo, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.check()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert_error(repo.check_once(*arguments), "git was not found")
    repo.forget_tables()
    assert_error(repo.check_once("x.py"), "git was not found")


def test_git_that_cannot_be_started(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_bytes(b"\x7fELF no program")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_error(repo.check_once(), "git")


def damage(data: bytes, how: str) -> bytes:
    return {
        "empty": b"",
        "header": b"JUNK" + data[4:],
        "version": data[:4] + b"\0\0\0\x63" + data[8:],
        "cut": data[:20],
        "count": data[:8] + b"\0\0\xff\xff" + data[12:],
    }[how]


@pytest.mark.parametrize("how", ["header", "version", "cut", "count", "empty"])
@pytest.mark.parametrize("arguments", [[], ["--all-files"]], ids=["staged", "all"])
def test_corrupt_index(repo: Repo, how: str, arguments: list[str]) -> None:
    assert repo.check() == CLEAN
    index = repo.root / ".git" / "index"
    index.write_bytes(damage(index.read_bytes(), how))
    assert_error(repo.check_once(*arguments), "git", "failed")
    repo.forget_tables()
    assert_error(repo.check_once(*arguments), "git", "failed")


@pytest.mark.parametrize("how", ["header", "version"])
def test_corrupt_index_with_names(repo: Repo, how: str) -> None:
    assert repo.check() == CLEAN
    index = repo.root / ".git" / "index"
    index.write_bytes(damage(index.read_bytes(), how))
    assert_error(repo.check_once("train.py"), "git", "failed")


@pytest.mark.parametrize("arguments", [[], ["--all-files"], ["train.py"]])
def test_broken_head(repo: Repo, arguments: list[str]) -> None:
    repo.forget_tables()
    (repo.root / ".git" / "HEAD").write_text("junk\n")
    assert_error(repo.check(*arguments), "git")


def test_broken_settings(repo: Repo) -> None:
    assert repo.check() == CLEAN
    (repo.root / ".git" / "config").write_text("[core\n")
    assert_error(repo.check_once(), "git")


def test_dangling_git_file(repo: Repo) -> None:
    (repo.root / "sub").mkdir()
    (repo.root / "sub" / ".git").write_text("gitdir: ../nowhere\n")
    assert_error(Repo(repo.root / "sub").check("x.py"))


# The command line


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--all-file"], id="abbreviation"),
        pytest.param(["--all"], id="short-abbreviation"),
        pytest.param(["--verb"], id="verb"),
        pytest.param(["--pol", "x"], id="policy-abbreviation"),
        pytest.param(["--unknown"], id="unknown"),
        pytest.param(["-x"], id="short"),
        pytest.param(["-v"], id="short-verbose"),
        pytest.param(["train.py", "--unknown"], id="behind-a-file"),
        pytest.param(["--unknown=1"], id="with-value"),
        pytest.param(["-"], id="dash"),
        pytest.param(["--policy"], id="no-value"),
        pytest.param(["--policy", "--", "x"], id="value-behind-dashes"),
        pytest.param(["--verbose=1"], id="redundant-value"),
        pytest.param(["--all-files", "train.py"], id="all-and-names"),
        pytest.param(["--all-files", "--", "train.py"], id="all-and-names-behind"),
    ],
)
def test_usage(repo: Repo, arguments: list[str]) -> None:
    if arguments == ["-"]:
        # A name like any other for argparse: judged by its path.
        assert repo.check(*arguments).code in (0, 2)
        return
    assert_usage_error(repo.check(*arguments))


@pytest.mark.parametrize("arguments", [[""], ["--", ""], ["train.py", ""], ["--", "train.py", ""]])
def test_empty_name(repo: Repo, arguments: list[str]) -> None:
    assert_error(repo.check(*arguments), "empty")


@pytest.mark.parametrize("name", ["../x.py", "/", "/nowhere/x.py", "pkg/../../x.py", "..", "//x"])
def test_outside(repo: Repo, name: str) -> None:
    assert_error(repo.check(name), "outside")
    assert_error(repo.check("--", "train.py", name), "outside")


def test_outside_with_an_odd_name_is_still_one_line(repo: Repo) -> None:
    assert_error(repo.check("--", "../two\nlines"), "outside")
    assert_error(repo.check("--", b"../\xff\x1b[31m"), "outside")


def test_unknown_option_with_an_odd_name_is_still_one_line(repo: Repo) -> None:
    result = repo.check("--two\nlines")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("fx-check-artifacts: error:")


def test_all_files_behind_two_dashes_is_a_name(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    for words in (("--all-files",), ("--",), ("--policy", "none")):
        result = repo.check("--", *words)
        assert (result.code, result.out) == (0, "")
        assert f"{words[0]} is neither tracked nor on disk" in result.err


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help(repo: Repo, option: str) -> None:
    result = repo.check(option)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(("usage: fx-check-artifacts", "fx-check-artifacts "))


def test_reader_that_goes_away(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        (SCRIPT,), cwd=repo.root, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert process.returncode != 0
    assert b"Traceback" not in process.stderr


def test_ascii_terminal(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    repo.stage("modèle.pt", WEIGHTS)
    process = subprocess.run((SCRIPT,), cwd=repo.root, capture_output=True, check=False)
    assert (process.returncode, process.stderr) == (1, b"")


def test_findings_and_errors_are_apart(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    process = subprocess.run((SCRIPT,), cwd=repo.root, capture_output=True, check=False)
    assert process.returncode == 1
    assert process.stdout
    assert process.stderr == b""
    process = subprocess.run((SCRIPT, "../x"), cwd=repo.root, capture_output=True, check=False)
    assert process.returncode == 2
    assert process.stdout == b""
    assert process.stderr.count(b"\n") == 1
