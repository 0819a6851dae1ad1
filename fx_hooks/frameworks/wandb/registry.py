"""Artifacts that W&B has: what they are, and files of them, by the API of the ``wandb`` package.

Nothing but the addresses of artifacts, and of the runs that logged them, is sent.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.frameworks.wandb import client as wandb_client
from fx_hooks.frameworks.wandb.address import Address, is_plain
from fx_hooks.frameworks.wandb.client import Silent, ask_all, begin, client, receive, said
from fx_hooks.frameworks.wandb.server import is_missing, summary_of
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.errors import FatalError
from fx_hooks.util.strict_json import finite
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Progress = Callable[[str, int, int], None]
# What both versions of the question say of a version or a project that is not there.
_NOT_THERE = re.compile(r"\bnot found (?:in|under) ")
_BLOCK = 1 << 20


class File(NamedTuple):
    """A file of an artifact; its digest is in base64. ``reference`` is where else it lies."""

    size: int
    digest: str
    algorithm: str
    reference: str


class Artifact(NamedTuple):
    """An artifact as W&B has it.

    ``problem`` says why that is not known, and is mostly empty. ``address`` is the artifact's own
    with the number of its version. ``run`` is what is known of the run that logged it.
    """

    exists: bool = False
    address: Address = Address("", "", "", "")
    digest: str = ""
    state: str = ""
    created: str = ""
    server: str = ""
    files: Mapping[str, File] = {}
    run: Mapping[str, Any] = {}
    problem: str = ""

    @property
    def fault(self) -> str:
        """Why it cannot be relied on, as a part of a sentence; empty if it can."""
        if self.problem:
            return self.problem
        if not self.exists:
            return "W&B has no such artifact"
        if self.state != "COMMITTED":
            return f"W&B says that it is {self.state.lower() or 'in no state'}"
        return ""


def look_at(addresses: Sequence[Address]) -> Iterator[tuple[int, Artifact]]:
    """Yield what W&B has of *addresses* as it comes, each with its number.

    Raises :class:`~fx_hooks.util.errors.FatalError` without the ``wandb`` package.
    """
    yield from ask_all(look_again, addresses, lambda problem: Artifact(problem=problem))


def look_again(api: Any, address: Address) -> Artifact:
    """Return what is at *address*, in the process of the client."""
    return _look(api, address)[0]


@contextlib.contextmanager
def fetched(
    address: Address, is_model: Callable[[str], bool], progress: Progress | None = None
) -> Iterator[tuple[str, Artifact]]:
    """Yield the place of a file of the artifact at *address*, checked, until the end of the block.

    Where the address names no file it is the only one of which *is_model* says so. Raises
    :class:`~fx_hooks.util.errors.FatalError`, and then nothing is left of it.
    """
    with client(_fetch, address) as (connection, place):
        try:
            artifact: Artifact = receive(connection)
            if artifact.fault:
                raise FatalError(f"{address}: {artifact.fault}")
            name = _chosen(address, artifact, is_model)
            connection.send(name)
            fault = _wait_for(connection, artifact.files[name].size, progress)
        except Silent as exc:
            raise FatalError(f"{address}: {exc}") from exc
        found = os.path.join(place, "fetched", *name.split("/"))
        fault = fault or differs(found, artifact.files[name])
        if fault:
            raise FatalError(f"{address}: {fault}")
        yield found, artifact._replace(address=artifact.address._replace(file=name))


def _chosen(address: Address, artifact: Artifact, is_model: Callable[[str], bool]) -> str:
    """Return the name of the file that *address* means."""
    names = sorted(artifact.files)
    models = [address.file] if address.file else [name for name in names if is_model(name)]
    if not models and len(names) == 1:
        models = names
    if len(models) != 1 or models[0] not in artifact.files or not is_plain(models[0]):
        few = ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")
        lacks = f"has no file {address.file}" if address.file else f"has {len(models):,} models"
        whole = address._replace(file="")
        raise FatalError(
            one_line(f"{whole}: {lacks}: name one with {whole}/FILE: it has {few or 'no files'}")
        )
    reference = artifact.files[models[0]].reference
    if reference:
        raise FatalError(
            one_line(f"{address}: W&B has only a reference to {reference}: approve the file there")
        )
    return models[0]


def _wait_for(connection: Connection, size: int, progress: Progress | None) -> str:
    """Wait until the file has come, or no more of it does; return what went wrong."""
    last, moved = -1, time.monotonic()
    while True:
        said = receive(connection, moved + wandb_client.PATIENCE - time.monotonic())
        if isinstance(said, str):
            return said
        if said > last:
            last, moved = said, time.monotonic()
            if progress is not None:
                progress("downloading", min(last, size), size)


def differs(place: str, file: File) -> str:
    """Return how the file at *place* is not what the manifest of its artifact says."""
    name = os.path.basename(place)
    try:
        digest = _hasher(file.algorithm)
        with open(place, "rb", opener=files_not_links) as opened:
            size = 0
            while block := opened.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as exc:
        return f"{name} cannot be read: {exc.strerror}"
    except ImportError:
        return f"{name} has a digest that this client of W&B cannot compute: {file.algorithm}"
    if (size, base64.b64encode(digest.digest()).decode()) != (file.size, file.digest):
        return f"{name} is not what its manifest says: {size:,} of {file.size:,} bytes"
    return ""


def _hasher(algorithm: str) -> Any:
    if algorithm == "MD5":
        return hashlib.md5(usedforsecurity=False)
    if algorithm != "XXH128":
        raise ImportError(algorithm)
    # W&B's client brings it along where it writes such digests.
    return importlib.import_module("xxhash").xxh128()


def _fetch(connection: Connection, place: str, address: Address) -> None:
    """Say what is at *address*, then fetch the file that is asked for, in the process of its own.

    Until it is there, how many bytes are is said every second; then an empty text.
    """
    try:
        api = begin(place)
        artifact, found = _look(api, address)
        if not artifact.fault:
            artifact = artifact._replace(run=_made_by(api, found))
        connection.send(artifact)
        entry = found.get_entry(connection.recv())
    except Exception as exc:
        connection.send(Artifact(problem=said(exc)))
        return
    from concurrent.futures import ThreadPoolExecutor, wait  # slow to load

    folder = os.path.join(place, "fetched")
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(entry.download, folder, skip_cache=True)
        while not wait([done], timeout=1).done:
            connection.send(_bytes_in(folder))
        fault = done.exception()
    connection.send(said(fault) if isinstance(fault, Exception) else "")


def _bytes_in(folder: str) -> int:
    size = 0
    for inner, _, names in os.walk(folder):
        with contextlib.suppress(OSError):  # one has got its name meanwhile
            size += sum(os.lstat(os.path.join(inner, name)).st_size for name in names)
    return size


def _look(api: Any, address: Address) -> tuple[Artifact, Any]:
    """Return what is at *address*, and what the client calls it."""
    server = str(api.settings["base_url"])
    try:
        found = api.artifact(address.artifact)
        digest = str(found.digest)  # as the server says it, until there is a manifest
        state = str(getattr(found.state, "value", found.state))
        own = Address(
            found.entity, found.project, found.name.partition(":")[0], found.version, address.file
        )
        artifact = Artifact(True, own, digest, state, str(found.created_at), server)
        if state != "COMMITTED":
            return artifact, None
        if found.manifest.digest() != digest:
            return Artifact(problem="its manifest has not the digest that W&B gives for it"), None
        files = {
            str(name): File(
                int(entry.size or 0), str(entry.digest), _algorithm(entry), str(entry.ref or "")
            )
            for name, entry in found.manifest.entries.items()
        }
        return artifact._replace(files=files), found
    except Exception as exc:
        # Errors of the client have no class for this in all of its versions.
        text = said(exc)
        is_missing = _NOT_THERE.search(text) is not None
        return Artifact(server=server, problem="" if is_missing else text), None


def _algorithm(entry: Any) -> str:
    """Return what the digest of a file is: MD5, unless the entry says otherwise."""
    extra = getattr(entry, "extra", None) or {}
    return str(extra.get("alg") or "MD5")


def _made_by(api: Any, found: Any) -> Mapping[str, Any]:
    """Return what is known of the run that logged an artifact; nothing where W&B has none."""
    try:
        run = found.logged_by()
        if run is None:
            return {}
        run = api.run(f"{run.entity}/{run.project}/{run.id}")
        return {
            "wandb": {"id": run.id, "project": run.project, "entity": run.entity, "url": run.url},
            "config": finite({k: v for k, v in run.config.items() if not k.startswith("_")}),
            "metrics": summary_of(run),
            "commit": run.commit or "",
        }
    except Exception as exc:
        if is_missing(exc):
            return {}
        raise
