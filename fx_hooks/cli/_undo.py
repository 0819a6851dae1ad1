"""The record of what ``fx-init`` wrote, by which it can be taken back to the byte."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fx_hooks.fastpath.gitignore import FILE
from fx_hooks.gitignore.block import same_but_for_block
from fx_hooks.util.disk import files_only
from fx_hooks.util.errors import FatalError
from fx_hooks.util.files import replace_file
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import Repository

_RECORD = b"fx-hooks-init.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The content of a file, None where there is none, and its mode, 0 for any."""

    content: bytes | None
    mode: int = 0


def state_of(place: bytes) -> State:
    """Return the state of the file at *place*, as long as it is a regular one."""
    try:
        with open(place, "rb", opener=files_only) as file:
            return State(content=file.read(), mode=stat.S_IMODE(os.fstat(file.fileno()).st_mode))
    except FileNotFoundError:
        return State(content=None)
    except OSError as exc:
        raise FatalError(f"{shown(place)}: cannot be read: {exc.strerror}") from exc


def hooks_folder(repository: Repository) -> bytes:
    """Return the folder in which git looks for hooks."""
    place = repository.run("rev-parse", "--git-path", "hooks")[:-1]
    return os.path.join(repository.root, place)


def states_in(folder: bytes) -> dict[bytes, State]:
    """Return the states of the files right in *folder*."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return {}
    places = [os.path.join(folder, name) for name in sorted(names)]
    return {place: state_of(place) for place in places if os.path.isfile(place)}


def remember(
    repository: Repository, before: Mapping[bytes, State], after: Mapping[bytes, State]
) -> None:
    """Add to the record that files that are as *before* are going to be as *after*.

    The record comes first, so that what is written can be taken back wherever it is interrupted.
    What an earlier run wrote, and nobody has edited since, is taken back with it.
    """
    known = _read(repository)
    nothing = State(content=None)
    for place in {*before, *after}:
        old, new = before.get(place, nothing), after.get(place, nothing)
        if old == new:
            continue
        earlier = known.get(place)
        first = earlier[0] if earlier is not None and _is_still(place, old, earlier[1]) else old
        known[place] = (first, new)
    document = [
        {
            "path": _encoded(_from_root(repository, place)),
            "before": _state(old),
            "after": _state(new),
        }
        for place, (old, new) in sorted(known.items())
    ]
    try:
        replace_file(_place(repository), json.dumps(document).encode(), 0o600)
    except OSError as exc:
        raise FatalError(f"{shown(_place(repository))}: cannot be written: {exc.strerror}") from exc


def recorded(repository: Repository) -> dict[bytes, State]:
    """Return the states to go back to, by path.

    Raises :class:`~fx_hooks.util.errors.FatalError` if nothing is recorded, or if a file is no
    longer as it was written.
    """
    wanted = {}
    for place, (old, new) in _read(repository).items():
        _check_place(repository, place)
        now = state_of(place)
        if now == old:
            continue
        if not _is_still(place, now, new):
            name = os.path.relpath(place, repository.root)
            raise FatalError(
                f"{shown(name)}: was edited since, so nothing was taken back: undo your changes"
                " of it first, or take our lines out by hand"
            )
        wanted[place] = old
    if not wanted:
        raise FatalError("nothing to undo: this clone has nothing that fx-init wrote")
    return wanted


def _check_place(repository: Repository, place: bytes) -> None:
    """Refuse what another clone has, of which this one is a copy."""
    folders = (repository.root, hooks_folder(repository))
    if not any(place.startswith(os.path.join(folder, b"")) for folder in folders):
        raise FatalError(
            f"{shown(place)}: is not in this clone, so nothing was taken back: delete"
            f" {shown(_place(repository))}, and take our lines out by hand"
        )


def _from_root(repository: Repository, place: bytes) -> bytes:
    """Return the path of *place* from the root, which may move; in full where it is elsewhere."""
    return place.removeprefix(os.path.join(repository.root, b""))


def _is_still(place: bytes, now: State, written: State) -> bool:
    """Return True if the file is as it was *written*, but for what a command of ours has done.

    The block of a ``.gitignore`` is rewritten with each milestone and each change of the policy.
    """
    if now.content is None or written.content is None:
        return now == written
    if written.mode not in (0, now.mode):
        return False
    if now.content == written.content or os.path.basename(place) != FILE.encode():
        return now.content == written.content
    return same_but_for_block(now.content, written.content)


def take_back(repository: Repository, wanted: Mapping[bytes, State]) -> None:
    """Put all files back as *wanted*, and forget the record last."""
    try:
        for place, old in wanted.items():
            if old.content is not None:
                replace_file(os.path.realpath(place), old.content, old.mode, exact=True)
            elif os.path.lexists(place):
                os.unlink(place)
    except OSError as exc:
        raise FatalError(f"{shown(place)}: cannot be written: {exc.strerror}") from exc
    os.unlink(_place(repository))


def _place(repository: Repository) -> bytes:
    return os.path.join(os.fsencode(repository.git_directory), _RECORD)


def _read(repository: Repository) -> dict[bytes, tuple[State, State]]:
    content = state_of(_place(repository)).content
    if content is None:
        return {}
    try:
        return {
            os.path.join(repository.root, _path(item)): (
                _loaded(item["before"]), _loaded(item["after"])
            )
            for item in json.loads(content)
        }  # fmt: skip
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
        raise FatalError(
            f"{shown(_place(repository))}: is damaged: delete it, and take our lines out by hand"
        ) from exc


def _path(item: Any) -> bytes:
    path = base64.b64decode(item["path"])
    if b"\0" in path:
        raise ValueError("no path has such a byte")
    return path


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _state(state: State) -> dict[str, Any] | None:
    return None if state.content is None else {"content": _encoded(state.content),
                                               "mode": state.mode}  # fmt: skip


def _loaded(item: Any) -> State:
    if item is None:
        return State(content=None)
    return State(content=base64.b64decode(item["content"]), mode=stat.S_IMODE(int(item["mode"])))
