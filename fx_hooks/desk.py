"""The desk: ``fx-check-artifacts`` in full, for what the gate is not sure of."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fx_hooks import __version__, remedy
from fx_hooks.artifacts import Judge, Tree, Verdict, parents, read_tree
from fx_hooks.command import CLEAN, FOUND, guarded, wants_colour
from fx_hooks.finding import Finding
from fx_hooks.git import LINK_MODE, SUBMODULE_MODE, Change, IndexEntry, Repository
from fx_hooks.paths import from_root
from fx_hooks.policy import cache
from fx_hooks.policy.compile import compile_tables
from fx_hooks.policy.load import load_policy
from fx_hooks.repo_policy import PolicyInForce, policy_in_force
from fx_hooks.report import Step, artifact_report
from fx_hooks.weights import TEXT_BYTES, is_text, read_start

NAME = "fx-check-artifacts"


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit code is that of ``fx-check-artifacts``."""
    return guarded(NAME, lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Find artifacts (W&B and Hydra runs, logs, weights, caches) among FILEs,"
        " or among what is staged if no FILE is named.",
        epilog="Exit code 0: clean; 1: artifacts found; 2: usage, policy or git error.",
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--all-files", action="store_true", help="check everything tracked")
    parser.add_argument("--policy", metavar="FILE", help="use this file, not .fx-hooks.yaml")
    parser.add_argument("--verbose", action="store_true", help="name every file")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    options_end = arguments.index("--") if "--" in arguments else len(arguments)
    after = arguments[options_end + 1 :]
    options, dashed = parser.parse_known_args(arguments[:options_end])
    if options.all_files and (options.files or dashed or after):
        parser.error("--all-files goes without FILEs")
    repository = Repository()
    index = {entry.path: entry for entry in repository.index()}
    files = [from_root(name, repository.root) for name in (*options.files, *after)]
    for name in dashed:
        path = from_root(name, repository.root)
        if path not in index:
            parser.error(f"unknown option {name} (a file that is called so goes behind --)")
        files.append(path)
    return check(
        repository,
        index,
        files,
        all_files=options.all_files,
        policy_file=options.policy,
        verbose=options.verbose,
    )


def check(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    files: Sequence[bytes],
    *,
    all_files: bool = False,
    policy_file: str | None = None,
    verbose: bool = False,
) -> int:
    """Print what is wrong with *files*, or with what is staged, or with all of *index*.

    Paths are relative to the root. Returns the exit code; raises
    :class:`~fx_hooks.errors.FatalError`.
    """
    in_force = policy_in_force(repository, index, policy_file)
    judge = Judge(in_force.policy)
    if policy_file is None:
        _keep_tables(repository, in_force)
    staged = {change.path: change for change in repository.staged()}
    scene = Scene(repository, index, staged, judge)
    if all_files:
        candidates: Iterable[bytes] = index
    elif files:
        candidates = _named(files, index)
        if repository.merging():
            # Runners pass only what differs from both sides of a conflicted merge.
            candidates = [*candidates, *staged]
    else:
        candidates = staged
    blocked = [
        verdict
        for verdict in scene.verdicts(dict.fromkeys(candidates), ask_disk=not all_files)
        if verdict.blocked
    ]
    if not blocked:
        return CLEAN
    findings = scene.findings(blocked)
    steps = scene.steps(findings, named=bool(files))
    for line in artifact_report(findings, steps, verbose=verbose, colour=wants_colour(sys.stdout)):
        print(line)
    for note in in_force.notes:
        print(f"note: {note}")
    return FOUND


@dataclass(frozen=True)
class Scene:
    """What is in the index, what of it is staged, and who judges it."""

    repository: Repository
    index: Mapping[bytes, IndexEntry]
    staged: Mapping[bytes, Change]
    judge: Judge

    @cached_property
    def tree(self) -> Tree:
        """What the index says of its directories."""
        return read_tree(self.index, self.judge.policy.run_marks)

    def verdicts(self, paths: Iterable[bytes], *, ask_disk: bool) -> list[Verdict]:
        """Judge *paths*, without those that the commit deletes.

        The index says which directories are runs and packages; with *ask_disk* also the
        disk, but only for files that ``HEAD`` does not have, so that a commit and CI
        never differ about the others.
        """
        paths = [path for path in paths if path in self.index or path not in self.staged]
        verdicts = self._judged(paths, self.tree)
        if not ask_disk:
            return verdicts
        fresh = [path for path in paths if self.is_new(path)]
        runs = dict(self.tree.runs)
        for folder in {folder for path in fresh for folder in parents(path)}:
            for mark in self.judge.policy.run_marks:
                place = os.path.join(self.repository.root, folder, os.fsencode(mark.path))
                if folder not in self.tree.packages and os.path.lexists(place):
                    runs.setdefault(folder, mark)
        if runs.keys() == self.tree.runs.keys():
            return verdicts
        judged = self._judged(fresh, self.tree._replace(runs=runs))
        again = dict(zip(fresh, judged, strict=True))
        return [again.get(verdict.path, verdict) for verdict in verdicts]

    def _judged(self, paths: list[bytes], tree: Tree) -> list[Verdict]:
        verdicts = self.judge.judge(paths, tree)
        doubtful = [verdict.path for verdict in verdicts if verdict.binary_only]
        text = self._text_among(doubtful)
        return self.judge.judge(paths, tree, text) if text else verdicts

    def _text_among(self, paths: Iterable[bytes]) -> set[bytes]:
        """Those of *paths* whose content is text, and no pointer to weights."""
        blobs = {}
        text = set()
        for path in paths:
            entry = self.index.get(path)
            if entry is None:
                if is_text(read_start(os.path.join(self.repository.root, path))):
                    text.add(path)
            elif entry.mode not in (LINK_MODE, SUBMODULE_MODE):
                blobs[path] = entry.blob
        sizes = self.repository.sizes(blobs.values())
        small = {blob for blob, size in sizes.items() if size is not None and size <= TEXT_BYTES}
        contents = self.repository.contents(small)
        return text | {path for path, blob in blobs.items() if is_text(contents.get(blob))}

    def is_new(self, path: bytes) -> bool:
        """Whether ``HEAD`` does not have *path*: it is being added, or git ignores it."""
        change = self.staged.get(path)
        return change.status == "A" if change is not None else path not in self.index

    def findings(self, blocked: Sequence[Verdict]) -> list[Finding]:
        """What to report of the *blocked* verdicts, with sizes from the index."""
        entries = [self.index.get(verdict.path) for verdict in blocked]
        sizes = self.repository.sizes(
            entry.blob for entry in entries if entry is not None and entry.mode != SUBMODULE_MODE
        )
        findings = []
        for verdict, entry in zip(blocked, entries, strict=True):
            # A run is shown as one, whatever else is said of single files in it.
            decider = verdict.mark or verdict.entry
            assert decider is not None, verdict  # something has blocked it
            findings.append(
                Finding(
                    verdict.path,
                    decider.rule,
                    decider.why,
                    decider.advice,
                    self.judge.group(verdict),
                    None if entry is None else sizes.get(entry.blob),
                    not self.is_new(verdict.path),
                )
            )
        return findings

    def steps(self, findings: Sequence[Finding], *, named: bool) -> list[Step]:
        """What to do about *findings*, in the order in which to do it.

        One batch of a runner knows only its own files, so directories are taken whole
        by what the policy says of all staged or tracked files, not by what was named.
        """
        steps = []
        paths = {finding.path for finding in findings}
        added = {path for path, change in self.staged.items() if change.status == "A"}
        if paths & added:
            blocked = self._blocked(added, ask_disk=True)
            whole = remedy.cover(blocked | (paths & added), self.staged)
            commands = remedy.unstage([path for path in whole if _holds(path, paths & added)])
            steps.append(Step("Leave them out of the commit (the files stay on disk):", commands))
        tracked = {finding.path for finding in findings if finding.tracked}
        if tracked:
            groups = {finding.group for finding in findings if finding.tracked}
            rest = [path for path in self.index if path not in added]
            chosen = tracked | {
                verdict.path
                for verdict in self.verdicts(rest, ask_disk=False)
                if verdict.blocked and self.judge.group(verdict) in groups
            }
            force = any(
                self.staged.get(path) is not None for path in chosen
            ) and not self.repository.modified_on_disk().isdisjoint(chosen & self.staged.keys())
            commands = remedy.untrack(remedy.cover(chosen, rest), force=force, repeatable=named)
            steps.append(Step("Stop tracking them (the files stay on disk):", commands))
        if paths - added - tracked:
            steps.append(Step("What is not staged: leave it out of `git add`.", ()))
        keep = "If one of them belongs in Git, name it under `keep` in .fx-hooks.yaml."
        return [*steps, Step(keep, ())]

    def _blocked(self, paths: Collection[bytes], *, ask_disk: bool) -> set[bytes]:
        verdicts = self.verdicts(paths, ask_disk=ask_disk)
        return {verdict.path for verdict in verdicts if verdict.blocked}


def _holds(path: bytes, chosen: Collection[bytes]) -> bool:
    return path in chosen or any(member.startswith(path + b"/") for member in chosen)


def _named(files: Sequence[bytes], index: Mapping[bytes, IndexEntry]) -> list[bytes]:
    """*files*, and for a directory what is tracked in it."""
    named = []
    for path in files:
        prefix = path + b"/" if path else b""
        beneath = [] if path in index else [found for found in index if found.startswith(prefix)]
        named += beneath or [path]
    return named


def _keep_tables(repository: Repository, in_force: PolicyInForce) -> None:
    """Keep the compiled policy for the gate, if what is on disk is what counts."""
    if not in_force.on_disk:
        return
    key = cache.cache_key(in_force.text)
    places = cache.places(repository.git_directory, key)
    blob = bytes.fromhex(in_force.blob or "")
    content = cache.read(places, key)
    if content is not None and content[2] == blob:
        return
    policy = load_policy(in_force.text)
    marks = tuple(os.fsencode(mark.path) for mark in policy.run_marks)
    cache.write(places, key, (compile_tables(policy.patterns()), marks, blob))
