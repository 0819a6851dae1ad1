"""The results of calls of allowed names: functions that rebuild tensors, and plain classes.

The functions are those of ``torch/_utils.py`` (2.13) and what ``weights_only`` allows
next to them. Each is followed for the arguments that a pickler writes; any other arguments
are refused, because what they would do has not been looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from fx_hooks.weights.values import (
    DTYPES,
    FLOATS,
    ITEM_BYTES,
    Global,
    Instance,
    Mapping,
    Size,
    Storage,
    Tensor,
    Unknown,
)

_T = TypeVar("_T")


class RefusedCall(Exception):
    """Arguments that no pickler writes, or an object that cannot be called."""


MAX_DIMENSIONS = 64
_INT64 = 1 << 63
_ENCODINGS = frozenset({"latin1", "latin-1", "iso-8859-1", "utf-8", "utf8", "ascii"})
_DEVICE = re.compile(
    r"(cpu|cuda|mkldnn|xpu|mps|meta|hpu|ipu|xla|lazy|ort|maia|mtia|vulkan|ve|fpga|privateuseone)"
    r"(:(0|[1-9][0-9]{0,2}))?"
)
_LAYOUT_NAMES = "strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc jagged _mkldnn"
_LAYOUTS = frozenset(f"torch.{name}" for name in _LAYOUT_NAMES.split())
# A tuple with more in it is not a key: it may be shared so often that it never ends.
MAX_WALK = 64


def _check(condition: bool) -> None:
    if not condition:
        raise RefusedCall


def _as(kind: type[_T], value: object) -> _T:
    """*value*, which has to be of this type."""
    if not isinstance(value, kind):
        raise RefusedCall
    return value


def hashable(value: object) -> bool:
    """Return True if *value* can be a key; False, too, where that takes long to find out."""
    waiting, seen = [value], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if isinstance(item, tuple):
            waiting += item[: MAX_WALK + 1]
        elif isinstance(item, (list, Mapping)) or (
            isinstance(item, Instance) and item.name in ("builtins.set", "builtins.bytearray")
        ):
            return False
        if seen + len(waiting) > MAX_WALK:
            return False
    return True


def _whole(value: object) -> bool:
    return type(value) is int and -_INT64 <= value < _INT64


def _counts(value: object) -> tuple[int, ...]:
    """*value* as sizes or strides."""
    _check(isinstance(value, (list, tuple)) and len(value) <= MAX_DIMENSIONS)
    numbers = _items(value)
    _check(all(map(_whole, numbers)))
    counts = tuple(_as(int, number) for number in numbers)
    _check(min(counts, default=0) >= 0)
    return counts


def _dtype(value: object) -> str:
    package, _, name = _as(Global, value).name.rpartition(".")
    _check(package == "torch" and name in ITEM_BYTES)
    return name


def _hooks(value: object) -> None:
    _check(value is None or (isinstance(value, Mapping) and not value.items))


def _requires_grad(value: object, dtype: str) -> None:
    _check(type(value) is bool and (not value or dtype in FLOATS))


def view(storage: object, offset: object, size: object, stride: object) -> Tensor:
    """Return the tensor that ``set_`` makes of a storage: all of it lies in that storage."""
    run, first = _as(Storage, storage), _as(int, offset)
    sizes, strides = _counts(size), _counts(stride)
    _check(_whole(offset) and first >= 0 and len(sizes) == len(strides))
    if 0 not in sizes:
        last = first + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
        _check(last < run.elements)
    return Tensor(run.dtype, run, first, sizes, strides)


def _metadata(tensor: Tensor, value: object) -> Tensor:
    if isinstance(value, Mapping) and value.items:
        marks = value.by_text()
        _check(2 * len(marks) <= len(value.items) and marks.keys() <= {"conj", "neg"})
        _check(all(type(mark) is bool for mark in marks.values()))
        if any(marks.values()):
            tensor.kind = "conjugated or negated lazily"
    else:
        _check(value is None or isinstance(value, Mapping))
    return tensor


def _tensor_v1(*args: object) -> Tensor:
    _check(len(args) == 4)
    return view(*args)


def _tensor_v2(*args: object) -> Tensor:
    _check(len(args) in (6, 7))
    tensor = view(*args[:4])
    _requires_grad(args[4], tensor.dtype)
    _hooks(args[5])
    return _metadata(tensor, args[6] if len(args) == 7 else None)


def _tensor_v3(*args: object) -> Tensor:
    _check(len(args) in (7, 8))
    storage, dtype = _as(Storage, args[0]), _dtype(args[6])
    # An untyped storage is counted in bytes, the view in elements.
    elements = storage.size // ITEM_BYTES[dtype]
    tensor = view(Storage(storage.kind, storage.key, elements), *args[1:4])
    tensor.storage, tensor.dtype = storage, dtype
    _requires_grad(args[4], dtype)
    _hooks(args[5])
    return _metadata(tensor, args[7] if len(args) == 8 else None)


def _as_parameter(value: object, requires_grad: object, hooks: object) -> Tensor:
    data = _as(Tensor, value)
    _requires_grad(requires_grad, data.dtype)
    _hooks(hooks)
    return Tensor(
        data.dtype, data.storage, data.offset, data.size, data.stride, data.kind, parameter=True
    )


def _parameter(*args: object) -> Tensor:
    _check(len(args) == 3)
    return _as_parameter(*args)


def _set_state(state: object) -> None:
    """``_set_obj_state``: attributes are set by name; those that Python itself reads are not."""
    parts: tuple[object, ...] = (state,)
    if isinstance(state, tuple):
        _check(len(state) == 2)
        parts = state
    for part in parts:
        _check(part is None or isinstance(part, Mapping))
        if isinstance(part, Mapping):
            names = part.items[::2]
            _check(all(type(name) is str and not name.startswith("__") for name in names))


def _parameter_with_state(*args: object) -> Tensor:
    _check(len(args) == 4)
    _set_state(args[3])
    return _as_parameter(*args[:3])


def _parameter_class(*args: object) -> Tensor:
    _check(1 <= len(args) <= 2)
    return _as_parameter(args[0], args[1] if len(args) == 2 else False, None)


def _qtensor(*args: object) -> Tensor:
    _check(len(args) == 7)
    tensor = view(*args[:4])
    _check(len(_as(tuple, args[4])) in (3, 4))
    scheme, *figures = _as(tuple, args[4])
    kind = _as(Global, scheme)
    _check("qint" in tensor.dtype or "quint" in tensor.dtype)
    if kind.name == "torch.per_tensor_affine":
        _check(len(figures) == 2 and type(figures[0]) is float and _whole(figures[1]))
    else:
        _check(
            kind.name in ("torch.per_channel_affine", "torch.per_channel_affine_float_qparams")
            and len(figures) == 3
            and _whole(figures[2])
            and 0 <= figures[2] < len(tensor.size)
        )
        axis = tensor.size[figures[2]]
        for item in figures[:2]:
            _check(isinstance(item, (list, Tensor)))
            _check((len(item) if isinstance(item, list) else item.elements) == axis)
    _check(args[5] is False)
    _hooks(args[6])
    tensor.kind = "quantized"
    return tensor


def _sparse(*args: object) -> Tensor:
    _check(len(args) == 2)
    layout, data = _as(Instance, args[0]), _as(tuple, args[1])
    _check(layout.name.startswith("torch.sparse_"))
    tensors = 2 if layout.name == "torch.sparse_coo" else 3
    _check(len(data) == tensors + 1 or (tensors == 2 and len(data) == 4))
    _check(all(isinstance(item, Tensor) for item in data[:tensors]))
    _check(tensors == 3 or len(data) == 3 or data[3] is None or type(data[3]) is bool)
    return Tensor(data[tensors - 1].dtype, size=_counts(data[tensors]), kind="sparse")


def _meta(*args: object) -> Tensor:
    _check(len(args) == 4)
    dtype, size, stride = _dtype(args[0]), _counts(args[1]), _counts(args[2])
    _check(len(size) == len(stride))
    _requires_grad(args[3], dtype)
    return Tensor(dtype, None, 0, size, stride, "without data")


def _tensors(args: tuple[object, ...]) -> list[Tensor]:
    return [_as(Tensor, item) for item in args]


def _nested(*args: object) -> Tensor:
    _check(len(args) == 4)
    return Tensor(_tensors(args)[0].dtype, kind="nested")


def _jagged(*args: object) -> Tensor:
    _check(len(args) == 1 and isinstance(args[0], Mapping))
    return Tensor("float32", kind="nested")


def _is_device(value: object) -> bool:
    return type(value) is str or (isinstance(value, Instance) and value.name == "torch.device")


def _from_cpu(*args: object) -> Tensor:
    _check(len(args) == 4 and _is_device(args[2]))
    dtype = _dtype(args[1])
    _requires_grad(args[3], dtype)
    return Tensor(dtype, size=_as(Tensor, args[0]).size, kind="of another device")


def _from_numpy(*args: object) -> Tensor:
    _check(len(args) == 4 and _is_device(args[2]))
    _check(_as(Instance, args[0]).name == "numpy.ndarray")
    dtype = _dtype(args[1])
    _requires_grad(args[3], dtype)
    return Tensor(dtype, kind="of another device")


def _wrapper(*args: object) -> Tensor:
    _check(len(args) == 8 and isinstance(args[0], Global))
    dtype, size = _dtype(args[1]), _counts(args[2])
    _check(_is_device(args[6]) and type(args[7]) is bool)
    return Tensor(dtype, size=size, kind="of another class")


def _from_type(*args: object) -> object:
    _check(len(args) == 4)
    func, kind = _as(Global, args[0]), _as(Global, args[1])
    _check(func.name in REBUILD and func.name != "torch._tensor._rebuild_from_type_v2")
    made = _as(Tensor, REBUILD[func.name](*_as(tuple, args[2])))
    _set_state(args[3])
    if kind.name not in ("torch.Tensor", "torch.nn.parameter.Parameter"):
        made.kind = "of another class"
    return made


REBUILD: dict[str, Callable[..., object]] = {
    "torch._utils._rebuild_tensor": _tensor_v1,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter_with_state,
    "torch._utils._rebuild_qtensor": _qtensor,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._utils._rebuild_nested_tensor": _nested,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _from_cpu,
    "torch._utils._rebuild_device_tensor_from_numpy": _from_numpy,
    "torch._utils._rebuild_wrapper_subclass": _wrapper,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.nested._internal.nested_tensor._rebuild_njt": _jagged,
}


def _encode(*args: object) -> object:
    _check(1 <= len(args) <= 2 and isinstance(args[0], (str, Unknown)))
    encoding = args[1] if len(args) == 2 else "utf-8"
    name = _as(str, encoding).lower()
    _check(name in _ENCODINGS)
    if not isinstance(args[0], str):
        return args[0]
    try:
        return args[0].encode(name)
    except UnicodeEncodeError:
        raise RefusedCall from None


def _bytearray(*args: object) -> Instance:
    if args and type(args[0]) is str:
        _check(len(args) == 2)
        _encode(*args)
    else:
        _check(not args or (len(args) == 1 and isinstance(args[0], (bytes, Unknown))))
    return Instance("builtins.bytearray")


def _complex(*args: object) -> Instance:
    _check(len(args) <= 2 and all(type(item) in (int, float) for item in args))
    return Instance("builtins.complex")


def _set(*args: object) -> Instance:
    _check(all(map(hashable, _sequence(args))))
    return Instance("builtins.set")


def _sequence(args: tuple[object, ...]) -> list[object]:
    """Return the items of the one list or tuple among *args*, or none."""
    _check(len(args) <= 1)
    return [item for argument in args for item in _items(argument)]


def _items(value: object) -> list[object]:
    return _as(list, value) if isinstance(value, list) else list(_as(tuple, value))


def _pairs(value: object) -> list[object]:
    """Return the keys and values in turn that ``OrderedDict`` or ``Counter`` takes from *value*."""
    if isinstance(value, Mapping):
        return list(value.items)
    items: list[object] = []
    for pair in _items(value):
        _check(isinstance(pair, (list, tuple)) and len(pair) == 2)
        key, item = _items(pair)
        _check(hashable(key))
        items += (key, item)
    return items


def _ordered(*args: object) -> Mapping:
    _check(len(args) <= 1)
    return Mapping("collections.OrderedDict", _pairs(args[0]) if args else [])


def _counter(*args: object) -> Mapping:
    _check(not args or (len(args) == 1 and isinstance(args[0], Mapping)))
    return Mapping("collections.Counter", _pairs(args[0]) if args else [])


def _size(*args: object) -> Size:
    numbers = _sequence(args)
    _check(all(map(_whole, numbers)))
    return Size(_as(int, number) for number in numbers)


def _device(*args: object) -> Instance:
    _check(1 <= len(args) <= 2)
    name = _as(str, args[0])
    _check(_DEVICE.fullmatch(name) is not None)
    _check(len(args) == 1 or (":" not in name and 0 <= _as(int, args[1]) < 128))
    return Instance("torch.device")


def _layout(*args: object) -> Instance:
    _check(len(args) == 1)
    name = _as(str, args[0])
    _check(name in _LAYOUTS)
    return Instance(name)


def _tensor_class(name: str) -> Callable[..., object]:
    dtype = DTYPES.get(name.rpartition(".")[2].removesuffix("Tensor") + "Storage", "float32")
    kind = "sparse" if ".sparse." in name else "strided"

    def empty(*args: object) -> Tensor:
        _check(not args)
        return Tensor(dtype, size=(0,), stride=(1,), kind=kind)

    return empty


def _known() -> dict[str, Callable[..., object]]:
    from fx_hooks.weights.torch_allows import TENSOR_CLASSES

    return {
        **REBUILD,
        "_codecs.encode": _encode,
        "builtins.bytearray": _bytearray,
        "builtins.complex": _complex,
        "builtins.set": _set,
        "collections.Counter": _counter,
        "collections.OrderedDict": _ordered,
        "torch.Size": _size,
        "torch.device": _device,
        "torch.nn.parameter.Parameter": _parameter_class,
        "torch.serialization._get_layout": _layout,
        **{name: _tensor_class(name) for name in TENSOR_CLASSES},
    }


_KNOWN = _known()
# ``cls.__new__`` alone makes these; it takes whatever arguments and does nothing with them.
_EMPTY: dict[str, Callable[[], object]] = {
    "builtins.set": lambda: Instance("builtins.set"),
    "builtins.bytearray": lambda: Instance("builtins.bytearray"),
    "collections.Counter": lambda: Mapping("collections.Counter", []),
    "collections.OrderedDict": lambda: Mapping("collections.OrderedDict", []),
}
_CLASSES = (
    frozenset(_KNOWN) - REBUILD.keys() - {"_codecs.encode", "torch.serialization._get_layout"}
)


def call(name: str, args: tuple[object, ...], allowed: frozenset[str]) -> object:
    """Return the value of calling the global *name*, one of *allowed* or one that a person allows.

    Raises :class:`RefusedCall`.
    """
    known = _KNOWN.get(name)
    if known is not None:
        return known(*args)
    if name in allowed:  # a dtype, a storage: nothing that is called
        raise RefusedCall
    return _foreign(name, args)


def new(name: str, args: tuple[object, ...], allowed: frozenset[str]) -> object:
    """Return the value of ``cls.__new__(cls, *args)``. Raises :class:`RefusedCall`."""
    if name in _EMPTY:
        return _EMPTY[name]()
    if name in _CLASSES:
        return _KNOWN[name](*args)
    if name in allowed:
        raise RefusedCall
    return Instance(name)


# numpy.dtype returns an instance of one of these; read off numpy 2.4 (and so since 1.25).
_NUMPY_DTYPES = {
    "b1": "Bool", "i1": "Int8", "i2": "Int16", "i4": "Int32", "i8": "Int64", "u1": "UInt8",
    "u2": "UInt16", "u4": "UInt32", "u8": "UInt64", "f2": "Float16", "f4": "Float32",
    "f8": "Float64", "f12": "LongDouble", "f16": "LongDouble", "c8": "Complex64",
    "c16": "Complex128", "c24": "CLongDouble", "c32": "CLongDouble", "O": "Object",
    "S": "Bytes", "U": "Str", "V": "Void", "M": "DateTime64", "m": "TimeDelta64",
}  # fmt: skip


_NUMPY_MAKERS = {
    "numpy.random._pickle.__randomstate_ctor": "numpy.random.mtrand.RandomState",
    "numpy.random._pickle.__generator_ctor": "numpy.random._generator.Generator",
}


def _foreign(name: str, args: tuple[object, ...]) -> object:
    """Return what a name makes that only a person can allow."""
    if name == "numpy.dtype" and args and type(args[0]) is str:
        code = args[0].lstrip("<>|=")
        kind = _NUMPY_DTYPES.get(code) or _NUMPY_DTYPES.get(code[:1])
        return Instance(f"numpy.dtypes.{kind}DType" if kind else name)
    if name in _NUMPY_MAKERS:
        return Instance(_NUMPY_MAKERS[name])
    if name.endswith(".multiarray._reconstruct") and args and isinstance(args[0], Global):
        return Instance(args[0].name)
    if name == "copyreg._reconstructor" and args and isinstance(args[0], Global):
        return Instance(args[0].name)
    if name == "builtins.dict" and not args:
        return Mapping("builtins.dict", [])
    if name == "builtins.list" and not args:
        return []
    return Instance(name)
