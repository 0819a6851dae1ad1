"""The names that ``torch.load(weights_only=True)`` accepts.

Read off torch 2.14.1, ``torch/_weights_only_unpickler.py``: the globals are the keys of
``_get_allowed_globals()``, the operations those that ``Unpickler.load`` knows. A test
compares both with the torch that is installed.
"""

from __future__ import annotations

TORCH_VERSION = "2.14.1"


def _all(prefix: str, names: str) -> set[str]:
    return {f"{prefix}.{name}" for name in names.split()}


_STORED = "BFloat16 Bool Byte Char ComplexDouble ComplexFloat Double Float Half Int Long Short"
_STORAGES = " ".join(f"{name}Storage" for name in _STORED.split())
_REAL = [name for name in _STORED.split() if not name.startswith("Complex")]
_TENSORS = " ".join(f"{name}Tensor" for name in _REAL)
_SPARSE = " ".join(f"{name}Tensor" for name in _REAL if name != "Bool")

TENSOR_CLASSES = frozenset(
    {
        "torch.Tensor",
        *_all("torch", _TENSORS),
        *_all("torch.cuda", _TENSORS),
        *_all("torch.sparse", _SPARSE),
        *_all("torch.cuda.sparse", _SPARSE),
    }
)

GLOBALS = frozenset(
    {
        *TENSOR_CLASSES,
        "_codecs.encode",
        *_all("builtins", "bytearray complex set"),
        *_all("collections", "Counter OrderedDict"),
        *_all("torch", f"Size device {_STORAGES}"),
        *_all("torch", "QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage QUInt8Storage"),
        *_all("torch.storage", "TypedStorage UntypedStorage"),
        *_all("torch.cuda", _STORAGES),
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch._tensor._rebuild_from_type_v2",
        *_all(
            "torch._utils",
            "_rebuild_device_tensor_from_cpu_tensor _rebuild_device_tensor_from_numpy"
            " _rebuild_meta_tensor_no_storage _rebuild_nested_tensor _rebuild_parameter"
            " _rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor"
            " _rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_wrapper_subclass",
        ),
        *_all(
            "torch",
            "bcomplex32 bfloat16 bits16 bits1x8 bits2x4 bits4x2 bits8 bool"
            " complex128 complex32 complex64"
            " float16 float32 float4_e2m1fn_x2 float64 float8_e4m3fn float8_e4m3fnuz float8_e5m2"
            " float8_e5m2fnuz float8_e8m0fnu"
            " int1 int2 int3 int4 int5 int6 int7 int8 int16 int32 int64"
            " uint1 uint2 uint3 uint4 uint5 uint6 uint7 uint8 uint16 uint32 uint64"
            " qint32 qint8 quint2x4 quint4x2 quint8"
            " per_channel_affine per_channel_affine_float_qparams per_channel_symmetric"
            " per_tensor_affine per_tensor_symmetric",
        ),
    }
)

# What torch.nested and torch.distributed.tensor add to the list themselves, once imported.
# Exceptions and tracebacks, which torch.distributed adds for messages between machines, are left
# out.
REGISTERED = frozenset(
    {
        "torch._dynamo.decorators._DimRange",
        *_all("torch.nested._internal.nested_tensor", "NestedTensor _rebuild_njt"),
        "torch.distributed.device_mesh.DeviceMesh",
        *_all("torch.distributed.tensor._dtensor_spec", "DTensorSpec ShardOrderEntry TensorMeta"),
        *_all("torch.distributed._mesh_layout", "_FlatLayout _MeshLayout"),
        "torch.distributed.tensor.DTensor",
        *_all("torch.distributed.tensor.placement_types", "Partial Replicate Shard _StridedShard"),
    }
)

_OPERATION_NAMES = """
    APPEND APPENDS BINFLOAT BINGET BININT BININT1 BININT2 BINPERSID BINPUT BINUNICODE BUILD
    EMPTY_DICT EMPTY_LIST EMPTY_SET EMPTY_TUPLE GLOBAL LONG1 LONG_BINGET LONG_BINPUT MARK
    NEWFALSE NEWOBJ NEWTRUE NONE PROTO REDUCE SETITEM SETITEMS SHORT_BINSTRING STOP TUPLE
    TUPLE1 TUPLE2 TUPLE3
"""
OPERATIONS = frozenset(_OPERATION_NAMES.split())

# These modules torch never accepts, whatever the user allows.
BLOCKED_MODULES = frozenset({"nt", "os", "posix", "sys"})


def is_blocked(name: str) -> bool:
    """Return True if *name* can never be allowed: a blocked module is any part of it.

    torch looks at the module alone; ``torch.serialization.os.system`` gets by it.
    """
    return not BLOCKED_MODULES.isdisjoint(name.split("."))
