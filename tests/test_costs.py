"""Foreign bytes get their answer soon, whatever they are made to cost."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from fx_hooks import check_best_models
from fx_hooks.best_models.metadata import read_metadata
from fx_hooks.frameworks.configuration import Configuration
from fx_hooks.frameworks.hydra.output import output_folders as hydra_folders
from fx_hooks.frameworks.wandb.output import output_folders as wandb_folders
from fx_hooks.git import process
from fx_hooks.policy import patterns
from fx_hooks.policy.compiled import tables_alone, tables_of
from fx_hooks.policy.loader import load_policy
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.archive.restore import restore
from fx_hooks.util.errors import FatalError
from fx_hooks.util.strict_json import NotStrict, parse_json
from fx_hooks.weights.pickles import Budget, Report, read_pickle
from tests.contract_support import LISTING, entry, listing
from tests.support import Repo, working_directory
from tests.test_run_restore import a_run, file, folder, forge

SECONDS = 5.0  # of CPU time


@pytest.fixture(autouse=True)
def soon() -> object:
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * 900_000, id="letters"),
        pytest.param("1" * 900_000, id="digits"),
        pytest.param("key" + " " * 900_000, id="blanks"),
        pytest.param("eyJ-" * 200_000, id="tokens"),
        pytest.param("eyJ-" * 60 + "eyJaaaaaaaa." + "a" * 900_000, id="one-token"),
        pytest.param("://" + "a:" * 400_000, id="addresses"),
        pytest.param("-----BEGIN " * 80_000, id="private-keys"),
        pytest.param("C:" + "/" * 900_000, id="slashes"),
    ],
)
@pytest.mark.parametrize("name", ["apikey", "text"])
def test_texts_of_metadata(name: str, text: str) -> None:
    content = json.dumps({name: text}).encode()
    assert len(read_metadata(content, required=()).faults) <= 1


def test_places_in_metadata() -> None:
    value = {"a" * 100_000: ["x"] * 200_000}
    assert read_metadata(json.dumps(value).encode(), required=()).faults == ()


def test_a_key_twice_at_the_end() -> None:
    names = ",".join(f'"{number}":0' for number in range(90_000))
    with pytest.raises(NotStrict, match='"89999" twice'):
        parse_json(f'{{{names},"89999":0}}'.encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"keep:\n  - '{'a' * 900_000}'\n", id="long"),
        pytest.param(f"keep: [{'a,' * 400_000}a]\n", id="many"),
        pytest.param(
            f"keep: &k [{'a,' * 4_000}a]\nignore:\n"
            + "".join(f"  - {{rule: r{n}, paths: *k}}\n" for n in range(900)),
            id="aliases",
        ),
    ],
)
def test_policies_that_are_too_much(text: str) -> None:
    with pytest.raises(FatalError, match=r"has more than 5,000 values|no path has more than"):
        load_policy(text.encode())


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 40 + "b", "a" * 200),
        ("a/**/" * 40 + "b", "a/" * 2_000 + "x"),
        ("**/a*a/" * 20 + "b", "aaa/" * 1_000),
    ],
)
def test_patterns_with_many_stars(pattern: str, path: str) -> None:
    assert patterns.problem(pattern) is None
    source = patterns.regex_source(pattern)
    assert re.compile(source, re.DOTALL).search(path.encode()) is None


PARTS = st.lists(st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=5)), min_size=1,
                 max_size=5).map("/".join)  # fmt: skip
PATHS = st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=6).map("/".join)


@settings(database=None, deadline=None, derandomize=True, max_examples=200)
@given(PARTS, st.lists(PATHS, min_size=1, max_size=20))
def test_patterns_mean_what_pathspec_says(pattern: str, paths: list[str]) -> None:
    if patterns.problem(pattern):
        return
    raw, _ = GitIgnoreSpecPattern.pattern_to_regex(pattern.encode())
    assert raw is not None
    theirs, ours = (re.compile(s, re.DOTALL) for s in (raw, patterns.regex_source(pattern)))
    for path in (*paths, *(path + "/" for path in paths)):
        found = ours.search(path.encode())
        assert (found is None) == (theirs.search(path.encode()) is None), (pattern, path)


def test_an_archive_that_claims_too_much(tmp_path: Path) -> None:
    forge(tmp_path / "a.tar.gz", a_run("outputs/a", folder(), file("x", size=1 << 61)))
    with Archive(bytes(tmp_path / "a.tar.gz")) as archive:
        (run,) = archive.manifest.runs
        with pytest.raises(FatalError, match="is said to hold more than it can"):
            list(archive.members(run))


@pytest.mark.parametrize("count", [5_000_000, 20_000_000])
def test_a_manifest_of_nothing_but_lists(tmp_path: Path, count: int) -> None:
    forge(tmp_path / "a.tar.gz", text=b"[" + b"[]," * count + b"0]")
    with pytest.raises(FatalError, match=r"is too large|says more than there are files"):
        Archive(bytes(tmp_path / "a.tar.gz"))


def test_nothing_that_is_remembered_of_patterns_is_made_twice() -> None:
    form = "keep: [{}]\n"
    text = form.format(", ".join(f'"[a-c]x{n}/**/y{n}*z*w"' for n in range(4_900)))
    made = (patterns.regex_source, patterns.alternatives, patterns.shape)
    for function in made:
        function.cache_clear()
    policy = load_policy(text.encode())
    tables_of(policy)
    tables_alone(policy)
    for function in made:
        found = function.cache_info()
        assert found.misses == found.currsize, function


def test_runs_in_one_folder_are_restored_with_few_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 30
    forge(
        tmp_path / "a.tar.gz", *(a_run(f"outputs/a{n}", folder(), file("f")) for n in range(count))
    )
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with Archive(bytes(tmp_path / "a.tar.gz")) as archive:
        monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("reads ahead"))
        restore(archive, bytes(tmp_path), archive.manifest.runs)
    # The file and the folder of each, the folder around them, and two notes of what is going on.
    assert len(synced) == 2 * count + 3


def calls(work: Callable[[], object]) -> int:
    """Return how many functions *work* calls, in Python and in C."""
    found = 0

    def note(_frame: object, event: str, _arg: object) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize(
    ("text", "most"),
    [
        pytest.param(b"a: [" + b"1," * 1_000 + b"1]\n", 6, id="values"),
        pytest.param(b"? a\n: b\n" * 1_000, 16, id="keys"),
        pytest.param(b"# WANDB_DI hydra.run.dir\n" * 1_000, 1, id="lines"),
    ],
)
def test_configuration_is_read_once(text: bytes, most: int) -> None:
    def read() -> None:
        configuration = Configuration({"conf/a.yaml": text})
        assert [*wandb_folders(configuration), *hydra_folders(configuration)] == []

    read()  # what is compiled once is compiled
    assert calls(read) / 1_000 < most


def test_of_many_small_pickles_each_costs_what_it_holds() -> None:
    count = 3_000
    many = b"\x80\x02N." * count
    one = b"\x80\x02" + b"N0" * 2 * count + b"N."

    def seconds(content: bytes, pickles: int) -> float:
        best = 9.0
        for _ in range(5):
            file, report, budget = io.BytesIO(content), Report(), Budget()
            started = time.process_time()
            for _ in range(pickles):
                read_pickle(file, report, budget)
            best = min(best, time.process_time() - started)
        assert report.operations >= {"PROTO", "NONE", "STOP"}
        return best

    # It was eight times, when all operations there are were gone through for each of them.
    assert seconds(many, count) < 4 * seconds(one, 1)


def test_what_many_milestones_lack_is_asked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = Repo.init(tmp_path)
    counts = Counter[str]()

    def counted(patch: pytest.MonkeyPatch, owner: object, name: str, key: str) -> None:
        real = getattr(owner, name)

        def call(*args: object, **options: object) -> object:
            counts[key] += 1
            return real(*args, **options)

        patch.setattr(owner, name, call)

    for number in (2, 3, 40):  # the first one reads the built-in policy
        entries = [entry(b"x", f"best_models/m{n}.pt") for n in range(number)]
        repo.stage(LISTING, listing(*entries))
        with monkeypatch.context() as patch, working_directory(repo.root):
            counted(patch, process.Process, "__init__", f"git {number}")
            counted(patch, yaml, "compose", f"yaml {number}")
            assert check_best_models.main([]) == 1
        assert "lines 2 to 6" in capsys.readouterr().out
    assert counts["git 40"] == counts["git 3"]
    assert counts["yaml 40"] == counts["yaml 3"]
