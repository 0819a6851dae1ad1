"""Files that would run something when a careless reader loads them: inert, they touch MARK.

Each says which reader that is. ``tests/live_readers.py`` is those readers; the torch job
proves that each file works there, and every test run that none of them passes here.
"""

from __future__ import annotations

import io
import json
import marshal
import pickle
import struct
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

COMMAND = "touch MARK"
PYTHON = "open('MARK', 'w').close()"
DATA = Path(__file__).parent / "data" / "hostile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One file: its content, the suffix of its name, and the reader that it is made for.

    ``format`` is what an entry would have to say for it.
    """

    content: bytes
    reader: str
    suffix: str = ".pt"
    format: str | None = None


# What pushes a value.


@dataclass(frozen=True, slots=True)
class Raw:
    """Operations as they are."""

    code: bytes


def push(value: object) -> bytes:
    """The operations of protocols up to 2 that push *value*."""
    if isinstance(value, Raw):
        return value.code
    if isinstance(value, str):
        data = value.encode()
        return b"X" + struct.pack("<I", len(data)) + data
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    if isinstance(value, bool) or value is None:
        return {True: b"\x88", False: b"\x89", None: b"N"}[value]
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(push, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(push, value)) + b"t"
    assert isinstance(value, dict)
    return b"}(" + b"".join(push(key) + push(item) for key, item in value.items()) + b"u"


def name(dotted: str) -> Raw:
    module, _, attribute = dotted.rpartition(".")
    return Raw(f"c{module}\n{attribute}\n".encode())


def call(callee: Raw | str, *args: object) -> Raw:
    function = name(callee) if isinstance(callee, str) else callee
    return Raw(push(function) + push(args) + b"R")


def pickled(*values: object, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + b"".join(map(push, values)) + b"."


def short(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


# Containers.


def as_zip(
    members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED, prefix: bytes = b""
) -> bytes:
    """A zip archive whose stored members are aligned as torch aligns them."""
    buffer = io.BytesIO()
    buffer.write(prefix)
    with zipfile.ZipFile(buffer, "a" if prefix else "w") as archive:
        for path, content in members:
            info = zipfile.ZipInfo(path)
            padding = -(buffer.tell() + 34 + len(path)) % 64
            if method == zipfile.ZIP_STORED:
                info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
            archive.writestr(info, content, method)
    return buffer.getvalue()


def torch_zip(
    data: bytes, more: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED
) -> bytes:
    members = [
        ("m/data.pkl", data),
        ("m/byteorder", b"little"),
        *((f"m/{path}", content) for path, content in (more or {}).items()),
        ("m/version", b"3\n"),
    ]
    return as_zip(members, method)


EMPTY = b"\x80\x02}."
HEAD = (
    pickle.dumps(0x1950A86A20F9469CFC6C, 2),
    pickle.dumps(1001, 2),
    pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2),
)
KEYS = pickle.dumps([], 2)


def legacy(data: bytes = EMPTY, keys: bytes = KEYS) -> bytes:
    return b"".join(HEAD) + data + keys


def tensor(size: int) -> bytes:
    """A pickle of one tensor with *size* bytes in the storage 0."""
    storage = Raw(push(("storage", name("torch.ByteStorage"), "0", "cpu", size)) + b"Q")
    hooks = Raw(name("collections.OrderedDict").code + b")R")
    made = call("torch._utils._rebuild_tensor_v2", storage, 0, (size,), (1,), False, hooks)
    return pickled(made)


def safetensors(size: int) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
    return struct.pack("<Q", 192) + header.encode().ljust(192)


SYSTEM = call("os.system", COMMAND)
EVIL = pickled(SYSTEM)


def object_array() -> bytes:
    """A NumPy array of objects: a header, then a pickle."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (53 - len(header) % 64 + 64 * (len(header) % 64 > 53)) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + EVIL


# Imports and calls, in the pickle of a torch file.


def _chain() -> dict[str, Raw]:
    importer = call("importlib.import_module", "os")
    getter = call(Raw(call("operator.attrgetter", "system").code), importer)
    code = marshal.dumps(compile(PYTHON, "x", "exec"))
    function = call(
        "types.FunctionType", call("marshal.loads", code), {"open": name("builtins.open")}
    )
    return {
        "getattr": call(call("builtins.getattr", importer, "system"), COMMAND),
        "attrgetter": call(getter, COMMAND),
        "methodcaller": call(call("operator.methodcaller", "system", COMMAND), importer),
        "partial": call(call("functools.partial", name("os.system"), COMMAND)),
        "resolve-name": call(call("pkgutil.resolve_name", "os:system"), COMMAND),
        "map": call("builtins.list", call("builtins.map", name("os.system"), [COMMAND])),
        "filter": call("builtins.tuple", call("builtins.filter", name("os.system"), [COMMAND])),
        "any": call("builtins.any", call("builtins.map", name("builtins.eval"), [PYTHON])),
        "marshal": call(function),
        "loads": call("pickle.loads", EVIL),
        "interpreter": call(
            call("operator.methodcaller", "runsource", PYTHON),
            call("code.InteractiveInterpreter"),
        ),
    }


_CALLS: dict[str, tuple[object, ...]] = {
    "os.system": (COMMAND,),
    "posix.system": (COMMAND,),
    "os.popen": (COMMAND,),
    "subprocess.call": (["touch", "MARK"],),
    "subprocess.check_output": (["touch", "MARK"],),
    "subprocess.run": (["touch", "MARK"],),
    "subprocess.Popen": (["touch", "MARK"],),
    "subprocess.getoutput": (COMMAND,),
    "commands.getoutput": (COMMAND,),
    "builtins.eval": (PYTHON,),
    "builtins.exec": (PYTHON,),
    "__builtin__.eval": (PYTHON,),
    "pty.spawn": (["touch", "MARK"],),
    "timeit.timeit": (PYTHON, "pass", name("time.time"), 1),
    "cProfile.run": (PYTHON,),
    "profile.run": (PYTHON,),
    "pydoc.pipepager": ("", COMMAND),
    "uuid._get_command_stdout": ("touch", "MARK"),
    "logging.FileHandler": ("MARK",),
    "builtins.open": ("MARK", "w"),
    "_io.open": ("MARK", "w"),
    "_io.FileIO": ("MARK", "w"),
    "codecs.open": ("MARK", "w"),
    "os.mkdir": ("MARK",),
    "os.symlink": ("/", "MARK"),
    "os.makedirs": ("MARK",),
    "zipfile.ZipFile": ("MARK", "w"),
    "tarfile.open": ("MARK", "w"),
    "gzip.open": ("MARK", "w"),
    "bz2.BZ2File": ("MARK", "w"),
    "lzma.LZMAFile": ("MARK", "w"),
    "shutil.copyfile": ("/etc/passwd", "MARK"),
    "numpy.savetxt": ("MARK", []),
    "torch.save": ({}, "MARK"),
    "torch.utils.collect_env.run": (COMMAND,),
    "torch.jit.unsupported_tensor_ops.execWrapper": (
        "import os; os.system('touch MARK')", {}, {},
    ),
    "numpy.f2py.crackfortran.myeval": ("__import__('os').system('touch MARK')",),
    "sympy.sympify": ("__import__('os').system('touch MARK')",),
}  # fmt: skip


def _imports() -> dict[str, Payload]:
    found = {}
    for dotted, arguments in _CALLS.items():
        content = torch_zip(pickled(call(dotted, *arguments)))
        found[f"call-{dotted}"] = Payload(content=content, reader="torch")
    for label, made in _chain().items():
        found[f"chain-{label}"] = Payload(content=torch_zip(pickled(made)), reader="torch")
    return found


def _operations() -> dict[str, Payload]:
    command = push(COMMAND)
    stack = short("os") + short("system") + b"\x93"
    bodies = {
        "popped": SYSTEM.code + b"0}",
        "popped-mark": b"(" + SYSTEM.code + b"1}",
        "inst": b"(" + command + b"ios\nsystem\n",
        "obj": b"(cos\nsystem\n" + command + b"o",
        "obj-class": b"(csubprocess\nPopen\n](" + push("touch") + push("MARK") + b"eo",
        "as-value": b"}" + push("w") + SYSTEM.code + b"s",
        "as-key": b"}" + SYSTEM.code + push("w") + b"s",
        "as-item": b"]" + SYSTEM.code + b"a",
        "in-tuple": SYSTEM.code + b"\x85",
        "as-state": b"ccollections\nOrderedDict\n)R}" + push("a") + SYSTEM.code + b"sb",
        "left-below": SYSTEM.code + b"}",
        "duplicate": b"cos\nsystem\n2" + command + b"\x85R",
        "memo": b"cos\nsystem\nq\x050h\x05" + command + b"\x85R",
        "text-memo": b"cos\nsystem\np7\n0g7\n" + command + b"\x85R",
        "strings": b"cos\nsystem\n(S'touch MARK'\ntR",
        "unicode-line": b"cos\nsystem\n(Vtouch MARK\ntR",
        "escaped": b"cos\nsystem\n(S'touch\\x20MARK'\ntR",
    }
    fourth = {
        "stack-global": stack + command + b"\x85R",
        "stack-memo": short("os") + b"\x94" + short("system") + b"\x94h\x00h\x01\x93" + command
        + b"\x85R",
        "stack-escape": b"V\\u006fs\nVsystem\n\x93" + command + b"\x85R",
        "stack-string": b"S'\\x6fs'\nS'system'\n\x93" + command + b"\x85R",
        "frame": b"\x95\x04\0\0\0\0\0\0\0N0N0" + SYSTEM.code,
        "dotted": b"ctorch.serialization\nos.system\n" + command + b"\x85R",
        "dotted-stack": short("torch.hub") + short("os.system") + b"\x93" + command + b"\x85R",
        "in-set": b"\x8f(" + SYSTEM.code + b"\x90",
        "in-frozenset": b"(" + SYSTEM.code + b"\x91",
    }  # fmt: skip
    files = {f"op-{key}": b"\x80\x02" + body + b"." for key, body in bodies.items()}
    files |= {f"op-{key}": b"\x80\x04" + body + b"." for key, body in fourth.items()}
    return {
        key: Payload(content=torch_zip(content), reader="torch") for key, content in files.items()
    }


def _pickles() -> dict[str, Payload]:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            # Its module has the same name on every system, which that of `os.system` has not.
            return subprocess.getoutput, (COMMAND,)

    found = {
        f"pickle-{protocol}": Payload(
            content=pickle.dumps(Evil(), protocol), reader="pickle", suffix=suffix
        )
        for protocol, suffix in zip(range(6), (".pt", ".pth", ".ckpt") * 2, strict=True)
    }
    found["pickle-second"] = Payload(content=EMPTY + EVIL, reader="pickles")
    found["legacy-behind"] = Payload(content=legacy() + EVIL, reader="pickles")
    found["zip-behind-pickle"] = Payload(content=torch_zip(EMPTY + EVIL), reader="zip-pickles")
    first, second, third = HEAD
    places = {
        "magic": b"\x80\x02" + SYSTEM.code + b"0" + first[2:] + second + third + EMPTY + KEYS,
        "version": first + b"\x80\x02" + SYSTEM.code + b"0" + second[2:] + third + EMPTY + KEYS,
        "system": first + second + b"\x80\x02" + SYSTEM.code + b"0}." + EMPTY + KEYS,
        "object": legacy(EVIL),
        "keys": legacy(EMPTY, b"\x80\x02" + SYSTEM.code + b"0]."),
    }
    for key, content in places.items():
        found[f"legacy-{key}"] = Payload(content=content, reader="torch")
    return found


def _changes() -> dict[str, Payload]:
    """What is done with names that everybody allows, without calling anything."""
    patch = b"N}" + push("MARK") + b"cbuiltins\nset\ns\x86b"
    defaults = b"N}" + push("__defaults__") + b"K\x01\x85s\x86b"
    bodies = {
        "counter": b"ccollections\nCounter\n" + patch,
        "parameter": b"ctorch._utils\n_rebuild_parameter\n" + patch,
        "quantized": b"ctorch._utils\n_rebuild_qtensor\n" + patch,
        "function": b"ctorch._utils\n_rebuild_tensor_v2\n" + defaults,
        "layout": b"ctorch.serialization\n_get_layout\n" + patch,
        "memo": b"ccollections\nCounter\nq\x000h\x00" + patch,
    }
    found = {}
    for key, body in bodies.items():
        data = b"\x80\x02" + body + b"0}."
        found[f"build-{key}"] = Payload(content=torch_zip(data), reader="changed")
        found[f"build-{key}-legacy"] = Payload(content=legacy(data), reader="changed")
        found[f"build-{key}-plain"] = Payload(content=data, reader="changed-pickle")
    return found


# Two formats in one file.


def _tar(fill: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in (
            ("storages", EVIL + pickle.dumps(0)),
            ("tensors", pickle.dumps(0)),
            ("pickle", pickle.dumps({})),
        ):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue() + fill


def _tar_header(first: bytes, form: str, fill: bytes = b"\0", tail: bytes = b"") -> bytes:
    """512 bytes that begin with *first* and are the header of an empty tar member."""
    header = bytearray(first + fill * (512 - len(first) - len(tail)) + tail)
    for place, field in (
        (100, b"0000644 "), (108, b"0000000 "), (116, b"0000000 "), (124, b"%011o " % 0),
        (136, b"00000000000 "), (148, b" " * 8), (156, b"0"),
    ):  # fmt: skip
        header[place : place + len(field)] = field
    total = sum(header)
    if form == "signed":
        total -= 256 * sum(byte > 127 for byte in header)
    fields = {
        "octal": b"%06o\0 " % total,
        "signed": b"%06o\0 " % total,
        "plain": b"%07o " % total,
        "blank": b"  %05o " % total,
        "binary": b"\x80" + total.to_bytes(7, "big"),
    }
    header[148:156] = fields[form]
    return bytes(header)


def _polyglots() -> dict[str, Payload]:
    found = {}
    body = _tar(b"")
    for form in ("octal", "signed", "plain", "blank", "binary"):
        first = b"\x80\x03B" + struct.pack("<I", 512 - 7 + len(body))
        content = _tar_header(first, form) + body + b"."
        found[f"tar-pickle-{form}"] = Payload(content=content, reader="torch-file")
        head = HEAD[0] + b"\x80\x03}X\x01\0\0\0aB"
        head += struct.pack("<I", 512 - len(head) - 4 + len(body))
        content = _tar_header(head, form) + body + b"s." + EMPTY + KEYS
        found[f"tar-legacy-{form}"] = Payload(content=content, reader="torch-file")
        if form != "binary":
            start = struct.pack("<Q", 504) + b'{"__metadata__":{"a":"'
            tail = b'"},"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % ((len(body),) * 2)
            content = _tar_header(start, form, b" ", tail) + body
            found[f"tar-safetensors-{form}"] = Payload(content=content, reader="torch-file")
    script, graph = (DATA / "setstate.pt").read_bytes(), (DATA / "import.pt2").read_bytes()
    for key, inner, reader in (("script", script, "jit"), ("pt2", graph, "export")):
        with zipfile.ZipFile(io.BytesIO(inner)) as archive:
            members = [(path, archive.read(path)) for path in archive.namelist()]
        suffix = ".pt2" if reader == "export" else ".pt"
        hosts = {"legacy": legacy(), "pickle": EMPTY, "text": b"words\n"}
        for host, start in hosts.items():
            content = as_zip(members, prefix=start)
            found[f"zip-{key}-behind-{host}"] = Payload(
                content=content, reader=reader, suffix=suffix
            )
        size = len(as_zip(members, prefix=b"x" * 200)) - 200
        content = as_zip(members, prefix=safetensors(size))
        found[f"zip-{key}-in-safetensors"] = Payload(content=content, reader=reader, suffix=suffix)
    return found


def _members() -> dict[str, Payload]:
    array, nested = object_array(), torch_zip(EVIL)
    return {
        "member-npy": Payload(content=torch_zip(EMPTY, {"x.npy": array}), reader="numpy"),
        "member-data-npy": Payload(content=torch_zip(EMPTY, {"data/0": array}), reader="numpy"),
        "storage-npy": Payload(
            content=torch_zip(tensor(len(array)), {"data/0": array}), reader="numpy"
        ),
        "member-zip": Payload(content=torch_zip(EMPTY, {"data/99": nested}), reader="nested"),
        "storage-zip": Payload(
            content=torch_zip(tensor(len(nested)), {"data/0": nested}), reader="nested"
        ),
        "member-pickle": Payload(content=torch_zip(EMPTY, {"extra.pkl": EVIL}), reader="members"),
        "member-pt": Payload(content=torch_zip(EMPTY, {"extra.pt": nested}), reader="nested"),
        "member-deflated": Payload(
            content=torch_zip(EVIL, method=zipfile.ZIP_DEFLATED), reader="torch"
        ),
        "member-folder": Payload(
            content=torch_zip(EMPTY, {"a/b/data.pkl": EVIL}), reader="members"
        ),
        "npz": Payload(content=as_zip([("x.npy", array)]), reader="numpy"),
    }


def _code() -> dict[str, Payload]:
    """What torch itself wrote, changed: ``make_hostile.py`` beside the files says how."""
    found = {}
    for path in sorted(DATA.glob("*.pt*")):
        script = path.suffix == ".pt"
        found[f"code-{path.stem}"] = Payload(
            content=path.read_bytes(),
            reader="jit" if script else "export",
            suffix=path.suffix,
            format="torchscript" if script else "pt2",
        )
    return found


def payloads() -> dict[str, Payload]:
    """All of them, by name."""
    return {
        **_imports(), **_operations(), **_pickles(), **_changes(), **_polyglots(), **_members(),
        **_code(),
    }  # fmt: skip
