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
from fx_hooks.util.errors import FatalError
from fx_hooks.util.files import replace_file
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import Repository

_RECORD = b"fx-hooks-init.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The content and the mode of a file; None where there is none."""

    content: bytes | None
    mode: int = 0


def state_of(place: bytes) -> State:
    """Return the state of the file at *place*, as long as it is a regular one."""
    try:
        with open(place, "rb") as file:
            return State(content=file.read(), mode=stat.S_IMODE(os.fstat(file.fileno()).st_mode))
    except FileNotFoundError:
        return State(content=None)
    except OSError as exc:
        raise FatalError(f"{shown(place)}: cannot be read: {exc.strerror}") from exc


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
    """Add to the record that files that were as *before* are now as *after*.

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
        {"path": _encoded(place), "before": _state(old), "after": _state(new)}
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
    known = _read(repository)
    if not known:
        raise FatalError("nothing to undo: fx-init has written nothing in this clone")
    for place, (old, new) in known.items():
        now = state_of(place)
        if now != old and not _is_still(place, now, new):
            name = os.path.relpath(place, repository.root)
            raise FatalError(
                f"{shown(name)}: was edited since, so nothing was taken back: undo your changes"
                " of it first, or take our lines out by hand"
            )
    return {place: old for place, (old, _) in known.items()}


def _is_still(place: bytes, now: State, written: State) -> bool:
    """Return True if the file is as it was *written*, but for what a command of ours has done.

    The block of a ``.gitignore`` is rewritten with each milestone and each change of the policy.
    """
    if now == written or os.path.basename(place) != FILE.encode():
        return now == written
    if now.content is None or written.content is None or now.mode != written.mode:
        return False
    return same_but_for_block(now.content, written.content)


def take_back(repository: Repository, wanted: Mapping[bytes, State]) -> None:
    """Put all files back as *wanted*, and forget the record last."""
    try:
        for place, old in wanted.items():
            if old.content is not None:
                replace_file(os.path.realpath(place), old.content, old.mode)
                os.chmod(place, old.mode)
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
            base64.b64decode(item["path"]): (_loaded(item["before"]), _loaded(item["after"]))
            for item in json.loads(content)
        }
    except (ValueError, KeyError, TypeError) as exc:
        raise FatalError(
            f"{shown(_place(repository))}: is damaged: delete it, and take our lines out by hand"
        ) from exc


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _state(state: State) -> dict[str, Any] | None:
    return None if state.content is None else {"content": _encoded(state.content),
                                               "mode": state.mode}  # fmt: skip


def _loaded(item: Any) -> State:
    if item is None:
        return State(content=None)
    return State(content=base64.b64decode(item["content"]), mode=int(item["mode"]))
