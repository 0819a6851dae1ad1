"""Files that would run something when a careless reader loads them: inert, they touch MARK.

Each says which reader that is. ``tests/live_readers.py`` is those readers; the torch job
proves that each file works there, and every test run that none of them passes here. Some name the
module ``leaves_mark``, which touches MARK when it is imported and stands for one that is installed.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import pickle
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    members: list[tuple[str, bytes]],
    method: int = zipfile.ZIP_STORED,
    prefix: bytes = b"",
    align: int = 64,
) -> bytes:
    """A zip archive whose stored members are aligned as torch aligns them."""
    buffer = io.BytesIO()
    buffer.write(prefix)
    with zipfile.ZipFile(buffer, "a" if prefix else "w") as archive:
        for path, content in members:
            info = zipfile.ZipInfo(path)
            padding = -(buffer.tell() + 34 + len(path)) % align
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
    patched = b"ctorch._utils\n_rebuild_parameter\n(dS'MARK'\nI1\nsb! and words\n"
    found["pickle-of-text-without-end"] = Payload(content=patched, reader="changed-pickle")
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
        "prefixed": b"0o%06o" % total,
        "underscored": b"%03o_%03o\0" % divmod(total, 512),
    }
    header[148:156] = fields[form]
    return bytes(header)


def _tar_of_text() -> bytes:
    """A tar archive without a byte that is not text: its member's name stands in a note."""

    def block(content: bytes, kind: bytes) -> bytes:
        header = bytearray(b"#" * 512)
        for place, field in (
            (100, b"0000644 "), (108, b"0000000 "), (116, b"0000000 "),
            (124, b"%011o " % len(content)), (136, b"00000000000 "), (148, b" " * 8),
            (156, kind), (257, b"ustar   "), (329, b"0000000 "), (337, b"0000000 "),
        ):  # fmt: skip
            header[place : place + len(field)] = field
        header[148:156] = b"%07o " % sum(header)
        return bytes(header) + content.ljust(-(-len(content) // 512) * 512)

    name = b"17 path=storages\n"
    note = b"%d comment=" % (512 - len(name))
    evil = b"cos\nsystem\n(S'touch MARK'\ntR."
    pax = name + note.ljust(511 - len(name)) + b"\n"
    return block(pax, b"x") + block(evil, b"0")


def _polyglots() -> dict[str, Payload]:
    found = {}
    body = _tar(b"")
    for form in ("octal", "signed", "plain", "blank", "binary", "prefixed", "underscored"):
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
    found["tar-text"] = Payload(content=_tar_of_text(), reader="torch-file")
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
        # torch's miniz looks for its end in blocks, and so further back than others.
        start = safetensors(size + 74_000) + bytes(8_000)
        content = as_zip(members, prefix=start) + bytes(66_000)
        found[f"zip-{key}-far-from-the-end"] = Payload(
            content=content, reader=reader, suffix=suffix
        )
    return found


def _model_of_keras() -> bytes:
    """HDF5 with a function of this version of Python, which is called when the model is made."""
    code = compile("lambda x: (open('MARK', 'w').close(), x)[1]", "x", "eval").co_consts[0]
    packed = base64.b64encode(marshal.dumps(code))
    hole = b'"' + b"@" * 600 + b'"'
    content = (DATA / "honest" / "lambda.h5").read_bytes()
    return content.replace(hole, (b'"' + packed + b'"').ljust(602))


def _hdf5() -> dict[str, Payload]:
    """What Keras reads, in a place where HDF5 may begin, within tensors."""
    model = _model_of_keras()
    size = len(model)
    start = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
    files = {
        "safetensors": struct.pack("<Q", 504) + start.encode().ljust(504) + model,
        "zip": as_zip(
            [("m/data/0", model), ("m/data.pkl", tensor(size)), ("m/version", b"3\n")], align=512
        ),
        "legacy": _legacy_with(model),
        "pickle": EMPTY.ljust(512, b"\0") + model,
    }
    return {
        f"hdf5-in-{key}": Payload(content=content, reader="keras", suffix=".h5")
        for key, content in files.items()
    }


def _legacy_with(content: bytes) -> bytes:
    """A tensor in a file before torch 1.6, whose storage begins 1,024 bytes behind the start."""
    storage = ("storage", name("torch.ByteStorage"), "0", "cpu", len(content), None)
    stored = Raw(push(storage) + b"Q")
    hooks = Raw(name("collections.OrderedDict").code + b")R")
    made = call("torch._utils._rebuild_tensor_v2", stored, 0, (len(content),), (1,), False, hooks)
    keys = pickle.dumps(["0"], 2)
    for filler in range(1000):
        head = b"".join(HEAD) + pickled({"w": made, "note": "-" * filler}) + keys
        if len(head) == 1016:
            break
    return head + struct.pack("<Q", len(content)) + content


def _much() -> dict[str, Payload]:
    """What stands behind more than a reader follows, or keeps."""
    # The length of the header is an operation; texts of up to 126 bytes step over the rest of it.
    header = b'{"__metadata__":{"a":"'
    length = 0x42 + ((len(header) + 3) << 8)
    size = 2_000_100 + len(SYSTEM.code) + 1
    end = b'"},"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    steps = length - len(header) - 2 - len(end)
    while steps:
        step = 128 if steps > 256 else (steps + 1) // 2 if steps > 128 else steps
        header += b"U%c" % (step - 2) + b"-" * (step - 2)
        steps -= step
    header += b"U%c" % len(end) + end
    content = struct.pack("<Q", length) + header + b"N0" * 1_000_050 + SYSTEM.code + b"."
    line = b"V" + b"a" * 70_000 + b"\n0cos\nsystem\n(S'touch MARK'\ntR."
    texts = {"pad": [["a"] * 10_000] * 52}
    instantiated = _checkpoint({"_instantiator": "leaves_mark.Net"})
    return {
        "pickle-many-operations-in-safetensors": Payload(content=content, reader="pickle"),
        "pickle-long-line": Payload(content=line, reader="pickle"),
        "instantiator-behind-much-text": Payload(
            content=torch_zip(pickled(texts | instantiated)), reader="old-lightning", suffix=".ckpt"
        ),
    }


def _checkpoint(hyperparameters: dict[str, object]) -> dict[str, object]:
    version = {"pytorch-lightning_version": "2.5.0"}
    return version | {"state_dict": {}, "hyper_parameters": hyperparameters}


def _hyperparameters() -> dict[str, Payload]:
    """Names of code in what Lightning keeps of a model's arguments."""
    known = "lightning.pytorch.cli.instantiate_module"
    net = {"class_path": "leaves_mark.Net"}
    kept: dict[str, tuple[str, dict[str, object]]] = {
        "instantiator": ("old-lightning", {"_instantiator": "leaves_mark.Net"}),
        "instantiator-class": ("lightning", {"_instantiator": known, "net": net}),
        "instantiator-class-first": ("lightning", {"net": net, "_instantiator": known}),
        "instantiator-own-class": (
            "old-lightning", {"_instantiator": known, "_class_path": "leaves_mark.Net"},
        ),
    }  # fmt: skip
    return {
        key: Payload(
            content=torch_zip(pickled(_checkpoint(value))),
            reader=reader,
            suffix=".ckpt",
        )
        for key, (reader, value) in kept.items()
    }


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


def _changed_members(path: Path, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    return as_zip([*members.items()])


def _graphs() -> dict[str, Payload]:
    """An honest exported program with one thing changed that torch makes Python of."""
    evil = '__import__("os").system("touch MARK")'
    # A parameter with a default, the text and the value of a key: the three places of a name.
    name = 'k=open("MARK", "w").close(), z="""#\'\n:0}),self._in_spec)#\n    r=\'\'\'#"""'
    factory = {"default_factory_module": "leaves_mark", "default_factory_name": "Net"}
    enumerated = r'[{"\u005f_enum__": true, "fqn": "leaves_mark:Kind", "name": "A"}]'

    def spec(graph: dict[str, Any], key: str, change: Callable[[Any], None]) -> None:
        signature = graph["graph_module"]["module_call_graph"][0]["signature"]
        value = json.loads(signature[key])
        change(value[1])
        signature[key] = json.dumps(value)
        signature["forward_arg_names"] = None

    def by_name(text: str) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
        def change(graph: dict[str, Any], _: dict[str, bytes]) -> None:
            spec(graph, "in_spec", lambda tree: tree["children_spec"][1].update(context=text))
            graph["guards_code"] = []

        return change

    def guard(text: str) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
        return lambda graph, _: graph.update(guards_code=[text])

    def argument(graph: dict[str, Any], members: dict[str, bytes]) -> None:
        by_name(json.dumps([name]))(graph, members)
        signature = graph["graph_module"]["module_call_graph"][0]["signature"]
        signature["forward_arg_names"] = ["x", name]

    def default(graph: dict[str, Any], _: dict[str, bytes]) -> None:
        tree = {"type": "collections.defaultdict", "context": factory | {"dict_context": []}}
        tree["children_spec"] = []
        spec(graph, "out_spec", lambda old: old.update(tree))

    def entries(first: str, second: str) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
        def change(graph: dict[str, Any], members: dict[str, bytes]) -> None:
            meta = dict(graph["graph_module"]["graph"]["tensor_values"]["x"])
            meta["sizes"] = meta["strides"] = [{"as_int": 1}]
            found: dict[str, dict[str, Any]] = {first: {}, second: {}}
            for place, label, raw in ((first, "a", True), (second, "b", False)):
                found[place][label] = {
                    "path_name": "weight_0", "is_param": False, "use_pickle": not raw,
                    "tensor_meta": meta if raw else None,
                }  # fmt: skip
            for place, config in found.items():
                text = json.dumps({"config": config}).encode()
                members[f"named/data/weights/{place}_weights_config.json"] = text
            content = legacy(EVIL)
            members["named/data/weights/weight_0"] = content + bytes(-len(content) % 4)

        return change

    changes = {
        "guard": ("run", guard(f"len('x\"); {evil}; (\"') >= 2")),
        "guard-call": ("run", guard("__import__('os').system('touch MARK') == 0")),
        "argument": ("module", argument),
        "name-of-argument": ("module", by_name(json.dumps([name]))),
        "enumeration": ("export", by_name(enumerated)),
        "default-factory": ("export", default),
        "two-entries-of-one-weight": ("export", entries("model", "model")),
        "two-lists-of-weights": ("export", entries("other", "model")),
    }
    found = {}
    for key, (reader, change) in changes.items():

        def changed(
            members: dict[str, bytes],
            change: Callable[[dict[str, Any], dict[str, bytes]], None] = change,
        ) -> None:
            graph = json.loads(members["named/models/model.json"])
            change(graph, members)
            members["named/models/model.json"] = json.dumps(graph).encode()

        found[f"code-{key}"] = Payload(
            content=_changed_members(DATA / "honest" / "named.pt2", changed),
            reader=reader,
            suffix=".pt2",
            format="pt2",
        )
    return found


def _scripts() -> dict[str, Payload]:
    """Operators of others than torch, whose name no search for text finds."""
    zeros = b", torch.zeros([1], dtype=0))"
    found = {}
    for key, line in {
        "operator": b'ops.image.write_file("MARK"' + zeros,
        "comment": b'(ops.# x\n    image.write_file("MARK"' + zeros + b")",
        "comment-behind-text": b'("""a"b""", ops.# "\n    image.write_file("MARK"'
        + zeros
        + b")[1]",
        "continued": b'ops.\\\nimage.write_file("MARK"' + zeros,
    }.items():

        def changed(members: dict[str, bytes], line: bytes = line) -> None:
            for name in [*members]:
                if name.endswith(".debug_pkl"):
                    del members[name]
                elif name.endswith(".py"):
                    saved = b'torch.save(w, "MARK")'
                    members[name] = members[name].replace(saved, b"self.w = " + line)

        found[f"code-{key}"] = Payload(
            content=_changed_members(DATA / "setstate.pt", changed),
            reader="jit-vision",
            format="torchscript",
        )
    return found


def _code() -> dict[str, Payload]:
    """What torch itself wrote, changed: ``make_hostile.py`` next to the files says how."""
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
        **_code(), **_graphs(), **_scripts(), **_hdf5(), **_much(), **_hyperparameters(),
    }  # fmt: skip
