"""Reports for programs: parsed back as their readers do, whatever files are called."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urljoin

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_hooks import __version__
from fx_hooks.policy.loader import rule_origins
from fx_hooks.reporting import output
from fx_hooks.reporting.finding import Commit, Finding
from fx_hooks.reporting.formats import MOST_ALERTS, alerts, github_lines, gitlab_lines, json_lines
from fx_hooks.reporting.layout import Step
from fx_hooks.reporting.output import FORMATS, Output
from fx_hooks.reporting.sarif import MOST_BYTES, sarif_lines
from fx_hooks.reporting.text import Report
from fx_hooks.util.errors import FatalError
from tests.documents import anchors
from tests.promises import recorded
from tests.support import WEIGHTS, Repo, mostly_slow, working_directory

ROOT = Path(__file__).parent.parent
RUN = b"wandb/run-20240131_235959-abc"
COMMIT = Commit("1234567890" * 4, "Add a run", "2026-11-23T15:21:46+01:00")


def schema(name: str) -> jsonschema.protocols.Validator:
    path = ROOT / ("docs" if name.startswith("report") else "tests/data/schemas") / name
    content = json.loads(path.read_text("utf-8"))
    kind = jsonschema.validators.validator_for(content)
    kind.check_schema(content)
    return kind(content)


SARIF = schema("sarif-2.1.0.json")
JSON = schema("report.schema.json")
# https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
GITLAB = jsonschema.Draft202012Validator(
    {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "check_name": {"type": "string", "minLength": 1},
                "fingerprint": {"type": "string", "minLength": 1},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": {"type": "string", "pattern": "^(?!\\./|/)"},
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": {"begin": {"type": "integer", "minimum": 1}},
                        },
                    },
                },
            },
        },
    }
)


def finding(
    path: bytes,
    group: bytes | None = None,
    *,
    rule: str = "weights",
    why: str = "weights are large",
    advice: str = "",
    size: int | None = 2048,
    line: int | None = None,
    commit: Commit | None = None,
    in_tip: bool | None = None,
) -> Finding:
    return Finding(
        path, rule, why, advice, path if group is None else group, size, False, line, commit,
        in_tip=in_tip,
    )  # fmt: skip


def report(
    *findings: Finding,
    rules: dict[str, str] | None = None,
    steps: Sequence[Step] = (),
    notes: Sequence[str] = (),
) -> Report:
    return Report("fx-check-artifacts", findings, rules or {}, steps, notes)


def strict(text: str) -> Any:
    """JSON as a strict reader takes it: no lone surrogates, no NaN, no key twice."""

    def no_constant(name: str) -> None:
        raise ValueError(name)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    assert text.isascii()
    document = json.loads(text, parse_constant=no_constant, object_pairs_hook=once)
    json.dumps(document, ensure_ascii=False).encode("utf-8")
    return document


def read_json(said: Report) -> dict[str, Any]:
    (line,) = json_lines(said)
    document: dict[str, Any] = strict(line)
    JSON.validate(document)
    return document


def read_sarif(said: Report) -> dict[str, Any]:
    """The one run of the log, once all holds that the schema and GitHub ask for."""
    (line,) = sarif_lines(said)
    assert len(line) <= MOST_BYTES
    log = strict(line)
    SARIF.validate(log)
    assert (log["version"], "sarif-schema-2.1.0" in log["$schema"]) == ("2.1.0", True)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert len(rule["id"]) <= 255
        for name in ("shortDescription", "fullDescription", "help"):
            assert rule[name]["text"]
        assert len(rule["shortDescription"]["text"]) <= 1024
        assert len(rule["fullDescription"]["text"]) <= 1024
    assert len(run["results"]) <= 5000
    prints = set()
    for result in run["results"]:
        assert result["ruleId"] == rules[result["ruleIndex"]]["id"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        uri = place["artifactLocation"]["uri"]
        # Relative, and nothing in it is taken for a scheme or a host.
        assert urljoin("file:///root/", uri) == f"file:///root/{uri}"
        assert place["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
        for name in ("startLine", "startColumn", "endLine", "endColumn"):
            assert place["region"][name] >= 1
        assert list(result["partialFingerprints"]) == ["primaryLocationLineHash"]
        prints.add(result["partialFingerprints"]["primaryLocationLineHash"])
    assert len(prints) == len(run["results"])
    result_run: dict[str, Any] = run
    return result_run


def uris(run: dict[str, Any]) -> list[bytes]:
    return [
        unquote_to_bytes(r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        for r in run["results"]
    ]


def fingerprints(said: Report) -> list[str]:
    run = read_sarif(said)
    return [r["partialFingerprints"]["primaryLocationLineHash"] for r in run["results"]]


def plain_text(message: str) -> str:
    """A SARIF message as its readers show it (section 3.11); it has no link and no argument."""
    assert not re.search(r"(?<!\\)(?:\\\\)*\]\(", message)
    assert not re.search(r"(?<!\{)(?:\{\{)*\{\d", message)
    return message.replace("{{", "{").replace("}}", "}").replace("\\](", "](")


def as_the_runner_reads(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command, as actions/runner takes it apart (ActionCommand.TryParseV2)."""
    assert line.startswith("::")
    assert "\n" not in line
    assert "\r" not in line
    end = line.index("::", 2)
    head, data = line[2:end], line[end + 2 :]
    name, _, words = head.partition(" ")
    properties = {}
    for word in filter(None, words.split(",")):
        key, value = word.split("=", 1)
        for token, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ",")):
            value = value.replace(token, char)
        properties[key] = value.replace("%25", "%")
    for token, char in (("%0D", "\r"), ("%0A", "\n")):
        data = data.replace(token, char)
    return name, properties, data.replace("%25", "%")


# What they say.


def test_json() -> None:
    said = report(
        finding(RUN + b"/config.yaml", RUN, commit=COMMIT, in_tip=False),
        finding(b"\xff.pt", size=None, line=3),
        steps=[Step("Leave it out:", ["git reset -q -- x"])],
        notes=["a note"],
    )
    document = read_json(said)
    first, second = document.pop("findings")
    assert document == {
        "version": 1,
        "tool": {"name": "fx-hooks", "version": __version__, "command": "fx-check-artifacts"},
        "exit": {"code": 1, "meaning": "findings"},
        "steps": [{"what": "Leave it out:", "commands": ["git reset -q -- x"]}],
        "notes": ["a note"],
    }
    assert first == {
        "path": "wandb/run-20240131_235959-abc/config.yaml",
        "path_bytes": None,
        "rule": "weights",
        "why": "weights are large",
        "advice": "",
        "size": 2048,
        "group": "wandb/run-20240131_235959-abc",
        "group_bytes": None,
        "tracked": False,
        "line": None,
        "commit": {"id": COMMIT.id, "subject": COMMIT.subject, "date": COMMIT.date},
        "blob": None,
        "in_tip": False,
        "occurrences": None,
    }
    assert (second["path"], second["size"], second["line"]) == ("\ufffd.pt", None, 3)
    assert base64.b64decode(second["path_bytes"]) == b"\xff.pt"


@pytest.mark.parametrize(
    ("rule", "page"),
    [
        *((rule, f"docs/rules.md#{rule}") for rule in rule_origins()),
        *(
            (rule, "docs/fx-check-best-models.md#what-it-refuses")
            for rule in recorded()["rule ids"]["fx-check-best-models"]
        ),
        *(
            (rule, "docs/fx-sync-gitignore.md#what-is-wrong-around-the-block")
            for rule in recorded()["rule ids"]["fx-sync-gitignore"]
        ),
        ("a-rule-of-a-repository", "docs/policy.md"),
    ],
)
def test_sarif_leads_to_the_rule(rule: str, page: str) -> None:
    (shown,) = read_sarif(report(finding(b"a", rule=rule)))["tool"]["driver"]["rules"]
    assert shown["helpUri"] == f"https://github.com/fx-hooks/fx-hooks/blob/main/{page}"
    name, _, anchor = page.partition("#")
    assert not anchor or anchor in anchors(name)


def test_sarif() -> None:
    said = report(
        finding(RUN + b"/b", RUN, rule="wandb-runs", why="only a cache", advice="wandb sync"),
        finding(RUN + b"/a", RUN, rule="wandb-runs", why="only a cache", advice="wandb sync"),
        finding(b"a b/\xff%.pt"),
        notes=["the policy changes"],
    )
    run = read_sarif(said)
    assert run["tool"]["driver"]["name"] == "fx-hooks"
    assert run["tool"]["driver"]["semanticVersion"] == __version__
    assert run["automationDetails"]["id"] == "fx-check-artifacts/"
    assert run["invocations"] == [
        {
            "executionSuccessful": True,
            "exitCode": 1,
            "toolExecutionNotifications": [
                {"level": "note", "message": {"text": "the policy changes"}}
            ],
        }
    ]
    wandb, weights = run["tool"]["driver"]["rules"]
    assert (wandb["id"], wandb["shortDescription"]["text"]) == ("wandb-runs", "only a cache")
    assert (wandb["help"]["text"], weights["help"]["text"]) == (
        "only a cache\nwandb sync",
        "weights are large",
    )
    first, second = run["results"]
    assert first["message"]["text"] == (
        "wandb/run-20240131_235959-abc/ does not belong in Git (2 files, 4.0 KiB): only a cache\n"
        "wandb sync"
    )
    assert first["level"] == "error"
    assert uris(run) == [RUN + b"/a", b"a b/\xff%.pt"]
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == (
        "a%20b/%FF%25.pt"
    )


def test_a_rule_without_a_reason() -> None:
    (rule,) = read_sarif(report(finding(b"a", why="")))["tool"]["driver"]["rules"]
    assert rule["help"]["text"] == "weights"
    (alert,) = alerts(report(finding(b"a", why="", size=None)))
    assert alert.message == "a does not belong in Git"


def test_a_long_reason() -> None:
    (rule,) = read_sarif(report(finding(b"a", why="x" * 3000)))["tool"]["driver"]["rules"]
    assert rule["help"]["text"] == "x" * 999 + "…"


def test_github() -> None:
    said = report(
        finding(b"a,b:c%.pt", size=1),
        finding(RUN + b"/x", RUN, rule="wandb-runs", why="50 % only:\na cache", advice="sync it"),
        finding(b"docs/.gitignore", rule="own", why="contradicts", line=7, size=None),
        rules={"own": "Lines agree."},
    )
    assert github_lines(said) == [
        "::error file=wandb/run-20240131_235959-abc/x,line=1,title=wandb-runs::"
        "wandb/run-20240131_235959-abc/ does not belong in Git (1 file, 2.0 KiB):"
        " 50 %25 only:\\na cache%0Async it",
        "::error file=a%2Cb%3Ac%25.pt,line=1,title=weights::"
        "a,b:c%25.pt does not belong in Git (1 B): weights are large",
        "::error file=docs/.gitignore,line=7,title=own::docs/.gitignore: contradicts",
    ]


@pytest.mark.parametrize(("count", "shown", "rest"), [(10, 10, 0), (11, 9, 2), (500, 9, 491)])
def test_github_gets_ten(count: int, shown: int, rest: int) -> None:
    lines = github_lines(report(*(finding(b"%d.pt" % n, size=n) for n in range(count))))
    assert len(lines) == 10
    last = as_the_runner_reads(lines[-1])
    if rest:
        said = f"and {rest} more of {count} findings: the log has them"
        assert last == ("error", {"title": "fx-check-artifacts"}, said)
    files = [as_the_runner_reads(line)[1]["file"] for line in lines[:shown]]
    assert files == [f"{n}.pt" for n in range(count - 1, count - 1 - shown, -1)]


def test_gitlab() -> None:
    said = report(
        finding(RUN + b"/a", RUN, rule="wandb-runs", why="only a cache"),
        finding(RUN + b"/b", RUN, rule="wandb-runs", why="only a cache"),
        finding(b".gitignore", rule="own", why="contradicts", line=7, size=None),
        rules={"own": "Lines agree."},
    )
    (line,) = gitlab_lines(said)
    entries = strict(line)
    GITLAB.validate(entries)
    assert [(e["check_name"], e["location"], e["description"]) for e in entries] == [
        ("own", {"path": ".gitignore", "lines": {"begin": 7}}, ".gitignore: contradicts"),
        (
            "wandb-runs",
            {"path": "wandb/run-20240131_235959-abc/a", "lines": {"begin": 1}},
            "wandb/run-20240131_235959-abc/ does not belong in Git (2 files, 4.0 KiB):"
            " only a cache",
        ),
    ]


def test_what_a_range_says() -> None:
    gone = finding(RUN + b"/a", RUN, commit=COMMIT, in_tip=False)
    (alert,) = alerts(report(gone))
    assert alert.message.splitlines()[1:] == [
        "brought in by 1234567890 (2026-11-23, Add a run); deleted since, but the history keeps it"
    ]
    later = COMMIT._replace(id="f" * 40)
    (alert,) = alerts(report(gone, gone._replace(commit=later, in_tip=True)))
    assert alert.message.splitlines()[1:] == [
        "brought in by 1234567890 (2026-11-23, Add a run) and 1 more commit"
    ]
    assert "(1 file, 2.0 KiB)" in alert.message.splitlines()[0]
    again = gone._replace(blob="f" * 40)
    (alert,) = alerts(report(gone, again, again._replace(commit=later)))
    assert "(1 file, 4.0 KiB)" in alert.message.splitlines()[0]


def test_files_with_reasons_of_their_own() -> None:
    said = report(
        *(finding(b"best_models/a.json", rule="own", why=f"has {n}{n}") for n in "abcde"),
        finding(b"best_models/a.json", rule="own", why="has a\nb"),
        rules={"own": "It says nothing odd."},
    )
    assert [alert.message for alert in alerts(said)] == [
        f"best_models/a.json: {why} (2.0 KiB)"
        for why in ("has a\\nb", "has aa", "has bb", "has cc", "has dd", "has ee")
    ]
    same = [finding(b"a", rule="own", why=f"has {n} bytes", size=None) for n in range(5)]
    (alert,) = alerts(report(*same, rules={"own": "It is small."}))
    assert alert.message == "a: has 0 bytes; has 1 bytes; has 2 bytes and 2 more"


# Nothing found.


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_found(name: str, tmp_path: Path) -> None:
    file = tmp_path / "report"
    printed = deliver(Output(name, str(file)), report())
    assert printed == (0, "")
    text = file.read_text("ascii")
    if name == "json":
        document = strict(text)
        JSON.validate(document)
        assert (document["exit"], document["findings"]) == ({"code": 0, "meaning": "clean"}, [])
    elif name == "sarif":
        run = read_sarif(report())
        assert strict(text)["runs"] == [run]
        assert (run["results"], run["invocations"][0]["exitCode"]) == ([], 0)
    elif name == "gitlab":
        assert strict(text) == []
    else:
        assert text == ""
    code, out = deliver(Output(name), report())
    assert (code, out) == (0, text)


# Fingerprints.


def test_fingerprints_are_the_problems_and_nothing_else() -> None:
    said = [finding(RUN + b"/a", RUN), finding(RUN + b"/b", RUN), finding(b"x.pt", line=3)]
    first = fingerprints(report(*said))
    # Another size, line, commit, file of the run, and reason.
    again = [
        finding(RUN + b"/c", RUN, size=5, why="other words", commit=COMMIT),
        finding(b"x.pt", line=9, size=None, why="other words"),
    ]
    assert fingerprints(report(*again)) == first
    # As it was written once: alerts that somebody has dismissed stay so.
    expected = hashlib.sha256(b"weights\0x.pt\0\x001").hexdigest()[:32]
    assert first[1] == f"{expected}:1"


def test_fingerprints_of_reasons() -> None:
    rules = {"own": "It is as approved."}
    digest = "is not what was approved: sha256 {} with 1,{} bytes, milestones.yaml:{} has another"
    before, after = (
        finding(b"a.pt", rule="own", why=digest.format(hashlib.sha256(x).hexdigest(), n, n))
        for x, n in ((b"a", 234), (b"b", 77))
    )
    assert fingerprints(report(before, rules=rules)) == fingerprints(report(after, rules=rules))
    other = finding(b"a.pt", rule="own", why="is a pointer")
    both = fingerprints(report(before, other, rules=rules))
    assert fingerprints(report(other, rules=rules)) == [both[0]] or [both[1]]
    assert len(set(both)) == 2


def test_two_lines_with_the_same_reason() -> None:
    rules = {"own": "Lines agree."}
    lines = [finding(b".gitignore", rule="own", why="contradicts", line=n) for n in (4, 9)]
    two = fingerprints(report(*lines, rules=rules))
    assert len(set(two)) == 2
    assert fingerprints(report(lines[1], rules=rules)) == two[:1]


# Many.


@pytest.mark.slow
def test_many_files_are_few_alerts() -> None:
    """40,000 files with names of their own, no run among them, fit all the same."""
    paths = [b"data/%02d/%02d/\xff%05d\n.pt" % (n % 37, n % 11, n) for n in range(40_000)]
    said = report(*map(finding, paths))
    run = read_sarif(said)
    assert [result["ruleId"] for result in run["results"]] == ["weights"] * 407
    assert run["results"][0]["message"]["text"].startswith(
        "data/00/00/ does not belong in Git (99 files, 198.0 KiB)"
    )
    (line,) = gitlab_lines(said)
    entries = strict(line)
    GITLAB.validate(entries)
    assert len({entry["fingerprint"] for entry in entries}) == 407
    document = strict(json_lines(said)[0])
    JSON.validate({**document, "findings": document["findings"][:100]})
    assert [base64.b64decode(found["path_bytes"]) for found in document["findings"]] == paths
    assert len(github_lines(said)) == 10


@pytest.mark.slow
def test_as_many_as_are_shown_stay_apart() -> None:
    findings = [finding(b"x/%d.pt" % n) for n in range(MOST_ALERTS)]
    assert len(read_sarif(report(*findings))["results"]) == 5000
    more = [*findings, finding(b"x/last.pt"), finding(b"y/z/a.pt"), finding(b"top.log", rule="l")]
    run = read_sarif(report(*more))
    assert [result["message"]["text"].split(":")[0] for result in run["results"]] == [
        "top.log does not belong in Git (2.0 KiB)",
        "x/ does not belong in Git (5,001 files, 9.8 MiB)",
        "y/ does not belong in Git (1 file, 2.0 KiB)",
    ]


def test_files_of_the_root() -> None:
    run = read_sarif(report(*(finding(b"%d.pt" % n) for n in range(MOST_ALERTS + 1))))
    (result,) = run["results"]
    assert result["message"]["text"].startswith("./ does not belong in Git (5,001 files")


@pytest.mark.slow
def test_long_names_stay_within_the_bytes() -> None:
    names = [b"/".join([b"%d" % n, b"\xff" * 1300, b"\xfe" * 1300]) for n in range(1500)]
    (line,) = sarif_lines(report(*map(finding, names)))
    assert len(gzip.compress(line.encode())) < len(line) <= MOST_BYTES
    (result,) = read_sarif(report(*map(finding, names)))["results"]
    assert "1,500 files" in result["message"]["text"]


def test_one_that_is_too_long_is_said_all_the_same() -> None:
    why = "x" * MOST_BYTES
    (line,) = sarif_lines(report(finding(b"a", why=why)))
    SARIF.validate(strict(line))


# Any name.

NAMES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *rb"% : , :: ##[ \" \ ]( [ {0} } / %0A // &#10; $(x) <".split(),
                b"\n",
                b"\r",
                b"\xed\xa0\x80",
                b"\xff",
                b"\x1b[31m",
            ]
        ),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0").map(str.encode),
        st.binary(min_size=1, max_size=2).filter(lambda data: b"\0" not in data),
    ),
    min_size=1,
    max_size=6,
).map(b"".join)
PATHS = NAMES.map(lambda name: re.sub(rb"/+", b"/", name).strip(b"/") or b"x")
TEXTS = st.one_of(st.text(max_size=20), NAMES.map(os.fsdecode))


@pytest.mark.slow
@settings(database=None, deadline=None, derandomize=True, max_examples=60)
@given(
    st.lists(st.tuples(PATHS, st.booleans(), TEXTS, TEXTS), min_size=1, max_size=12),
    st.lists(TEXTS, max_size=2),
)
def test_every_name_survives(
    made: Sequence[tuple[bytes, bool, str, str]], notes: Sequence[str]
) -> None:
    findings = [
        finding(
            path,
            path.rpartition(b"/")[0] if grouped and b"/" in path else None,
            rule=f"rule-{number % 3}",
            why=why,
            advice=advice,
            commit=COMMIT._replace(subject=why) if grouped else None,
        )
        for number, (path, grouped, why, advice) in enumerate(made)
    ]
    said = report(*findings, rules={"rule-1": made[0][2]}, notes=notes)
    found = alerts(said)
    paths = [path for path, _, _, _ in made]

    document = read_json(said)
    for given_path, entry in zip(paths, document["findings"], strict=True):
        if entry["path_bytes"] is None:
            assert entry["path"].encode() == given_path
        else:
            assert base64.b64decode(entry["path_bytes"]) == given_path
            assert entry["path"] == given_path.decode("utf-8", "replace")

    run = read_sarif(said)
    assert uris(run) == [alert.path for alert in found]
    assert set(uris(run)) <= set(paths)
    for result, alert in zip(run["results"], found, strict=True):
        shown = plain_text(result["message"]["text"])
        assert shown.splitlines()[0] == alert.message.splitlines()[0]

    for line, alert in zip(
        github_lines(said), sorted(found, key=lambda alert: -(alert.size or 0)), strict=False
    ):
        assert len(line.splitlines()) <= 1 or "\n" not in line + "\r"
        name, properties, message = as_the_runner_reads(line)
        if len(found) <= 10:
            assert (name, properties["title"]) == ("error", alert.rule)
            place = alert.path.decode("utf-8", "replace")
            # A log that has it would obey what is neither text nor the end of a line.
            inert = place.replace("\n", "").replace("\r", "").isprintable()
            assert properties.get("file") == (place if inert else None)
            assert message == alert.message

    (line,) = gitlab_lines(said)
    entries = strict(line)
    GITLAB.validate(entries)
    assert [entry["location"]["path"] for entry in entries] == [
        alert.path.decode("utf-8", "replace") for alert in found
    ]
    assert len({entry["fingerprint"] for entry in entries}) == len(entries) == len(found)


# Where it goes.


def deliver(out: Output, said: Report, lines: Iterable[str] | None = None) -> tuple[int, str]:
    printed = io.StringIO()
    text = [f"{len(said.findings)} findings"] * bool(said.findings) if lines is None else lines
    with contextlib.redirect_stdout(printed):
        code = out.deliver(said, lambda colour: [f"\033[1m{x}" for x in text] if colour else text)
    return code, printed.getvalue()


def begin(*arguments: str) -> Output:
    parser = ArgumentParser()
    output.add_options(parser)
    return output.begin(parser.parse_args(arguments))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_gets_the_format_and_the_log_the_text(name: str, tmp_path: Path) -> None:
    file = tmp_path / "report"
    said = report(finding(b"a.pt"))
    assert deliver(Output(name, str(file)), said) == (1, "1 findings\n")
    alone = deliver(Output(name), said)
    expected = file.read_text("utf-8")
    if name == "github":
        expected = "1 findings\n" + expected
    assert alone == (1, expected)
    assert (file.read_text("utf-8") == "1 findings\n") == (name == "text")
    assert os.listdir(tmp_path) == ["report"]


def test_names_that_look_like_commands_do_not_run() -> None:
    said = report(finding(b"a.pt"))
    for bad in ("  ::stop-commands::x  1 file", "::add-mask::e", "a ##[error]b"):
        code, out = deliver(Output("github"), said, ["head", bad])
        first, *middle, last, annotation = out.splitlines()
        token = re.fullmatch("::stop-commands::([0-9a-f]{32})", first)
        assert token is not None
        assert (code, middle, last) == (1, ["head", bad], f"::{token[1]}::")
        assert as_the_runner_reads(annotation)[0] == "error"
    assert deliver(Output("github"), said, ["a::b"])[1].splitlines()[0] == "a::b"


def test_an_old_report_goes_away_first(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text("old")
    assert begin("--format", "json", "--output", str(file)) == Output("json", str(file))
    assert not file.exists()
    assert begin("--output", str(file)) == Output("text", str(file))
    assert begin() == Output("text", None)
    assert begin("--format", "sarif") == Output("sarif", None)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    said = report(finding(b"a.pt"))
    with pytest.raises(FatalError, match=r"cannot be written .*: give --output another file"):
        begin("--output", str(tmp_path))
    missing = str(tmp_path / "no" / "report")
    with pytest.raises(FatalError, match=r"no.report: cannot be written .No such file"):
        Output("json", missing).deliver(said, lambda _: [])
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "report")
    with pytest.raises(FatalError, match="cannot be written"):
        begin("--output", below)


@pytest.mark.skipif(os.name == "nt", reason="no links and no pipes there")
def test_links_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    said = report(finding(b"a.pt"))
    link = tmp_path / "link"
    link.symlink_to("target")
    for _ in range(2):
        begin("--output", str(link))
        deliver(Output("gitlab", str(link)), said)
        assert os.readlink(link) == "target"
        assert len(json.loads((tmp_path / "target").read_text())) == 1
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(("cat", pipe), stdout=subprocess.PIPE) as cat:
        deliver(Output("gitlab", begin("--output", str(pipe)).file), said)
        assert cat.stdout is not None
        assert len(json.loads(cat.stdout.read())) == 1
    assert pipe.is_fifo()


# Through the commands.


def start(
    repo: Repo, command: str, *arguments: str, cwd: str = "."
) -> subprocess.CompletedProcess[bytes]:
    module = f"fx_hooks.{command.removeprefix('fx-').replace('-', '_')}"
    return subprocess.run(
        (sys.executable, "-m", module, *arguments),
        cwd=repo.root / cwd,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def repo(tmp_path: Path, home: Path) -> Repo:  # noqa: ARG001
    return Repo.init(tmp_path / "repo")


@pytest.mark.parametrize("command", ["fx-check-artifacts", "fx-check-best-models"])
@pytest.mark.parametrize("name", mostly_slow(FORMATS, 2))
def test_the_exit_code_is_the_same(repo: Repo, command: str, name: str) -> None:
    repo.commit()
    repo.stage("src/a.py")
    clean = start(repo, command, "--format", name, "--all-files", "--output", "../clean")
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, b"", b"")
    repo.stage("best_models/a.pt", WEIGHTS)
    found = start(repo, command, "--format", name, "--all-files", "--output", "../found")
    assert (found.returncode, found.stderr) == (1, b"")
    assert b"best_models" in found.stdout
    content = (repo.root.parent / "found").read_bytes()
    assert b"best_models" in content
    assert (repo.root.parent / "clean").read_bytes() != content
    repo.write(".fx-hooks.yaml", "keep: ['!a']\n")
    fatal = start(repo, command, "--format", name, "--all-files", "--output", "../clean")
    assert (fatal.returncode, fatal.stdout) == (2, b"")
    assert b".fx-hooks.yaml:1: keep[0]:" in fatal.stderr
    assert not (repo.root.parent / "clean").exists()
    fatal = start(repo, command, "--format", name, "--all-files")
    assert (fatal.returncode, fatal.stdout) == (2, b"")


def test_an_unwritable_file_is_one_line(repo: Repo) -> None:
    repo.stage("a.pt", WEIGHTS)
    result = start(repo, "fx-check-artifacts", "--format", "sarif", "--output", "no/report")
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().splitlines() == [
        "fx-check-artifacts: error: no/report: cannot be written (No such file or directory):"
        " give --output another file"
    ]


def test_formats_are_not_loaded_for_text(repo: Repo) -> None:
    repo.stage("a.pt", WEIGHTS)
    script = (
        "import sys; from fx_hooks.check_artifacts import main; main([]);"
        " print(*sorted(sys.modules), sep='\\n')"
    )
    with working_directory(repo.root):
        result = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True)
    loaded = set(result.stdout.split())
    assert "fx_hooks.reporting.output" in loaded
    assert not loaded & {"fx_hooks.reporting.formats", "fx_hooks.reporting.sarif"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_real_odd_names(repo: Repo) -> None:
    names = [b"\xff\n.pt", b'"::error::,%0A.pt', "modèle.pt".encode(), b"a b/[x](y){0}.pt"]
    for name in names:
        repo.stage(name, WEIGHTS)
    document = strict(start(repo, "fx-check-artifacts", "--format", "json").stdout.decode())
    JSON.validate(document)
    found = {
        base64.b64decode(entry["path_bytes"]) if entry["path_bytes"] else entry["path"].encode()
        for entry in document["findings"]
    }
    assert found == set(names)
    assert all(repo.git("cat-file", "-t", entry["blob"]) for entry in document["findings"])
    log = strict(start(repo, "fx-check-artifacts", "--format", "sarif").stdout.decode())
    assert set(uris(log["runs"][0])) == set(names)
    # A code page that cannot say it.
    result = subprocess.run(
        (sys.executable, "-m", "fx_hooks.check_artifacts", "--format", "github"),
        cwd=repo.root,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)},
    )
    annotations = [line for line in result.stdout.decode().splitlines() if "::error " in line]
    assert {as_the_runner_reads(line)[1]["file"] for line in annotations} == {
        name.decode("utf-8", "replace") for name in names
    }


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_nobody_sees_half_a_report(repo: Repo) -> None:
    """While reports are written again and again, there is a whole one or none."""
    for number in range(50):
        repo.write(f"{number}.pt", WEIGHTS)
    repo.stage_all()
    file = repo.root.parent / "report.json"
    script = (
        "from fx_hooks.check_artifacts import main\n"
        f"for _ in range(8): main(['--format', 'json', '--output', {str(file)!r}])"
    )
    seen = 0
    with subprocess.Popen(
        (sys.executable, "-c", script), cwd=repo.root, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                JSON.validate(json.loads(file.read_bytes()))
                seen += 1
            time.sleep(0.002)
    assert seen
    assert sorted(path.name for path in repo.root.parent.glob("report*")) == ["report.json"]


@pytest.mark.slow
def test_what_is_wrong_around_the_block(repo: Repo) -> None:
    repo.stage("logs/a.log", "text\n")
    repo.stage(".gitignore", "!__pycache__/\n")
    missing = start(repo, "fx-sync-gitignore", "--check", "--format", "json")
    (found,) = strict(missing.stdout.decode())["findings"]
    assert (missing.returncode, found["rule"], found["path"]) == (
        1, "gitignore-block", ".gitignore",
    )  # fmt: skip
    assert start(repo, "fx-sync-gitignore").returncode == 1
    repo.git("add", ".gitignore")
    clean = start(repo, "fx-sync-gitignore", "--check", "--format", "gitlab")
    assert (clean.returncode, strict(clean.stdout.decode())) == (0, [])
    said = start(repo, "fx-sync-gitignore", "--findings", "--format", "json")
    document = strict(said.stdout.decode())
    JSON.validate(document)
    found = {entry["rule"]: entry for entry in document["findings"]}
    assert found["gitignore-tracked"]["path"] == "logs/a.log"
    line = found["gitignore-line"]["line"]
    lines = Path(os.fsdecode(repo.path(".gitignore"))).read_text().splitlines()
    assert lines[line - 1] == "!__pycache__/"
    (step,) = document["steps"]
    assert all(command.startswith("git rm ") for command in step["commands"])
    text = start(repo, "fx-sync-gitignore", "--findings")
    assert text.returncode == said.returncode == 1
    assert f".gitignore:{line}: " in text.stdout.decode()


@pytest.mark.parametrize("options", [("--format", "json"), ("--diff", "--output", "x")])
def test_a_fixer_has_no_format(repo: Repo, options: tuple[str, ...]) -> None:
    result = start(repo, "fx-sync-gitignore", *options)
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"--format and --output go with --check or --findings" in result.stderr
