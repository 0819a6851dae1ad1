"""What weight files are and would import, read without unpickling anything."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import pytest

from fx_hooks.weights import archives, pickles
from fx_hooks.weights.content import Format, Inspection, inspect
from tests.weight_files import (
    EMPTY,
    NO_KEYS,
    as_zip,
    called,
    malicious,
    pickled_call,
    safetensors,
    stack_global,
    text,
    torch_legacy,
    torch_zip,
)

SHIPPED = Path(__file__).parent / "data" / "weights"
LINEAR = "torch.nn.modules.linear.Linear"


def look(content: bytes) -> Inspection:
    return inspect(io.BytesIO(content))


@pytest.mark.parametrize(
    ("name", "kind", "imported", "parameters"),
    [
        ("state_dict.pt", "torch", (), 8),
        ("checkpoint.pth", "torch", (), 26),
        ("lightning.ckpt", "torch", (), 4),
        ("module.pt", "torch", (LINEAR,), 8),
        ("legacy_state_dict.pth", "torch-legacy", (), 8),
        ("legacy_module.pth", "torch-legacy", (LINEAR,), 8),
        ("scripted.pt", "torchscript", (), 8),
        ("model.safetensors", "safetensors", (), 8),
        ("page_template.pt", None, (), None),
        ("distutils-precedence.pth", None, (), None),
        ("lfs_pointer.pt", None, (), None),
    ],
)
def test_shipped(
    name: str, kind: str | None, imported: tuple[str, ...], parameters: int | None
) -> None:
    found = look((SHIPPED / name).read_bytes())
    assert (found.format, found.globals, found.parameters) == (kind, imported, parameters)
    assert bool(found.faults) == (name == "legacy_module.pth")


@pytest.mark.parametrize("name", sorted(malicious()))
def test_malicious(name: str) -> None:
    found = look(malicious()[name])
    assert found.format is None or found.globals or found.faults
    hidden = "two|another-case|nul|encrypted|extension|native|rubbish|without-suffix"
    if not re.search(hidden, name):
        # Not only refused: what it would import is known.
        assert found.globals or any("computes" in fault for fault in found.faults), found


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_every_protocol(protocol: int) -> None:
    value = {
        "a": [1, 2**40, -5, 2**70, 1.5, None, True, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "b": OrderedDict(x=1),
        "c": b"bytes",
        "d": {1, 2},
        "e": frozenset((1, 2)),
        "f": "long" * 1000,
        "g": bytearray(b"x") if protocol >= 5 else "",
        "h": Counter("aab"),
    }
    found = look(pickle.dumps(value, protocol))
    assert found.format == "pickle"
    assert found.faults == ()
    assert set(found.globals) <= {"builtins.frozenset", "__builtin__.set", "builtins.bytes"}


def test_globals_of_a_class() -> None:
    for protocol in range(6):
        found = look(pickle.dumps(zipfile.ZipInfo, protocol))
        assert found.globals == ("zipfile.ZipInfo",)


FAULTS = [
    pytest.param(b"\x80\x02cos", "has a line without end", id="cut-in-a-line"),
    pytest.param(b"\x80\x02}", "ends before its pickle does", id="no-stop"),
    pytest.param(b"\x80\x02X\xff\xff\xff\xff", "ends before its pickle does", id="claims-4-gib"),
    pytest.param(b"\x80\x04\x8d" + b"\xff" * 8, "ends before its pickle", id="claims-everything"),
    pytest.param(b"\x80\x04\x8d" + b"\xff" * 7 + b"\0", "ends before", id="claims-2-to-56"),
    pytest.param(b"\x80\x02\xff.", "has byte 0xff", id="unknown-operation"),
    pytest.param(b"\x80\x020.", "from an empty pickle stack", id="pop-nothing"),
    pytest.param(b"\x80\x02.", "from an empty pickle stack", id="stop-on-nothing"),
    pytest.param(b"\x80\x02(.", "from an empty pickle stack", id="stop-on-a-mark"),
    pytest.param(b"\x80\x02t.", "looks for a mark", id="no-mark"),
    pytest.param(b"\x80\x02(o.", "from an empty pickle stack", id="obj-of-nothing"),
    pytest.param(b"\x80\x02h\x07.", "asks its memo", id="no-memo"),
    pytest.param(b"\x80\x02}pabc\n.", "numbers its memo", id="memo-of-letters"),
    pytest.param(b"\x80\x02c\xff\nx\n.", "a name that is not text", id="name-no-text"),
    pytest.param(b"\x80\x02c" + b"x" * 600 + b"\ny\n.", "one without end", id="long-name"),
    pytest.param(b"\x80\x02}." + EMPTY[:-1], "ends before", id="second-is-cut"),
]


@pytest.mark.parametrize(("content", "fault"), FAULTS)
def test_broken_pickles(content: bytes, fault: str) -> None:
    found = look(content)
    assert found.format == "pickle"
    assert fault in " ".join(found.faults)
    inside = look(torch_zip(content))
    assert ("behind its end" if content.startswith(EMPTY) else fault) in " ".join(inside.faults)


@pytest.mark.parametrize(
    ("pushed", "fault"),
    [
        pytest.param(text("os") + b"K\x01\x93", "a name that its pickle computes", id="number"),
        pytest.param(
            text("os") + b"X" + struct.pack("<I", 300) + b"x" * 300 + b"\x93", "computes", id="long"
        ),
        pytest.param(b"\x8c\x01\xff" + text("x") + b"\x93", "computes", id="no-utf-8"),
        pytest.param(b"\x83\x01\x00", "number of copyreg's registry (EXT2)", id="extension"),
        pytest.param(b"}", "calls something that its pickle has made", id="call-a-dict"),
        pytest.param(b"}2", "calls something", id="twice"),
        pytest.param(b"})}\x92", "calls something", id="newobj-ex"),
    ],
)
def test_what_cannot_be_known(pushed: bytes, fault: str) -> None:
    content = b"\x80\x04" + pushed + b"}\x85R."
    assert fault in " ".join(look(content).faults)


def test_the_memo_is_followed() -> None:
    memo = b"\x80\x04" + text("os") + b"\x94" + text("path") + b"\x940h\x000h\x00h\x01\x93."
    assert look(memo).globals == ("os.path",)
    numbered = b"\x80\x02X\x02\x00\x00\x00osp5\n0g5\nX\x01\x00\x00\x00x\x93."
    assert look(numbered).globals == ("os.x",)
    old = b"\x80\x02U\x02osr\x07\x01\x00\x000j\x07\x01\x00\x00U\x01x\x93."
    assert look(old).globals == ("os.x",)


def test_operations_that_weights_only_does_not_know() -> None:
    content = b"\x80\x04" + stack_global("collections", "OrderedDict") + b")R."
    assert look(content) == Inspection(Format.PICKLE)
    (fault,) = look(torch_zip(content)).faults
    assert "(SHORT_BINUNICODE, STACK_GLOBAL)" in fault


def test_persistent_ids() -> None:
    module = b"\x80\x02(X\x06\x00\x00\x00moduleK\x01K\x02K\x03K\x04tQ."
    assert look(torch_zip(module)).faults == ("has a persistent id 'module'",)
    assert "has a persistent id 'unknown'" in look(torch_zip(b"Px\n.")).faults
    odd = b"\x80\x02(X\x07\x00\x00\x00storageK\x01K\x02K\x03K\x04tQ."
    assert look(torch_zip(odd)).faults == ("has a persistent id 'storage'",)


def storage(count: int, kind: str = "torch\nFloatStorage", *, legacy: bool = False) -> bytes:
    return (
        b"\x80\x02(X\x07\x00\x00\x00storagec" + kind.encode() + b"\nX\x01\x00\x00\x000"
        + b"X\x03\x00\x00\x00cpuK" + bytes([count]) + b"N" * legacy + b"tQ."
    )  # fmt: skip


def test_storages() -> None:
    content = storage(3)
    assert look(torch_zip(content, **{"data/0": bytes(12)})).faults == ()
    for short in (torch_zip(content, **{"data/0": bytes(11)}), torch_zip(content)):
        assert "lacks the storage '0', or a part of it" in look(short).faults[0]
    longer = look(torch_zip(content, **{"data/0": bytes(13)}))
    assert longer.faults == ("has a storage '0' that is larger than its pickle asks for",)
    more = look(torch_zip(content, **{"data/0": bytes(12), "data/1": b""}))
    assert more.faults == ("has 'data/1', which torch.save does not write",)
    content = storage(3, legacy=True)
    keys = pickle.dumps(["0"], 2)
    size = (3).to_bytes(8, "little")
    assert look(torch_legacy(content, keys) + size + bytes(12)).faults == ()
    for tail, fault in (
        (size + bytes(11), "is cut off in its storages"),
        (bytes(20), "has a storage of another size"),
    ):
        assert fault in look(torch_legacy(content, keys) + tail).faults[0]
    assert "has other storages" in look(torch_legacy(content, NO_KEYS)).faults[0]
    untyped = storage(3, "torch.storage\nUntypedStorage", legacy=True)
    more = look(torch_legacy(content, keys) + size + bytes(13))
    assert (more.faults, more.left) == (("has 1 bytes behind its end",), 1)
    assert "untyped storage" in look(torch_legacy(untyped, keys) + size + bytes(3)).faults[0]


def test_endless_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 1000)
    as_many = b"\x80\x02" + b"N0" * 498 + b"N}."
    assert "pickle operations" not in str(look(as_many).faults)
    assert "more than 1,000 pickle operations" in look(b"\x80\x02N" + as_many[2:]).faults[0]
    monkeypatch.setattr(pickles, "MAX_DEPTH", 100)
    assert "stacks" not in str(look(b"\x80\x02(" + b"N" * 100 + b"1}.").faults)
    assert "stacks more than 100 values" in look(b"\x80\x02(" + b"N" * 101 + b"1}.").faults[0]
    many = b"".join(b"cx\nn%d\n0" % number for number in range(200))
    monkeypatch.setattr(pickles, "MAX_GLOBALS", 100)
    assert "imports more than 100 names" in look(b"\x80\x02" + many).faults[0]


@pytest.mark.slow
def test_the_real_limits_end_in_time_and_memory() -> None:
    assert look(b"\x80\x04" + b"]\x94" * 1_500_000).faults


def test_strings_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_TEXT", 500)
    content = called(text("x" * 40) * 10 + stack_global("a" * 40, "system"))
    assert "imports a name that its pickle computes" in look(content).faults
    # What is short is no matter of space.
    content = called(text("x" * 40) * 10 + stack_global("os", "system"))
    assert look(content).globals == ("os.system",)


ARCHIVES = [
    pytest.param(b"PK\x03\x04", "does not end with a zip directory", id="magic-alone"),
    pytest.param(torch_zip(EMPTY)[:-1], "does not end with", id="cut"),
    pytest.param(torch_zip(EMPTY) + b"x", "does not end with", id="appended"),
    pytest.param(b"PK\x03\x04" + torch_zip(EMPTY), "broken zip directory", id="prepended"),
    pytest.param(
        as_zip([("m/a", b""), ("m/A", b""), ("m/data.pkl", EMPTY)]), "two members", id="case"
    ),
    pytest.param(as_zip({"m/../data.pkl": EMPTY}), "read differently", id="dots"),
    pytest.param(malicious()["zip-encrypted-flag"], "encrypted", id="encrypted"),
]


@pytest.mark.parametrize(("content", "fault"), ARCHIVES)
def test_broken_archives(content: bytes, fault: str) -> None:
    found = look(content)
    assert found.format is None
    assert fault in found.faults[0]


def patched(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    changed = bytearray(content)
    start = changed.rindex(signature) + offset
    changed[start : start + len(value)] = value
    return bytes(changed)


GOOD = torch_zip(EMPTY)
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
DIRECTORY = GOOD.index(CENTRAL)
GAP = GOOD[:DIRECTORY] + b"x" + GOOD[DIRECTORY:]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(patched(GOOD, CENTRAL, 10, b"\x0c"), "compression", id="bzip2"),
        pytest.param(patched(GOOD, CENTRAL, 20, b"\x01"), "two sizes", id="two-sizes"),
        pytest.param(patched(GOOD, CENTRAL, 38, b"\x10"), "that is a folder", id="folder"),
        pytest.param(patched(GOOD, CENTRAL, 42, b"\0\0"), "overlap", id="overlap"),
        pytest.param(
            patched(GAP, END, 16, (DIRECTORY + 1).to_bytes(4, "little")), "a gap before", id="gap"
        ),
        pytest.param(
            patched(patched(GOOD, CENTRAL, 20, b"\xff"), CENTRAL, 24, b"\xff"),
            "in another way",
            id="end",
        ),
        pytest.param(patched(GOOD, END, 8, b"\x02\0\x02\0"), "number of members", id="fewer"),
        pytest.param(patched(GOOD, END, 4, b"\x01"), "broken zip directory", id="disk"),
        pytest.param(patched(GOOD, CENTRAL, 0, b"XXXX"), "broken zip directory", id="no-central"),
        pytest.param(patched(GOOD, LOCAL, 0, b"XXXX"), "cannot be read", id="no-local"),
    ],
)
def test_odd_archives(content: bytes, fault: str) -> None:
    assert fault in " ".join(look(content).faults)


def test_the_wide_directory() -> None:
    real = (SHIPPED / "state_dict.pt").read_bytes()
    wide, locator = real.rindex(b"PK\x06\x06"), b"PK\x06\x07"
    assert look(patched(real, locator, 8, b"\xff" * 8)).faults
    assert look(patched(real, b"PK\x06\x06", 0, b"XXXX")).faults
    differ = look(patched(real, b"PK\x06\x06", 32, b"\x01"))
    assert "two zip directories that differ" in differ.faults[0]
    assert wide > 0


def test_archives_without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = as_zip({"m/data.pkl": EMPTY, "m/code/x.py": bytes(65 << 20)}, deflate=True)
    assert "unpacks to more than 64 MiB" in look(bomb).faults[0]
    nested = torch_zip(EMPTY)
    for _ in range(5):
        nested = as_zip({"m/archive_format": b"pt2", "m/model.pt": nested})
    assert "has 'model.pt', which torch.export.save does not write" in look(nested).faults
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    assert "more than 2 members" in look(GOOD).faults[0]


def test_a_large_pickle_in_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fx_hooks.weights.torch_files.MAX_PICKLE", 1 << 20)
    assert "more than 1 MiB" in look(torch_zip(EMPTY + bytes(2 << 20))).faults[0]


def test_formats_of_archives() -> None:
    assert look(as_zip({"m/other": b""})) == Inspection(None)
    index = b'{"config": {"w": {"path_name": "weight_0", "use_pickle": false}}}'
    exported = {
        "m/archive_format": b"pt2",
        "m/data/weights/model_weights_config.json": index,
        "m/data/weights/weight_0": bytes(8),
    }
    found = look(as_zip(exported))
    assert (found.format, found.faults, found.left) == ("pt2", (), 0)
    exported["m/data/weights/model_weights_config.json"] = index.replace(b"false", b"true")
    assert "has 'data/weights/weight_0'" in look(as_zip(exported)).faults[0]
    script = torch_zip(b"\x80\x02c__torch__.M\nM\n.", **{"constants.pkl": b"\x80\x02)."})
    assert look(script).globals == ()


def test_a_tensor_that_looks_like_a_pickle_is_none() -> None:
    content = storage(3)
    evil = pickled_call("os.system")
    assert look(torch_zip(content, **{"data/0": evil})).globals == ()


@pytest.mark.parametrize(
    ("header", "data", "fault"),
    [
        pytest.param(b"{}", b"", "", id="empty"),
        pytest.param(b'{"__metadata__":{"a":"b"}}', b"", "", id="notes"),
        pytest.param(b'{"__metadata__":{"a":1}}', b"", "not all text", id="odd-notes"),
        pytest.param(b"{]", b"", "has a broken header: is not JSON", id="no-json"),
        pytest.param(b"{}x", b"", "has a broken header", id="more"),
        pytest.param(b"{}", b"x", "another length", id="too-long"),
        pytest.param(b'{"a":1}', b"", "describes a tensor wrongly: 1", id="no-tensor"),
        pytest.param(
            b'{"a":{"dtype":[],"shape":[],"data_offsets":[0,4]}}', bytes(4), "wrongly", id="dtype"
        ),
        pytest.param(
            b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,4]}}', bytes(4), "wrongly", id="size"
        ),
        pytest.param(
            b'{"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}', bytes(4), "wrongly",
            id="bool",
        ),
        pytest.param(
            b'{"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}', bytes(8), "a gap", id="gap"
        ),
    ],
)  # fmt: skip
def test_safetensors(header: bytes, data: bytes, fault: str) -> None:
    found = look(safetensors(header, data))
    assert found.format == "safetensors"
    assert fault in " ".join(found.faults)
    assert bool(found.faults) == bool(fault)


def test_what_is_no_tensor_is_shown_in_part() -> None:
    (fault,) = look(safetensors(b'{"a":"%s"}' % (b"x" * 90), b"")).faults
    assert fault == 'describes a tensor wrongly: "' + "x" * 79


BITS = {
    4: "F4", 6: "F6_E2M3 F6_E3M2", 8: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
    16: "I16 U16 F16 BF16", 32: "I32 U32 F32", 64: "C64 F64 I64 U64",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "bits"), [(kind, bits) for bits, kinds in BITS.items() for kind in kinds.split()]
)
def test_every_type_of_safetensors_has_its_size(kind: str, bits: int) -> None:
    def faults(size: int) -> tuple[str, ...]:
        header = {"a": {"dtype": kind, "shape": [8], "data_offsets": [0, size]}}
        return look(safetensors(json.dumps(header).encode(), bytes(size))).faults

    assert faults(bits) == ()
    assert "wrongly" in faults(bits + 1)[0]


def test_safetensors_headers_without_bounds() -> None:
    assert "has a header of 281," in look(b"\xff" * 6 + b"\0\0{").faults[0]
    assert "cut off in its header" in look(safetensors(b"{}")[:9]).faults[0]
    broken = (3).to_bytes(8, "little") + b"{x"
    assert look(broken + b"}").faults
    # A list cannot begin like this, but JSON may go on behind the object.
    assert look(safetensors(b"{" + b'"a":{' * 100_000)).faults
