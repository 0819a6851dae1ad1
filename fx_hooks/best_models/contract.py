"""The contract of ``best_models/``: weights, metadata and approval belong together.

Rules are functions from data to findings; what is in the index and in the blobs is read
in :mod:`fx_hooks.best_models.staged_models`.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fx_hooks.artifacts.classifier import Classifier
from fx_hooks.best_models.file_names import Names
from fx_hooks.best_models.metadata import SUFFIX, example_of_keys
from fx_hooks.best_models.milestone import can_be_allowed
from fx_hooks.git.commands import (
    LFS_ATTRIBUTES,
    NO_LFS_ATTRIBUTES,
    add_attributes,
    git_for,
)
from fx_hooks.git.repository import LINK_MODE, SUBMODULE_MODE, IndexEntry
from fx_hooks.policy.model import LFS_FORBIDDEN, LFS_REQUIRED, BestModels, Policy
from fx_hooks.reporting.finding import Finding
from fx_hooks.util.paths import human_size, quoted, shown
from fx_hooks.weights.inspection import NAMED_FORMATS

if TYPE_CHECKING:
    from fx_hooks.best_models.milestone import Milestone
    from fx_hooks.weights.inspection import Inspection

# What each rule is about; what a finding says is about one file.
RULES = {
    "best-models-artifact-changed": "W&B has the artifact of a milestone as it was approved.",
    "best-models-artifact-gone": "W&B has the artifact that a milestone is a copy of.",
    "best-models-artifact-unknown": "W&B says that it has the artifact of a milestone.",
    "best-models-digest": "A milestone is what was approved, byte for byte.",
    "best-models-foreign": "The folder holds milestones, their metadata and documents, nothing"
    " else.",
    "best-models-format": "A milestone is in a format that can be checked before it is loaded.",
    "best-models-lfs": "A milestone is in Git LFS where .gitattributes and the policy say so.",
    "best-models-link": "The folder holds files: no links out of it, no submodules.",
    "best-models-metadata": "Metadata is JSON with all required keys and without secrets.",
    "best-models-missing": "What has to be checked is in the clone.",
    "best-models-size": "A milestone is no larger than best_models.max_size.",
    "best-models-stale": "A milestone that is listed is tracked.",
    "best-models-unlisted": "Weights are in Git only as milestones that a person approved.",
    "best-models-unpaired": "A milestone has its metadata next to it.",
    "best-models-unsafe": "A milestone runs nothing of its own when it is loaded.",
}


class Content(NamedTuple):
    """The staged bytes of a milestone, classified.

    ``size`` (bytes) and ``sha256`` are those of the model itself, also where the index
    holds a Git LFS ``pointer`` to it. ``inspection`` is None where the model is not on
    this machine. ``wants_lfs`` says that ``.gitattributes`` sends the path to Git LFS.
    """

    size: int
    sha256: str
    pointer: bool
    wants_lfs: bool
    inspection: Inspection | None


class Surroundings(Protocol):
    """Facts next to the paths in the folder, asked for only of what is at fault."""

    def inspection(self, path: bytes) -> Inspection | None:
        """Return what the staged content of weights is; None where that is not known."""

    def is_on_disk(self, path: bytes) -> bool:
        """Return True if the work tree has *path*."""

    def is_in_head(self, path: bytes, sha256: str | None = None) -> bool:
        """Return True if ``HEAD`` has *path*, as a model with that digest if one is given."""

    def lines(self, path: bytes) -> str:
        """Return which lines of the list are the entry of *path*, for people."""


def metadata_path(path: str) -> str:
    """Return where the metadata of the model at *path* stands: ``NAME_meta.json`` next to it."""
    return os.path.splitext(path)[0] + SUFFIX


def finding(path: bytes, rule: str, why: str, *commands: str, size: int | None = None) -> Finding:
    """One breach of the contract: a sentence without a subject, and what mends it."""
    return Finding(path, rule, why, "\n".join(commands), path, size, True)


def check_structure(
    policy: Policy,
    index: Mapping[bytes, IndexEntry],
    targets: Mapping[bytes, bytes],
    milestones: Mapping[str, Milestone],
    best_models: BestModels,
    around: Surroundings | None = None,
) -> list[Finding]:
    """Return what the paths alone say; *targets* are those of the symbolic links in the folder.

    *index* has the entries of the folder, and those of the folder and what is above it
    where these are no directories. *best_models* are the settings, with the folder from the root
    of the repository, whose policy is *policy*.
    """
    folder = best_models.folder.encode()
    names = Names(best_models)
    inside = sorted(path for path in index if path.startswith(folder + b"/"))
    findings = [
        finding(
            path,
            "best-models-link",
            "is not a directory, so nothing in it can be checked",
            _untrack(path),
        )
        for path in sorted(set(index) - set(inside))
    ]
    listed = {os.fsencode(path): milestone for path, milestone in milestones.items()}
    paired = {os.fsencode(metadata_path(path)) for path in milestones}
    blocked = frozenset(Classifier(policy).blocked(inside))
    for path in inside:
        entry = index[path]
        fault = _entry_fault(path, entry, targets.get(path), folder)
        if not fault and entry.mode == LINK_MODE:
            if path in listed:
                fault = "is a symbolic link: a milestone is a file"
            elif path in paired:
                fault = "is a symbolic link: the metadata of a milestone is a file"
        if fault:
            findings.append(finding(path, "best-models-link", fault, _untrack(path)))
        elif path in blocked and names.is_weights(path) and entry.mode != LINK_MODE:
            findings.append(_unlisted(path, index, best_models, around))
        elif path in blocked:
            findings.append(
                finding(
                    path,
                    "best-models-foreign",
                    "is neither metadata nor a document nor a listed milestone",
                    _untrack(path),
                )
            )
    for path, milestone in listed.items():
        findings += _check_entry(path, milestone, index, names, best_models, around)
    return findings


def _unlisted(
    path: bytes,
    index: Mapping[bytes, IndexEntry],
    best_models: BestModels,
    around: Surroundings | None,
) -> Finding:
    """Return that nobody approved the weights at *path*, and how somebody can."""
    lacks = f"is not listed in {shown(best_models.milestones_file.encode())}"
    out, approve = _untrack(path), f"fx-add-milestone {quoted(path)} --why TEXT"
    inspection = around.inspection(path) if around is not None else None
    refused = _refused_names(inspection) if inspection is not None else []
    if inspection is not None and (refused or inspection.faults):
        why = _runs_code(refused) if refused else inspection.faults[0]
        return finding(path, "best-models-unlisted", f"{lacks}, and {why}", out)
    if inspection is not None and inspection.format is None:
        return finding(path, "best-models-unlisted", f"{lacks}, and {_UNKNOWN}", out)
    if inspection is not None and inspection.globals:
        lacks += f", and needs {', '.join(inspection.globals)}, which {_TORCH} refuses"
        approve += f" {allow_options(inspection.globals)}"
    elif inspection is not None and inspection.format in NAMED_FORMATS:
        lacks += f", and is {inspection.format}, which holds code"
        approve += f" --format {inspection.format}"
    why = f"{lacks}: approve it (TEXT says why you chose it), or take it out of Git"
    metadata = os.fsencode(metadata_path(os.fsdecode(path)))
    there = metadata in index or (around is not None and around.is_on_disk(metadata))
    if best_models.required_keys and not there:
        example = example_of_keys(best_models.required_keys)
        why += f". It has no metadata: first write {shown(metadata)}, such as {example}"
    return finding(path, "best-models-unlisted", why, approve, out)


def _entry_fault(path: bytes, entry: IndexEntry, target: bytes | None, folder: bytes) -> str:
    if entry.stage:
        return "has an unresolved conflict"
    if entry.mode == SUBMODULE_MODE:
        return "is a submodule"
    if entry.mode == LINK_MODE:
        if target is None:
            return "is a symbolic link whose target is not in this clone"
        end = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not end.startswith(folder + b"/"):
            return f"is a symbolic link that points out of {shown(folder)}/"
    return ""


def _check_entry(
    path: bytes,
    milestone: Milestone,
    index: Mapping[bytes, IndexEntry],
    names: Names,
    best_models: BestModels,
    around: Surroundings | None,
) -> Iterable[Finding]:
    place = milestone.place(shown(best_models.milestones_file.encode()))
    if path not in index:
        yield _stale(path, place, around)
        return
    if not names.is_weights(path):
        patterns = ", ".join(best_models.weights)
        why = f"is listed in {place}, but no model has such a name ({patterns})"
        yield finding(path, "best-models-foreign", why)
    metadata = os.fsencode(metadata_path(milestone.path))
    if metadata not in index:
        found = without_metadata(path)
        if around is not None and around.is_on_disk(metadata):
            found = found._replace(advice=f"{git_for(metadata)} add -f -- {quoted(metadata)}")
        elif around is not None and around.is_in_head(metadata):
            found = found._replace(advice=_from_head(metadata))
        yield found


def _stale(path: bytes, place: str, around: Surroundings | None) -> Finding:
    """Return that a listed model is not tracked, and how to get it back."""
    why = f"is listed in {place} and not tracked"
    lines = around.lines(path) if around is not None else "its entry"
    if around is None or around.is_on_disk(path):
        way = f"{git_for(path)} add -f -- {quoted(path)}"
        why += f": add it, or delete {lines}"
    elif around.is_in_head(path):
        way = _from_head(path)
        why += f": bring it back, or delete {lines}"
    else:
        return finding(path, "best-models-stale", f"{why}, nor on disk: delete {lines}")
    return finding(path, "best-models-stale", why, way)


def without_metadata(path: bytes) -> Finding:
    """Return that the milestone at *path* has none."""
    why = f"has no metadata {shown(os.fsencode(metadata_path(os.fsdecode(path))))}"
    return finding(path, "best-models-unpaired", why, _approve(path))


def linked_metadata(path: bytes) -> Finding:
    """Return that the metadata at *path* is a link."""
    why = "is a symbolic link: the metadata of a milestone is a file"
    return finding(path, "best-models-link", why, _untrack(path))


def check_content(
    milestone: Milestone,
    content: Content,
    best_models: BestModels,
    around: Surroundings | None = None,
) -> Iterable[Finding]:
    """Yield what the staged bytes of one milestone break."""
    path = os.fsencode(milestone.path)
    place = milestone.place(shown(best_models.milestones_file.encode()))

    def found(rule: str, why: str, *commands: str) -> Finding:
        return finding(path, f"best-models-{rule}", why, *commands, size=content.size)

    if (content.sha256, content.size) != (milestone.sha256, milestone.size):
        why = (
            f"was changed after it was approved: sha256 {content.sha256} with"
            f" {content.size:,} bytes, {place} has {milestone.sha256} with {milestone.size:,}:"
        )
        approve = approve_again(path)
        if around is not None and around.is_in_head(path, milestone.sha256):
            why += " take back the change, or approve it with its figures"
            yield found("digest", why, _from_head(path), approve)
        else:
            yield found("digest", f"{why} approve it with its figures", approve)
    largest = best_models.max_size
    if largest is not None and content.size > largest:
        why = f"has {human_size(content.size)}: best_models.max_size is {human_size(largest)}"
        yield found("size", why)
    yield from (found("lfs", *fault) for fault in _lfs_faults(path, content, best_models.lfs))
    if content.inspection is not None:
        for rule, why, *commands in _load_faults(milestone, content.inspection, place):
            yield found(rule, why, *commands)
        refused = _refused_names(content.inspection)
        if refused:
            yield found("unsafe", _runs_code(refused), _untrack(path))
        foreign = missing_globals(milestone, content.inspection)
        if foreign:
            yield found("unsafe", _foreign_names(foreign), allow_command(path, foreign))


def _lfs_faults(path: bytes, content: Content, lfs: str) -> Iterable[tuple[str, ...]]:
    again = f"{_untrack(path)} && {git_for(path)} add -f -- {quoted(path)}"
    # `git lfs track` would take the name for a pattern, and untrack only takes back that.
    track = add_attributes(path, LFS_ATTRIBUTES)
    if content.pointer and lfs == LFS_FORBIDDEN:
        yield (
            "is in Git LFS: best_models.lfs is forbidden",
            f"{add_attributes(path, NO_LFS_ATTRIBUTES)} && {again}",
        )
    elif content.pointer and not content.wants_lfs:
        yield (
            "is a Git LFS pointer, but .gitattributes does not send it there: a checkout gets the"
            " pointer and no model",
            track,
        )
    elif not content.pointer and content.wants_lfs and lfs != LFS_FORBIDDEN:
        yield (
            "is staged as raw bytes, though .gitattributes sends it to Git LFS",
            f"git lfs install --local && {again}",
        )
    elif not content.pointer and lfs == LFS_REQUIRED:
        yield (
            "is not in Git LFS: best_models.lfs is required",
            f"git lfs install --local && {track} && {again}",
        )


def _load_faults(
    milestone: Milestone, inspection: Inspection, place: str
) -> Iterable[tuple[str, ...]]:
    if inspection.format is None and not inspection.faults:
        yield "format", _UNKNOWN
    elif milestone.format is not None and inspection.format != milestone.format:
        yield "format", f"is {inspection.format or 'of no known format'}, not {milestone.format}"
    elif inspection.format in NAMED_FORMATS and milestone.format is None:
        yield (
            "format",
            f"is {inspection.format}, which weights_only cannot load: save a state_dict, or write"
            f" 'format: {inspection.format}' into {place}",
            f"{_approve(os.fsencode(milestone.path))} --format {inspection.format}",
        )
    for fault in inspection.faults:
        yield "unsafe", fault


def missing_globals(milestone: Milestone, inspection: Inspection) -> list[str]:
    """Return the names that can be allowed and are not."""
    allowed = milestone.allow_globals
    return [n for n in inspection.globals if n not in allowed and can_be_allowed(n)]


_UNKNOWN = "is in none of the formats that can be checked"
_TORCH = "torch.load(weights_only=True)"
# A command follows.
IF_TRUSTED = " If you trust the file:"


def _refused_names(inspection: Inspection) -> list[str]:
    """Return the names that it imports and that nobody can allow."""
    return [name for name in inspection.globals if not can_be_allowed(name)]


def _runs_code(names: Sequence[str]) -> str:
    named = ", ".join(shown(name.encode("utf-8", "backslashreplace")) for name in names)
    return (
        f"runs code when it is loaded (imports {named}), which no option allows: save only the"
        " state_dict and approve the new file"
    )


def _foreign_names(names: Sequence[str]) -> str:
    return (
        f"needs {', '.join(names)}, which {_TORCH} refuses. Best: save model.state_dict()."
        f"{IF_TRUSTED}"
    )


def allow_command(path: bytes, names: Sequence[str]) -> str:
    """Return the command that allows all of *names* for the listed milestone at *path*."""
    return f"{_approve(path)} {allow_options(names)}"


def allow_options(names: Iterable[str]) -> str:
    """Return the options of ``fx-add-milestone`` that allow *names*, which are plain words."""
    return " ".join(f"--allow-global {name}" for name in names)


def check_digest(path: bytes, value: object, pinned: Collection[str]) -> Iterable[Finding]:
    """Yield what is wrong if metadata names a digest that is none of those *pinned* for it."""
    named = value.get("sha256") if isinstance(value, dict) else None
    # It may be a list, which is not a key.
    if named is not None and pinned and not any(named == sha256 for sha256 in pinned):
        models = " or ".join(sorted(pinned))
        why = f"has another sha256 than the milestone, which has {models}"
        yield finding(path, "best-models-metadata", why)


def approve_again(path: bytes) -> str:
    """Return the command that approves the model at *path* as it is now, with its figures."""
    return f"{_approve(path)} --metric NAME=VALUE"


def metadata_findings(path: bytes, faults: Sequence[str]) -> list[Finding]:
    """Return what is wrong with one JSON file, as findings."""
    return [finding(path, "best-models-metadata", fault) for fault in faults]


def _untrack(path: bytes) -> str:
    return f"{git_for(path)} rm -q -f --cached --ignore-unmatch -- {quoted(path)}"


def _from_head(path: bytes) -> str:
    return f"{git_for(path)} checkout HEAD -- {quoted(path)}"


def _approve(path: bytes) -> str:
    return f"fx-add-milestone --replace {quoted(path)}"
