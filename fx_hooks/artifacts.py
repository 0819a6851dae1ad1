"""Is this path an artifact? Patterns first, then what the tree around it says.

Everything here is a function from paths and a policy to verdicts; git and the disk are
asked elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fx_hooks.policy.compile import compile_tables
from fx_hooks.policy.load import BEST_MODELS_RULE, Entry, Policy, RunMark
from fx_hooks.policy.match import Matcher

# What W&B, Hydra, Lightning and the Hugging Face trainer call the directory of a run.
_RUN = re.compile(
    rb"""
    (?: ^ | / ) (?:
        (?: offline- | dry )? run-\d{8}_\d{6}-[^/]+     # wandb/run-20240131_235959-ID
        | sweep-[^/]+ (?= /config-[^/]*\.yaml \Z )      # wandb/sweep-ID/config-RUN.yaml
        | \d{4}-\d{2}-\d{2} / \d{2}-\d{2}-\d{2}         # outputs/2024-01-31/23-59-59
        | \d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}           # runs/2024-01-31_23-59-59
        | version_\d+                                   # lightning_logs/version_0
        | checkpoint-\d+                                # results/checkpoint-500
    ) (?= / )
    """,
    re.VERBOSE,
)


class Verdict(NamedTuple):
    """What decides one path.

    ``entry`` is the pattern that matches last. ``mark`` is the file that makes
    ``directory``, in which the path is, a run; it decides where no pattern blocks.
    ``overridden`` is what a keep pattern or a milestone outweighs.
    """

    path: bytes
    blocked: bool
    entry: Entry | None = None
    mark: RunMark | None = None
    directory: bytes = b""
    overridden: Entry | RunMark | None = None

    @property
    def decider(self) -> Entry | RunMark | None:
        """What the verdict rests on; None where nothing has anything against the path."""
        if self.blocked and not (self.entry is not None and self.entry.blocks):
            return self.mark
        return self.entry


class Judge:
    """Judges paths by one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.tables = compile_tables(policy.patterns())
        self._matcher = Matcher(self.tables)
        before = policy.patterns()[: policy.admitted_from]
        self._before_keep = Matcher(compile_tables(before))

    def judge(self, paths: Iterable[bytes], runs: Mapping[bytes, RunMark]) -> list[Verdict]:
        """A verdict for each of *paths*, where the directories in *runs* are runs."""
        paths = list(paths)
        within = _Within(runs)
        verdicts = []
        for path, number in zip(paths, self._matcher.decide(paths), strict=True):
            entry = self.policy.entries[number] if number >= 0 else None
            directory = within.outermost(path)
            mark = None if directory is None else runs[directory]
            if entry is not None and entry.blocks:
                verdicts.append(Verdict(path, True, entry, mark, directory or b""))
            elif number >= self.policy.admitted_from:
                overridden = self._overridden(path) or mark
                verdicts.append(Verdict(path, False, entry, overridden=overridden))
            elif mark is None or (entry is not None and entry.rule == BEST_MODELS_RULE):
                verdicts.append(Verdict(path, False, entry))
            else:
                verdicts.append(Verdict(path, True, entry, mark, directory or b""))
        return verdicts

    def any_blocked(self, paths: list[bytes]) -> bool:
        """Whether the patterns alone block one of *paths*."""
        return bool(self._matcher.blocked(paths))

    def group(self, verdict: Verdict) -> bytes:
        """The run or directory that a blocked path is shown with, or the path itself."""
        path = verdict.path
        if verdict.directory:
            return verdict.directory
        run = _RUN.search(path)
        if run is not None:
            return path[: run.end()]
        number = self._matcher.decide([path])[0]
        for directory in parents(path):
            if self._matcher.decide_directory(directory) == number:
                return directory
        return path

    def _overridden(self, path: bytes) -> Entry | None:
        number = self._before_keep.decide([path])[0]
        entry = self.policy.entries[number] if number >= 0 else None
        return entry if entry is not None and entry.blocks else None


def run_directories(paths: Iterable[bytes], marks: Sequence[RunMark]) -> dict[bytes, RunMark]:
    """The directories that *paths* make runs; the root never is one.

    With ``hydra.run.dir=.`` the repository itself would be a run, sources and all.
    """
    found: dict[bytes, RunMark] = {}
    if not marks:
        return found
    tails = [(b"/" + mark.path.encode("utf-8", "surrogateescape"), mark) for mark in marks]
    endings = tuple(tail for tail, _ in tails)
    for path in paths:
        if path.endswith(endings):
            for tail, mark in tails:
                if path.endswith(tail):
                    found.setdefault(path[: -len(tail)], mark)
    return found


def parents(path: bytes) -> list[bytes]:
    """The directories above *path*, the root left out, the outermost first."""
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[: count + 1]) for count in range(len(parts))]


class _Within:
    """Finds the outermost run that a path is in; each directory is asked once."""

    def __init__(self, runs: Mapping[bytes, RunMark]) -> None:
        self._runs = runs
        self._known: dict[bytes, bytes | None] = {}

    def outermost(self, path: bytes) -> bytes | None:
        if not self._runs:
            return None
        folder = path.rpartition(b"/")[0]
        if folder not in self._known:
            found = (parent for parent in parents(path) if parent in self._runs)
            self._known[folder] = next(found, None)
        return self._known[folder]
