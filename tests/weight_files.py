"""Weight files put together by hand: honest ones, and ones that must never pass.

Nothing here is ever unpickled. The malicious ones would create a file called PWNED.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

# All that is shipped as data, but neither the program that makes it nor what Python keeps of that.
SHIPPED = sorted(
    path
    for path in (Path(__file__).parent / "data" / "weights").iterdir()
    if path.is_file() and path.suffix != ".py"
)
COMMAND = "touch PWNED"
LEGACY_HEAD = (
    pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    + pickle.dumps(1001, 2)
    + pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
)
NO_KEYS = pickle.dumps([], 2)
# system("touch PWNED"), for what comes before the last operation.
SYSTEM = b"cos\nsystem\n(X\x0b\x00\x00\x00touch PWNEDtR"
EVAL = b"cbuiltins\neval\n(X\x01\x00\x00\x001tR"
EMPTY = b"\x80\x02}."


def as_zip(
    members: Mapping[str, bytes] | list[tuple[str, bytes]], *, deflate: bool = False
) -> bytes:
    """A zip archive, its members stored as torch does."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def torch_zip(pickled: bytes, **more: bytes) -> bytes:
    """What torch.save writes around a pickle; *more* are members below the stem."""
    members = {"m/data.pkl": pickled, "m/byteorder": b"little", "m/version": b"3\n"}
    return as_zip({**members, **{f"m/{name}": content for name, content in more.items()}})


def torch_legacy(pickled: bytes, keys: bytes = NO_KEYS) -> bytes:
    """What torch.save wrote before 1.6."""
    return LEGACY_HEAD + pickled + keys


def text(value: str) -> bytes:
    """A string pushed as protocol 4 does."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def stack_global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def called(pushed: bytes) -> bytes:
    """A pickle that calls what *pushed* leaves on the stack with the command."""
    return b"\x80\x04" + pushed + text(COMMAND) + b"\x85R."


def pickled_call(name: str, argument: str = COMMAND, *, protocol: int = 2) -> bytes:
    """A pickle that calls the global *name* with one text."""
    module, _, attribute = name.rpartition(".")
    if protocol == 0:
        return f"c{module}\n{attribute}\n(V{argument}\ntR.".encode()
    data = argument.encode()
    return (
        b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b"X" + struct.pack("<I", len(data))
        + data + b"\x85R."
    )  # fmt: skip


def _crc_broken(data: bytes) -> bytes:
    """The checksum of the first member changed, in its header and in the directory."""
    changed = bytearray(data)
    changed[14] ^= 0xFF
    start = data.rindex(b"PK\x01\x02", 0, data.index(b"PK\x01\x02") + 4)
    changed[start + 16] ^= 0xFF
    return bytes(changed)


def _encrypted(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[6] |= 1
    changed[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def malicious() -> dict[str, bytes]:
    """Files that would run a command or evaluate text, and files that hide that they do."""
    bad = pickled_call("os.system")
    nested = b"\x80\x02cpickle\nloads\nC" + bytes([len(bad)]) + bad + b"\x85R."
    partial = b"\x80\x02cfunctools\npartial\nctorch\nload\n\x85R(X\x08\x00\x00\x00other.pttR."
    memo = (
        b"\x80\x04" + text("collections") + b"q\x00" + text("os") + b"q\x00" + text("system")
        + b"q\x010h\x00h\x01\x93" + text(COMMAND) + b"\x85R."
    )  # fmt: skip
    computed = (
        b"\x80\x04c_codecs\nencode\n" + text("os") + b"\x85R" + text("system") + b"\x93"
        + text(COMMAND) + b"\x85R."
    )  # fmt: skip
    honest = torch_zip(EMPTY)
    evil = torch_zip(bad)
    # Two directories at the end: which one counts depends on the reader.
    two_ends = evil + honest[-22:]
    return {
        "zip-os-system": evil,
        "zip-eval": torch_zip(pickled_call("builtins.eval")),
        "zip-exec-protocol-0": torch_zip(pickled_call("builtins.exec", protocol=0)),
        "zip-python-2-eval": torch_zip(pickled_call("__builtin__.eval")),
        "zip-posix": torch_zip(pickled_call("posix.system")),
        "zip-dotted": torch_zip(b"\x80\x02ctorch\nserialization.os.system\n" + bad[13:]),
        "zip-popen-newobj": torch_zip(
            b"\x80\x02csubprocess\nPopen\nX\x0b\x00\x00\x00touch PWNED\x85\x81."
        ),
        "zip-inst": torch_zip(b"(S'touch PWNED'\nios\nsystem\n."),
        "zip-obj": torch_zip(b"(cos\nsystem\nS'touch PWNED'\no."),
        "zip-extension": torch_zip(b"\x80\x02\x82\x01" + text(COMMAND) + b"\x85R."),
        "zip-stack-global": torch_zip(called(stack_global("os", "system"))),
        "zip-stack-global-memo": torch_zip(memo),
        "zip-stack-global-computed": torch_zip(computed),
        "zip-nested-pickle": torch_zip(nested),
        "zip-partial-torch-load": torch_zip(partial),
        "zip-popped": torch_zip(b"\x80\x02" + SYSTEM + b"0}."),
        "zip-without-end": torch_zip(b"\x80\x02" + SYSTEM),
        "zip-getattr": torch_zip(
            b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\nX\x08\x00\x00\x00__call__\x86R"
            b"X\x0b\x00\x00\x00touch PWNED\x85R."
        ),
        "zip-two-pickles-of-one-name": as_zip(
            [("m/data.pkl", EMPTY), ("m/version", b"3\n"), ("m/data.pkl", bad)]
        ),
        "zip-another-case": as_zip([("m/Data.PKL", bad), ("m/data.pkl", EMPTY)]),
        "zip-two-stems": as_zip([("a/data.pkl", bad), ("b/data.pkl", EMPTY)]),
        "zip-two-ends": two_ends,
        "zip-nul-in-name": as_zip({"m/data.pkl": EMPTY, "m/xdata.pkl": bad}).replace(
            b"m/xdata.pkl", b"m/data.pkl\0"
        ),
        "zip-bad-checksum": _crc_broken(evil),
        "zip-encrypted-flag": _encrypted(evil),
        "zip-like-torchscript": torch_zip(bad, **{"constants.pkl": b"\x80\x02)."}),
        "zip-deflated": as_zip({"m/data.pkl": bad, "m/version": b"3\n"}, deflate=True),
        "legacy-os-system": torch_legacy(bad),
        "legacy-eval": torch_legacy(pickled_call("builtins.eval")),
        "legacy-stack-global": torch_legacy(called(stack_global("os", "system"))),
        "legacy-in-keys": torch_legacy(EMPTY, bad),
        "legacy-in-system-info": LEGACY_HEAD.replace(b"}q", SYSTEM + b"0}q") + EMPTY + NO_KEYS,
        "legacy-computed-magic": b"\x80\x02" + SYSTEM + b"0" + LEGACY_HEAD[2:] + EMPTY + NO_KEYS,
        "pickle-os-system": pickled_call("os.system", protocol=0),
        "pickle-protocol-4": called(stack_global("os", "system")),
        "pickle-second": EMPTY + bad,
        "pickle-second-behind-rubbish": EMPTY + b"rubbish" + bad,
        "pt2-nested-archive": as_zip(
            {"m/archive_format": b"pt2", "m/version": b"0", "m/data/sample_inputs/model.pt": evil}
        ),
        "pt2-pickle-without-suffix": as_zip({"m/archive_format": b"pt2", "m/data/weights/w": bad}),
        "pt2-native-code": as_zip(
            {"m/archive_format": b"pt2", "m/data/aotinductor/model.so": b"\x7fELF" + bytes(60)}
        ),
    }


def safetensors(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def ordered_dict() -> bytes:
    return pickle.dumps(OrderedDict(a=1), 2)
