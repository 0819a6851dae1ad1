"""What a pickle would import and call, read off its operations; nothing is unpickled.

The operations are those of :mod:`pickletools`; the stack and the memo are followed with
stand-ins for the values. So a name that reaches ``STACK_GLOBAL`` over the memo is known,
and one that was computed is known to be computed.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

# A checkpoint has some forty operations a tensor.
MAX_OPERATIONS = 2_000_000
MAX_DEPTH = 1_000_000
MAX_GLOBALS = 10_000
# Longer strings are data; no module and no class is called so.
_MAX_NAME = 256
_MAX_LINE = 1 << 16
# What is kept of strings, in bytes with what Python needs for each.
MAX_TEXT = 32 << 20
_OBJECT = 64
_MAX_TUPLE = 8

_OPERATIONS = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
# How many bytes say the length of an argument, by what pickletools calls it.
_COUNTED = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_TEXT = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_OLD_TEXT = {"SHORT_BINSTRING", "BINSTRING"}
_INTEGERS = {"BININT": True, "BININT1": False, "BININT2": False, "LONG1": True}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class BrokenPickle(Exception):
    """The operations do not make a pickle, or too many of them do."""


class Imported(NamedTuple):
    """A global on the stack, as ``module.name``."""

    name: str


class Unknown(NamedTuple):
    """Any other value."""


class _Mark(NamedTuple):
    pass


UNKNOWN = Unknown()
_MARK = _Mark()


class Budget:
    """How much work a file may still make; shared by all pickles and archives in it."""

    def __init__(self) -> None:
        self.operations = MAX_OPERATIONS
        self.text = MAX_TEXT


class Report:
    """What the pickles of one file would do.

    ``globals`` are the imports, as ``module.name``; ``operations`` the names of the
    operations in use. ``faults`` say what cannot be known or is never written by a
    pickler. ``storages`` has for each key of a torch storage its type's global and its
    number of elements, ``persistent`` what other persistent ids begin with.
    """

    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.operations: set[str] = set()
        self.faults: set[str] = set()
        self.storages: dict[str, tuple[str, int]] = {}
        self.persistent: set[str] = set()
        self.strings: list[str] = []


def read_pickle(file: BinaryIO, report: Report, budget: Budget) -> None:
    """Add one pickle, from the position of *file* to its ``STOP``, to *report*.

    Raises :class:`BrokenPickle` where the operations end early or make no sense; what
    was found until then is in *report*, because an unpickler would have done it, too.
    ``report.strings`` are the last pickle's short strings, in order.
    """
    report.strings = []
    _Machine(file, report, budget).run()


class _Machine:
    def __init__(self, file: BinaryIO, report: Report, budget: Budget) -> None:
        self._file = file
        self._report = report
        self._budget = budget
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def run(self) -> None:
        while True:
            code = self._file.read(1)
            if not code:
                raise BrokenPickle("ends before its pickle does")
            opcode = _OPERATIONS.get(code[0])
            if opcode is None:
                raise BrokenPickle(f"has byte 0x{code[0]:02x} where a pickle operation belongs")
            self._budget.operations -= 1
            if self._budget.operations < 0:
                raise BrokenPickle(f"has more than {MAX_OPERATIONS:,} pickle operations")
            self._report.operations.add(opcode.name)
            argument = self._argument(opcode)
            special = _SPECIAL.get(opcode.name)
            if special is not None:
                special(self, opcode.name, argument)
            else:
                self._plain(opcode, argument)
            if len(self._stack) > MAX_DEPTH or len(self._memo) > MAX_DEPTH:
                raise BrokenPickle(f"stacks more than {MAX_DEPTH:,} values")
            if opcode.name == "STOP":
                return

    def _argument(self, opcode: pickletools.OpcodeInfo) -> bytes:
        """The raw argument; of a long one only the beginning, and lines with their ends."""
        form = opcode.arg
        if form is None:
            return b""
        if form.n == pickletools.UP_TO_NEWLINE:
            lines = self._line()
            return lines + self._line() if opcode.name in ("GLOBAL", "INST") else lines
        if form.n >= 0:
            return self._read(form.n)
        size = int.from_bytes(self._read(_COUNTED[form.n]), "little")
        if size <= _MAX_NAME:
            return self._read(size)
        # Skipped without reading: it may be a gigabyte, or claim to be one.
        kept = self._read(_MAX_NAME + 1)
        position = self._file.tell() + size - len(kept) - 1
        if position >= 1 << 62:
            raise BrokenPickle("ends before its pickle does")
        self._file.seek(position)
        self._read(1)
        return kept

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise BrokenPickle("ends before its pickle does")
        return data

    def _line(self) -> bytes:
        line = self._file.readline(_MAX_LINE)
        if not line.endswith(b"\n"):
            raise BrokenPickle("has a line without end in its pickle")
        return line

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> object:
        if not self._stack or self._stack[-1] is _MARK:
            raise BrokenPickle("takes a value from an empty pickle stack")
        return self._stack.pop()

    def _top(self) -> object:
        self._push(value := self._pop())
        return value

    def _pop_to_mark(self) -> list[object]:
        values: list[object] = []
        while self._stack:
            value = self._stack.pop()
            if value is _MARK:
                return values[::-1]
            values.append(value)
        raise BrokenPickle("looks for a mark that its pickle has not set")

    def _plain(self, opcode: pickletools.OpcodeInfo, argument: bytes) -> None:
        """Any operation that neither imports, calls nor remembers."""
        before = opcode.stack_before
        if pickletools.markobject in before:
            values = self._pop_to_mark()
            for _ in range(before.index(pickletools.markobject)):
                self._pop()
        else:
            values = [self._pop() for _ in before][::-1]
        name = opcode.name
        if name == "TUPLE" or name in _TUPLES:
            self._push(tuple(values) if len(values) <= _MAX_TUPLE else UNKNOWN)
        elif name in _INTEGERS:
            self._push(int.from_bytes(argument[-8:], "little", signed=_INTEGERS[name]))
        elif name in _TEXT or name in _OLD_TEXT:
            self._push(self._text(argument, "ascii" if name in _OLD_TEXT else "utf-8"))
        else:
            for _ in opcode.stack_after:
                self._push(UNKNOWN)

    def _text(self, argument: bytes, encoding: str) -> object:
        self._budget.text -= len(argument) + _OBJECT
        if len(argument) > _MAX_NAME or self._budget.text < 0:
            return UNKNOWN
        try:
            text = argument.decode(encoding)
        except UnicodeDecodeError:
            return UNKNOWN
        self._report.strings.append(text)
        return text

    def _import(self, module: str, name: str) -> None:
        # Python 2 called it so; torch and pickle read it as below.
        if module == "__builtin__":
            module = "builtins"
        full = f"{module}.{name}"
        if len(full) > 2 * _MAX_NAME or len(self._report.globals) >= MAX_GLOBALS:
            raise BrokenPickle(f"imports more than {MAX_GLOBALS:,} names, or one without end")
        self._report.globals.add(full)
        self._push(Imported(full))

    def _global(self, name: str, argument: bytes) -> None:
        if name == "INST":
            self._pop_to_mark()
        module, attribute = argument.split(b"\n")[:2]
        try:
            self._import(module.decode(), attribute.decode())
        except UnicodeDecodeError as exc:
            raise BrokenPickle("imports a name that is no text") from exc
        if name == "INST":
            self._stack[-1] = UNKNOWN

    def _stack_global(self, _name: str, _argument: bytes) -> None:
        attribute, module = self._pop(), self._pop()
        if isinstance(module, str) and isinstance(attribute, str):
            self._import(module, attribute)
        else:
            self._report.faults.add("imports a name that its pickle computes")
            self._push(UNKNOWN)

    def _extension(self, name: str, _argument: bytes) -> None:
        self._report.faults.add(f"imports by a number of copyreg's registry ({name})")
        self._push(UNKNOWN)

    def _call(self, name: str, _argument: bytes) -> None:
        if name == "OBJ":
            values = self._pop_to_mark()
            if not values:
                raise BrokenPickle("takes a value from an empty pickle stack")
            callee = values[0]
        else:
            for _ in range(2 if name == "NEWOBJ_EX" else 1):
                self._pop()
            callee = self._pop()
        if not isinstance(callee, Imported):
            self._report.faults.add("calls something that its pickle has made")
        self._push(UNKNOWN)

    def _persistent(self, name: str, _argument: bytes) -> None:
        identity = self._pop() if name == "BINPERSID" else UNKNOWN
        self._push(UNKNOWN)
        if isinstance(identity, tuple) and len(identity) > 4 and identity[0] == "storage":
            _, kind, key, _, elements = identity[:5]
            if isinstance(kind, Imported) and isinstance(key, str) and isinstance(elements, int):
                self._report.storages[key] = (kind.name, elements)
                return
        first = identity[0] if isinstance(identity, tuple) and identity else None
        self._report.persistent.add(first if isinstance(first, str) else "unknown")

    def _put(self, name: str, argument: bytes) -> None:
        self._memo[self._index(name, argument)] = self._top()

    def _get(self, name: str, argument: bytes) -> None:
        index = self._index(name, argument)
        if index not in self._memo:
            raise BrokenPickle("asks its memo for what is not there")
        self._push(self._memo[index])

    def _index(self, name: str, argument: bytes) -> int:
        if name == "MEMOIZE":
            return len(self._memo)
        if name not in ("GET", "PUT"):
            return int.from_bytes(argument, "little")
        digits = argument.strip()
        if not digits.isdigit() or len(digits) > 18:
            raise BrokenPickle("numbers its memo with what is no number")
        return int(digits)

    def _mark(self, _name: str, _argument: bytes) -> None:
        self._push(_MARK)

    def _drop(self, _name: str, _argument: bytes) -> None:
        if not self._stack:
            raise BrokenPickle("takes a value from an empty pickle stack")
        self._stack.pop()

    def _drop_to_mark(self, _name: str, _argument: bytes) -> None:
        self._pop_to_mark()

    def _twice(self, _name: str, _argument: bytes) -> None:
        self._push(self._top())

    def _modify(self, name: str, _argument: bytes) -> None:
        """What changes the value below its arguments, and leaves it where it is."""
        if name in ("APPENDS", "SETITEMS", "ADDITEMS"):
            self._pop_to_mark()
        else:
            for _ in range(2 if name == "SETITEM" else 1):
                self._pop()
        self._top()


_SPECIAL: dict[str, Callable[[_Machine, str, bytes], None]] = {
    **dict.fromkeys(("GLOBAL", "INST"), _Machine._global),
    "STACK_GLOBAL": _Machine._stack_global,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _Machine._extension),
    **dict.fromkeys(("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ"), _Machine._call),
    **dict.fromkeys(("PERSID", "BINPERSID"), _Machine._persistent),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine._get),
    "MARK": _Machine._mark,
    "POP": _Machine._drop,
    "POP_MARK": _Machine._drop_to_mark,
    "DUP": _Machine._twice,
    **dict.fromkeys(
        ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"), _Machine._modify
    ),
}
