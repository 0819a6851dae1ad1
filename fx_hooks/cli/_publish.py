"""``fx-add-milestone --publish``: a milestone logged to W&B as an artifact."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from fx_hooks.best_models.artifact_source import Source
from fx_hooks.best_models.contract import metadata_path
from fx_hooks.best_models.metadata import read_metadata
from fx_hooks.best_models.milestones import load_contract, named_from_root, with_entry
from fx_hooks.best_models.staged_models import digest
from fx_hooks.cli._milestone_files import (
    Plan,
    opened_model,
    print_staging,
    project_of,
    read_beside,
    write_plan,
)
from fx_hooks.frameworks.run_files import at
from fx_hooks.frameworks.wandb.address import SCHEME, Address, parse
from fx_hooks.git.alone import alone
from fx_hooks.git.repository import Repository
from fx_hooks.policy.in_force import policy_in_force
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN
from fx_hooks.util.paths import from_root, human_size, quoted

_NO_NAME = re.compile(r"[^\w.-]+", re.ASCII)


def publish_milestone(
    file: str,
    *,
    to: str | None = None,
    collection: str | None = None,
    dry_run: bool = False,
    policy_file: str | None = None,
) -> int:
    """Log the milestone *file*, and write down where W&B has it; return the exit code.

    Raises :class:`~fx_hooks.util.errors.FatalError` for what was not approved as it is.
    """
    repository = Repository()
    policy = policy_in_force(repository, repository.index_by_path(), policy_file).policy
    project = project_of(file, policy, repository.root)
    listed_in = policy.best_models_of(project)
    listing = listed_in.below(project).milestones_file
    root = os.path.realpath(os.fsdecode(repository.root))
    path = os.fsdecode(from_root(file, repository.root))
    about = metadata_path(path)
    seen = {place: read_beside(root, place) for place in (listing, about)}
    text = seen[listing] or b""
    milestone = load_contract(text, listed_in, project).get(path)
    if milestone is None:
        command = f"fx-add-milestone {quoted(os.fsencode(file))} --why TEXT"
        raise FatalError(f"{path}: is not a milestone: approve it first", command)
    with opened_model(file) as opened:
        if digest(opened) != milestone.sha256:
            command = f"fx-add-milestone --replace {quoted(os.fsencode(file))} --metric NAME=VALUE"
            raise FatalError(
                f"{path}: was changed after it was approved: approve it with its figures", command
            )
    known = _metadata(about, seen[about])
    address = _address(to, path, known)
    files = {os.path.basename(place): os.path.join(root, place) for place in (path, about)}
    target = f" and links it to {collection}" if collection else ""
    print(f"Sends to W&B as {address}{target}:")
    for place in files.values():
        print(f"  {human_size(os.path.getsize(place)):>10}  {os.path.relpath(place)}")
    print("  and a run that says which versions of wandb and Python sent it, and on what system")
    if dry_run:
        return CLEAN
    from fx_hooks.frameworks.wandb.publish import Sending, publish  # it starts processes

    sent = publish(Sending(address, files, collection or ""))
    file_of = Source(
        file, sent._replace(address=sent.address._replace(file=os.path.basename(path)))
    )
    value = {**known, "artifact": file_of.record()}
    inside = path[len(project) + 1 :] if project else path
    entry = milestone._replace(
        path=inside, artifact=file_of.address, artifact_digest=file_of.digest
    )
    with named_from_root(project):
        new = with_entry(text.decode("utf-8-sig"), entry, listed_in).encode()
    json_text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    texts = {about: json_text.encode("utf-8", "backslashreplace"), listing: new}
    try:
        with alone():
            write_plan(root, Plan(model=path, copy_from=None, texts=texts), milestone.sha256, seen)
    except FatalError as exc:
        raise FatalError(f"{file_of.address} is there, and is not written down: {exc}") from exc
    print(f"{file_of.address}: is there, with the digest {file_of.digest}")
    print_staging(list(texts), repository)
    return CLEAN


def _metadata(about: str, text: bytes | None) -> dict[str, Any]:
    """Return the metadata, which is sent, too: it must give nothing away."""
    if text is None:
        raise FatalError(f"{about}: is missing")
    metadata = read_metadata(text, required=())
    if metadata.faults:
        raise FatalError(f"{about}: {metadata.faults[0]}: mend it first")
    value: dict[str, Any] = metadata.value
    return value


def _address(to: str | None, path: str, metadata: dict[str, Any]) -> Address:
    """Return where it goes: *to*, or to the project of its run, under its own name."""
    if to is None:
        entity, project = (at(metadata, "wandb", key) for key in ("entity", "project"))
        stem = os.path.splitext(os.path.basename(path))[0]
        to = f"{entity}/{project}/{_NO_NAME.sub('-', stem)}" if entity and project else ""
    found = parse(f"{SCHEME}{to.removeprefix(SCHEME)}:new")
    if found is None or found.file:
        raise FatalError(f"{path}: say with --to ENTITY/PROJECT/ARTIFACT what W&B is to call it")
    return found._replace(version="")
