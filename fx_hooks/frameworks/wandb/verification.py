"""Comparison of what a W&B run left here with what the server has of it."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.frameworks.framework import Confirmation, Outcome
from fx_hooks.frameworks.wandb.names import log_name
from fx_hooks.frameworks.wandb.record import WandbSent, read_wandb_sent
from fx_hooks.frameworks.wandb.server import Question, ask
from fx_hooks.frameworks.wandb.unsent import files_to_have
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fx_hooks.frameworks.wandb.server import Answer
    from fx_hooks.util.disk import Folder

_UNDER_WAY = ("running", "pending", "preempting")
_CLOSE = 1e-6  # numbers are written out on the way
_BLOCK = 1 << 20


class Local(NamedTuple):
    """A run on disk: what its log says, and its files below ``files/``, by name.

    ``elsewhere`` are files next to that folder, which nothing sends.
    """

    sent: WandbSent
    place: bytes
    files: Mapping[str, int]
    elsewhere: tuple[bytes, ...]

    @property
    def question(self) -> Question:
        """The question for the server."""
        sent = self.sent
        return Question(sent.entity, sent.project, sent.run_id, bool(sent.artifacts))


def read_local(folder: Folder, root: bytes) -> Local | None:
    """Return what the run in *folder* left; None where its log cannot be read to its end."""
    log = log_name(folder.name, folder.names())
    place = os.path.join(root, folder.path)
    if log is None:
        return None
    try:
        with open(os.path.join(place, log), "rb", opener=files_not_links) as file:
            sent = read_wandb_sent(file)
    except OSError:
        return None
    if not sent.run_id or not sent.whole:
        return None
    files, elsewhere = files_to_have(folder, log)
    return Local(sent, place, files, elsewhere)


def confirm(folders: Sequence[Folder], root: bytes) -> Iterator[tuple[int, Confirmation]]:
    """Ask W&B for the runs in *folders*; yield what it says of each, by its number, as it comes.

    Raises :class:`~fx_hooks.util.errors.FatalError` without the ``wandb`` package.
    """
    asked: list[tuple[int, Local]] = []
    for number, folder in enumerate(folders):
        local = read_local(folder, root)
        if local is None:
            yield (
                number,
                Confirmation(
                    Outcome.UNKNOWN, "W&B has not confirmed it: its log cannot be read to its end"
                ),
            )
        else:
            asked.append((number, local))
    for place, answer in ask([local.question for _, local in asked]) if asked else ():
        number, local = asked[place]
        yield number, _outcome(local, answer)


def _outcome(local: Local, answer: Answer) -> Confirmation:
    if answer.problem:
        return Confirmation(Outcome.UNKNOWN, f"W&B has not confirmed it: {answer.problem}")
    different = list(differences(local, answer))
    if different:
        more = f", and {len(different) - 1:,} more" if len(different) > 1 else ""
        return Confirmation(Outcome.DIFFERENT, one_line(different[0]) + more)
    steps, files = local.sent.steps, len(local.files)
    return Confirmation(
        Outcome.CONFIRMED,
        f"W&B has confirmed it: {steps:,} step{'s' * (steps != 1)} and"
        f" {files:,} file{'s' * (files != 1)}",
    )


def differences(local: Local, answer: Answer) -> Iterator[str]:
    """Yield what W&B does not have of a run, each as part of a sentence."""
    if not answer.exists:
        yield "W&B has no such run"
        return
    if answer.state.lower() in _UNDER_WAY:
        yield f"W&B says that it is {answer.state.lower()}"
    if answer.steps < local.sent.steps:
        yield f"W&B has {answer.steps:,} of {local.sent.steps:,} steps"
    for key, value in local.sent.summary.items():
        if key not in answer.summary:
            yield f"W&B's summary has no {key}"
        elif not _same(value, answer.summary[key]):
            yield f"W&B's summary has another {key}"
    for name, size in local.files.items():
        problem = _file_differs(local.place, name, size, answer)
        if problem:
            yield problem
    for path in local.elsewhere:
        yield f"W&B cannot have {os.fsdecode(path)}"
    for digest, name in local.sent.artifacts.items():
        if digest not in answer.artifacts:
            yield f"W&B has no such artifact {name}, or has not committed it"


def _file_differs(place: bytes, name: str, size: int, answer: Answer) -> str:
    known = answer.files.get(name)
    if known is None:
        return f"W&B has no {name}"
    if known[0] != size:
        return f"W&B has {known[0]:,} of {size:,} bytes of {name}"
    path = os.path.join(place, b"files", os.fsencode(name))
    try:
        with open(path, "rb", opener=files_not_links) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return f"{name} is not a file"
            digest = hashlib.md5(usedforsecurity=False)
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as exc:
        return f"{name} cannot be read: {exc.strerror}"
    # The server's own form is the second one (wandb/sdk/lib/hashutil.py).
    if known[1] not in (digest.hexdigest(), base64.b64encode(digest.digest()).decode()):
        return f"W&B has other content of {name}"
    return ""


def _same(one: Any, other: Any) -> bool:
    """Return True if two JSON values are the same, but for how numbers are written."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    numbers = [_number(value) for value in (one, other)]
    if None in numbers:
        return bool(one == other)
    first, second = (float(number) for number in numbers if number is not None)
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return math.isclose(first, second, rel_tol=_CLOSE)


_WORDS = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)


def _number(value: Any) -> float | None:
    """Return the number that *value* is; JSON has no word for some.

    W&B writes NaN as a text, or as ``null`` (wandb 0.31, in the summary of a log).
    """
    if value is None:
        return math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, str) and _WORDS.fullmatch(value):
        return float(value)
    return None
