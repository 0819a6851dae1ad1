"""Files that no writer makes, or that readers read differently: each has to be refused.

Other kinds than those of :mod:`tests.hostile_files`, where each is proven to run something.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable

from tests.hostile_files import (
    EMPTY,
    EVIL,
    Raw,
    as_zip,
    call,
    legacy,
    name,
    object_array,
    pickled,
    push,
    tensor,
    torch_zip,
)

TENSOR = '{"dtype":"U8","shape":[4],"data_offsets":[0,4]}'


def tensors(header: str | bytes, data: bytes = bytes(4)) -> bytes:
    raw = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(raw)) + raw + data


def _headers() -> dict[str, bytes]:
    def one(dtype: str = '"U8"', shape: str = "[4]", offsets: str = "[0,4]", more: str = "") -> str:
        return f'{{"w":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{more}}}}}'

    two = '{"a":%s,"b":{"dtype":"U8","shape":[4],"data_offsets":[%d,%d]}}'
    good = one()
    return {
        "key-twice": tensors(f'{{"w":{TENSOR},"w":{TENSOR}}}'),
        "key-twice-escaped": tensors(f'{{"w":{TENSOR},"\\u0077":{TENSOR}}}'),
        "metadata-twice": tensors(f'{{"__metadata__":{{}},"__metadata__":{{}},"w":{TENSOR}}}'),
        "metadata-number": tensors(f'{{"__metadata__":{{"a":1}},"w":{TENSOR}}}'),
        "metadata-nested": tensors(f'{{"__metadata__":{{"a":{{}}}},"w":{TENSOR}}}'),
        "metadata-list": tensors(f'{{"__metadata__":[],"w":{TENSOR}}}'),
        "overlap": tensors(two % (TENSOR, 2, 6), bytes(6)),
        "same-bytes": tensors(two % (TENSOR, 0, 4)),
        "gap": tensors(two % (TENSOR, 5, 9), bytes(9)),
        "gap-first": tensors(one(offsets="[1,5]"), bytes(5)),
        "end-before-start": tensors(one(shape="[0]", offsets="[4,0]")),
        "negative-offset": tensors(one(offsets="[-4,0]")),
        "float-offset": tensors(one(offsets="[0.0,4]")),
        "exponent-offset": tensors(one(offsets="[0,4e0]")),
        "three-offsets": tensors(one(offsets="[0,4,4]")),
        "float-shape": tensors(one(shape="[4.0]")),
        "true-shape": tensors(one(shape="[true,4]")),
        "text-shape": tensors(one(shape='["4"]')),
        "negative-shape": tensors(one(shape="[-2,-2]")),
        "overflow": tensors(one(shape="[4294967296,4294967296,4294967296]", offsets="[0,0]"), b""),
        "overflow-and-zero": tensors(one(shape=f"[{1 << 62},8,0]", offsets="[0,0]"), b""),
        "object-dtype": tensors(one(dtype='"O"')),
        "small-dtype": tensors(one(dtype='"u8"')),
        "numpy-dtype": tensors(one(dtype='"|u1"')),
        "list-dtype": tensors(one(dtype='["U8"]')),
        "half-a-byte": tensors(one(dtype='"F4"', shape="[3]", offsets="[0,1]"), bytes(1)),
        "more-keys": tensors(one(more=',"code":"x"')),
        "no-dtype": tensors('{"w":{"shape":[4],"data_offsets":[0,4]}}'),
        "null": tensors('{"w":null}'),
        "list": tensors("[]", b""),
        "nan": tensors(one(shape="[NaN]")),
        "infinity": tensors(one(offsets="[0,Infinity]")),
        "bom": tensors("\ufeff" + good),
        "utf-16": tensors(good.encode("utf-16")),
        "latin-1": tensors(good.replace("w", "é").encode("latin-1")),
        "nul-behind": tensors(good + "\0"),
        "two-values": tensors(good + "{}"),
        "comment": tensors(good + "//x"),
        "trailing-comma": tensors(good[:-1] + ",}"),
        "deep": tensors('{"a":' * 5_000 + "0" + "}" * 5_000),
        "trailing-bytes": tensors(good) + b"x",
        "cut": tensors(good)[:-1],
        "header-past-the-end": struct.pack("<Q", 9_999) + good.encode(),
        "header-of-nothing": struct.pack("<Q", 0) + b"{}",
        "header-of-2^63": struct.pack("<Q", (1 << 63) + len(good)) + good.encode() + bytes(4),
        "number-without-end": tensors(one(shape="[" + "9" * 5_000 + "]")),
    }


def _end_of(content: bytes, **fields: int) -> bytes:
    """The end record of a zip archive changed; by the place of each field."""
    places = {"disk": 4, "first_disk": 6, "here": 8, "count": 10, "length": 12, "start": 16}
    changed = bytearray(content)
    end = len(content) - 22
    for key, value in fields.items():
        form = "<H" if places[key] < 12 else "<I"
        struct.pack_into(form, changed, end + places[key], value)
    return bytes(changed)


def _central(content: bytes, place: int, value: bytes, member: bytes = b"m/data.pkl") -> bytes:
    """The directory's entry of one member changed."""
    changed = bytearray(content)
    start = content.rindex(member) - 46
    assert content[start : start + 4] == b"PK\x01\x02"
    changed[start + place : start + place + len(value)] = value
    return bytes(changed)


def _both(content: bytes, local: int, central: int, value: bytes) -> bytes:
    changed = bytearray(_central(content, central, value))
    changed[local : local + len(value)] = value
    return bytes(changed)


def _with_extra(kind: int, data: bytes, *, local: bool = True) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("m/data.pkl")
        info.extra = struct.pack("<2H", kind, len(data)) + data
        archive.writestr(info, EMPTY)
        if not local:
            info.extra = b""
        archive.writestr("m/version", b"3\n")
    return buffer.getvalue()


def _zip64(content: bytes, **wrong: int) -> bytes:
    """64-bit records before the end, of which one number is *wrong*."""
    end = len(content) - 22
    _, _, here, count, length, start = struct.unpack("<4H2I", content[end + 4 : end + 20])
    told = {"here": here, "count": count, "length": length, "start": start, "size": 44} | wrong
    record = b"PK\x06\x06" + struct.pack(
        "<Q2H2I4Q", told["size"], 45, 45, 0, 0, told["here"], told["count"], told["length"],
        told["start"],
    )  # fmt: skip
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, told.get("at", end), told.get("disks", 1))
    return content[:end] + record + locator + content[end:]


def _zips() -> dict[str, bytes]:
    plain = torch_zip(EMPTY)
    link = struct.pack("<I", 0o120777 << 16)
    streamed = io.BytesIO()

    class Pipe:
        """Where nobody can seek, so that sizes stand behind the data."""

        def write(self, data: bytes) -> int:
            return streamed.write(data)

        def flush(self) -> None:
            return None

    with zipfile.ZipFile(Pipe(), "w") as archive:  # type: ignore[call-overload]
        archive.writestr("m/data.pkl", EMPTY)
        archive.writestr("m/version", b"3\n")
    described = streamed.getvalue()
    crc = described.index(b"PK\x07\x08")
    names = {
        "nul": "m/x\0.pkl", "dot": "m/./data.pkl", "parent": "m/../data.pkl", "blank": "m/ ",
        "absolute": "/m/data.pkl", "drive": "C:/data.pkl", "bidi": "m/\u202edata.pkl",
        "control": "m/\x1b[31m", "case": "M/data.pkl", "dotless": "m/DATA.PKL", "empty": "m//x",
        "turkish": "m/data.pKl", "kelvin": "m/data.p\u212al", "newline": "m/data.pkl\n",
        "combining": "m/da\u0301ta.pkl", "stream": "m/data.pkl:x", "device": "m/con",
    }  # fmt: skip
    return {
        **{
            f"zip-name-{key}": as_zip([("m/data.pkl", EMPTY), (value, EVIL), ("m/version", b"3\n")])
            for key, value in names.items()
        },
        "zip-count": _end_of(plain, count=1),
        "zip-counts-differ": _end_of(plain, here=1),
        "zip-start": _end_of(plain, start=0),
        "zip-length": _end_of(plain, length=0),
        "zip-disk": _end_of(plain, disk=1),
        "zip-disks": _end_of(plain, first_disk=1),
        "zip64-count": _zip64(plain, count=9),
        "zip64-start": _zip64(plain, start=0),
        "zip64-length": _zip64(plain, length=1),
        "zip64-size": _zip64(plain, size=45),
        "zip64-disks": _zip64(plain, disks=2),
        "zip64-elsewhere": _zip64(plain, at=0),
        "zip-link": _central(plain, 38, link),
        "zip-folder-mark": _central(plain, 38, struct.pack("<I", 0x10)),
        "zip-device": _central(plain, 38, struct.pack("<I", 0o020666 << 16)),
        "zip-encrypted": _both(plain, 6, 8, b"\x01\0"),
        "zip-strong": _both(plain, 6, 8, b"\x40\0"),
        "zip-masked": _both(plain, 6, 8, b"\0\x20"),
        "zip-patched": _both(plain, 6, 8, b"\x20\0"),
        "zip-encrypted-inside": _central(plain, 8, b"\x01\0"),
        "zip-method-99": _both(plain, 8, 10, b"\x63\0"),
        "zip-two-methods": _central(plain, 10, b"\x08\0"),
        "zip-shared-header": _central(plain, 42, bytes(4), b"m/version"),
        "zip-unicode-path": _with_extra(0x7075, b"\x01" + bytes(4) + b"m/other"),
        "zip-unix-ids": _with_extra(0x7875, b"\x01\x04" + bytes(4) + b"\x04" + bytes(4)),
        "zip-extra-cut": _with_extra(0x4246, b"Z" * 20).replace(b"FB\x14\0", b"FB\xff\0"),
        "zip-descriptor-crc": described[: crc + 4] + b"\0\0\0\0" + described[crc + 8 :],
        "zip-descriptor-gone": described[:crc] + described[crc + 16 :],
        "zip-bzip2": as_zip([("m/data.pkl", EMPTY), ("m/version", b"3\n")], zipfile.ZIP_BZIP2),
        "zip-lzma": as_zip([("m/data.pkl", EMPTY), ("m/version", b"3\n")], zipfile.ZIP_LZMA),
        "zip-two-stems": as_zip([("m/data.pkl", EMPTY), ("n/data.pkl", EVIL)]),
        "zip-no-data": as_zip([("m/version", b"3\n")]),
        "zip-of-nothing": as_zip([]),
        "zip-middle-endian": as_zip([("m/data.pkl", EMPTY), ("m/byteorder", b"middle")]),
        "zip-in-front-of-zip": torch_zip(EVIL) + plain,
        "zip-comment-of-zip": plain[:-2] + struct.pack("<H", 4) + b"PK\x05\x06",
        "torch-with-shell": torch_zip(EMPTY, {"data/0.sh": b"#!/bin/sh\n"}),
        "torch-with-module": torch_zip(EMPTY, {"__init__.py": b"import os\n"}),
        "torch-with-pth": torch_zip(EMPTY, {"x.pth": b"import os\n"}),
        "torch-storage-too-long": torch_zip(tensor(4), {"data/0": bytes(5)}),
        "torch-storage-too-short": torch_zip(tensor(4), {"data/0": bytes(3)}),
        "torch-storage-gone": torch_zip(tensor(4)),
        "torch-storage-unasked": torch_zip(tensor(4), {"data/0": bytes(4), "data/1": b""}),
        "torch-storage-hdf5": torch_zip(tensor(8), {"data/0": b"\x89HDF\r\n\x1a\n"}),
    }  # fmt: skip


def _storage(
    key: object = "0",
    size: object = 4,
    kind: object = None,
    more: tuple[object, ...] = (),
    first: object = "storage",
) -> Raw:
    kind = name("torch.ByteStorage") if kind is None else kind
    return Raw(push((first, kind, key, "cpu", size, *more)) + b"Q")


HOOKS = Raw(name("collections.OrderedDict").code + b")R")
Q = "torch._utils._rebuild_qtensor"


def _view(storage: Raw, offset: object = 0, size: object = (4,), stride: object = (1,)) -> Raw:
    return call("torch._utils._rebuild_tensor_v2", storage, offset, size, stride, False, HOOKS)


def _build(target: Raw, state: object) -> Raw:
    return Raw(target.code + push(state) + b"b")


def _rebuilds() -> dict[str, bytes]:
    plain = _view(_storage())
    quantised = _storage(kind=name("torch.QInt8Storage"))
    long = Raw(b"\x8a\x09" + (1 << 62).to_bytes(9, "little"))
    from_type = "torch._tensor._rebuild_from_type_v2"
    v2 = name("torch._utils._rebuild_tensor_v2")
    inner = (_storage(), 0, (4,), (1,), False, HOOKS)
    made = {
        "view-offset": _view(_storage(), 1),
        "view-negative-offset": _view(_storage(), -1),
        "view-size": _view(_storage(), 0, (5,)),
        "view-stride": _view(_storage(), 0, (4,), (2,)),
        "view-negative-stride": _view(_storage(), 3, (4,), (-1,)),
        "view-negative-size": _view(_storage(), 0, (-4,)),
        "view-more-strides": _view(_storage(), 0, (4,), (1, 1)),
        "view-of-text": _view(_storage(), 0, "4"),
        "view-many-dimensions": _view(_storage(), 0, (1,) * 65, (1,) * 65),
        "view-huge": _view(_storage(), 0, (long, long), (1, 1)),
        "view-of-no-storage": _view(name("torch.ByteStorage")),
        "view-hooks": call(
            "torch._utils._rebuild_tensor_v2", _storage(), 0, (4,), (1,), False, {"a": 1}
        ),
        "view-grad-of-bytes": call(
            "torch._utils._rebuild_tensor_v2", _storage(), 0, (4,), (1,), True, HOOKS
        ),
        "view-metadata": call(
            "torch._utils._rebuild_tensor_v2", _storage(), 0, (4,), (1,), False, HOOKS,
            {"__class__": 1},
        ),
        "storage-huge": _view(_storage(size=Raw(b"\x8a\x08" + (1 << 55).to_bytes(8, "little")))),
        "storage-larger": _view(_storage(size=Raw(b"\x8a\x09" + (1 << 64).to_bytes(9, "little")))),
        "storage-negative": _view(_storage(size=-4), 0, (0,)),
        "storage-true": _view(_storage(size=True), 0, (1,)),
        "storage-key-number": _view(_storage(key=0)),
        "storage-key-path": _view(_storage(key="../data.pkl")),
        "storage-kind-text": _view(_storage(kind="torch.ByteStorage")),
        "storage-kind-function": _view(_storage(kind=name("os.system"))),
        "storage-word": _view(_storage(first="module")),
        "storage-legacy-view": _view(_storage(more=(("1", 0, 4),))),
        "storage-two-sizes": Raw(push([_view(_storage()), _view(_storage(size=8))])),
        "storage-of-list": _view(Raw(push(["storage"]) + b"Q")),
        "storage-of-text": _view(Raw(push("storage") + b"Q")),
        "from-type-system": call(from_type, name("os.system"), name("torch.Tensor"), ("id",), {}),
        "from-type-other": call(from_type, v2, name("subprocess.Popen"), inner, {}),
        "from-type-of-itself": call(
            from_type, name(from_type), name("torch.Tensor"),
            (v2, name("torch.Tensor"), inner, {}), {},
        ),
        "from-type-class": call(
            from_type, v2, name("torch.Tensor"), inner, {"__class__": name("torch.Size")}
        ),
        "from-type-slots": call(
            from_type, v2, name("torch.Tensor"), inner, ({}, {"__setstate__": 1})
        ),
        "parameter-of-text": call("torch._utils._rebuild_parameter", "x", True, HOOKS),
        "parameter-state": call(
            "torch._utils._rebuild_parameter_with_state", plain, False, HOOKS, {"__dict__": {}}
        ),
        "parameter-hooks": call("torch._utils._rebuild_parameter", plain, False, {"a": 1}),
        "qtensor-scheme": call(
            Q, quantised, 0, (4,), (1,), (name("torch.float32"), 1, 0), False, HOOKS
        ),
        "qtensor-text": call(
            Q, quantised, 0, (4,), (1,), ("per_tensor_affine", 1, 0), False, HOOKS
        ),
        "qtensor-axis": call(
            Q, quantised, 0, (4,), (1,),
            (name("torch.per_channel_affine"), [1], [0], 9), False, HOOKS,
        ),
        "qtensor-scales": call(
            Q, quantised, 0, (4,), (1,),
            (name("torch.per_channel_affine"), [1], [0], 0), False, HOOKS,
        ),
        "qtensor-of-bytes": call(
            Q, _storage(), 0, (4,), (1,), (name("torch.per_tensor_affine"), 1, 0), False, HOOKS
        ),
        "sparse-of-text": call("torch._utils._rebuild_sparse_tensor", "coo", (plain, plain, (4,))),
        "sparse-layout": call(
            "torch._utils._rebuild_sparse_tensor",
            call("torch.serialization._get_layout", "torch.strided"), (plain, plain, (4,)),
        ),
        "sparse-layout-unknown": call("torch.serialization._get_layout", "os.system"),
        "sparse-few": call(
            "torch._utils._rebuild_sparse_tensor",
            call("torch.serialization._get_layout", "torch.sparse_coo"), (plain,),
        ),
        "meta-negative": call(
            "torch._utils._rebuild_meta_tensor_no_storage", name("torch.float32"), (-1,), (1,),
            False,
        ),
        "meta-dtype": call(
            "torch._utils._rebuild_meta_tensor_no_storage", "float32", (1,), (1,), False
        ),
        "nested-of-text": call("torch._utils._rebuild_nested_tensor", "a", "b", "c", "d"),
        "device-numpy": call(
            "torch._utils._rebuild_device_tensor_from_numpy", "x", name("torch.uint8"), "cpu", False
        ),
        "wrapper-of-text": call(
            "torch._utils._rebuild_wrapper_subclass", "os.system", name("torch.uint8"), (4,), (1,),
            0, name("torch.Size"), "cpu", False,
        ),
        "device-name": call("torch.device", "/dev/null"),
        "device-index": call("torch.device", "cuda", -1),
        "size-of-text": call("torch.Size", ["4"]),
        "size-huge": call("torch.Size", [Raw(b"\x8a\x09" + (1 << 64).to_bytes(9, "little"))]),
        "encode-zip": call("_codecs.encode", "x", "zip"),
        "encode-rot13": call("_codecs.encode", "x", "rot13"),
        "encode-idna": call("_codecs.encode", "x", "idna"),
        "encode-errors": call("_codecs.encode", "x", "ascii", "namereplace"),
        "bytes-of-a-terabyte": call(
            "builtins.bytearray", Raw(b"\x8a\x06" + (1 << 40).to_bytes(6, "little"))
        ),
        "complex-of-text": call("builtins.complex", "1j"),
        "set-of-lists": call("builtins.set", [[]]),
        "ordered-of-text": call("collections.OrderedDict", "ab"),
        "counter-of-list": call("collections.Counter", ["a"]),
        "tensor-with-arguments": call("torch.FloatTensor", 1 << 30),
        "storage-called": call("torch.FloatStorage", 1 << 30),
        "dtype-called": call("torch.float32"),
        "typed-storage": call("torch.storage.TypedStorage", 4),
        "build-tensor-dict": _build(plain, {"grad": 1}),
        "build-tensor-short": _build(plain, (_storage(), 0)),
        "build-tensor-other": _build(plain, (quantised, 0, (4,), (1,))),
        "build-size": _build(call("torch.Size", [4]), {"a": 1}),
        "build-device": _build(call("torch.device", "cpu"), {"a": 1}),
        "build-set": _build(call("builtins.set", []), {"a": 1}),
        "build-ordered-numbers": _build(HOOKS, {1: 2}),
        "build-class": _build(name("torch.Tensor"), {"__reduce__": 1}),
        "build-list": _build(Raw(b"]"), {"a": 1}),
    }  # fmt: skip
    return {f"pickle-{key}": torch_zip(pickled(value), {"data/0": bytes(4)})
            for key, value in made.items()}  # fmt: skip


def _operations() -> dict[str, bytes]:
    evil = b"cos\nsystem\n"
    bodies = {
        "extension-1": b"\x82\x01",
        "extension-2": b"\x83\x01\x02",
        "extension-4": b"\x84\x01\x02\x03\x04",
        "extension-0": b"\x82\x00",
        "persistent-line": b"Pos.system\n",
        "import-blank": b"c os\nsystem\n)R",
        "import-return": b"cos\r\nsystem\r\n)R",
        "import-nothing": b"c\n\n)R",
        "import-dots": b"ctorch\nserialization.os.system\n)R",
        "import-deep": b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n",
        "import-wide": "c\u043es\nsystem\n)R".encode(),
        "import-fullwidth": "c\uff4f\uff53\nsystem\n)R".encode(),
        "import-main": b"c__main__\nModel\n)R",
        "import-builtin-type": b"cbuiltins\ntype\n)R",
        "import-object": b"cbuiltins\nobject\n)\x81",
        "import-reduce": b"ccopyreg\n__newobj__\n(cbuiltins\nset\nt)R",
        "import-ctypes": b"cctypes\nstring_at\n(K\x00t)R",
        "stack-number": b"K\x01K\x02\x93",
        "stack-bytes": b"C\x02osC\x06system\x93",
        "stack-list": b"]]\x93",
        "newobj-kwargs": b"cbuiltins\nset\n)}(X\x01\0\0\0aK\x01u\x92",
        "newobj-tensor": b"ctorch\nTensor\n(K\x04t\x81",
        "newobj-of-nothing": b"N)\x81",
        "reduce-none": b"NNR",
        "append-ordered": b"ccollections\nOrderedDict\n)R(NNe",
        "append-tuple": b")(Ne",
        "setitem-list": b"]K\x00Ns",
        "setitems-odd": b"}(Nu",
        "setitem-unhashable": b"}]Ns",
        "additems-list": b"](N\x90",
        "pop-mark": b"1",
        "memo-unset": b"h\x07",
        "memo-far": b"j\xff\xff\xff\xff",
        "memo-negative": b"Np-1\n",
        "memo-word": b"Npx\n",
        "memo-empty": b"q\0",
        "stack-empty": b"0",
        "long-negative-length": b"\x8b\xff\xff\xff\xff",
        "text-past-the-end": b"X\xff\xff\xff\xffa",
        "text-of-2^63": b"\x8d" + b"\xff" * 8,
        "bytes-of-2^63": b"\x8e" + b"\xff" * 8,
        "bytearray-of-2^63": b"\x96" + b"\xff" * 8,
        "text-no-utf-8": b"X\x01\0\0\0\xff",
        "next-buffer": b"\x97",
        "readonly-buffer": b"N\x98",
        "unknown-operation": b"\xff",
        "proto-9": b"\x80\x09N",
        "dup-import": evil + b"2",
        "import-in-tuple": b"(" + evil + b"t",
        "import-as-key": b"}" + evil + b"Ns",
        "import-in-memo": evil + b"q\x000N",
    }  # fmt: skip
    files = {f"torch-{key}": torch_zip(b"\x80\x02" + body + b".") for key, body in bodies.items()}
    for key in ("extension-1", "persistent-line", "stack-bytes", "import-deep", "memo-far"):
        files[f"legacy-{key}"] = legacy(b"\x80\x02" + bodies[key] + b".")
    for key in ("extension-4", "import-fullwidth", "import-object", "next-buffer"):
        files[f"plain-{key}"] = b"\x80\x04" + bodies[key] + b"."
    return files


def _legacy() -> dict[str, bytes]:
    one = pickle.dumps(["0"], 2)
    view = pickled(_view(_storage(more=(None,))))
    count = struct.pack("<Q", 4)
    assert legacy(view, one)
    return {
        "legacy-storage-gone": legacy(view, one) + count + bytes(3),
        "legacy-storage-more": legacy(view, one) + count + bytes(5),
        "legacy-storage-count": legacy(view, one) + struct.pack("<Q", 5) + bytes(5),
        "legacy-storage-negative": legacy(view, one) + struct.pack("<q", -1) + bytes(4),
        "legacy-keys-twice": legacy(view, pickle.dumps(["0", "0"], 2)) + (count + bytes(4)) * 2,
        "legacy-keys-more": legacy(view, pickle.dumps(["0", "1"], 2)) + (count + bytes(4)) * 2,
        "legacy-keys-none": legacy(view),
        "legacy-keys-number": legacy(view, pickle.dumps([0], 2)) + count + bytes(4),
        "legacy-keys-dict": legacy(view, pickle.dumps({"0": 1}, 2)) + count + bytes(4),
        "legacy-storage-pickle": legacy(view, one) + count + bytes(4) + EVIL,
        "legacy-other-version": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1002, 2)
        + pickle.dumps({}, 2) + EMPTY + pickle.dumps([], 2),
        "legacy-big-endian-magic": pickle.dumps(0x1950A86A20F9469CFC6C, 4) + legacy()[14:],
        "legacy-view-outside": legacy(pickled(_view(_storage(more=(("1", 2, 4),)))), one)
        + count + bytes(4),
    }  # fmt: skip


def _tar(form: int, **fields: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member, content in (("pickle", EVIL), ("tensors", EVIL), ("storages", EVIL)):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _others() -> dict[str, bytes]:
    """Formats of others under a name of ours."""
    import bz2
    import lzma
    import zlib

    lambda_layer = json.dumps({"class_name": "Lambda", "config": {"function": ["x"]}}).encode()
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    return {
        "tar-ustar": _tar(tarfile.USTAR_FORMAT),
        "tar-gnu": _tar(tarfile.GNU_FORMAT),
        "tar-pax": _tar(tarfile.PAX_FORMAT, pax_headers={"path": "pickle"}),
        "tar-v7": _tar(tarfile.USTAR_FORMAT).replace(b"ustar\x0000", bytes(8)),
        "tar-links": _tar(tarfile.GNU_FORMAT, type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0),
        "tar-gz": gzip.compress(_tar(tarfile.GNU_FORMAT)),
        "keras-zip": as_zip([("config.json", lambda_layer), ("metadata.json", b"{}"),
                             ("model.weights.h5", b"\x89HDF\r\n\x1a\n")]),
        "keras-in-folder": as_zip([("m/config.json", lambda_layer), ("m/data.pkl", EMPTY)]),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100) + lambda_layer,
        "hdf5-user-block": bytes(512) + b"\x89HDF\r\n\x1a\n" + lambda_layer,
        "gguf": b"GGUF" + struct.pack("<IQQ", 3, 0, 0),
        "ggml": b"lmgg" + bytes(100),
        "onnx": b"\x08\x07\x12\x07pytorch" + b"location\x12\x14../../../etc/passwd",
        "tflite": bytes(4) + b"TFL3" + bytes(100),
        "npy-objects": object_array(),
        "npy-structured": b"\x93NUMPY\x01\0" + struct.pack("<H", 70)
        + b"{'descr': [('a', [('b', '|O')])], 'fortran_order': False, 'shape': (1,)}\n"[:70] + EVIL,
        "npz": as_zip([("arr_0.npy", object_array())]),
        "joblib-zlib": zlib.compress(EVIL),
        "joblib-gz": gzip.compress(EVIL),
        "joblib-bz2": bz2.compress(EVIL),
        "joblib-xz": lzma.compress(EVIL),
        "joblib-lzma": lzma.compress(EVIL, lzma.FORMAT_ALONE),
        "zstd-skippable": skipped + b"\x28\xb5\x2f\xfd" + bytes(20),
        "lz4": b"\x04\x22\x4d\x18" + bytes(20),
        "marshal": b"\xe3" + bytes(40),
        "pyc": b"\xa7\r\r\n" + bytes(12) + b"\xe3" + bytes(40),
        "elf": b"\x7fELF" + bytes(60),
        "msgpack": b"\x82\xa1a\x01\xa1b\xc7\x04\x01abcd",
        "sqlite": b"SQLite format 3\0" + bytes(84),
        "arrow": b"ARROW1\0\0" + bytes(40),
        "parquet": b"PAR1" + bytes(40) + b"PAR1",
        "rds": b"X\n\0\0\0\x02",
        "matlab": b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + b"\x00\x01IM",
        "shelf": b"\x00\x06\x15\x61" + bytes(200),
        "script": b"#!/bin/sh\ntouch MARK\n",
        "python": b"import os\nos.system('touch MARK')\n",
        "html": b"<script>alert(1)</script>",
        "zeros": bytes(1000),
        "nothing": b"",
    }  # fmt: skip


def odd_files() -> dict[str, tuple[str, bytes]]:
    """All of them by name: the suffix of the file, and its content."""
    groups: list[tuple[str, Callable[[], dict[str, bytes]]]] = [
        (".safetensors", _headers), (".pt", _zips), (".pt", _rebuilds), (".pt", _operations),
        (".pt", _legacy), (".pt", _others),
    ]  # fmt: skip
    return {key: (suffix, content) for suffix, made in groups for key, content in made().items()}
