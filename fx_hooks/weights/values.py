"""Stand-ins for what a pickle puts on its stack: as much of each value as torch looks at.

Numbers, texts, bytes, lists and tuples stand for themselves. All else is one of these;
none of them ever runs anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Global:
    """A class, function or constant that was imported, as ``module.name``."""

    name: str


@dataclass(slots=True, eq=False)
class Instance:
    """An object of which only the class is known, as ``module.name``."""

    name: str


@dataclass(slots=True, eq=False)
class Unknown:
    """A value of which nothing is known, or one too long to be kept."""


class Size(tuple[int, ...]):
    """``torch.Size``."""

    __slots__ = ()


class Mapping:
    """A ``dict``, ``collections.OrderedDict`` or ``collections.Counter``, named by *kind*.

    ``items`` has keys and values in turn, as they were set; a key may come twice. It is no
    dictionary, because a pickle may choose keys that all have the same hash.
    """

    __slots__ = ("items", "kind")

    def __init__(self, kind: str, items: list[object]) -> None:
        self.kind = kind
        self.items = items

    def by_text(self) -> dict[str, object]:
        """Return the entries whose keys are texts."""
        keys, values = self.items[::2], self.items[1::2]
        return {key: value for key, value in zip(keys, values, strict=True) if type(key) is str}


@dataclass(slots=True, eq=False)
class Storage:
    """A run of elements in the file: ``kind`` is its class, ``elements`` how many they are.

    It begins at element ``start`` of what the file has under ``key``.
    """

    kind: str
    key: str
    elements: int
    start: int = 0

    @property
    def dtype(self) -> str:
        return DTYPES[self.kind.rpartition(".")[2]]

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.elements * ITEM_BYTES[self.dtype]


@dataclass(slots=True, eq=False)
class Tensor:
    """A tensor: a view of a storage, in elements of *dtype*.

    ``kind`` is ``strided`` for a plain one; other kinds (sparse, quantized, conjugated ...)
    have no plain sequence of elements, and those that need no storage have none.
    """

    dtype: str
    storage: Storage | None = None
    offset: int = 0
    size: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    kind: str = "strided"
    parameter: bool = False

    @property
    def elements(self) -> int:
        return math.prod(self.size)


# The dtype of each class of storages: torch.storage._dtype_to_storage_type_map() of 2.13.
DTYPES = {
    "BFloat16Storage": "bfloat16", "BoolStorage": "bool", "ByteStorage": "uint8",
    "CharStorage": "int8", "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64", "DoubleStorage": "float64", "FloatStorage": "float32",
    "HalfStorage": "float16", "IntStorage": "int32", "LongStorage": "int64",
    "ShortStorage": "int16", "QInt32Storage": "qint32", "QInt8Storage": "qint8",
    "QUInt2x4Storage": "quint2x4", "QUInt4x2Storage": "quint4x2", "QUInt8Storage": "quint8",
    "UntypedStorage": "uint8",
}  # fmt: skip

# Bytes of one element: torch._utils._element_size(), for every dtype that a file may name.
_DTYPES_BY_BYTES = {
    1: "bool uint8 int8 qint8 quint8 quint2x4 quint4x2 bits8 bits1x8 bits2x4 bits4x2"
    " float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2"
    " int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7",
    2: "int16 uint16 float16 bfloat16 bits16",
    4: "int32 uint32 float32 bcomplex32 complex32 qint32",
    8: "int64 uint64 float64 complex64",
    16: "complex128",
}
ITEM_BYTES = {name: size for size, names in _DTYPES_BY_BYTES.items() for name in names.split()}

FLOATS = frozenset(name for name in ITEM_BYTES if "float" in name or "complex" in name)
