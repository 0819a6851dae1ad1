"""Which runs a name or an option means."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fx_hooks.git.repository import Repository
from fx_hooks.runs import selection
from fx_hooks.runs.inventory import survey
from fx_hooks.util.errors import FatalError

if TYPE_CHECKING:
    from tests.realruns.states import States


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    selection.add_options(parser)
    return parser.parse_args(arguments)


def chosen(states: States, *arguments: str) -> set[str]:
    options = parsed(*arguments)
    found = selection.choose(survey(Repository()), options, options.names)
    names = {path: name for name, path in states.places.items()}
    return {names[run.path] for run in found}


@pytest.fixture
def inside(made_states: States, monkeypatch: pytest.MonkeyPatch) -> States:
    monkeypatch.chdir(made_states.root)
    return made_states


def test_nothing_said_means_all_that_lie_in_no_other(inside: States) -> None:
    assert chosen(inside) == {
        name for name in inside.places if name not in ("chdir_wandb", "sweep_0", "sweep_1")
    }


def test_by_age(inside: States) -> None:
    assert chosen(inside, "--older-than", "39d") == {"lightning_0", "lightning_1", "job",
                                                     "job_wandb"}  # fmt: skip
    assert chosen(inside, "--older-than", "6w") == {"lightning_0", "lightning_1"}
    assert chosen(inside, "--before", "2001-01-01") == set()
    assert chosen(inside, "--before", "2999-01-01T12:00") == chosen(inside)


@pytest.mark.usefixtures("inside")
def test_ages_are_passed_not_reached() -> None:
    everything = survey(Repository())
    run = everything.runs[0]._replace(last_write=1000.0, within=None)
    everything = everything._replace(runs=(run,))

    def is_chosen(*arguments: str, now: float) -> bool:
        return selection.choose(everything, parsed(*arguments), [], now=now) == [run]

    assert not is_chosen("--older-than", "1m", now=1060.0)
    assert is_chosen("--older-than", "1m", now=1060.5)
    written = datetime.fromtimestamp(1000).isoformat()
    assert not is_chosen("--before", written, now=2000.0)
    assert is_chosen("--before", f"{written}.500000", now=2000.0)


def test_units_of_an_age() -> None:
    ages = [selection.seconds(text) for text in ("90m", "12h", "30d", "8w")]
    assert ages == [5_400, 43_200, 2_592_000, 4_838_400]


def test_by_ending(inside: States) -> None:
    failed = {"failed", "online_failed", "online_refused"}  # of these, only one is synced
    assert chosen(inside, "--failed") == failed | {f"{name}_wandb" for name in failed}
    assert chosen(inside) - chosen(inside, "--not-milestones") == {"chosen", "chosen_wandb"}


def test_by_name(inside: States) -> None:
    job = os.fsdecode(inside.places["job"])
    assert chosen(inside, job) == {"job"}
    assert chosen(inside, job + "/", "multirun") == {"job", "sweep"}
    assert chosen(inside, "lightning_logs", "--older-than", "47d") == {"lightning_0"}
    assert chosen(inside, os.fsdecode(inside.places["sweep_1"])) == {"sweep_1"}
    assert chosen(inside, os.fsdecode(inside.places["sweep_1"]), "multirun") == {"sweep"}
    assert chosen(inside, "lightning_logs/version_?") == {"lightning_0", "lightning_1"}
    assert chosen(inside, "wandb/*-online") == {"online_wandb"}
    assert chosen(inside, "multi*n") == {"sweep"}
    assert chosen(inside, "lightning_log[s]/") == {"lightning_0", "lightning_1"}
    assert chosen(inside, ".") == chosen(inside)


def test_from_a_folder_below(inside: States, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inside.root / "lightning_logs")
    assert chosen(inside, "version_1") == {"lightning_1"}
    assert chosen(inside, "../multirun") == {"sweep"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config", "config: is not a run, and there is none in it: see fx-report-space"),
        ("outputs/2001-01-01", "outputs/2001-01-01: there is no such run: see fx-report-space"),
        ("none*", "none*: there is no such run: see fx-report-space"),
    ],
)
def test_a_name_that_means_nothing(inside: States, name: str, message: str) -> None:
    with pytest.raises(FatalError) as raised:
        chosen(inside, name)
    assert str(raised.value) == message


def test_a_name_outside(inside: States, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="outside the repository"):
        chosen(inside, str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--older-than", "30"), "'30' is not an age: write 90m, 12h, 30d or 8w"),
        (("--older-than", "-3d"), "expected one argument"),
        (("--before", "yesterday"), "'yesterday' is not a date: write 2025-06-01"),
    ],
)
def test_bad_values(
    inside: States, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit):
        chosen(inside, *arguments)
    assert message in capsys.readouterr().err


def test_what_stands_behind_dashes_is_a_name() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    selection.add_options(parser)
    arguments = ("a", "--failed", "b", "--", "--failed", "c")
    assert selection.parsed(parser, arguments).names == ["a", "b", "--failed", "c"]


def test_whether_anything_was_said() -> None:
    parser = argparse.ArgumentParser()
    selection.add_options(parser)
    assert not selection.is_choice(parser.parse_args(()), ())
    assert selection.is_choice(parser.parse_args(("--older-than", "0d")), ())
    assert selection.is_choice(parser.parse_args(()), ("outputs",))
