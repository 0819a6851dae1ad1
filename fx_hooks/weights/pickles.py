"""The imports, calls and changes of a pickle, read off its operations without unpickling.

The operations are those of :mod:`pickletools`; stack and memo hold stand-ins for the values
(:mod:`fx_hooks.weights.values`). Types are followed as ``torch/_weights_only_unpickler.py``
(2.13) does: lists alone are appended to, dictionaries alone get items, and only objects of
allowed classes get a state. So what is done with an allowed name is known, too.
"""

from __future__ import annotations

import _compat_pickle
import codecs
import pickletools
import re
import struct
from collections.abc import Callable
from enum import Enum
from typing import IO, NoReturn

from fx_hooks.weights import torch_allows
from fx_hooks.weights.calls import MAX_WALK, RefusedCall, call, hashable, new, view
from fx_hooks.weights.values import DTYPES, Global, Instance, Mapping, Storage, Tensor, Unknown

# A checkpoint has some forty operations a tensor.
MAX_OPERATIONS = 2_000_000
MAX_DEPTH = 500_000
MAX_MEMO = 1_000_000
MAX_GLOBALS = 1_000
# What calls and keys may take: items that are looked at, over and over where they are shared.
MAX_WORK = 10_000_000
# No module and no class has a longer name.
_MAX_NAME = 256
# torch numbers its storages; the legacy format by their addresses.
_MAX_KEY = 64
# Longer texts and bytes are data, and are not kept.
_MAX_KEPT = 1 << 16
_MAX_LINE = 1 << 16
# What is kept of strings, in bytes with what Python needs for each.
MAX_TEXT = 32 << 20
_OBJECT = 64
# Names of what names code are no longer: a file may not have so much text that they are missed.
_SHORT = 32

# Lightning imports what hyperparameters say under this key: these two it writes itself.
_INSTANTIATOR = "_instantiator"
_INSTANTIATORS = frozenset(
    {"lightning.pytorch.cli.instantiate_module", "pytorch_lightning.cli.instantiate_module"}
)

# Where it does, jsonargparse imports and calls what is under these. A name without a dot is that of
# a class which is there already.
_CLASS_PATHS = frozenset({"class_path", "_class_path"})
_KNOWN_CLASS = re.compile(r"(torch\.(nn|optim)(\.[a-z_]+)*\.)?[A-Z][A-Za-z0-9_]*\Z")

_OPERATIONS = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_DIGITS = re.compile(rb"[0-9]{1,18}\Z")


class BrokenPickle(Exception):
    """The operations do not make a pickle, or too many of them do."""


class EndlessPickle(BrokenPickle):
    """More of something than is followed; nobody knows what comes behind it."""


class Reader(Enum):
    """The intended reader of a pickle, which decides what a persistent id is."""

    PLAIN = "pickle.load"
    TORCH = "torch.load"
    TORCH_LEGACY = "torch.load of what was written before 1.6"
    TORCHSCRIPT = "torch.jit.load, which is not Python"


class Budget:
    """The work that a file may still make; shared by all pickles and archives in it."""

    def __init__(self) -> None:
        self.operations = MAX_OPERATIONS
        self.text = MAX_TEXT
        self.work = MAX_WORK

    def charge(self, items: int) -> None:
        """Pay for looking at some *items*."""
        self.work -= items
        if self.work < 0:
            raise EndlessPickle("would need endless work")


class Report:
    """The effects of the pickles of one file.

    ``globals`` are the imports, as ``module.name``, and the classes next to them that
    ``weights_only`` asks for; ``operations`` the names of the operations in use. ``faults``
    say what cannot be known or is never written by a pickler. ``storages`` are the torch
    storages by key, ``persistent`` what other persistent ids begin with. ``calls`` counts the
    calls, ``changes`` what is done to something that was imported.
    """

    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.used = bytearray(256)  # 1 for each operation that was met
        self.faults: set[str] = set()
        self.storages: dict[str, Storage] = {}
        self.persistent: set[str] = set()
        self.calls = 0
        self.changes = 0

    @property
    def operations(self) -> set[str]:
        return {_OPERATIONS[number] for number, used in enumerate(self.used) if used}


def read_pickle(
    file: IO[bytes], report: Report, budget: Budget, reader: Reader = Reader.PLAIN
) -> object:
    """Add one pickle, from the position of *file* to its ``STOP``, to *report*.

    Return what stands for its value. Raises :class:`BrokenPickle` where the operations end
    early or make no sense; what was found until then is in *report*, because an unpickler
    would have done it, too.
    """
    return _Machine(file, report, budget, reader).run()


class _Machine:
    def __init__(self, file: IO[bytes], report: Report, budget: Budget, reader: Reader) -> None:
        self.file = file
        self.report = report
        self.budget = budget
        self.reader = reader
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.protocol = 0
        self.instantiated = False
        self.class_paths: list[tuple[str, object]] = []

    def run(self) -> object:
        read = self.file.read
        left = self.budget.operations
        used = self.report.used
        try:
            while True:
                code = read(1)
                if not code:
                    raise BrokenPickle("ends before its pickle does")
                handler = _HANDLERS[code[0]]
                if handler is None:
                    message = f"has byte 0x{code[0]:02x} where a pickle operation belongs"
                    raise BrokenPickle(message)
                used[code[0]] = 1
                left -= 1
                if left < 0:
                    raise EndlessPickle(f"has more than {MAX_OPERATIONS:,} pickle operations")
                handler(self)
                if code == b".":
                    self.name_classes()
                    return self.pop()
                if len(self.stack) > MAX_DEPTH or len(self.marks) > MAX_DEPTH:
                    raise EndlessPickle(f"stacks more than {MAX_DEPTH:,} values")
        except IndexError:
            raise BrokenPickle("takes a value from an empty pickle stack") from None
        finally:
            self.budget.operations = left

    # Reading

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) < size:
            raise BrokenPickle("ends before its pickle does")
        return data

    def line(self) -> bytes:
        line = self.file.readline(_MAX_LINE)
        if not line.endswith(b"\n"):
            raise BrokenPickle("has a line without end in its pickle")
        return line[:-1]

    def data_line(self) -> bytes | None:
        """Return a line of data; None if it is too long to be kept."""
        line = self.file.readline(_MAX_LINE)
        data: bytes | None = line
        while len(line) == _MAX_LINE and not line.endswith(b"\n"):
            data, line = None, self.file.readline(_MAX_LINE)
        if not line.endswith(b"\n"):
            raise BrokenPickle("has a line without end in its pickle")
        return None if data is None else self.kept(data[:-1])

    def kept(self, data: bytes) -> bytes | None:
        """Return *data* as long as the file has not too much of it; what is short, always."""
        if len(data) <= _SHORT:
            return data
        self.budget.text -= len(data) + _OBJECT
        return data if self.budget.text >= 0 else None

    def counted(self, width: int) -> bytes | None:
        """Return the bytes after a length of *width* bytes; None if they are too many."""
        size = int.from_bytes(self.read(width), "little")
        if size <= _MAX_KEPT:
            return self.kept(self.read(size))
        # Skipped without reading: it may be a gigabyte, or claim to be one.
        position = self.file.tell() + size - 1
        if position >= 1 << 62:
            raise BrokenPickle("ends before its pickle does")
        self.file.seek(position)
        self.read(1)
        return None

    def text(self, data: bytes | None, encoding: str, errors: str = "strict") -> object:
        if data is None:
            return Unknown()
        try:
            return data.decode(encoding, errors)
        except UnicodeDecodeError:
            if self.reader is not Reader.PLAIN:
                self.fault("has a text that is not UTF-8")
            return Unknown()

    # Stack and memo

    def pop(self) -> object:
        return self.stack.pop()

    def pop_mark(self) -> list[object]:
        if not self.marks:
            raise BrokenPickle("looks for a mark that its pickle has not set")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def drop(self) -> None:
        if self.stack:
            self.stack.pop()
        elif self.marks:
            self.pop_mark()
        else:
            raise IndexError

    def put(self, index: int) -> None:
        if len(self.memo) >= MAX_MEMO:
            raise EndlessPickle(f"remembers more than {MAX_MEMO:,} values")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise BrokenPickle("asks its memo for what is not there")
        self.stack.append(self.memo[index])

    def index_line(self) -> int:
        digits = self.line().strip()
        if not _DIGITS.match(digits):
            raise BrokenPickle("numbers its memo with what is not a number")
        return int(digits)

    # Imports and calls

    def fault(self, text: str) -> None:
        """Add what ``weights_only`` refuses; TorchScript has types of its own."""
        if self.reader is not Reader.TORCHSCRIPT:
            self.report.faults.add(text)

    def allow(self, name: str) -> None:
        """Note that *name* has to be allowed."""
        report = self.report
        if name not in report.globals:
            if len(name) > 2 * _MAX_NAME or len(report.globals) >= MAX_GLOBALS:
                raise EndlessPickle(f"imports more than {MAX_GLOBALS:,} names, or one without end")
            report.globals.add(name)

    def imported(self, module: str, name: str) -> None:
        # torch maps the names of Python 2 whatever the protocol; pickle up to protocol 2.
        if self.reader is not Reader.PLAIN or self.protocol < 3:
            if (module, name) in _compat_pickle.NAME_MAPPING:
                module, name = _compat_pickle.NAME_MAPPING[module, name]
            else:
                module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        full = f"{module}.{name}"
        if not full.isprintable():  # it cannot be allowed, and it is shown to people
            full = full.encode("unicode_escape").decode("ascii")
        self.allow(full)
        self.stack.append(Global(full))

    def import_lines(self) -> None:
        module, name = self.line(), self.line()
        try:
            self.imported(module.decode(), name.decode())
        except UnicodeDecodeError as exc:
            raise BrokenPickle("imports a name that is not text") from exc

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if type(module) is str and type(name) is str and len(module + name) <= _MAX_NAME:
            self.imported(module, name)
        else:
            self.report.faults.add("imports a name that its pickle computes")
            self.stack.append(Unknown())

    def extension(self, width: int, name: str) -> None:
        self.read(width)
        self.report.faults.add(f"imports by a number of copyreg's registry ({name})")
        self.stack.append(Unknown())

    def reduce(self) -> None:
        args = self.pop()
        self.called(call, self.pop(), args)

    def newobj(self) -> None:
        args = self.pop()
        self.called(new, self.pop(), args)

    def newobj_ex(self) -> None:
        keywords, args, callee = self.pop(), self.pop(), self.pop()
        if not isinstance(keywords, Mapping) or keywords.items:
            self.fault("makes an object with arguments by name")
        self.called(new, callee, args)

    def obj(self) -> None:
        callee, *args = self.pop_mark() or self.empty()
        self.called(call, callee, tuple(args))

    def inst(self) -> None:
        args = tuple(self.pop_mark())
        self.import_lines()
        self.called(call, self.pop(), args)

    def empty(self) -> NoReturn:
        raise IndexError

    def called(
        self,
        how: Callable[[str, tuple[object, ...], frozenset[str]], object],
        callee: object,
        args: object,
    ) -> None:
        self.report.calls += 1
        value: object = Unknown()
        if not isinstance(callee, Global):
            self.fault("calls something that its pickle has made")
        elif not isinstance(args, (tuple, list)):
            self.fault(f"calls {callee.name} with arguments that are no tuple")
        else:
            self.budget.charge(_length(args))
            try:
                value = how(callee.name, tuple(args), torch_allows.GLOBALS)
            except RefusedCall:
                self.fault(f"calls {callee.name} with arguments that torch does not write")
        if isinstance(value, Mapping):
            self.note(value.items)
        self.stack.append(value)

    # What is done with values

    def build(self) -> None:
        state = self.pop()
        target = self.stack[-1]
        self.change(target)
        if isinstance(target, Tensor):
            try:
                _set_tensor(target, state)
            except RefusedCall:
                self.fault("gives a tensor a state that torch does not write")
        elif isinstance(target, Instance):
            if target.name in torch_allows.GLOBALS:
                # Sets, byte arrays, numbers and devices have none.
                if state not in (None, (), False) and not (
                    isinstance(state, Mapping) and not state.items
                ):
                    self.fault(f"gives a {target.name} a state")
            else:
                self.allow(target.name)
        elif isinstance(target, Mapping) and target.kind != "builtins.dict":
            if not _is_state(state, pair=target.kind == "collections.Counter"):
                self.fault(f"gives a {target.kind} a state that no pickler writes")
        else:
            self.fault(f"gives {_kind(target)} a state")

    def change(self, target: object) -> None:
        """Count what is done to something that was imported."""
        self.report.changes += isinstance(target, Global)

    def append(self, items: list[object]) -> None:
        target = self.stack[-1]
        self.change(target)
        if type(target) is list:
            target += items
        elif not (self.reader is Reader.PLAIN and _is_foreign(target)):
            self.fault(f"appends to {_kind(target)}")

    def set_items(self, items: list[object]) -> None:
        target = self.stack[-1]
        self.change(target)
        if len(items) % 2:
            self.fault("sets a key without a value")
        elif isinstance(target, Mapping):
            self.budget.charge(MAX_WALK * sum(isinstance(key, tuple) for key in items[::2]))
            if not all(type(key) is str or hashable(key) for key in items[::2]):
                self.fault("has a key that cannot be one")
            target.items += items
        elif not (self.reader is Reader.PLAIN and _is_foreign(target)):
            self.fault(f"sets items of {_kind(target)}")
        self.note(items)

    def note(self, items: list[object]) -> None:
        """Names of code among keys and values in turn."""
        for key, value in zip(items[::2], items[1::2], strict=False):
            if type(key) is str and key == _INSTANTIATOR:
                self.instantiated = True
                self.name_code(key, value, type(value) is str and value in _INSTANTIATORS)
            elif type(key) is str and key in _CLASS_PATHS:
                self.class_paths.append((key, value))

    def name_classes(self) -> None:
        for key, value in self.class_paths if self.instantiated else ():
            self.name_code(key, value, type(value) is str and bool(_KNOWN_CLASS.match(value)))

    def name_code(self, key: str, value: object, known: bool) -> None:
        """Note that *value* is imported, by its name, because it is under *key*."""
        if type(value) is not str:
            self.report.faults.add(f"has an {key} that is not text")
        elif not known:
            self.allow(value if value.isprintable() else ascii(value))

    def add_items(self) -> None:
        items = self.pop_mark()
        target = self.stack[-1]
        self.change(target)
        if not (isinstance(target, Instance) and target.name == "builtins.set"):
            self.fault(f"adds items to {_kind(target)}")
        elif not all(map(hashable, items)):
            self.fault("has a member of a set that cannot be one")

    def persistent(self, identity: object) -> None:
        storage = self.storage(identity)
        if storage is None:
            first = identity[0] if isinstance(identity, tuple) and identity else None
            self.report.persistent.add(first[:40] if isinstance(first, str) else "unknown")
        self.stack.append(storage or Unknown())

    def storage(self, identity: object) -> Storage | None:
        """Return the storage with this persistent id, as ``persistent_load`` of torch takes it."""
        legacy = self.reader is Reader.TORCH_LEGACY
        if self.reader is Reader.PLAIN or not isinstance(identity, tuple):
            return None
        if self.reader is Reader.TORCHSCRIPT and identity[5:] == (None,):
            identity = identity[:5]  # torch 1.4
        if len(identity) != (6 if legacy else 5) or identity[0] not in ("storage", b"storage"):
            return None
        kind, key, location, elements = identity[1:5]
        if (
            not isinstance(kind, Global)
            or kind.name.rpartition(".")[2] not in DTYPES
            or kind.name not in torch_allows.GLOBALS
            or type(key) is not str
            or len(key) > _MAX_KEY
            or type(location) not in (str, bytes)
            or type(elements) is not int
            or not 0 <= elements < 1 << 56
        ):
            return None
        known = self.report.storages.get(key)
        storage = known or Storage(kind.name, key, elements)
        if (storage.dtype, storage.elements) != (DTYPES[kind.name.rpartition(".")[2]], elements):
            self.fault("asks for one storage in two ways")
        self.report.storages[key] = storage
        if legacy and identity[5] is not None:
            return _part(storage, identity[5])
        return storage


def _part(storage: Storage, wanted: object) -> Storage | None:
    """Return the part of a storage that the legacy format calls a view: key, offset and size."""
    if not isinstance(wanted, tuple) or len(wanted) != 3:
        return None
    _, offset, elements = wanted
    if type(offset) is not int or type(elements) is not int:
        return None
    if offset < 0 or elements < 0 or offset + elements > storage.elements:
        return None
    return Storage(storage.kind, storage.key, elements, storage.start + offset)


def _set_tensor(tensor: Tensor, state: object) -> None:
    """``Tensor.set_``, or ``Parameter.__setstate__``, with *state*. Raises RefusedCall."""
    if not isinstance(state, (tuple, list)):
        raise RefusedCall
    if len(state) == 5 and tensor.parameter and isinstance(state[0], Tensor):
        made = state[0]
    elif len(state) == 4:
        made = view(*state)
    else:
        raise RefusedCall
    if made.dtype != tensor.dtype:
        raise RefusedCall
    tensor.storage, tensor.offset, tensor.size, tensor.stride, tensor.kind = (
        made.storage, made.offset, made.size, made.stride, made.kind,
    )  # fmt: skip


def _is_state(state: object, *, pair: bool) -> bool:
    """Return True if ``__dict__.update`` takes *state*, or two of it for an object with slots."""
    if isinstance(state, Mapping):
        return all(type(key) is str for key in state.items[::2])
    if pair and isinstance(state, tuple) and len(state) == 2:
        return all(part is None or _is_state(part, pair=False) for part in state)
    return state == () or (pair and state is None)


def _length(value: object, depth: int = 2) -> int:
    """Return how many items a call may look at in its arguments."""
    if isinstance(value, Mapping):
        return len(value.items)
    if not isinstance(value, (tuple, list, str, bytes)):
        return 1
    length = len(value)
    if isinstance(value, (tuple, list)):
        if depth and length <= 16:
            return length + sum(_length(item, depth - 1) for item in value)
        length += MAX_WALK * sum(isinstance(item, tuple) for item in value)
    return length


def _is_foreign(value: object) -> bool:
    return isinstance(value, Instance) and value.name not in torch_allows.GLOBALS


def _kind(value: object) -> str:
    if isinstance(value, Global):
        return f"{value.name} itself"
    if isinstance(value, Instance):
        return f"a {value.name}"
    if isinstance(value, Mapping):
        return f"a {value.kind}"
    return "a value" if isinstance(value, Unknown) else f"a {type(value).__name__.lower()}"


def _decoded(line: bytes | None) -> bytes | None:
    """Return what STRING pushes: a Python 2 literal."""
    if line is None:
        return None
    line = line.strip()
    if len(line) < 2 or line[:1] not in b"\"'" or line[-1:] != line[:1]:
        raise BrokenPickle("has a text without quotes")
    try:
        return codecs.escape_decode(line[1:-1])[0]
    except ValueError as exc:
        raise BrokenPickle("has a text with a broken escape") from exc


def _number(line: bytes | None) -> object:
    if line is None:
        return Unknown()
    line = line.strip().removesuffix(b"L")
    if line in (b"00", b"01"):
        return line == b"01"
    if not re.fullmatch(rb"[+-]?[0-9]{1,4300}", line):
        raise BrokenPickle("has a number that is none")
    return int(line)


def _push(machine: _Machine, value: object) -> None:
    machine.stack.append(value)


def _top(machine: _Machine, count: int) -> None:
    if len(machine.stack) < count:
        raise IndexError
    machine.stack[-count:] = [tuple(machine.stack[-count:])]


def _pair(machine: _Machine) -> list[object]:
    value, key = machine.pop(), machine.pop()
    return [key, value]


def _dict(machine: _Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append(Mapping("builtins.dict", []))
    machine.set_items(items)


def _frozenset(machine: _Machine) -> None:
    machine.pop_mark()
    machine.stack.append(Instance("builtins.frozenset"))


def _proto(machine: _Machine) -> None:
    machine.protocol = machine.read(1)[0]
    if machine.protocol > 5:
        raise BrokenPickle(f"is a pickle of protocol {machine.protocol}, which is not known")


def _float_line(machine: _Machine) -> None:
    line = machine.data_line()
    try:
        value = Unknown() if line is None else float(line)
    except ValueError as exc:
        raise BrokenPickle("has a number that is none") from exc
    machine.stack.append(value)


def _long(machine: _Machine, data: bytes | None) -> None:
    known = data is not None and len(data) < 256
    machine.stack.append(int.from_bytes(data or b"", "little", signed=True) if known else Unknown())


def _bytes(machine: _Machine, data: bytes | None) -> None:
    machine.stack.append(Unknown() if data is None else data)


def _bytearray(machine: _Machine) -> None:
    machine.counted(8)
    machine.stack.append(Instance("builtins.bytearray"))


def _buffer(machine: _Machine) -> None:
    machine.report.faults.add("needs a buffer that is not in the file")
    machine.stack.append(Unknown())


def _string(width: int) -> Callable[[_Machine], None]:
    def push(machine: _Machine) -> None:
        # torch.load decodes what Python 2 wrote as UTF-8, pickle.load as ASCII.
        encoding = "ascii" if machine.reader is Reader.PLAIN else "utf-8"
        machine.stack.append(machine.text(machine.counted(width), encoding))

    return push


def _unicode(width: int) -> Callable[[_Machine], None]:
    def push(machine: _Machine) -> None:
        machine.stack.append(machine.text(machine.counted(width), "utf-8", "surrogatepass"))

    return push


def _integer(width: int, *, signed: bool = False) -> Callable[[_Machine], None]:
    def push(machine: _Machine) -> None:
        machine.stack.append(int.from_bytes(machine.read(width), "little", signed=signed))

    return push


_BY_NAME: dict[str, Callable[[_Machine], object]] = {
    "PROTO": _proto,
    "FRAME": lambda machine: machine.read(8),
    "STOP": lambda _machine: None,
    # Imports and calls
    "GLOBAL": _Machine.import_lines,
    "STACK_GLOBAL": _Machine.stack_global,
    "EXT1": lambda machine: machine.extension(1, "EXT1"),
    "EXT2": lambda machine: machine.extension(2, "EXT2"),
    "EXT4": lambda machine: machine.extension(4, "EXT4"),
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.newobj,
    "NEWOBJ_EX": _Machine.newobj_ex,
    "OBJ": _Machine.obj,
    "INST": _Machine.inst,
    "BUILD": _Machine.build,
    "PERSID": lambda machine: machine.persistent(machine.data_line()),
    "BINPERSID": lambda machine: machine.persistent(machine.pop()),
    # Stack and memo
    "MARK": _Machine.mark,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": lambda machine: _push(machine, machine.stack[-1]),
    "PUT": lambda machine: machine.put(machine.index_line()),
    "BINPUT": lambda machine: machine.put(machine.read(1)[0]),
    "LONG_BINPUT": lambda machine: machine.put(int.from_bytes(machine.read(4), "little")),
    "MEMOIZE": lambda machine: machine.put(len(machine.memo)),
    "GET": lambda machine: machine.get(machine.index_line()),
    "BINGET": lambda machine: machine.get(machine.read(1)[0]),
    "LONG_BINGET": lambda machine: machine.get(int.from_bytes(machine.read(4), "little")),
    # Containers
    "EMPTY_LIST": lambda machine: _push(machine, []),
    "EMPTY_TUPLE": lambda machine: _push(machine, ()),
    "EMPTY_DICT": lambda machine: _push(machine, Mapping("builtins.dict", [])),
    "EMPTY_SET": lambda machine: _push(machine, Instance("builtins.set")),
    "DICT": _dict,
    "LIST": lambda machine: _push(machine, machine.pop_mark()),
    "TUPLE": lambda machine: _push(machine, tuple(machine.pop_mark())),
    "TUPLE1": lambda machine: _top(machine, 1),
    "TUPLE2": lambda machine: _top(machine, 2),
    "TUPLE3": lambda machine: _top(machine, 3),
    "FROZENSET": _frozenset,
    "APPEND": lambda machine: machine.append([machine.pop()]),
    "APPENDS": lambda machine: machine.append(machine.pop_mark()),
    "SETITEM": lambda machine: machine.set_items(_pair(machine)),
    "SETITEMS": lambda machine: machine.set_items(machine.pop_mark()),
    "ADDITEMS": _Machine.add_items,
    # Plain values
    "NONE": lambda machine: _push(machine, None),
    "NEWTRUE": lambda machine: _push(machine, True),
    "NEWFALSE": lambda machine: _push(machine, False),
    "BININT": _integer(4, signed=True),
    "BININT1": _integer(1),
    "BININT2": _integer(2),
    "INT": lambda machine: _push(machine, _number(machine.data_line())),
    "LONG": lambda machine: _push(machine, _number(machine.data_line())),
    "LONG1": lambda machine: _long(machine, machine.counted(1)),
    "LONG4": lambda machine: _long(machine, machine.counted(4)),
    "FLOAT": _float_line,
    "BINFLOAT": lambda machine: _push(machine, struct.unpack(">d", machine.read(8))[0]),
    "SHORT_BINUNICODE": _unicode(1),
    "BINUNICODE": _unicode(4),
    "BINUNICODE8": _unicode(8),
    "UNICODE": lambda machine: _push(
        machine, machine.text(machine.data_line(), "raw-unicode-escape")
    ),
    "STRING": lambda machine: _push(machine, machine.text(_decoded(machine.data_line()), "ascii")),
    "SHORT_BINSTRING": _string(1),
    "BINSTRING": _string(4),
    "SHORT_BINBYTES": lambda machine: _bytes(machine, machine.counted(1)),
    "BINBYTES": lambda machine: _bytes(machine, machine.counted(4)),
    "BINBYTES8": lambda machine: _bytes(machine, machine.counted(8)),
    "BYTEARRAY8": _bytearray,
    "NEXT_BUFFER": _buffer,
    "READONLY_BUFFER": _buffer,
}
_HANDLERS: list[Callable[[_Machine], object] | None] = [None] * 256
for _code, _name in _OPERATIONS.items():
    _HANDLERS[_code] = _BY_NAME[_name]
