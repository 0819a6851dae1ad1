"""The header of a safetensors file.

The format is that of github.com/huggingface/safetensors, version 0.8: a little-endian
length of eight bytes, a JSON object, then the tensors' bytes without a gap.
"""

from __future__ import annotations

import json
import os
from typing import Any, BinaryIO

from fx_hooks.util.strict_json import NotStrict, parse_json
from fx_hooks.weights.inspection import Stored

# The library's own limit is 100 MB, which takes gigabytes to parse here.
MAX_HEADER = 8_000_000
# More than torch and NumPy have.
MAX_DIMENSIONS = 64
_MAX_ELEMENTS = 1 << 63

_BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip


class BrokenHeader(Exception):
    """No header that the library would accept."""


def looks_like_safetensors(start: bytes) -> bool:
    """Return True if a file that begins with *start* can be nothing else."""
    return len(start) > 8 and start[8:9] == b"{" and start[6:8] == b"\0\0"


def read_header(file: BinaryIO) -> list[Stored]:
    """All tensors, in the order in which they stand. Raises :class:`BrokenHeader`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise BrokenHeader(f"has a header of {length:,} bytes: more than {MAX_HEADER:,}")
    if 8 + length > size:
        raise BrokenHeader("is cut off in its header")
    try:
        header = parse_json(file.read(length))
    except NotStrict as exc:
        raise BrokenHeader(f"has a broken header: {exc}") from exc
    if not isinstance(header, dict):
        raise BrokenHeader("has a header that is not a JSON object")
    notes = header.pop("__metadata__", None)
    if notes is not None and not (
        isinstance(notes, dict) and all(isinstance(value, str) for value in notes.values())
    ):
        raise BrokenHeader("has metadata in its header that is not all text")
    tensors = [_tensor(name, value, 8 + length) for name, value in header.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.length))
    end = 8 + length
    for tensor in tensors:
        if tensor.start != end:
            raise BrokenHeader("has a gap or an overlap between its tensors")
        end += tensor.length
    if end != size:
        raise BrokenHeader("has another length than its header says")
    return tensors


def _tensor(name: str, value: Any, data: int) -> Stored:
    """One tensor; its bytes are counted from *data* on."""
    if isinstance(value, dict) and value.keys() == {"dtype", "shape", "data_offsets"}:
        kind, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        bits = _BITS.get(kind) if isinstance(kind, str) else None
        elements = _product(shape)
        if bits and elements is not None and _counts(offsets, 2) and len(offsets) == 2:
            start, end = offsets
            if elements * bits == 8 * (end - start):
                return Stored(name, kind, elements, data + start, end - start)
    described = json.dumps(value)[:80] if not isinstance(value, dict) else json.dumps(name)[:80]
    raise BrokenHeader(f"describes a tensor wrongly: {described}")


def _product(shape: Any) -> int | None:
    """Return the number of elements, None where it is none that a file can have."""
    if not _counts(shape, MAX_DIMENSIONS):
        return None
    elements = 1
    for count in shape:
        elements *= count
        if elements >= _MAX_ELEMENTS:
            # The library, too, multiplies from the front and refuses what overflows.
            return None
    return elements


def _counts(value: Any, most: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(item) is int and 0 <= item < _MAX_ELEMENTS for item in value)
    )
