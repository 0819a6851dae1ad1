"""The end of a W&B run and the state of its upload, from the files it left.

W&B writes an exit record at the end of its log, whatever the server says.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Ending, Evidence, Proof, State
from fx_hooks.frameworks.wandb.names import RUN_NAME, SYNCED_MARK, id_of, log_name
from fx_hooks.frameworks.wandb.record import WandbEnd, read_wandb_end
from fx_hooks.frameworks.wandb.unsent import unsent_file
from fx_hooks.frameworks.wandb.upload import can_be_synced
from fx_hooks.frameworks.wandb.uploads import Upload, online_upload, sync_of
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.frameworks.wandb.sync_logs import Syncs
    from fx_hooks.util.disk import Folder


def wandb_ending(folder: Folder, root: bytes, syncs: Syncs) -> Ending:
    """Return what the W&B run in *folder* says of itself, and what *syncs* say of it."""
    log = log_name(folder.name, folder.names())
    place = os.path.join(root, folder.path)
    end = _wandb_end(os.path.join(place, log)) if log is not None else None
    if log is None or end is None:
        name = log or b"run-%s.wandb" % id_of(folder.name, None)
        reason = f"its log {shown(name)} is missing or cannot be read"
        said = _of_log(folder, name, "it is missing or cannot be read", Proof.NOTHING)
        return Ending(State.UNSYNCED, reason, False, (said,))
    ended = end.exit_code is not None
    says = "it does not say that the run has ended" if can_be_synced(folder) else "it is empty"
    if ended:
        says = f"the run ended with exit code {end.exit_code}"
    said = _of_log(folder, log, says, Proof.ENDED if ended else Proof.NOTHING)
    upload = _upload(folder, log, place, syncs, end)
    if upload.proves is Proof.UPLOADED:
        upload = _with_all_files(upload, folder, place, log)
    evidence = (said, *upload.evidence)
    if upload.proves is not Proof.UPLOADED:
        unproven = upload.proves is Proof.NOTHING
        failed = bool(end.exit_code)
        return Ending(State.UNSYNCED, upload.reason, ended, evidence, unproven, failed)
    if end.exit_code:
        reason = f"exit code {end.exit_code}; {upload.reason}"
        return Ending(State.FAILED, reason, True, evidence, failed=True)
    return Ending(State.SYNCED, upload.reason, ended, evidence)


def _upload(folder: Folder, log: bytes, place: bytes, syncs: Syncs, end: WandbEnd) -> Upload:
    synced = sync_of(folder, log, syncs, end)
    if synced is not None and synced.proves is Proof.UPLOADED:
        return synced
    match = RUN_NAME.fullmatch(folder.name)
    if match is not None and match["offline"]:
        if synced is not None:
            return synced
        missing = _of_log(folder, log + SYNCED_MARK, "it is missing", Proof.NOT_UPLOADED)
        reason = f"offline, and no {shown(log + SYNCED_MARK)}"
        if not can_be_synced(folder):
            reason = f"offline, and its log {shown(log)} is empty"
        return Upload(Proof.NOT_UPLOADED, reason, (missing,))
    online = online_upload(folder, place, has_ended=end.exit_code is not None)
    if online.proves is Proof.UPLOADED and end.exit_code is None:
        online = Upload(Proof.NOTHING, "", online.evidence)
    evidence = (*(synced.evidence if synced is not None else ()), *online.evidence)
    if online.proves is Proof.UPLOADED:
        return online._replace(evidence=evidence)
    if synced is not None:
        refused = Proof.NOT_UPLOADED in (synced.proves, online.proves)
        proves = Proof.NOT_UPLOADED if refused else Proof.NOTHING
        return Upload(proves, synced.reason, evidence)
    if end.exit_code is None and online.proves is Proof.NOTHING:
        why = "online, and it did not come to its end"
        if not can_be_synced(folder):
            why = f"online, and its log {shown(log)} is empty"
        return Upload(Proof.NOTHING, why, evidence)
    return online


def _with_all_files(upload: Upload, folder: Folder, place: bytes, log: bytes) -> Upload:
    """Return what *upload* proves of a run that may have files in it that were never sent."""
    path = unsent_file(folder, place, log)
    if path is None:
        return upload
    said = _of_log(folder, path, "nothing says that W&B was told to send it", Proof.NOTHING)
    reason = f"W&B may not have {shown(path)}, which the program did not give to wandb.save"
    return Upload(Proof.NOTHING, reason, (*upload.evidence, said))


def was_synced(folder: Folder, log: bytes, syncs: Syncs) -> bool:
    """Return whether it is proven that any log of a run, *log* in *folder*, was synced."""
    upload = sync_of(folder, log, syncs, None)
    return upload is not None and upload.proves is Proof.UPLOADED


def _of_log(folder: Folder, name: bytes, says: str, proves: Proof) -> Evidence:
    return Evidence(read=os.fsdecode(folder.path + b"/" + name), says=says, proves=proves)


def _wandb_end(place: bytes) -> WandbEnd | None:
    try:
        with open(place, "rb", opener=files_not_links) as file:
            return read_wandb_end(file)
    except OSError:
        return None
