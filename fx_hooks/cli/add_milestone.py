"""``fx-add-milestone``: approves one model, with its digest, metadata and provenance."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any, BinaryIO, NamedTuple

from fx_hooks.artifacts.classifier import Classifier
from fx_hooks.best_models.artifact_source import Source, source_of
from fx_hooks.best_models.checkpoint import CheckpointFacts, read_facts
from fx_hooks.best_models.contract import (
    IF_TRUSTED,
    Content,
    check_content,
    metadata_path,
    missing_globals,
)
from fx_hooks.best_models.file_names import Names
from fx_hooks.best_models.metadata import (
    MAX_BYTES,
    example_of_keys,
    read_metadata,
    without_private,
)
from fx_hooks.best_models.milestone import Milestone
from fx_hooks.best_models.milestones import (
    IncompleteEntry,
    load_contract,
    named_from_root,
    with_entry,
)
from fx_hooks.best_models.provenance import Provenance, find_provenance
from fx_hooks.best_models.run_identity import identity_of
from fx_hooks.best_models.staged_models import digest
from fx_hooks.cli._common import add_policy_option, command_parser, entry_point
from fx_hooks.cli._milestone_files import (
    Plan,
    as_chosen,
    from_here,
    opened_model,
    print_staging,
    project_of,
    read_beside,
    write_plan,
)
from fx_hooks.cli._publish import publish_milestone
from fx_hooks.git.alone import alone
from fx_hooks.git.commands import LFS_ATTRIBUTES, attributes_line
from fx_hooks.git.repository import IndexEntry, Repository
from fx_hooks.gitignore import file as ignore_file
from fx_hooks.gitignore.block import parse, rewritten
from fx_hooks.gitignore.blocks import wanted_block
from fx_hooks.policy.in_force import policy_in_force
from fx_hooks.policy.milestone_list import load_milestones
from fx_hooks.policy.model import (
    LFS_REQUIRED,
    MILESTONE_RULE,
    POLICY_NAME,
    BestModels,
    Policy,
    in_quotes,
    literal,
    with_milestones,
)
from fx_hooks.runs.archive.byte_progress import shown_progress
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN
from fx_hooks.util.paths import from_root, quoted, shown
from fx_hooks.util.terminal import command_lines
from fx_hooks.util.times import moment
from fx_hooks.weights.content import NAMED_FORMATS, Format, Inspection, inspect
from fx_hooks.weights.plain_text import is_text_file

NAME = "fx-add-milestone"
# The digest of the file that the figures in the metadata are of, where that is another one.
_FIGURES_OF = "performance_sha256"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Approve FILE as a milestone: copy it into the folder of chosen models, pin its digest,"
        " and write down the figures and the configuration of the run that made it.",
        "0: approved",
        failed="not approved, and nothing was written",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a file, or wandb:ENTITY/PROJECT/ARTIFACT:VERSION[/FILE], which is fetched from W&B",
    )
    parser.add_argument(
        "--why",
        metavar="TEXT",
        help="why you chose it; with --replace, the old reason stays without this",
    )
    parser.add_argument(
        "--metric",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a metric of the model, such as accuracy=0.9",
    )
    parser.add_argument(
        "--as", metavar="NAME", dest="name", help="the name of the milestone in the folder"
    )
    parser.add_argument("--lfs", action="store_true", help="keep the model in Git LFS")
    parser.add_argument(
        "--allow-global",
        metavar="NAME",
        action="append",
        default=[],
        help="let its pickle import NAME, such as package.module.Class",
    )
    parser.add_argument(
        "--format",
        choices=[one.value for one in Format],
        help="the format of the file; name torchscript and pt2, because they hold code",
    )
    parser.add_argument(
        "--safetensors",
        action="store_true",
        help="write the milestone as safetensors, from the state dict of a torch file",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="approve a milestone again, because its content changed",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be written")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="log the milestone FILE to W&B as an artifact, and print what is sent",
    )
    parser.add_argument(
        "--to",
        metavar="ENTITY/PROJECT/ARTIFACT",
        help="the name of the artifact that --publish logs",
    )
    parser.add_argument(
        "--collection",
        metavar="PATH",
        help="the collection that --publish links it to, such as wandb-registry-model/NAME",
    )
    add_policy_option(parser)
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: the model is approved; 2: it cannot be, and nothing was written."""
    parser = make_parser()
    options = parser.parse_args(argv)
    if options.publish:
        return publish_milestone(
            options.file,
            to=options.to,
            collection=options.collection,
            dry_run=options.dry_run,
            policy_file=options.policy,
        )
    if options.to is not None or options.collection is not None:
        parser.error("--to and --collection go with --publish")
    return add_milestone(
        Request(
            file=options.file,
            why=options.why,
            metrics=tuple(options.metric),
            name=options.name,
            lfs=options.lfs,
            allow_globals=tuple(options.allow_global),
            format=Format(options.format) if options.format else None,
            safetensors=options.safetensors,
            replace=options.replace,
            dry_run=options.dry_run,
            policy_file=options.policy,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The command line: what to approve, and how."""

    file: str
    why: str | None = None
    metrics: tuple[str, ...] = ()
    name: str | None = None
    lfs: bool = False
    allow_globals: tuple[str, ...] = ()
    format: Format | None = None
    safetensors: bool = False
    replace: bool = False
    dry_run: bool = False
    policy_file: str | None = None

    def command(self, more: Sequence[str]) -> str:
        """Return the command that was given, with *more* options, for a shell."""
        # A dash would make it an option.
        words = [NAME, f"./{self.file}" if self.file.startswith("-") else self.file]
        given = (("--why", self.why), ("--as", self.name), ("--policy", self.policy_file))
        for option, value in given:
            words += [] if value is None else [option, value]
        words += [word for metric in self.metrics for word in ("--metric", metric)]
        for option, chosen in (
            ("--lfs", self.lfs),
            ("--safetensors", self.safetensors),
            ("--replace", self.replace),
        ):
            words += [option] * chosen
        words += [] if self.format is None else ["--format", self.format]
        words += [word for name in self.allow_globals for word in ("--allow-global", name)]
        return " ".join(quoted(os.fsencode(word)) for word in (*words, *more))


@dataclass(slots=True)
class _Refusal:
    """All that speaks against a model, and the options that would mend it, collected."""

    reasons: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    final: bool = False
    # Said last, so that the command comes right below it.
    trust: str = ""

    def add(self, reason: str, *options: str, final: bool = False) -> None:
        """Refuse for *reason*; a *final* one no option can mend."""
        self.reasons.append(reason)
        self.options += options
        self.final |= final

    def raise_if_any(self, request: Request) -> None:
        """Raise what was collected, about the file as the user named it."""
        reasons = [*self.reasons, *([self.trust] if self.trust else [])]
        if reasons:
            said = "; and it ".join(reasons)
            if self.final:
                raise FatalError(f"{request.file}: {said.removesuffix(IF_TRUSTED)}")
            raise FatalError(f"{request.file}: {said}", request.command(self.options))


def add_milestone(request: Request) -> int:
    """Write model, metadata and entry, and print what to stage; return the exit code.

    Raises :class:`~fx_hooks.util.errors.FatalError` before anything is written.
    """

    def is_model(name: str) -> bool:
        repository = Repository()
        index = repository.index_by_path()
        best_models = policy_in_force(repository, index, request.policy_file).policy.best_models
        return Names(best_models).is_weights(os.fsencode(name))

    with shown_progress() as progress, source_of(request.file, is_model, progress) as source:
        return _approve(request, source)


@alone()
def _approve(request: Request, source: Source) -> int:
    file = source.file
    _refuse_no_model(file, request.file)
    repository = Repository()
    index = repository.index_by_path()
    policy = policy_in_force(repository, index, request.policy_file).policy
    project = project_of(request.file, policy, repository.root)
    listed_in = policy.best_models_of(project)
    best_models = listed_in.below(project)
    root = os.path.realpath(os.fsdecode(repository.root))
    _check_folder(root, best_models)
    figures = _figures(request.metrics)
    model, outside = _destination(
        file, request.file, request.name, repository.root, best_models, request.safetensors
    )
    listing = best_models.milestones_file
    places = (listing, metadata_path(model), ".gitattributes")
    seen = {path: read_beside(root, path) for path in places}
    raw = seen[listing] or b""
    inside = model[len(project) + 1 :] if project else model
    with named_from_root(project):
        listed = load_milestones(raw, listed_in)
    text = raw.decode("utf-8-sig")
    if not request.replace and inside in listed:
        raise _listed_already(request, model, listing)
    before = _replaced(text, model, listed_in, project) if request.replace else None
    refusal = _Refusal()
    reason = _reason(request, before, refusal)
    with (
        opened_model(file, request.file) as original,
        as_chosen(original, request.file, request.safetensors) as model_file,
    ):
        sha256, size, inspection = digest(model_file), _size(model_file), inspect(model_file)
        facts = read_facts(original)
        created = _time_of(source, original)
    _check_target(os.path.join(root, model), model, request, sha256, outside=outside)
    allowed = (*(before.allow_globals if before is not None else ()), *request.allow_globals)
    approved, by = date.today().isoformat(), before.by if before is not None else None
    format_name = _format(inspection, request.format, before)
    same = source.artifact is None and before is not None and before.sha256 == sha256
    milestone = Milestone(
        model, sha256, size, reason, approved, by, format_name, tuple(dict.fromkeys(allowed)),
        artifact=before.artifact if before and same else source.address,
        artifact_digest=before.artifact_digest if before and same else source.digest,
    )  # fmt: skip
    texts: dict[str, bytes] = {}
    in_lfs = bool(repository.sent_to_lfs([os.fsencode(model)], staged=False))
    if request.lfs and not in_lfs:
        texts[".gitattributes"] = _with_lfs(seen[".gitattributes"] or b"", model)
    elif best_models.lfs == LFS_REQUIRED and not in_lfs:
        refusal.add("has to be in Git LFS: best_models.lfs is required", "--lfs")
    wants_lfs = in_lfs or request.lfs or best_models.lfs == LFS_REQUIRED
    content = Content(size, sha256, wants_lfs, wants_lfs, inspection)
    _check_model(milestone, content, best_models, refusal)
    provenance, run = _origin(source, root, model, outside=outside)
    # What is fetched was made from a commit that W&B knows, or nobody does.
    commit = provenance.commit or (
        "" if source.artifact else repository.head_at(created.timestamp()) or ""
    )
    metadata = _metadata(
        root, milestone, inspection, provenance, facts, run, figures, created, commit,
        best_models, request.replace, source, before,
        repository.at_head(os.fsencode(metadata_path(model))),
    )  # fmt: skip
    made_by = source.run or _named_run(provenance, root)
    if metadata.missing:
        _add_missing(refusal, metadata.missing, from_here(metadata_path(model), root), made_by)
    refusal.raise_if_any(request)
    texts[metadata_path(model)] = metadata.text
    entry = milestone._replace(path=inside)
    texts[listing] = _with_listed(text, entry, listed_in, project, repository)
    _refuse_refused(policy, best_models.folder, (metadata_path(model), listing))
    ignored = _ignore_file(repository, index, texts[listing], listing, project)
    if ignored is not None:
        name = os.fsdecode(ignore_file.name_in(project))
        seen[name], texts[name] = ignored
    texts[listing] = texts.pop(listing)  # written last: it is what approves the model
    copied = file if outside else None
    plan = Plan(model=model, copy_from=copied, texts=texts, safetensors=request.safetensors)
    if request.dry_run:
        plan.print_texts()
    else:
        write_plan(root, plan, sha256, seen)
        _report(plan, made_by, root, repository)
    if metadata.figures_of:
        print("\n".join(_old_figures(model, root)))
    return CLEAN


def _with_listed(
    text: str, entry: Milestone, listed_in: BestModels, project: bytes, repository: Repository
) -> bytes:
    """Return the list *text* with *entry*, and prove that it can be read."""
    with named_from_root(project):
        listing = with_entry(text, entry, listed_in).encode()
    try:
        load_contract(listing, listed_in, project)
    except IncompleteEntry as exc:
        raise exc.with_command(repository.path_to_root()) from exc
    return listing


def _refuse_no_model(file: str, called: str) -> None:
    """Refuse a folder, and a file whose content is text; it is *called* as it was asked for."""
    if os.path.isdir(file):
        raise FatalError(f"{called}: is a folder: name the model file in it")
    if is_text_file(os.fsencode(os.path.realpath(file))):
        what = "text" if os.path.getsize(file) else "empty"
        raise FatalError(f"{called}: is not a model file, but {what}")


def _named_run(provenance: Provenance, root: str) -> str:
    """Return the folder of the run that made the model, from here; empty where there is none."""
    run = provenance.directory or ""
    return from_here(run, root) if os.path.isabs(run) else run


def _old_figures(model: str, root: str) -> list[str]:
    """Return what to say where the figures of a model are those of the file before."""
    about = shown(os.fsencode(from_here(metadata_path(model), root)))
    command = f"{NAME} --replace {quoted(os.fsencode(from_here(model, root)))}"
    return [
        f"The figures in {about} are those of the old file. Give new ones:",
        *command_lines((f"{command} --metric NAME=VALUE",)),
    ]


def _add_missing(refusal: _Refusal, missing: Sequence[str], about: str, run: str) -> None:
    """Add to *refusal* what neither the *run* nor the metadata, in the file *about*, says."""
    others = [key for key in missing if key != "performance"]
    figures = ("--metric", "NAME=VALUE") if "performance" in missing else ()
    if not others:
        lacks = f"comes from the run {run}, which logged no metric" if run else "has no figures"
        refusal.add(f"{lacks}: add --metric NAME=VALUE", *figures)
        return
    keys = " and ".join(others)
    lacks = (
        f"comes from the run {run}, which has no {keys}"
        if run
        else f"lies in no run that has a {keys}"
    )
    example = example_of_keys(others)
    refusal.add(f"{lacks}: write {about}, such as {example}, then run this", *figures)


def _refuse_refused(policy: Policy, folder: str, paths: Sequence[str]) -> None:
    """Refuse to write *paths* that a rule of the repository would keep out of the next commit."""
    classifier = Classifier(policy)
    for path in classifier.blocked([os.fsencode(path) for path in paths]):
        decider = classifier.classify([path], classifier.tree([path]))[0].decider
        rule = f"{decider.rule} ({decider.place})" if decider is not None else "a rule"
        keep = in_quotes("/" + literal(folder))
        raise FatalError(
            f"{shown(path)}: {rule} refuses it: add {keep} to `keep` in {POLICY_NAME}, then run"
            " again"
        )


def _listed_already(request: Request, model: str, listing: str) -> FatalError:
    again = dataclasses.replace(request, replace=True)
    return FatalError(
        f"{model}: is listed in {listing}: approve it again with --replace", again.command(())
    )


def _reason(request: Request, before: Milestone | None, refusal: _Refusal) -> str:
    """Return why the model is chosen, now or *before*."""
    reason = " ".join((request.why or "").split()) or (before.why if before is not None else "")
    if not reason:
        refusal.add("has no reason: say with --why why you choose it", "--why", "TEXT")
    return reason


def _check_target(target: str, model: str, request: Request, sha256: str, *, outside: bool) -> None:
    """Refuse a *target* that is a link, or that would be overwritten unasked.

    An interruption may have left the model itself there.
    """
    if not outside and os.path.islink(target):
        raise FatalError(f"{model}: is a symbolic link: name the file that it points to")
    if outside and not request.replace and os.path.lexists(target):
        with contextlib.suppress(OSError), open(target, "rb", opener=files_not_links) as file:
            if digest(file) == sha256:
                return
        raise FatalError(f"{model}: is there already: choose another name, or --replace it")


def _ignore_file(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    listed: bytes,
    listing: str,
    project: bytes,
) -> tuple[bytes, bytes] | None:
    """Return ``.gitignore`` as it is and as the new list wants it; None where it has no block."""
    before = ignore_file.read(repository.root, project)
    if before is None or not parse(before).stop:
        return None
    policy = policy_in_force(repository, index).policy
    best_models = policy.best_models_of(project)
    if best_models.below(project).milestones_file != listing:
        return None  # another policy's list
    if project:
        assert policy.projects is not None
        policy.projects.list_in(project, listed)
    else:
        entries = tuple(
            entry
            for entry in policy.entries
            if entry.rule != MILESTONE_RULE or entry.source != listing
        )
        lines = load_milestones(listed, best_models)
        policy = with_milestones(policy._replace(entries=entries), lines, listing)
    merged = ignore_file.merged_versions(repository, index, project)
    wanted = wanted_block(repository, index, policy, project)
    after = rewritten(before, wanted, merged=merged)
    return None if after == before else (before, after)


def _format(inspection: Inspection, asked: Format | None, before: Milestone | None) -> str | None:
    """Return the format to write down; formats that hold code only where the user names them."""
    if inspection.format not in NAMED_FORMATS or asked is not None:
        written = asked or inspection.format
        return written and written.value
    return before.format if before is not None else None


def _replaced(text: str, model: str, best_models: BestModels, project: bytes) -> Milestone | None:
    """Return the entry that is to be replaced, if it is whole."""
    try:
        return load_contract(text.encode(), best_models, project).get(model)
    except FatalError:
        return None  # the new one mends it, or the same error is met again


def _check_folder(root: str, best_models: BestModels) -> None:
    folder = os.path.join(root, best_models.folder)
    if os.path.lexists(folder) and (
        not os.path.isdir(folder) or os.path.realpath(folder) != os.path.normpath(folder)
    ):
        raise FatalError(f"{best_models.folder}: is not a directory of its own: make it one")


def _destination(
    file: str,
    called: str,
    name: str | None,
    root: bytes,
    best_models: BestModels,
    safetensors: bool,
) -> tuple[str, bool]:
    """Return the root-relative path of the milestone, and whether it has to be copied there.

    Errors name the *file* as it was *called*, which may be an address of W&B.
    """
    try:
        here = from_root(file, root)
    except FatalError:
        here = b""  # it lies elsewhere
    folder = best_models.folder
    names = Names(best_models)
    if here.startswith(folder.encode() + b"/") and name is None:
        path = os.fsdecode(here)
    else:
        chosen = name if name is not None else os.path.basename(os.path.abspath(file))
        given = name is not None and not names.is_weights(os.fsencode(chosen))
        if given and not safetensors:
            chosen += _suffix(file)
        path = f"{folder}/{chosen}"
    if safetensors:
        path = path.removesuffix(_suffix(path)) + ".safetensors"
    parts = path.split("/")
    if {"", ".", ".."} & set(parts) or not path.isprintable() or "\\" in path:
        raise FatalError(f"{path!r}: choose a plain name with --as NAME")
    if not names.is_weights(os.fsencode(path)):
        raise FatalError(
            f"{called if name is None else path}: a milestone is called"
            f" {', '.join(best_models.weights)}: choose a name with --as"
        )
    return path, os.fsencode(path) != here


def _suffix(path: str) -> str:
    """Return the suffix of a weights' name: ``.pth.tar`` is one."""
    stem, suffix = os.path.splitext(path)
    if suffix == ".tar":
        suffix = os.path.splitext(stem)[1] + suffix
    return suffix if len(suffix) < len(os.path.basename(path)) else ""


def _size(file: io.BufferedReader | BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _figures(metrics: Sequence[str]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for metric in metrics:
        name, _, text = metric.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not name or not math.isfinite(value):
            raise FatalError(f"--metric {metric}: write NAME=VALUE with a number")
        figures[name] = int(text) if text.lstrip("+-").isdigit() else value
    return figures


def _check_model(
    milestone: Milestone, content: Content, best_models: BestModels, refusal: _Refusal
) -> None:
    """Add to *refusal* what ``fx-check-best-models`` would refuse."""
    assert content.inspection is not None
    foreign = missing_globals(milestone, content.inspection)
    for found in check_content(milestone, content, best_models):
        if found.rule == "best-models-format" and milestone.format is None and found.advice:
            refusal.add(found.why, "--format", content.inspection.format or "")
        elif found.advice and foreign and found.rule == "best-models-unsafe":
            refusal.trust = found.why
            refusal.options += [word for n in foreign for word in ("--allow-global", n)]
        else:
            refusal.add(found.why, final=True)


class _Metadata(NamedTuple):
    """Metadata as JSON, and the required keys that it lacks.

    ``figures_of`` is the digest of the file that the figures are of, where that is another one.
    """

    text: bytes
    missing: list[str]
    figures_of: str


def _metadata(
    root: str,
    milestone: Milestone,
    inspection: Inspection,
    provenance: Provenance,
    facts: CheckpointFacts,
    run: Mapping[str, str],
    figures: Mapping[str, float],
    created: datetime,
    commit: str,
    best_models: BestModels,
    replace: bool,
    source: Source,
    before: Milestone | None,
    committed: bytes | None,
) -> _Metadata:
    """Return the metadata: what is there already, completed by what the run or the file says.

    What is there is of another file where it says so; then what is known of this one replaces it.
    *committed* is the metadata in ``HEAD``.
    """
    path = metadata_path(milestone.path)
    text = read_beside(root, path)
    known: dict[str, Any] = {}
    if text is not None:
        existing = read_metadata(text, required=())
        if existing.faults:
            raise FatalError(f"{path}: {existing.faults[0]}: mend it first")
        known = existing.value
        if not replace and known.get("sha256", milestone.sha256) != milestone.sha256:
            raise FatalError(f"{path}: is about another model: approve the new one with --replace")
    found: dict[str, Any] = {
        "performance": {**(provenance.performance or facts.performance), **figures} or None,
        "config": facts.config if provenance.config is None else provenance.config,
        "wandb": dict(provenance.wandb) or None,
        "hydra": None if provenance.overrides is None else {"overrides": provenance.overrides},
        "git": {"commit": commit} if commit else None,
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    found = without_private(found, root)
    found = {key: item for key, item in found.items() if item is not None}
    other = _figures_of(known, before, committed, milestone.sha256)
    if other and (provenance.directory is not None or source.artifact is not None):
        # It has another run than the file before.
        known = {key: item for key, item in known.items() if key not in ("wandb", "hydra", "run")}
    if other:
        known = {key: item for key, item in known.items() if key != "git"} | found
    figures_of = other if "performance" in known and "performance" not in found else ""
    # The content says these; a person's word does not count.
    derived = {
        "format": inspection.format,
        "parameters": facts.parameters,
        "sha256": milestone.sha256,
        _FIGURES_OF: figures_of or None,
        # Of a model that was copied from elsewhere before, only who did that knows.
        "run": dict(run) or known.get("run"),
        # It stays as long as the list has it.
        "artifact": source.record() or (known.get("artifact") if milestone.artifact else None),
    }
    value = {key: item for key, item in {**found, **known, **derived}.items() if item is not None}
    if figures and not other and isinstance(known.get("performance"), dict):
        value["performance"] = {**known["performance"], **figures}
    result = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    encoded = result.encode("utf-8", "backslashreplace")
    if len(encoded) > MAX_BYTES:
        raise FatalError(f"{path}: would have more than {MAX_BYTES:,} bytes: write it by hand")
    missing = [key for key in best_models.required_keys if key not in value]
    return _Metadata(encoded, missing, figures_of)


def _figures_of(
    known: Mapping[str, Any], before: Milestone | None, committed: bytes | None, sha256: str
) -> str:
    """Return the digest of the file that the figures *known* are of; empty if it is *sha256*.

    Whoever has written other ones since they were *committed* has written those of the new file.
    """
    approved = before.sha256 if before is not None else None
    digest_of = known.get(_FIGURES_OF) or known.get("sha256") or approved
    if not isinstance(digest_of, str) or digest_of == sha256:
        return ""
    then = read_metadata(committed, required=()).value if committed is not None else None
    if isinstance(then, dict) and then.get("sha256") == known.get("sha256"):
        return digest_of if then.get("performance") == known.get("performance") else ""
    return digest_of


def _origin(
    source: Source, root: str, model: str, *, outside: bool
) -> tuple[Provenance, Mapping[str, str]]:
    """Return what is known of the run that made a model, and where it lies here."""
    if source.artifact is not None:
        return source.provenance(), {}
    provenance = _provenance(source.file, root) if outside else Provenance()
    return provenance, _run(source.file, provenance, os.fsencode(root), model)


def _time_of(source: Source, file: io.BufferedReader) -> datetime:
    """Return when the model was made, as far as that is known."""
    if source.artifact is not None:
        with contextlib.suppress(ValueError):
            # Python 3.10 reads no Z.
            made = datetime.fromisoformat(source.artifact.created.replace("Z", "+00:00"))
            return (
                made.astimezone(timezone.utc) if made.tzinfo else made.replace(tzinfo=timezone.utc)
            )
    written = moment(os.fstat(file.fileno()).st_mtime, timezone.utc)
    if written is None:
        raise FatalError(f"{source.file}: no calendar has the time of this file: touch it first")
    return written


def _provenance(file: str, root: str) -> Provenance:
    """Return the run that made *file*, or what that is a link to."""
    found = find_provenance(os.path.abspath(file), root)
    if found.directory is None and os.path.islink(file):
        return find_provenance(os.path.realpath(file), root)
    return found


def _run(file: str, provenance: Provenance, root: bytes, model: str) -> dict[str, str]:
    """Return where the run that left *file* lies, and its identity; paths are from the root."""
    found = {}
    for key, place in (("path", provenance.directory), ("checkpoint", file)):
        with contextlib.suppress(FatalError):  # it lies elsewhere, in a folder of another user
            path = os.fsdecode(from_root(place, root)) if place is not None else ""
            if path not in ("", model):
                found[key] = path
    with contextlib.suppress(OSError):  # what cannot be read tells nobody which run it is
        identity = identity_of(provenance.directory) if provenance.directory is not None else None
        if identity is not None:
            found["identity"] = identity
    return found


def _with_lfs(attributes: bytes, model: str) -> bytes:
    """Return the text of ``.gitattributes`` with *model* sent to Git LFS, as git lfs track does."""
    end = b"" if not attributes or attributes.endswith(b"\n") else b"\n"
    return attributes + end + attributes_line(os.fsencode(model), LFS_ATTRIBUTES) + b"\n"


def _report(plan: Plan, run: str, root: str, repository: Repository) -> None:
    made = f", made by {shown(os.fsencode(run))}" if run else ""
    print(f"{shown(os.fsencode(from_here(plan.model, root)))}: approved{made}")
    print_staging([plan.model, *plan.texts], repository)


if __name__ == "__main__":
    raise SystemExit(main())
