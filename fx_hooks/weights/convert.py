"""A torch file's state dict as safetensors, without torch and without unpickling anything."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Literal

from fx_hooks.weights.archives import Archive
from fx_hooks.weights.content import Format, read_object
from fx_hooks.weights.values import ITEM_BYTES, Tensor
from fx_hooks.weights.values import Mapping as Dictionary

# The names of safetensors 0.8 for torch's dtypes (bindings/python/py_src/safetensors/torch.py).
_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
    "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "uint16": "U16",
    "uint32": "U32", "uint64": "U64", "bool": "BOOL", "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
}  # fmt: skip
_TORCH = (Format.TORCH, Format.TORCH_LEGACY)
# Where trainers keep a model's state dict in a checkpoint.
_KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "weights")
_CHUNK = 1 << 20
# A view may repeat one number without end.
_LARGEST = 10
_SMALL = 64 << 20


class NotConvertible(Exception):
    """The reason that no safetensors file can be made: a sentence without a subject."""


def write_safetensors(source: BinaryIO, target: BinaryIO) -> None:
    """Write the state dict of the torch file *source* into *target*, tensor by tensor.

    It is the file's value itself, or what stands under the first of ``state_dict``,
    ``model_state_dict``, ``model``, ``module``, ``net`` and ``weights`` that is one. Tensors
    that share memory become tensors of their own. Raises :class:`NotConvertible`.
    """
    inspection, value = read_object(source)
    if inspection.format not in _TORCH:
        raise NotConvertible("is not a file that torch.save wrote")
    if inspection.faults:
        raise NotConvertible(inspection.faults[0])
    if inspection.format == Format.TORCH and _is_big_endian(source):
        raise NotConvertible("was written on a big-endian machine")
    tensors = _state_dict(value)
    # The library, too, puts large elements first, so that all of them are aligned.
    names = sorted(tensors, key=lambda name: (-ITEM_BYTES[tensors[name].dtype], name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + _bytes(tensor)
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.size),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    target.write(struct.pack("<Q", len(text)) + text)
    places = {item.name: item.start for item in inspection.stored}
    for name in names:
        for chunk in _data(source, tensors[name], places):
            target.write(chunk)
    target.flush()


def count_parameters(source: BinaryIO) -> int | None:
    """Return the elements of the model's tensors in *source*; None where nobody can tell them.

    A checkpoint has more than the model: an optimizer keeps twice as many numbers.
    """
    inspection, value = read_object(source)
    if inspection.format not in _TORCH or not isinstance(value, Dictionary):
        return inspection.parameters
    try:
        tensors = _state_dict(value).values()
    except NotConvertible:
        return None
    # Tied weights are the same numbers under two names.
    return sum(
        {
            (
                number if item.storage is None else item.storage.key,
                item.offset,
                tuple(item.size),
                tuple(item.stride),
            ): item.elements
            for number, item in enumerate(tensors)
        }.values()
    )


def _bytes(tensor: Tensor) -> int:
    return tensor.elements * ITEM_BYTES[tensor.dtype]


def _is_big_endian(source: BinaryIO) -> bool:
    archive = Archive(source)
    return any(
        name.endswith("/byteorder") and archive.read(member, 16) == b"big"
        for name, member in archive.members.items()
    )


def _state_dict(value: object) -> Mapping[str, Tensor]:
    if not isinstance(value, Dictionary):
        raise NotConvertible("holds no state dict: save model.state_dict()")
    reasons = []
    inner = value.by_text()
    known = [inner[key] for key in _KEYS if key in inner]
    if not known:  # the only part that can be one
        parts = [part for part in inner.values() if isinstance(part, Dictionary) and part.items]
        known = [part for part in parts if not _reason(part.by_text(), len(part.items) // 2)]
    for candidate in (value, *(known if len(known) == 1 or inner.keys() & set(_KEYS) else ())):
        if isinstance(candidate, Dictionary):
            found = candidate.by_text()
            reason = _reason(found, len(candidate.items) // 2)
            if not reason:
                return {name: item for name, item in found.items() if isinstance(item, Tensor)}
            reasons.append(reason)
    raise NotConvertible(reasons[-1])


def _reason(tensors: Mapping[str, object], entries: int) -> str:
    """Return why these entries are no state dict that safetensors can hold."""
    if len(tensors) < entries and not tensors:
        return "holds no state dict: its keys are no texts"
    total = 0
    stored: dict[str, int] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            return f"holds no state dict: {name!r} is not a tensor"
        if tensor.kind != "strided" or tensor.dtype not in _NAMES:
            kind = tensor.dtype if tensor.kind == "strided" else tensor.kind
            return f"has a tensor {name!r} that safetensors has no form for ({kind})"
        total += _bytes(tensor)
        if tensor.storage is not None:
            stored[tensor.storage.key] = tensor.storage.size
    if total > _LARGEST * sum(stored.values()) + _SMALL:
        return "has views that repeat their numbers too often"
    if "__metadata__" in tensors:
        return "has a tensor called __metadata__, which safetensors keeps for itself"
    return ""


def _data(source: BinaryIO, tensor: Tensor, places: Mapping[str, int]) -> Iterator[bytes]:
    """Yield the bytes of *tensor*, row by row."""
    storage, width = tensor.storage, ITEM_BYTES[tensor.dtype]
    if storage is None or not tensor.elements:
        return
    start = places[storage.key] + storage.start * ITEM_BYTES[storage.dtype] + tensor.offset * width
    spans = [(n - 1) * s for n, s in zip(tensor.size, tensor.stride, strict=True)]
    length = (sum(spans) + 1) * width
    source.seek(start)
    if _is_contiguous(tensor):
        while length:
            chunk = source.read(min(_CHUNK, length))
            length -= len(chunk)
            yield chunk
        return
    numbers = memoryview(source.read(length)).cast(_FORMATS[width])
    sizes, strides = [*tensor.size], [*tensor.stride]
    for first in _starts(sizes[:-1], strides[:-1]):
        count, step = sizes[-1], strides[-1]
        if step:
            yield numbers[first : first + (count - 1) * step + 1 : step].tobytes()
        else:
            yield numbers[first : first + 1].tobytes() * count


# Formats of memory views by the bytes of their elements.
_FORMATS: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _is_contiguous(tensor: Tensor) -> bool:
    expected = 1
    for count, step in zip(reversed(tensor.size), reversed(tensor.stride), strict=True):
        if count != 1 and step != expected:
            return False
        expected *= count
    return True


def _starts(sizes: list[int], strides: list[int]) -> Iterator[int]:
    """Yield where each row begins, in elements, the last dimension changing fastest."""
    if not sizes:
        yield 0
        return
    for index in range(sizes[0]):
        for rest in _starts(sizes[1:], strides[1:]):
            yield index * strides[0] + rest
