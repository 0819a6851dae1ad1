"""Files logged to W&B as an artifact, by a run of its own that says nothing of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.frameworks.wandb import client as wandb_client
from fx_hooks.frameworks.wandb.client import Silent, begin, client, receive, said
from fx_hooks.frameworks.wandb.registry import Artifact, File, differs, look_again
from fx_hooks.util.errors import FatalError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from fx_hooks.frameworks.wandb.address import Address

_SLOWEST = 100_000  # bytes a second: who takes longer has stopped
_NOT_SENT = File(-1, "", "MD5", "")
# What the client would send of itself: the host, the program, its code and packages, the commit and
# the changes since, what is printed, what the machine does (wandb/sdk/wandb_settings.py).
_SAY_NOTHING: Mapping[str, Any] = {
    "console": "off", "disable_code": True, "disable_git": True, "disable_job_creation": True,
    "host": "-", "program": "-", "save_code": False, "silent": True, "x_disable_machine_info": True,
    "x_disable_meta": True, "x_disable_stats": True, "x_save_requirements": False,
}  # fmt: skip
# Variables that say where W&B is and who asks. Others may name a run, and what it is about.
_WHO_ASKS = frozenset({
    "WANDB_API_KEY", "WANDB_APP_URL", "WANDB_BASE_URL", "WANDB_CONFIG_DIR",
    "WANDB_CREDENTIALS_FILE", "WANDB_DIR", "WANDB_ENTITY", "WANDB_HTTP_TIMEOUT",
    "WANDB_IDENTITY_TOKEN_FILE", "WANDB_INIT_TIMEOUT", "WANDB_INSECURE_DISABLE_SSL",
    "WANDB_ORGANIZATION", "WANDB_X_EXTRA_HTTP_HEADERS", "WANDB__EXTRA_HTTP_HEADERS",
})  # fmt: skip


class Sending(NamedTuple):
    """An artifact to send, and its address: *files* are places by their names in the artifact."""

    address: Address
    files: Mapping[str, str]
    collection: str = ""


def publish(sending: Sending) -> Artifact:
    """Log an artifact, link it to its collection, and return what W&B has of it then.

    Raises :class:`~fx_hooks.util.errors.FatalError`; then no version is committed, or it is and
    the message says so.
    """
    size = sum(os.path.getsize(place) for place in sending.files.values())
    patience = wandb_client.PATIENCE + size / _SLOWEST
    with client(_publish, sending) as (connection, _):
        try:
            answer = receive(connection, patience)
        except Silent as exc:
            raise FatalError(f"{sending.address}: {exc}") from exc
    if isinstance(answer, str):
        raise FatalError(f"{sending.address}: {answer}")
    artifact: Artifact = answer
    fault = artifact.fault
    for name, place in sending.files.items():
        fault = fault or differs(place, artifact.files.get(name, _NOT_SENT))
    if fault:
        raise FatalError(f"{artifact.address}: {fault}")
    return artifact


def _publish(connection: Connection, place: str, sending: Sending) -> None:
    """Log the artifact, as the process of its own; send it, or what went wrong."""
    logged = ""
    try:
        for name in [*os.environ]:
            if name.startswith("WANDB_") and name not in _WHO_ASKS:
                del os.environ[name]
        # The client sends the paths of files as it is given them. Its settings are still here.
        os.environ.setdefault("WANDB_DIR", os.getcwd())
        folder = os.path.join(place, "sent")
        os.mkdir(folder)
        for name, file in sending.files.items():
            _put(file, os.path.join(folder, name))
        os.chdir(folder)
        api = begin(place)
        import wandb

        # Some of them are newer than some clients.
        known = getattr(wandb.Settings, "model_fields", _SAY_NOTHING)
        settings = {key: value for key, value in _SAY_NOTHING.items() if key in known}
        address = sending.address
        artifact: Any = wandb.Artifact(address.name, type="model")
        for name in sending.files:
            artifact.add_file(name, name=name, skip_cache=True, policy="immutable")
        run: Any = wandb.init(
            entity=address.entity,
            project=address.project,
            job_type="fx-add-milestone",
            dir=place,
            mode="online",
            settings=wandb.Settings(**settings),
        )
        with run:
            done = run.log_artifact(artifact).wait()
            logged = f"{address._replace(version=done.version)} is there, and was not linked: "
            if sending.collection:
                run.link_artifact(done, sending.collection)
        connection.send(look_again(api, address._replace(version=done.version)))
    except Exception as exc:
        connection.send(logged + said(exc))


def _put(file: str, place: str) -> None:
    try:
        os.symlink(file, place)
    except OSError:  # Windows asks for a privilege
        shutil.copyfile(file, place)
