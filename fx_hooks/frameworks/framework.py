"""The record of all that is known of one tool besides its rules, and its parts.

A tool's module makes one :class:`Framework`; :mod:`.registry` lists them. Functions take what
was found on disk (:class:`~fx_hooks.util.disk.Folder`) or the place of a run, and raise
nothing: a run is counted and kept whatever is the matter with its files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.util.str_enum import StrEnum

if TYPE_CHECKING:
    from fx_hooks.frameworks.configuration import Configuration
    from fx_hooks.util.disk import Folder, Scan


class State(StrEnum):
    """The state of a run."""

    LIVE = "live"
    UNSYNCED = "unsynced"
    SYNCED = "synced"
    FINISHED = "finished"
    FAILED = "failed"


class Role(Enum):
    """The place of a kind of runs among the others."""

    OTHER = "other"
    TRACKER = "tracker"  # it belongs to the job that started it, wherever it lies
    JOB = "job"
    GROUP = "group"  # of jobs, each of which is a run of its own


class Proof(StrEnum):
    """The conclusion of a piece of evidence."""

    IN_USE = "in use"
    NOT_IN_USE = "not in use"
    ENDED = "ended"
    UPLOADED = "uploaded"
    NOT_UPLOADED = "not uploaded"
    NOTHING = "nothing"


class Evidence(NamedTuple):
    """A source that was read (a path or words), and what it says."""

    read: str
    says: str
    proves: Proof


class Ending(NamedTuple):
    """The end of a run: a state other than ``live``, the reason, and whether the run says so.

    ``unproven``: all that is missing is a proof that it is uploaded, and nothing speaks
    against that. ``failed``: it ended with an error, whatever its state.
    """

    state: State
    reason: str
    ended: bool
    evidence: tuple[Evidence, ...] = ()
    unproven: bool = False
    failed: bool = False


class Outcome(StrEnum):
    """The outcome of asking a server whether it has a run."""

    CONFIRMED = "confirmed"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class Confirmation(NamedTuple):
    """A server's answer about a run; ``says`` is part of a sentence."""

    outcome: Outcome
    says: str


class Details(NamedTuple):
    """The configuration and results of a run, as JSON values; empty where unknown.

    ``command`` is what Python was started with: the program and its arguments; ``directory``
    where that was, with a slash at its end.
    """

    config: Any = None
    overrides: Any = None
    metrics: Mapping[str, Any] = MappingProxyType({})
    wandb: Mapping[str, str] = MappingProxyType({})
    commit: str = ""
    command: tuple[str, ...] = ()
    directory: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it without what is empty."""
        return {key: value for key, value in self._asdict().items() if value}


class RunDirectory(NamedTuple):
    """A folder for runs, relative to the root; ``setting`` says where that is written."""

    path: str
    tool: str
    setting: str


class OutsideFolder(NamedTuple):
    """A folder that a tool keeps for its user, outside of the repositories; *kind* says which."""

    kind: str
    path: bytes


class Freed(NamedTuple):
    """The disposable part of such a folder, its command (empty: all of it may go), its blocks."""

    what: str
    command: str
    disk: int


def _no_start(_folder: Folder, _root: bytes) -> float | None:
    return None


def _no_name(_path: bytes) -> float | None:
    return None


def _no_identity(_folder: Folder, _root: bytes) -> str:
    return ""


def _no_details(_place: bytes) -> Details:
    return Details()


def _no_word(_tree: Scan) -> Callable[[Folder], Ending]:
    return lambda _: Ending(State.FINISHED, "nothing writes to it any more", False)


def _no_patterns(_configuration: Configuration) -> list[str]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKind:
    """One kind of runs.

    *recognise* gets a folder, its path and the names of the files in it. *endings* gets the
    tree once and returns what reads the ending of each run in it. *started* is in seconds
    since the epoch; *named* the time in a run's path, in the zone of this machine; *identity* what
    the tool calls the run.

    A run lies in a folder without source files, unless *among_sources*. With *closed* all
    that lies in it is part of it and no further run is looked for; with *alone* it lies in no
    other run, and no other one in it. *only_copy* says that nothing sends such a run anywhere:
    it is deleted only once it has been archived. *waits_for_upload* is for those that are
    sent. *patterns* say, after the configuration, what paths its folders have that hold
    nothing else to recognise them by. *needs* gets the place of a run, and whether all of it
    is sent, and returns the places of the files elsewhere that the run goes on to need.
    *confirm* asks the tool's server for runs, by their folders below a root, and yields what it
    says of each, with its number in the sequence.
    """

    name: str
    plural: str
    recognise: Callable[[Folder, bytes, set[bytes]], bool]
    endings: Callable[[Scan], Callable[[Folder], Ending]] = _no_word
    details: Callable[[bytes], Details] = _no_details
    started: Callable[[Folder, bytes], float | None] = _no_start
    named: Callable[[bytes], float | None] = _no_name
    identity: Callable[[Folder, bytes], str] = _no_identity
    patterns: Callable[[Configuration], list[str]] = _no_patterns
    needs: Callable[[bytes, bool], Iterable[bytes]] | None = None
    role: Role = Role.OTHER
    first_folder: bytes = b""  # written before anything else in it
    among_sources: bool = False
    closed: bool = False
    alone: bool = False
    only_copy: bool = False
    waits_for_upload: bool = False
    confirm: Callable[[Sequence[Folder], bytes], Iterator[tuple[int, Confirmation]]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """One tool. *usual_places* are what its folders at the root are called by default.

    *output_folders* reads from the configuration where runs go, and *output_rule* is the
    name of a rule for such a folder. *outside* lists its folders of this user, and
    *outside_frees* says by their kind what may go of them.
    """

    name: str
    kinds: tuple[RunKind, ...]
    usual_places: tuple[bytes, ...] = ()
    output_rule: str = ""
    output_folders: Callable[[Configuration], Iterable[RunDirectory]] | None = None
    outside: Callable[[Mapping[str, str], str], Sequence[OutsideFolder]] | None = None
    outside_frees: Mapping[str, Callable[[Folder], Freed]] = field(default_factory=dict)


def path_pattern(text: str) -> re.Pattern[bytes]:
    """Compile a pattern for the paths of runs, of which all bytes count."""
    return re.compile(text.encode("utf-8", "surrogateescape"), re.DOTALL)
