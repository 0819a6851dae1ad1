"""The steps to take about artifacts that ``fx-check-artifacts`` has found, and their commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fx_hooks.artifacts.deliverables import named_in, sibling_patterns
from fx_hooks.artifacts.index_check import IndexCheck, rm_needs_force
from fx_hooks.best_models.file_names import Names
from fx_hooks.git import commands as git_commands
from fx_hooks.git.repository import SUBMODULE_MODE
from fx_hooks.policy.model import (
    BEST_MODELS_RULE,
    POLICY_NAME,
    WEIGHTS_RULE,
    Policy,
    in_quotes,
    literal,
)
from fx_hooks.reporting.layout import Step, plural, them_staying
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.best_models.acceptance import Acceptance
    from fx_hooks.reporting.finding import Finding

_FEW = 3
_RESULTS = (b".csv", b".tsv", b".md", b".pdf", b".png", b".svg")  # that people write about


def take_out(check: IndexCheck, findings: Sequence[Finding]) -> set[bytes]:
    """Take newly added *findings* out of the index, and return their paths.

    What is not on disk as it is staged stays: its staged version would be lost.
    """
    paths = {finding.path for finding in findings}
    added = {path for path, change in check.staged.items() if change.status == "A"} & paths
    lost = {path for path in added if _is_missing(check, path)}
    chosen = added - lost - (check.repository.modified_on_disk() if added else set())
    for command in git_commands.unstage(sorted(chosen)):
        check.repository.run(*command.arguments[1:])
    return chosen


def steps_for(
    check: IndexCheck,
    findings: Sequence[Finding],
    taken_out: set[bytes],
    acceptance: Acceptance,
    *,
    named: bool,
) -> tuple[list[Step], set[bytes]]:
    """Return what to do about *findings*, in the order in which to do it, and the paths for it.

    One batch of a runner knows only its own files, so directories are taken whole by what
    the policy says of all staged or tracked files, not by what was named.
    """
    every = {finding.path for finding in findings}
    paths = every - taken_out
    added = {path for path, change in check.staged.items() if change.status == "A"} - taken_out
    tracked = {finding.path for finding in findings if finding.tracked}
    steps: list[Step] = []
    whole: set[bytes] = set()
    if taken_out:
        what = f"Done: {plural(len(taken_out), 'file')} taken out of the index; they stay on disk."
        steps.append(Step(what, ()))
    missing = [path for path in sorted(paths) if _is_missing(check, path)]
    first = git_commands.put_back(missing) if missing else []
    before = "Write to disk what is only in the index, then " if missing else ""
    if paths & added:
        found = _unstaging(check, paths & added, added)
        whole.update(found)
        them, staying = them_staying(len(paths & added))
        what = f"{before}leave {them} out of the commit ({staying} on disk):"
        steps.append(Step(_sentence(what), [*first, *git_commands.unstage(found)]))
        first, before = [], ""
    if tracked:
        groups = {finding.group for finding in findings if finding.tracked}
        going = _untracking(check, acceptance, tracked, groups, added)
        found = git_commands.cover(going, check.index)
        whole.update(found)
        commands = git_commands.untrack(
            found,
            force=rm_needs_force(check.repository, check.staged, going),
            sparse=check.repository.needs_sparse(going),
            repeatable=named,
        )
        them, staying = them_staying(len(going))
        what = f"{before}stop tracking {them} ({staying} on disk):"
        steps.append(Step(_sentence(what), [*first, *commands]))
    unstaged = paths - added - tracked
    if unstaged:
        said = "They are" if unstaged == paths else "Some of them are"
        what = "not staged yet: leave them out of `git add`."
        if len(unstaged) == 1:
            said = "It is" if unstaged == paths else "One of them is"
            what = what.replace("them", "it")
        steps.append(Step(f"{said} {what}", ()))
    way = check.repository.path_to_root()
    steps = [Step(what, git_commands.from_folder(commands, way)) for what, commands in steps]
    # `keep` never lets weights into the folder of chosen models.
    names = Names(check.classifier.policy.best_models)
    chosen = sorted(
        {f.path for f in findings if f.rule == BEST_MODELS_RULE and names.is_weights(f.path)}
    )
    if chosen:
        few = chosen if len(chosen) <= _FEW else []
        approve = [_approve(path, way) for path in few]
        what = "If you choose it as a milestone, approve it (TEXT says why):"
        if len(chosen) > 1:
            what = "Approve those that you choose as milestones (TEXT says why):"
        steps.append(Step(what if few else f"{what} fx-add-milestone FILE --why TEXT", approve))
    others = [finding for finding in findings if finding.rule != BEST_MODELS_RULE]
    if others:
        meant, told = _deliverables(check, others, names, way)
        steps += meant
        rest = [finding for finding in others if finding.path not in told]
        if rest:
            steps.append(Step(_keep(check.classifier.policy, rest), ()))
    return steps, whole


def _keep(policy: Policy, findings: Sequence[Finding]) -> str:
    """Return a sentence on what to do if one of *findings* belongs in Git."""
    # First tables and figures; last caches, what a tool hides, parts of a run, and weights.
    names = Names(policy.best_models)
    *_, path = min(
        ("cache" in one.rule, b"/." in one.path, not one.path.endswith(_RESULTS),
         one.group != one.path, names.is_weights(one.path), one.path)
        for one in findings
    )  # fmt: skip
    name = os.fsdecode(path)
    # Paths of a project are those from its own folder, and what no terminal shows is not copied.
    if policy.projects is not None or not name.isprintable():
        return f"If one of them belongs in Git, add it to `keep` in {POLICY_NAME}."
    pattern = f"/{literal(name)}"
    if not all(char.isalnum() or char in "/._-" for char in pattern):
        pattern = in_quotes(pattern)
    line = f"`keep: [{pattern}]`"
    if len(findings) == 1:
        return f"If it belongs in Git, write {line} into {POLICY_NAME}."
    return f"If one of them belongs in Git, add it to `keep` in {POLICY_NAME}, as in {line}."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _deliverables(
    check: IndexCheck, findings: Sequence[Finding], names: Names, way: str
) -> tuple[list[Step], set[bytes]]:
    """Return what to do about *findings* that may have been meant to be in Git, and their paths."""
    steps = []
    told = set()
    alone = {finding.path: finding.rule for finding in findings if finding.group == finding.path}
    weights = [path for path, rule in alone.items() if rule == WEIGHTS_RULE]
    named = named_in(check.repository, weights)
    for path, file in list(named.items())[:_FEW]:
        what = f"{shown(path)} is named in {shown(file)}. "
        keep = f"keep it by adding {_entry(literal(os.fsdecode(path)))}"
        told.add(path)
        if names.is_weights(path):
            what += f"Add it as a milestone (TEXT says why), or {keep}:"
            steps.append(Step(what, (_approve(path, way),)))
        else:
            steps.append(Step(f"{what}If others need it from Git, {keep}.", ()))
    if len(named) > _FEW:
        steps.append(Step(f"{len(named) - _FEW:,} more of them are named in tracked files.", ()))
    for pattern, count in sibling_patterns(alone)[:_FEW]:
        what = f"{count:,} of them lie together. If they are data, keep all by adding"
        steps.append(Step(f"{what} {_entry(pattern[1:])}.", ()))
    return steps, told


def _entry(path: str) -> str:
    return f"{in_quotes('/' + path)} to `keep` in {POLICY_NAME}"


def _approve(path: bytes, way: str) -> git_commands.Command:
    return git_commands.Command(
        "fx-add-milestone", os.fsdecode(f"{way}/".encode() * bool(way) + path), "--why", "TEXT"
    )


def _is_missing(check: IndexCheck, path: bytes) -> bool:
    """Return True if taking *path* out of the index would lose its staged version."""
    change = check.staged.get(path)
    return (
        change is not None
        and change.mode != SUBMODULE_MODE
        and not os.path.lexists(os.path.join(check.repository.root, path))
    )


def _unstaging(check: IndexCheck, found: set[bytes], added: set[bytes]) -> list[bytes]:
    verdicts = check.verdicts(added, ask_disk=True)
    chosen = found | {verdict.path for verdict in verdicts if verdict.blocked}
    # `git reset` would also drop intent-to-add entries of the folders that it is given.
    intended = check.repository.intended(check.index, check.staged)
    whole = git_commands.cover(chosen, {*check.staged, *intended})
    holding = found.union(*map(parents, found))
    return [path for path in whole if path in holding]


def _untracking(
    check: IndexCheck,
    acceptance: Acceptance,
    found: set[bytes],
    groups: set[bytes],
    added: set[bytes],
) -> set[bytes]:
    """Return what is to be untracked: *found*, and what else is in their *groups*."""
    verdicts = check.verdicts([path for path in check.index if path not in added], ask_disk=False)
    return found | {
        verdict.path
        for verdict in acceptance.left(verdicts, check.index)
        if check.classifier.group(verdict) in groups
    }
