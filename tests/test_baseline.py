"""``.fx-hooks-baseline``: what it accepts at every door, and what it never accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fx_hooks.cli import explain, init
from fx_hooks.frameworks import NAMES
from fx_hooks.policy.baseline import Baseline, format_baseline, parse_baseline
from fx_hooks.util.errors import FatalError
from tests.contract_support import MODULE, STATE
from tests.contract_support import check as contract
from tests.support import CLEAN, WEIGHTS, Repo, Result, run
from tests.test_check_range import check as ranges

OLD = "outputs/2024-01-31/12-00-00/metric.csv"
NAME = ".fx-hooks-baseline"


def fx_init(repo: Repo, *arguments: str, cwd: str = ".") -> Result:
    return run(init.main, *arguments, cwd=repo.root / cwd)


@pytest.fixture
def grown(repo: Repo) -> Repo:
    """A repository that tracks artifacts, an old model, and metadata that says too little."""
    repo.stage(OLD, "1\n")
    repo.stage("exp/m.ckpt", STATE)
    repo.stage("best_models/old.pt", STATE)
    repo.stage("best_models/old_meta.json", '{"acc": 0.9}')
    repo.stage("best_models/other_meta.json", '{"f1": 0.7}')
    repo.commit()
    return repo


def adopt(repo: Repo, option: str = "--baseline") -> None:
    assert fx_init(repo, "--yes", option).code == 0
    repo.git("add", "-A")
    assert repo.check_once() == contract(repo) == CLEAN
    repo.commit()


def blob(repo: Repo, path: str) -> str:
    return repo.git("rev-parse", f"HEAD:{path}").strip()


def test_the_audit_says_what_is_accepted(grown: Repo, tmp_path: Path) -> None:
    assert "accept" not in ranges(grown, "--all").out
    adopt(grown)
    page = tmp_path / "audit.html"
    lines = ranges(grown, "--all", "--html", str(page)).out.splitlines()
    assert lines[1] == f"No artifacts in it but what {NAME} accepts."
    # The same model is there twice.
    assert lines[2].startswith(f"Accepted by {NAME}, and not counted as artifacts: 4 blobs, ")
    assert f"No artifacts but what {NAME} accepts." in page.read_text("utf-8")
    figures = json.loads(ranges(grown, "--all", "--format", "json").out)["audit"]
    assert (figures["accepted"]["blobs"], figures["artifacts"]["blobs"]) == (4, 0)
    size = sum(len(text) for text in (b"1\n", STATE, b'{"acc": 0.9}', b'{"f1": 0.7}'))
    assert figures["accepted"]["size"] == size
    grown.stage("again.log", "1\n")  # of the same content
    grown.commit()
    said = ranges(grown, "--all").out
    assert f"Accepted by {NAME}, and not counted as artifacts: 3 blobs, " in said
    assert "Artifacts: 1 blob" in said


def test_the_file(grown: Repo) -> None:
    adopt(grown)
    paths = ["best_models/old.pt", "best_models/old_meta.json", "best_models/other_meta.json",
             "exp/m.ckpt", OLD]  # fmt: skip
    lines = (grown.root / NAME).read_text().splitlines()
    assert lines[1:] == [f"{blob(grown, path)} {path}" for path in paths]
    assert not (grown.root / ".fx-hooks.yaml").exists()
    before = grown.on_disk()
    assert fx_init(grown, "--yes", "--baseline").code == 0
    assert grown.on_disk() == before


@pytest.mark.parametrize("option", ["--baseline", "--keep-tracked"])
def test_every_door_accepts_it(grown: Repo, option: str) -> None:
    base = grown.git("rev-parse", "HEAD~1").strip()
    assert "Or accept what is tracked today" in fx_init(grown, "--dry-run").out
    adopt(grown, option)
    assert grown.check_once("--all-files") == CLEAN
    assert contract(grown, "--all-files") == CLEAN
    assert ranges(grown, f"{base}..HEAD") == CLEAN
    assert ranges(grown, "--all").code == 0
    assert fx_init(grown).out.endswith("No tracked file breaks the policy.\n")


@pytest.mark.parametrize("option", ["--baseline", "--keep-tracked"])
def test_what_is_new_is_refused(grown: Repo, option: str) -> None:
    adopt(grown, option)
    grown.stage(f"{OLD}.csv", "1\n")
    grown.stage("exp/n.ckpt", STATE)
    grown.stage("best_models/new.pt", STATE)
    said = grown.check_once()
    assert said.code == 1
    assert "3 files do not belong in Git" in said.out
    assert "best_models/new.pt" in contract(grown).out
    grown.commit()
    assert ranges(grown, "HEAD~1..HEAD").code == 1
    grown.git("reset", "-q", "--hard", "HEAD~1")
    grown.stage("best_models/old.pt", STATE + b"\0")
    assert grown.check_once().code == 1
    grown.git("reset", "-q", "--hard")
    grown.stage(OLD, "2\n")
    # With the path alone, its content may change.
    assert grown.check_once().code == (1 if option == "--baseline" else 0)
    grown.git("mv", "-f", OLD, f"{OLD}.txt")
    assert grown.check_once().code == 1


def test_what_is_accepted_stays_where_its_neighbour_goes(grown: Repo) -> None:
    adopt(grown)
    new = OLD.replace("metric", "new")
    grown.stage(new, "1\n")
    grown.commit()
    result = grown.check_once("--all-files")
    grown.follow(result)
    assert new.encode() not in grown.tracked()
    assert OLD.encode() in grown.tracked()


def test_what_would_run_code_is_never_accepted(grown: Repo) -> None:
    grown.stage("best_models/module.pt", MODULE)
    grown.stage("exp/module.pt", MODULE)
    grown.commit()
    result = fx_init(grown, "--yes", "--baseline")
    assert result.code == 1
    name = "torch.nn.modules.linear.Linear"
    assert f"    fx-add-milestone best_models/module.pt --why TEXT --allow-global {name}\n" in (
        result.out
    )
    assert "exp/module.pt: the baseline leaves it out" in result.out
    assert "module.pt" not in (grown.root / NAME).read_text()
    # Nor where somebody has written it down by hand.
    with (grown.root / NAME).open("a") as file:
        for path in ("best_models/module.pt", "exp/module.pt"):
            file.write(f"{blob(grown, path)} {path}\n- {path}\n")
    grown.git("add", NAME)
    assert "2 files do not belong" in grown.check_once("--all-files").out
    assert "module.pt" in contract(grown, "--all-files").out
    grown.commit()
    assert "module.pt" in ranges(grown, "HEAD~2..HEAD").out


def test_it_is_explained(grown: Repo) -> None:
    adopt(grown)

    def told(*names: str) -> str:
        return run(explain.main, *names, cwd=grown.root).out

    said = told(OLD, "exp/m.ckpt", "best_models/old.pt").splitlines()
    assert said[0].startswith(f"{OLD}: allowed: outputs (built-in policy, hydra:")
    assert said[0].endswith(f" does not hold, because {NAME} accepts it as it is")
    assert said[1].endswith(f"because {NAME} accepts it as it is")
    assert said[2].startswith("best_models/old.pt: allowed: ")
    assert all(NAME in line for line in said[3:]), said
    assert run(explain.main, "--quiet", OLD, cwd=grown.root).code == 0
    record = json.loads(told("--format", "json", OLD))
    assert (record["verdict"], record["rule"]) == ("allowed", None)
    assert record["overrides"]["rule"] == "outputs"
    assert record["released"] == f"{NAME} accepts it as it is"
    # The patterns alone know nothing of it.
    assert "blocked" in told("--paths-only", OLD)
    grown.stage(OLD, "2\n")
    grown.stage("exp/module.pt", MODULE)
    grown.stage("best_models/new.pt", STATE)
    more = "- exp/module.pt\n- best_models/new.pt\n"
    grown.stage(NAME, (grown.root / NAME).read_text() + more)
    said = told(OLD, "exp/module.pt", "best_models/new.pt").splitlines()
    assert said[1] == f"    {NAME} lists it with other content"
    assert said[3] == f"    {NAME} lists it, but never accepts a model that would run code"
    assert said[5] == (f"    {NAME} lists it without the id of its content, which is needed here")
    changed = json.loads(told("--format", "json", OLD))
    assert (changed["verdict"], changed["baseline"]) == ("blocked", "lists it with other content")


def test_a_path_alone_is_not_enough_in_best_models(grown: Repo) -> None:
    adopt(grown)
    grown.stage("best_models/new.pt", STATE)
    grown.stage(NAME, (grown.root / NAME).read_text() + "- best_models/new.pt\n")
    assert grown.check_once().code == 1
    assert "new.pt" in contract(grown).out


def test_lines_that_are_taken_out_count_at_once(grown: Repo) -> None:
    adopt(grown)
    grown.git("rm", "-q", "--cached", NAME)
    (grown.root / NAME).unlink()
    assert grown.check_once("--all-files").code == 1
    assert contract(grown).code == 1


def test_only_what_head_has(grown: Repo) -> None:
    grown.stage("train.log", "new\n")
    assert fx_init(grown, "--yes", "--baseline").code == 1
    assert "train.log" not in (grown.root / NAME).read_text()


def test_without_a_commit(empty: Repo) -> None:
    empty.stage("train.log", "new\n")
    assert fx_init(empty, "--yes", "--baseline").code == 1
    assert not (empty.root / NAME).exists()


@pytest.mark.slow
def test_two_thousand_artifacts(repo: Repo) -> None:
    repo.stage("src/a.py")
    for number in range(2000):
        repo.write(f"outputs/2024-01-{number % 28 + 1:02}/12-00-00/{number}.csv", str(number))
    repo.stage_all()
    repo.commit()
    result = fx_init(repo, "--yes", "--baseline")
    assert result.code == 0
    # A line for each tool of the block, and little else.
    assert len(result.out.splitlines()) < 40 + len(NAMES)
    assert not (repo.root / ".fx-hooks.yaml").exists()
    repo.git("add", "-A")
    assert repo.check_once("--all-files") == CLEAN


ODD = [b"a\nb.pt", b'"a.pt', b" a.pt", b"a.pt ", b"\xff.pt", b"#a.pt", "ü.pt".encode(), b"a\\b.pt"]


@pytest.mark.parametrize("path", ODD)
def test_odd_names_come_back(path: bytes) -> None:
    known = Baseline(contents=frozenset({(path, "0" * 40)}), paths=frozenset({path + b"x"}))
    text = format_baseline(known)
    assert parse_baseline(text) == known
    assert parse_baseline(text.replace(b"\n", b"\r\n")) == known
    assert text.count(b"\n") == 3


def test_odd_names_are_accepted(repo: Repo) -> None:
    for path in ODD:
        repo.stage(path, WEIGHTS)
    repo.stage("train.log")
    repo.commit()
    fx_init(repo, "--yes", "--keep-tracked")
    repo.git("add", "-A")
    assert b"train.log" in (repo.root / NAME).read_bytes()


@pytest.mark.parametrize("line", ["x", "- ", "0 a", '- "a', '- a"b', "- a\tb", "z" * 40 + " a"])
def test_what_is_no_baseline(repo: Repo, line: str) -> None:
    with pytest.raises(FatalError, match=r"\.fx-hooks-baseline:2: is not a blob id"):
        parse_baseline(f"# x\n{line}\n".encode())
    repo.stage(NAME, f"# x\n{line}\n")
    repo.stage("model.pt", WEIGHTS)
    assert repo.check_once().code == 2
    assert contract(repo).code == 2


def test_a_link_is_no_baseline(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("- model.pt\n")
    repo.link(NAME, tmp_path / "elsewhere")
    repo.stage("model.pt", WEIGHTS)
    assert repo.check_once().code == 2
    repo.git("add", NAME)
    assert repo.check_once().code == 2
