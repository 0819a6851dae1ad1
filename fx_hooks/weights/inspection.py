"""The formats of weight files, and what is known of one file."""

from __future__ import annotations

from typing import NamedTuple

from fx_hooks.util.str_enum import StrEnum


class Format(StrEnum):
    """The format of a weight file, as people name it."""

    TORCH = "torch"
    TORCH_LEGACY = "torch-legacy"
    TORCHSCRIPT = "torchscript"
    EXPORTED = "pt2"
    SAFETENSORS = "safetensors"
    PICKLE = "pickle"


# weights_only cannot load these: the user has to say that they are meant.
NAMED_FORMATS = frozenset({Format.TORCHSCRIPT, Format.EXPORTED})


class Stored(NamedTuple):
    """Numbers in a file: ``elements`` of ``dtype``, in ``length`` bytes from ``start`` on.

    ``name`` is the tensor's in safetensors, and the storage's key in what torch writes.
    """

    name: str
    dtype: str
    elements: int
    start: int
    length: int


class Inspection(NamedTuple):
    """The properties of a weight file.

    ``format`` is None where it is none of those. ``globals`` are
    the names that its pickles import, or make an object of, and torch's ``weights_only``
    does not accept. ``faults`` are sentences about the file, without a subject: what is
    broken in it, what cannot be known, and what else another reader would take it for.
    ``parameters`` is the number of elements in all its tensors, None where the format does
    not say. ``stored`` are the numbers that were accounted for, and ``left`` the bytes of
    the file that belong to nothing: none, or there is a fault.
    """

    format: Format | None
    globals: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    parameters: int | None = None
    stored: tuple[Stored, ...] = ()
    left: int = 0
