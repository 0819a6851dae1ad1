"""``fx-explain``: which rule decides a path, and why."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from fx_hooks.cli import explain
from tests.support import Repo, Result, exit_code, working_directory

POLICY = """\
ignore:
  - rule: scratch
    paths:
      - /scratch
      - "*.tmp"
    except:
      - /scratch/README.md
    why: scratch holds what nobody needs
    advice: put it elsewhere
  - rule: only-beneath
    paths: ["/cache-of-mine/"]
  - rule: study-runs
    beside: [.study/id]
    why: a study writes it
keep:
  - /scratch/keep
  - "/kept-study/**"
"""
BLOCKED_BY_SCRATCH = (
    "blocked by scratch (.fx-hooks.yaml:4) /scratch: scratch holds what nobody needs"
)


@pytest.fixture
def outside(home: Path, tmp_path: Path) -> Path:  # noqa: ARG001
    """A folder in no repository, with a policy."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / ".fx-hooks.yaml").write_text(POLICY)
    return folder


@pytest.fixture
def inside(repo: Repo) -> Repo:
    """A repository with the policy staged."""
    repo.stage(".fx-hooks.yaml", POLICY)
    return repo


def run(folder: Path, *arguments: str, stdin: bytes | None = None) -> Result:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, working_directory(folder):
        if stdin is not None:
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with redirect_stdout(out), redirect_stderr(err):
            code = exit_code(explain.main, arguments)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Result(code, *texts)


def records(result: Result) -> list[dict[str, Any]]:
    """The JSON objects of standard output: one a line, and nothing else."""
    assert result.code == 0, result
    lines = result.out.splitlines(keepends=True)
    assert all(line.endswith("}\n") for line in lines)
    return [json.loads(line) for line in lines]


def verdicts(result: Result) -> dict[str, str]:
    return {record["path"]: record["verdict"] for record in records(result)}


def origin(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(record[key] for key in ("rule", "pattern", "source", "line"))


# Text.


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param("scratch/x", f"scratch/x: {BLOCKED_BY_SCRATCH}", id="blocked"),
        pytest.param("scratch", f"scratch: {BLOCKED_BY_SCRATCH}", id="the-folder-as-a-link"),
        pytest.param("train.py", "train.py: allowed: no rule matches it", id="no-rule"),
        pytest.param(
            "scratch/README.md",
            "scratch/README.md: allowed by scratch (.fx-hooks.yaml:7) /scratch/README.md",
            id="exception",
        ),
        pytest.param(
            "scratch/keep/x",
            "scratch/keep/x: allowed by keep (.fx-hooks.yaml:16) /scratch/keep,"
            " which overrides scratch (.fx-hooks.yaml:4) /scratch",
            id="keep-overrides-a-rule",
        ),
        pytest.param(
            "kept-study/x",
            "kept-study/x: allowed by keep (.fx-hooks.yaml:17) /kept-study/**",
            id="keep-overrides-nothing",
        ),
        pytest.param(
            "cache-of-mine/x",
            "cache-of-mine/x: blocked by only-beneath (.fx-hooks.yaml:11) /cache-of-mine/",
            id="rule-without-a-reason",
        ),
        pytest.param(
            "a b.tmp",
            "a b.tmp: blocked by scratch (.fx-hooks.yaml:5) *.tmp: scratch holds what nobody needs",
            id="blank",
        ),
        pytest.param(
            "a\n.tmp",
            "'a\\n.tmp': blocked by scratch (.fx-hooks.yaml:5) *.tmp:"
            " scratch holds what nobody needs",
            id="newline",
        ),
        pytest.param(
            "\udcff.tmp",
            "'\\xff.tmp': blocked by scratch (.fx-hooks.yaml:5) *.tmp:"
            " scratch holds what nobody needs",
            id="not-utf-8",
        ),
        pytest.param("-", "-: allowed: no rule matches it", id="dash"),
    ],
)
def test_text(outside: Path, inside: Repo, path: str, line: str) -> None:
    assert run(outside, path) == Result(0, f"{line}\n", "")
    assert run(inside.root, path) == Result(0, f"{line}\n", "")


@pytest.mark.parametrize("path", ["wandb/x", "outputs/x", "logs/x", "a.pt", "a/.hydra/config.yaml"])
def test_the_built_in_policy_is_named(home: Path, tmp_path: Path, path: str) -> None:
    assert home
    (record,) = records(run(tmp_path, "--format", "json", path))
    assert record["verdict"] == "blocked"
    assert record["source"] == "built-in policy"
    assert record["line"] >= 1
    assert record["why"]
    place = ", ".join(filter(None, ("built-in policy", record["tool"])))
    assert f"{path}: blocked by {record['rule']} ({place}:" in run(tmp_path, path).out


def test_paths_come_in_the_order_given(outside: Path) -> None:
    result = run(outside, "b", "scratch/a", "a", "b")
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["b", "scratch/a", "a", "b"]


def test_options_end(outside: Path) -> None:
    assert run(outside, "--", "--quiet.tmp").out.startswith("--quiet.tmp: blocked by scratch")


# JSON.


def test_json(outside: Path) -> None:
    assert records(run(outside, "--format", "json", "scratch/x", "train.py", "scratch/keep")) == [
        {
            "path": "scratch/x",
            "verdict": "blocked",
            "rule": "scratch",
            "pattern": "/scratch",
            "source": ".fx-hooks.yaml",
            "tool": None,
            "line": 4,
            "why": "scratch holds what nobody needs",
        },
        {
            "path": "train.py",
            "verdict": "allowed",
            "rule": None,
            "pattern": None,
            "source": None,
            "tool": None,
            "line": None,
            "why": "",
        },
        {
            "path": "scratch/keep",
            "verdict": "allowed",
            "rule": "keep",
            "pattern": "/scratch/keep",
            "source": ".fx-hooks.yaml",
            "tool": None,
            "line": 16,
            "why": "",
            "overrides": {
                "rule": "scratch",
                "pattern": "/scratch",
                "source": ".fx-hooks.yaml",
                "tool": None,
                "line": 4,
            },
        },
    ]


@pytest.mark.parametrize(
    "name",
    [
        "modèle.tmp",
        "\udcff.tmp",
        "a\udcc3\n.tmp",
        'a".tmp',
        "\u2028.tmp",
        "\x1b[31m.tmp",
        "\U0001f600.tmp",
    ],
    ids=ascii,
)
def test_json_is_ascii_and_gives_the_bytes_back(outside: Path, name: str) -> None:
    result = run(outside, "--format", "json", name)
    assert result.out.isascii()
    (record,) = records(result)
    assert record["path"] == name
    (record,) = records(run(outside, "--format=json", "--stdin", "-z", stdin=os.fsencode(name)))
    assert record["path"] == name
    assert record["verdict"] == "blocked"


def test_json_stands_alone_on_standard_output(inside: Repo) -> None:
    inside.write(".fx-hooks.yaml", "keep: [a]\n")
    inside.write("best_models/milestones.yaml", "milestones: {}\n")
    result = run(inside.root, "--format", "json", "scratch/x")
    assert len(records(result)) == 1
    assert result.err == (
        "fx-explain: note: .fx-hooks.yaml has changes that are not staged; the staged version"
        " counts: git add .fx-hooks.yaml\n"
        "fx-explain: note: best_models/milestones.yaml is not staged and does not count:"
        " git add best_models/milestones.yaml\n"
    )


# Standard input.


@pytest.mark.parametrize(
    ("stdin", "options", "paths"),
    [
        pytest.param(b"", (), [], id="nothing"),
        pytest.param(b"", ("-z",), [], id="nothing-z"),
        pytest.param(b"a\nb\n", (), ["a", "b"], id="lines"),
        pytest.param(b"a\nb", (), ["a", "b"], id="no-newline-at-the-end"),
        pytest.param(b"a\r\nb\r\n", (), ["a", "b"], id="line-ends-of-windows"),
        pytest.param(b"a\0b\0", ("-z",), ["a", "b"], id="z"),
        pytest.param(b"a\0b", ("-z",), ["a", "b"], id="z-no-nul-at-the-end"),
        pytest.param(b"a\nb\0c\r\0", ("-z",), ["a\nb", "c\r"], id="z-keeps-line-ends"),
        pytest.param(b'"a"\0', ("-z",), ['"a"'], id="z-keeps-quotes"),
        pytest.param(b'"a\\nb"\n"\\303\\251"\n', (), ["a\nb", "é"], id="quoted-by-git"),
        pytest.param(b'"\\377\\t\\"\\\\"\n', (), ['\udcff\t"\\'], id="more-quoted-by-git"),
        pytest.param(b'"\n', (), ['"'], id="a-single-quote-mark"),
        pytest.param(b'"a\n', (), ['"a'], id="not-quoted"),
        pytest.param(b"a b\n c\n", (), ["a b", " c"], id="blanks"),
        pytest.param(b"-x\n--quiet\n", (), ["-x", "--quiet"], id="like-options"),
        pytest.param(b"\xff\n", (), ["\udcff"], id="not-utf-8"),
        pytest.param(b"./a\n", (), ["./a"], id="as-it-was-given"),
    ],
)
@pytest.mark.parametrize("mode", [(), ("--paths-only",)], ids=["tree", "paths-only"])
def test_stdin(
    outside: Path, stdin: bytes, options: Sequence[str], paths: list[str], mode: Sequence[str]
) -> None:
    result = run(outside, "--stdin", "--format", "json", *options, *mode, stdin=stdin)
    assert [record["path"] for record in records(result)] == paths


@pytest.mark.parametrize(
    ("name", "stdin"),
    [
        pytest.param(b"scratch/x", b"scratch/x\n", id="plain"),
        pytest.param(b"scratch/x", b"./scratch/x\n", id="dot"),
        pytest.param(b"scratch/x", b"scratch//x\n", id="slashes"),
        pytest.param(b"scratch/x", b"a/../scratch/x\n", id="up"),
        pytest.param(b"scratch/x", b"a\nscratch/./x\n", id="dot-inside"),
        pytest.param(b"scratch/\n", b'"scratch/\\n"\n', id="quoted"),
        pytest.param(b"scratch", b"scratch/\n", id="folder"),
        pytest.param(b"scratch", b"scratch/.\n", id="dot-at-the-end"),
        pytest.param(b"scratch", b"scratch/.", id="dot-at-the-very-end"),
    ],
)
def test_stdin_is_read_as_paths(outside: Path, name: bytes, stdin: bytes) -> None:
    found = records(run(outside, "--stdin", "--format", "json", stdin=stdin))
    assert found[-1]["verdict"] == "blocked", name
    assert found[-1]["pattern"] == "/scratch"


@pytest.mark.parametrize(
    "stdin", [b"..\n", b"a\n..", b"../a\n", b"a/../..\n", b"a/../..", b"/etc/x\n"]
)
def test_stdin_names_what_lies_outside(outside: Path, stdin: bytes) -> None:
    result = run(outside, "--stdin", stdin=stdin)
    assert (result.code, result.out) == (2, "")
    assert f": outside the repository {outside}: name files within it\n" in result.err


def test_stdin_verdicts_do_not_depend_on_other_lines(outside: Path) -> None:
    (outside / "cache-of-mine").mkdir()
    alone = verdicts(run(outside, "--stdin", "--format=json", stdin=b"cache-of-mine\n"))
    together = verdicts(run(outside, "--stdin", "--format=json", stdin=b"cache-of-mine\n./a\n"))
    assert alone["cache-of-mine"] == together["cache-of-mine"]


def test_stdin_names_are_as_git_prints_them(inside: Repo) -> None:
    names = ["é.tmp", "a\nb.tmp", 'q".tmp', "t\t.tmp", "\udcff.tmp", "b\\.tmp", "plain.tmp"]
    for name in names:
        inside.stage(name)
    for options in ((), ("-z",)):
        listed = subprocess.run(
            ("git", "ls-files", *options), cwd=inside.root, stdout=subprocess.PIPE, check=True
        )
        result = run(inside.root, "--stdin", *options, "--format=json", stdin=listed.stdout)
        found = verdicts(result)
        assert {path for path, verdict in found.items() if verdict == "blocked"} == set(names)
        assert {"train.py", ".fx-hooks.yaml"} <= set(found)


@pytest.mark.parametrize(
    ("stdin", "options", "number"),
    [
        pytest.param(b"a\n\nb\n", (), 2, id="line"),
        pytest.param(b"\n", (), 1, id="first"),
        pytest.param(b"\0", ("-z",), 1, id="z"),
        pytest.param(b'a\n""\n', (), 2, id="quoted"),
        pytest.param(b"a\n\r\n", (), 2, id="carriage-return"),
    ],
)
@pytest.mark.parametrize("mode", [(), ("--quiet", "--paths-only")], ids=["text", "quiet"])
def test_stdin_refuses_an_empty_path(
    outside: Path, stdin: bytes, options: Sequence[str], number: int, mode: Sequence[str]
) -> None:
    assert run(outside, "--stdin", *options, *mode, stdin=stdin) == Result(
        2, "", f"fx-explain: error: standard input, path {number}: is empty: leave it out\n"
    )


def test_stdin_from_a_subfolder(inside: Repo) -> None:
    inside.write("scratch/deep/x")
    found = verdicts(
        run(inside.root / "scratch", "--stdin", "--format=json", stdin=b"x\n../a\ndeep/README.md\n")
    )
    assert found == {"x": "blocked", "../a": "allowed", "deep/README.md": "blocked"}


# The tree.


def test_stdin_is_one_tree(outside: Path) -> None:
    result = run(
        outside, "--stdin", "--format=json", stdin=b"runs/a/.study/id\nruns/a/deep/x\nruns/b\n"
    )
    mark, below, other = records(result)
    assert [record["verdict"] for record in (mark, below, other)] == [
        "blocked",
        "blocked",
        "allowed",
    ]
    assert origin(below) == ("study-runs", ".study/id", ".fx-hooks.yaml", 13)
    assert below["directory"] == "runs/a"
    assert below["why"] == "a study writes it"
    text = run(outside, "--stdin", stdin=b"runs/a/deep/x\nruns/a/.study/id\n")
    assert text.out.splitlines()[0] == (
        "runs/a/deep/x: blocked by study-runs (.fx-hooks.yaml:13) .study/id is in runs/a/, which"
        " makes it a run: a study writes it"
    )


def test_the_root_is_never_a_run(outside: Path) -> None:
    assert verdicts(run(outside, "--stdin", "--format=json", stdin=b".study/id\nx\n")) == {
        ".study/id": "allowed",
        "x": "allowed",
    }


def test_keep_overrides_the_tree(outside: Path) -> None:
    stdin = b"kept-study/.study/id\nkept-study/x\n"
    record = records(run(outside, "--stdin", "--format=json", stdin=stdin))[1]
    assert record["verdict"] == "allowed"
    assert origin(record)[:2] == ("keep", "/kept-study/**")
    assert origin(record["overrides"]) == ("study-runs", ".study/id", ".fx-hooks.yaml", 13)
    assert run(outside, "--stdin", stdin=stdin).out.splitlines()[1] == (
        "kept-study/x: allowed by keep (.fx-hooks.yaml:17) /kept-study/**, which overrides"
        " study-runs (.fx-hooks.yaml:13) .study/id"
    )


def test_paths_only_sees_no_tree(outside: Path, inside: Repo) -> None:
    stdin = b"runs/a/.study/id\nruns/a/x\nscratch/x\n"
    expected = {"runs/a/.study/id": "allowed", "runs/a/x": "allowed", "scratch/x": "blocked"}
    for folder in (outside, inside.root):
        options = ("--stdin", "--format=json", "--paths-only")
        assert verdicts(run(folder, *options, stdin=stdin)) == expected
    inside.stage("runs/a/.study/id")
    assert verdicts(run(inside.root, "--format=json", "--paths-only", "runs/a/x")) == {
        "runs/a/x": "allowed"
    }


def test_a_hydra_run_by_its_config(home: Path, tmp_path: Path) -> None:
    assert home
    stdin = b"experiments/first/.hydra/config.yaml\nexperiments/first/config_used.yaml\n"
    assert verdicts(run(tmp_path, "--stdin", "--format=json", stdin=stdin)) == {
        "experiments/first/.hydra/config.yaml": "blocked",
        "experiments/first/config_used.yaml": "blocked",
    }
    alone = run(tmp_path, "--format=json", "experiments/first/config_used.yaml")
    assert set(verdicts(alone).values()) == {"allowed"}


def test_the_index_says_what_is_a_run(inside: Repo) -> None:
    inside.stage("runs/a/.study/id")
    inside.commit()
    inside.remove("runs/a/.study/id")
    found = records(run(inside.root, "--format=json", "runs/a/x", "runs/b/x"))
    assert [record["verdict"] for record in found] == ["blocked", "allowed"]
    assert found[0]["directory"] == "runs/a"


def test_the_disk_says_it_of_what_is_new(inside: Repo) -> None:
    inside.stage("runs/a/tracked")
    inside.commit()
    inside.write("runs/a/.study/id")
    found = verdicts(run(inside.root, "--format=json", "runs/a/tracked", "runs/a/new"))
    assert found == {"runs/a/tracked": "allowed", "runs/a/new": "blocked"}
    # What is given on standard input is the whole tree.
    assert verdicts(run(inside.root, "--stdin", "--format=json", stdin=b"runs/a/new\n")) == {
        "runs/a/new": "allowed"
    }


def test_a_path_whose_deletion_is_staged(inside: Repo) -> None:
    inside.stage("scratch/x")
    inside.commit()
    inside.git("rm", "-q", "--cached", "scratch/x")
    assert run(inside.root, "scratch/x", "train.py") == Result(
        0, f"scratch/x: {BLOCKED_BY_SCRATCH}\ntrain.py: allowed: no rule matches it\n", ""
    )


# Folders, and folders to start in.


def test_a_folder_is_what_lies_beneath_it(outside: Path, inside: Repo) -> None:
    for folder in (outside, inside.root):
        named = verdicts(run(folder, "--format=json", "cache-of-mine", "cache-of-mine/"))
        assert named == {"cache-of-mine": "allowed", "cache-of-mine/": "blocked"}
        (folder / "cache-of-mine").mkdir()
        named = verdicts(run(folder, "--format=json", "cache-of-mine", "./cache-of-mine"))
        assert named == {"cache-of-mine": "blocked", "./cache-of-mine": "blocked"}
        (folder / "cache-of-mine").rmdir()
        (folder / "cache-of-mine").symlink_to(".")
        assert verdicts(run(folder, "--format=json", "cache-of-mine")) == {
            "cache-of-mine": "allowed"
        }


@pytest.mark.parametrize("name", [".", "./", "sub", "sub/", "sub/.."])
def test_other_folders_are_allowed(inside: Repo, name: str) -> None:
    inside.write("sub/x")
    assert run(inside.root, name) == Result(0, f"{name}: allowed: no rule matches it\n", "")


def test_started_in_a_subfolder(inside: Repo) -> None:
    inside.write("scratch/deep/x")
    folder = inside.root / "scratch" / "deep"
    assert verdicts(
        run(folder, "--format=json", "x", "../README.md", "../../train.py", f"{folder}/y")
    ) == {
        "x": "blocked",
        "../README.md": "allowed",
        "../../train.py": "allowed",
        f"{folder}/y": "blocked",
    }


def test_outside_of_the_repository(inside: Repo) -> None:
    result = run(inside.root, "train.py", "../x")
    assert result == Result(
        2,
        "",
        f"fx-explain: error: ../x: outside the repository {inside.root}: name files within it\n",
    )


# Exit codes and usage.


@pytest.mark.parametrize("mode", [(), ("--paths-only",)], ids=["tree", "paths-only"])
@pytest.mark.parametrize(
    ("paths", "code"),
    [
        pytest.param(("train.py",), 0, id="allowed"),
        pytest.param(("scratch/x",), 1, id="blocked"),
        pytest.param(("train.py", "scratch/x"), 1, id="both"),
        pytest.param(("scratch/README.md", "scratch/keep/x"), 0, id="exceptions"),
    ],
)
def test_quiet(
    outside: Path, inside: Repo, paths: Sequence[str], code: int, mode: Sequence[str]
) -> None:
    stdin = "".join(f"{path}\n" for path in paths).encode()
    for folder in (outside, inside.root):
        for format_ in ("text", "json"):
            options = ("--quiet", "--format", format_, *mode)
            assert run(folder, *options, *paths) == Result(code, "", "")
            assert run(folder, *options, "--stdin", stdin=stdin) == Result(code, "", "")


def test_quiet_with_nothing_to_judge(outside: Path) -> None:
    assert run(outside, "--quiet", "--stdin", stdin=b"") == Result(0, "", "")


def test_quiet_knows_the_tree(outside: Path) -> None:
    stdin = b"runs/a/.study/id\nruns/a/x\n"
    assert run(outside, "--quiet", "--stdin", stdin=stdin).code == 1
    assert run(outside, "--quiet", "--stdin", "--paths-only", stdin=stdin).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((), "name PATHs, or use --stdin (not both)", id="nothing"),
        pytest.param(("--stdin", "a"), "name PATHs, or use --stdin (not both)", id="both"),
        pytest.param(("-z", "a"), "-z goes with --stdin", id="z-without-stdin"),
        pytest.param(("--format", "xml", "a"), "invalid choice", id="format"),
        pytest.param(("--path", "a"), "--path", id="no-abbreviations"),
        pytest.param(("--unknown", "a"), "--unknown", id="unknown-option"),
    ],
)
def test_bad_usage(outside: Path, arguments: Sequence[str], message: str) -> None:
    result = run(outside, *arguments, stdin=b"")
    assert (result.code, result.out) == (2, "")
    assert message in result.err.splitlines()[-1]
    assert result.err.startswith("usage: fx-explain ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("",), "a file name is empty: leave it out", id="empty"),
        pytest.param(
            ("a", "a\0b"), "a file name has a NUL character, which no path can have", id="nul"
        ),
        pytest.param(
            ("--policy", "none", "a"), "none: this policy file does not exist", id="missing"
        ),
        pytest.param(("--policy", ".", "a"), ".: is a folder: name a policy file", id="folder"),
    ],
)
def test_bad_input(outside: Path, inside: Repo, arguments: Sequence[str], message: str) -> None:
    for folder in (outside, inside.root):
        assert run(folder, *arguments) == Result(2, "", f"fx-explain: error: {message}\n")


def test_an_invalid_policy(outside: Path, inside: Repo) -> None:
    inside.stage(".fx-hooks.yaml", "keep:\n  - a\n  - '!b'\n")
    (outside / ".fx-hooks.yaml").write_text("keep:\n  - a\n  - '!b'\n")
    for folder in (outside, inside.root):
        result = run(folder, "--quiet", "a")
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(
            "fx-explain: error: .fx-hooks.yaml:3: keep[1]: the pattern '!b'"
        )
        assert result.err.count("\n") == 1


def test_another_policy_file(outside: Path, inside: Repo) -> None:
    for folder in (outside, inside.root):
        (folder / "other.yaml").write_text("ignore:\n  - rule: other\n    paths: [train.py]\n")
        assert run(folder, "--policy", "other.yaml", "train.py", "scratch/x") == Result(
            0,
            "train.py: blocked by other (other.yaml:3) train.py\n"
            "scratch/x: allowed: no rule matches it\n",
            "",
        )


def test_the_staged_policy_counts(inside: Repo) -> None:
    inside.write(".fx-hooks.yaml", "keep: [/scratch]\n")
    result = run(inside.root, "scratch/x")
    assert result.out == f"scratch/x: {BLOCKED_BY_SCRATCH}\n"
    assert result.err.startswith("fx-explain: note: .fx-hooks.yaml has changes")


def test_a_policy_that_is_not_tracked_counts(repo: Repo) -> None:
    repo.write(".fx-hooks.yaml", POLICY)
    assert run(repo.root, "scratch/x") == Result(0, f"scratch/x: {BLOCKED_BY_SCRATCH}\n", "")


def test_no_policy(home: Path, tmp_path: Path) -> None:
    assert home
    assert run(tmp_path, "scratch/x") == Result(0, "scratch/x: allowed: no rule matches it\n", "")


def test_milestones(inside: Repo) -> None:
    text = "milestones:\n  best_models/a.pt: {}\n"
    inside.stage("best_models/milestones.yaml", text)
    result = run(inside.root, "--format=json", "best_models/a.pt", "best_models/b.pt")
    chosen, other = records(result)
    assert chosen["verdict"] == "allowed"
    assert origin(chosen) == ("milestone", "/best_models/a.pt", "best_models/milestones.yaml", 2)
    assert chosen["overrides"]["rule"] is not None
    assert other["verdict"] == "blocked"


def test_before_the_first_commit(empty: Repo) -> None:
    empty.stage(".fx-hooks.yaml", POLICY)
    assert run(empty.root, "scratch/x").out == f"scratch/x: {BLOCKED_BY_SCRATCH}\n"


def test_version_and_help(outside: Path) -> None:
    assert run(outside, "--version").out.startswith("fx-explain ")
    assert "usage: fx-explain" in run(outside, "--help").out


def test_content_and_tree_have_the_last_word(repo: Repo) -> None:
    repo.stage("page.pt", "<html/>\n")
    repo.stage("logs/main.go", "package logs\n")
    repo.stage("logs/x.csv")
    page, table = run(repo.root, "page.pt", "logs/x.csv").out.splitlines()
    assert page.startswith("page.pt: allowed: weights (built-in policy, torch:")
    assert page.endswith("*.pt does not hold, because it is text")
    assert table.endswith("/logs does not hold, because logs/ holds source files")
    (record,) = records(run(repo.root, "--format", "json", "page.pt"))
    assert record["released"] == "it is text"
    assert record["overrides"]["rule"] == "weights"


def test_milestones_count_outside_of_a_repository(home: Path, tmp_path: Path) -> None:  # noqa: ARG001
    folder = tmp_path / "outside"
    (folder / "best_models").mkdir(parents=True)
    listed = "milestones:\n  best_models/a.pt: {}\n"
    (folder / "best_models/milestones.yaml").write_text(listed)
    result = run(folder, "best_models/a.pt", "best_models/b.pt")
    assert result.out.startswith("best_models/a.pt: allowed by milestone")
    assert "best_models/b.pt: blocked by best-models" in result.out
