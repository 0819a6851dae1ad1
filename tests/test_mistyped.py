"""Names of no file, and ranges without a commit, are told of: often they are not what was meant."""

from __future__ import annotations

import json

import pytest

from fx_hooks import check_artifacts, check_range
from fx_hooks.fastpath import artifacts, commit_range
from tests.support import Repo, working_directory


@pytest.fixture(autouse=True)
def there(repo: Repo) -> None:
    repo.stage("src/train.py", "x = 1\n")
    repo.stage("src/gone.py", "x = 1\n")
    repo.stage("old/gone.py", "x = 1\n")
    repo.commit()
    repo.write("untracked/new.py", "x = 1\n")
    repo.git("rm", "-q", "-r", "src/gone.py", "old")


def check(repo: Repo, *arguments: str, folder: str = ".") -> int:
    with working_directory(repo.root / folder):
        return check_artifacts.main(arguments)


@pytest.mark.parametrize("before", [(), ("--",), ("src/train.py",), ("--", "src/train.py")])
@pytest.mark.parametrize("tables", [False, True])
def test_a_name_of_no_file(
    repo: Repo, before: tuple[str, ...], tables: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    if tables:  # for the fast path
        assert check(repo, "src/train.py") == 0
    capfd.readouterr()
    assert check(repo, *before, "src/trian.py") == 0
    said = "src/trian.py is neither tracked nor on disk, so nothing is checked\n"
    assert capfd.readouterr() == ("", f"fx-check-artifacts: note: {said}")


def test_names_of_no_file_are_counted(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    assert check(repo, *(f"a{number}\x1b.py" for number in range(50)), folder="src") == 0
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert (out, len(lines)) == ("", 6)
    assert lines[0].startswith("fx-check-artifacts: note: 'src/a0\\x1b.py' is neither")
    assert lines[-1] == "fx-check-artifacts: note: nor are 45 more"


@pytest.mark.parametrize("tables", [False, True])
def test_more_than_a_person_types(
    repo: Repo, tables: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ["--", *(f"a{number}.py" for number in range(51))]
    if tables:
        assert check(repo, "src/train.py") == 0
        with working_directory(repo.root):
            assert artifacts.proven_clean(names)
    assert check(repo, *names) == 0
    assert capfd.readouterr() == ("", "")


def test_a_name_that_github_would_obey(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert check(repo, "x##[error]y") == 0
    assert capfd.readouterr().err.startswith("::stop-commands::")


@pytest.mark.parametrize(
    "name",
    [
        "src/train.py",
        "src",
        ".",
        "src/gone.py",
        "old",
        "old/gone.py",
        "untracked",
        "untracked/new.py",
    ],
)
@pytest.mark.parametrize("dashes", [(), ("--",)])
def test_names_that_are_known(
    repo: Repo, name: str, dashes: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert check(repo, *dashes, name) == 0
    assert capfd.readouterr() == ("", "")


def test_what_is_checked_with_a_name_of_no_file(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage("outputs/2026-01-05/10-00-00/.hydra/config.yaml", "a: 1\n")
    assert check(repo, "outputs", "nowhere") == 1
    assert "nowhere is neither" in capfd.readouterr().err


def test_names_that_are_known_stay_on_the_fast_path(repo: Repo) -> None:
    assert check(repo, "src/train.py") == 0
    with working_directory(repo.root):
        assert artifacts.proven_clean(["--", "src/train.py"])
        assert not artifacts.proven_clean(["--", "src/train.py", "src/trian.py"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("HEAD..HEAD",), "HEAD..HEAD has no commits, so nothing is checked"),
        (("main..",), "main..HEAD has no commits, so nothing is checked"),
        (
            ("HEAD..HEAD~",),
            "HEAD..HEAD~ has no commits, so nothing is checked: did you mean HEAD~..HEAD?",
        ),
        (("--from-ref", "HEAD", "--to-ref", "HEAD"), "HEAD..HEAD has no commits, so nothing"),
    ],
)
@pytest.mark.parametrize("tables", [False, True])
def test_a_range_without_commits(
    repo: Repo,
    arguments: tuple[str, ...],
    said: str,
    tables: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    repo.commit()
    if tables:
        assert check(repo, "src/train.py") == 0
    with working_directory(repo.root):
        assert check_range.main(arguments) == 0
        out, err = capfd.readouterr()
        assert (out.count("\n"), err) == (1, "")
        assert out.startswith(f"note: {said}")
        assert check_range.main((*arguments, "--format", "json")) == 0
    (note,) = json.loads(capfd.readouterr().out)["notes"]
    assert note.startswith(said)


def test_a_range_of_a_runner_may_be_empty(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.commit()
    monkeypatch.setenv("PRE_COMMIT_FROM_REF", "HEAD")
    monkeypatch.setenv("PRE_COMMIT_TO_REF", "HEAD")
    with working_directory(repo.root):
        assert check_range.main(()) == 0
    assert capfd.readouterr() == ("", "")


def test_a_range_with_commits_says_nothing(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    repo.commit()
    assert check(repo, "src/train.py") == 0
    with working_directory(repo.root):
        assert check_range.main(("HEAD~..HEAD",)) == 0
        assert commit_range.proven_clean(["HEAD~..HEAD"])
    assert capfd.readouterr() == ("", "")
