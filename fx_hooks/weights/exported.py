"""Exported programs (``torch.export.save``, ``.pt2``).

They hold a graph as JSON, which loading turns into Python.

torch evaluates its expressions with sympy, and names of the graph become names in the Python
source that it generates (``torch/_export/serde/serialize.py``, 2.13). So expressions have a
small grammar here, names are names, and operators are those of torch.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fx_hooks.util.strict_json import NotStrict, parse_json
from fx_hooks.weights.archives import Archive, BrokenArchive, Member
from fx_hooks.weights.inspection import Format, Inspection, Stored
from fx_hooks.weights.polyglots import foreign_start
from fx_hooks.weights.torch_files import MAX_PICKLE, NOTES, check_note, read_torch
from fx_hooks.weights.torchscript import TOUCHING

if TYPE_CHECKING:
    from fx_hooks.weights.pickles import Budget

_NOTES = {
    "archive_format": re.compile(rb"pt2\n?\Z"),
    "archive_version": re.compile(rb"[0-9]{1,4}\n?\Z"),
}
_JSON = re.compile(
    r"(models/[\w.-]+\.json|data/(weights|constants)/[\w.-]+_config\.json|module_info\.json)\Z"
)
_NESTED = re.compile(r"data/(sample_inputs/[\w.-]+\.pt|(weights|constants)/[\w.-]+)\Z")
_RAW = re.compile(r"data/(weights|constants)/(weight|tensor)_[0-9]+\Z")
_EXTRA = re.compile(r"extra/[\w./ -]+\Z")
_NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
_MAX_JSON = 16 << 20
_MAX_EXTRA = 1 << 20
_MAX_EXPRESSION = 4_000
# Of all expressions of a graph together, in characters.
_MAX_EXPRESSIONS = 200_000
_CONTROL = bytes(code for code in range(32) if chr(code) not in "\t\n\f\r")

# sympy's and torch.utils._sympy's functions over sizes.
_FUNCTIONS_NAMES = """
    Symbol Integer Float Rational Add Mul Pow Max Min Mod Abs And Or Not Xor Eq Ne Lt Le Gt Ge
    Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan Piecewise floor
    ceiling sqrt FloorDiv ModularIndexing Where PythonMod CleanDiv CeilDiv CeilToInt FloorToInt
    LShift RShift PowByNatural FloatPow FloatTrueDiv IntTrueDiv TruncToFloat TruncToInt
    RoundToInt RoundDecimal ToFloat Identity IsNonOverlappingAndDenseIndicator
    BitwiseFn_bitwise_and BitwiseFn_bitwise_or BitwiseFn_bitwise_xor OpaqueUnaryFn_sqrt
    OpaqueUnaryFn_cos OpaqueUnaryFn_sin OpaqueUnaryFn_exp OpaqueUnaryFn_log OpaqueUnaryFn_log2
"""
_FUNCTIONS = frozenset(_FUNCTIONS_NAMES.split())
_GUARDED = frozenset({"size", "stride", "storage_offset", "shape", "ndim", "dim"})
# Those of torch that make sizes of sizes: torch/fx/experimental/symbolic_shapes.py and
# torch/utils/_sympy/printers.py (2.14).
_MODULES = {"math": None, "torch": frozenset({"sym_max", "sym_min", "sym_float", "_sym_sqrt"})}
_POWERS = frozenset({"Pow", "PowByNatural", "FloatPow", "LShift"})
_BUILTINS = frozenset({"len", "int", "float", "bool", "max", "min", "abs", "round"})
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Load, ast.Add, ast.Sub,
    ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd, ast.And, ast.Or,
    ast.Not, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Tuple, ast.keyword,
    ast.BitAnd, ast.BitOr, ast.Invert, ast.IfExp,
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_PATH = re.compile(r"[\w.]*\Z")
_NO_JSON = object()
# A key of what the model is given: torch puts it between quotes in the Python that it generates.
_KEY = re.compile(r"[^\"'\\\0-\x1f\x7f-\x9f\u2028\u2029]*\Z")
_TARGET = re.compile(
    r"(torch\.ops\.[A-Za-z_]\w*\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)?|_operator\.[A-Za-z_]\w*"
    r"|math\.[A-Za-z_]\w*|torch\.sym_\w+|torch\._sym_\w+|torch\._C\._set_grad_enabled)\Z"
)
_CALLING = frozenset({"call", "attrgetter", "itemgetter", "methodcaller", "delitem", "setitem"})
_BITWISE_NAMES = "and or xor lshift rshift"
_BITWISE = frozenset(f"__{i}{name}__" for i in ("", "i") for name in _BITWISE_NAMES.split())
# Those of torchvision, torchaudio and torchcodec read and write files, those of torch machines.
_SPACES_NAMES = """
    image video_reader torchaudio torchaudio_sox torchaudio_ffmpeg torchcodec_ns debugprims c10d rpc
"""
_SPACES_OF_OTHERS = frozenset(_SPACES_NAMES.split())
_TYPES_NAMES = """
    builtins.tuple builtins.list builtins.dict collections.OrderedDict collections.deque
    collections.namedtuple immutable_list immutable_dict
    torch.fx.immutable_collections.immutable_list torch.fx.immutable_collections.immutable_dict
    torch.Size
"""
_TYPES = frozenset(_TYPES_NAMES.split())


def read_exported(archive: Archive, stem: str, budget: Budget) -> Inspection:
    """Return what an archive below the folder *stem* is."""
    members = {name.removeprefix(f"{stem}/"): item for name, item in archive.members.items()}
    globals_, faults = set[str](), set[str]()
    stored: list[Stored] = []
    raw = _raw_names(archive, members)
    for name, member in members.items():
        start = archive.read(member, 512)
        if name.endswith((".so", ".dll", ".dylib", ".pyd", ".cubin")) or start.startswith(_NATIVE):
            faults.add(f"holds native code: {name}")
        elif name in _NOTES:
            if member.size > 64 or not _NOTES[name].match(archive.read(member, 65)):
                faults.add(f"has a {name} that torch does not write")
        elif name in NOTES:
            faults |= check_note(archive, name, member)
        elif _JSON.match(name):
            faults |= _check_json(archive, name, member)
        elif _NESTED.match(name) and start.startswith(b"PK\x03\x04"):
            inner = _nested(archive, member, budget)
            globals_.update(inner.globals)
            faults |= {f"holds {name}, which {fault}" for fault in inner.faults}
            if inner.format != Format.TORCH and not inner.faults:
                faults.add(f"holds {name}, which torch.save did not write")
            stored += [
                Stored(f"{name}:{item.name}", item.dtype, item.elements, item.start, item.length)
                for item in inner.stored
            ]
        elif name in raw and _RAW.match(name) and not foreign_start(start):
            stored.append(Stored(name, "uint8", member.size, member.start, member.size))
        elif not _EXTRA.match(name) or not _is_text(archive, member):
            faults.add(f"has {name!r}, which torch.export.save does not write")
    return Inspection(
        Format.EXPORTED, tuple(sorted(globals_)), tuple(sorted(faults)), None, tuple(stored)
    )


def _raw_names(archive: Archive, members: Mapping[str, Member]) -> set[str]:
    """Return the members that only hold numbers, by every index; torch unpickles the others."""
    names, pickled = set[str](), set[str]()
    for path, member in members.items():
        folder, _, name = path.rpartition("/")
        if folder not in ("data/weights", "data/constants") or not name.endswith("_config.json"):
            continue
        try:
            value = parse_json(archive.read(member, _MAX_JSON))
        except NotStrict:
            continue  # it is a fault of that member
        entries = value.get("config") if isinstance(value, dict) else None
        for entry in entries.values() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                raw = entry.get("use_pickle") is False
                (names if raw else pickled).add(f"{folder}/{entry.get('path_name')}")
    return names - pickled


def _nested(archive: Archive, member: Member, budget: Budget) -> Inspection:
    if member.size > MAX_PICKLE or member.deflated:
        return Inspection(None, faults=(f"has more than {MAX_PICKLE >> 20} MiB",))
    file = io.BytesIO(archive.read(member, MAX_PICKLE + 1))
    try:
        inner = Archive(file)
    except BrokenArchive as exc:
        return Inspection(None, faults=(f"is a zip archive that {exc}",))
    stem = next(iter(inner.members), "").partition("/")[0]
    if f"{stem}/data.pkl" not in inner.members:
        return Inspection(None, faults=("torch.save did not write",))
    return read_torch(inner, stem, budget)[0]


def _is_text(archive: Archive, member: Member) -> bool:
    if member.size > _MAX_EXTRA:
        return False
    content = archive.read(member, _MAX_EXTRA + 1)
    return not foreign_start(content[:512]) and content.translate(None, _CONTROL) == content


def _check_json(archive: Archive, name: str, member: Member) -> set[str]:
    if member.size > _MAX_JSON:
        return {f"has {name} with more than {_MAX_JSON:,} bytes"}
    try:
        value = parse_json(archive.read(member, _MAX_JSON + 1))
    except NotStrict as exc:
        return {f"has {name}, which {exc}"}
    return {f"has {name}, which {fault}" for fault in graph_faults(value)}


def graph_faults(value: Any) -> Iterator[str]:
    """Yield what in a graph would become code that is not an operator of torch."""
    waiting: list[tuple[str, Any]] = [("", value)]
    expressions = 0
    known: set[tuple[str, str]] = set()
    while waiting:
        key, item = waiting.pop()
        if isinstance(item, dict):
            for name, part in item.items():
                if not _key_is_plain(key, name):
                    yield f"has a name that is none under {key!r}"
                waiting.append((name, part))
        elif isinstance(item, list):
            waiting += [(key, part) for part in item]
        elif isinstance(item, str) and (key, item) not in known:
            known.add((key, item))
            expressions += len(item) if key in _EVALUATED else 0
            if expressions > _MAX_EXPRESSIONS:
                yield "has more expressions than a graph needs"
                return
            fault = _text_fault(key, item)
            if fault:
                yield fault


# What is under these keys is data of the user, or of the compiler, and never becomes code.
_FREE = frozenset({"metadata", "as_string", "as_strings", "torch_version", "hint"})
_EVALUATED = frozenset({"expr_str", "guards_code"})
_SPECS = frozenset({"in_spec", "out_spec"})


def _key_is_plain(above: str, name: str) -> bool:
    return (
        above in _FREE
        or _PATH.match(name) is not None
        or (above == "range_constraints" and _is_expression(name, guard=False))
    )


def _text_fault(key: str, text: str) -> str:
    if key == "expr_str" and not _is_expression(text, guard=False):
        return "has an expression that is not made of sizes"
    if key == "guards_code" and not _is_expression(text, guard=True):
        return "has a guard that is not made of sizes"
    if key in ("target", "as_operator") and not _is_operator(text):
        return f"calls {text[:80]!r}, which is not an operator of torch"
    if key in _SPECS and not _is_spec(text):
        return "has a structure of arguments that names code"
    if key in _NAMES and not _PATH.match(text):
        return f"has a name that is none under {key!r}"
    return ""


_NAMES_NAMES = """
    name forward_arg_names fqn parameter_name buffer_name tensor_constant_name custom_obj_name
    target_name as_name graph_name user_inputs_to_mutate
"""
_NAMES = frozenset(_NAMES_NAMES.split())


def _is_operator(text: str) -> bool:
    parts = text.split(".")
    return (
        _TARGET.match(text) is not None
        and not any(part.startswith("__") and part not in _BITWISE for part in parts)
        and TOUCHING.isdisjoint(parts)
        and not (parts[0] == "_operator" and parts[1] in _CALLING)
        and not (parts[:2] == ["torch", "ops"] and parts[2] in _SPACES_OF_OTHERS)
    )


def _is_expression(text: str, *, guard: bool) -> bool:
    """Return True if *text* is arithmetic over sizes: names, numbers and known functions."""
    if len(text) > _MAX_EXPRESSION:
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_arithmetic(node, guard) for node in ast.walk(tree))


def _is_arithmetic(node: ast.AST, guard: bool) -> bool:
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Name):
            if function.id in _POWERS and not _is_bounded(node.args, node.keywords):
                return False
            return function.id in _FUNCTIONS or (guard and function.id in _BUILTINS)
        return guard and isinstance(function, ast.Attribute)
    if isinstance(node, ast.Attribute):
        return guard and (node.attr in _GUARDED or _is_of_module(node.value, node.attr))
    if isinstance(node, ast.Subscript):
        return guard
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return isinstance(node.right, ast.Constant) and _is_bounded([node.left, node.right], [])
    if isinstance(node, ast.Name):
        return not node.id.startswith("__")
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return (_KEY if guard else _PATH).match(node.value) is not None
        return isinstance(node.value, (int, float)) or node.value is None
    return isinstance(node, _NODES)


def _is_power(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _POWERS
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)


def _is_bounded(args: list[ast.expr], keywords: list[ast.keyword]) -> bool:
    """Return True if a power or shift of *args* has no millions of digits: torch computes them."""
    parts = [list(ast.walk(arg)) for arg in args]
    return (
        len(args) == 2
        and not keywords
        and not any(map(_is_power, [*parts[0], *parts[1]]))
        and all(
            not isinstance(part, ast.BinOp)
            and not (isinstance(part, ast.Constant) and not _is_small(part.value))
            for part in parts[1]
        )
    )


def _is_small(value: object) -> bool:
    return isinstance(value, (int, float)) and value <= 64


def _is_of_module(node: ast.AST, name: str) -> bool:
    """Return True if *name* of the module *node* makes numbers of numbers."""
    if not isinstance(node, ast.Name) or node.id not in _MODULES:
        return False
    known = _MODULES[node.id]
    return not name.startswith("_") if known is None else name in known


def _is_spec(text: str) -> bool:
    """Return True if a pytree is made of plain containers; contexts can name classes."""
    if not text:
        return True
    try:
        value = parse_json(text.encode("utf-8", "replace"))
    except NotStrict:
        return False
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            kind = item.get("type")
            if kind is not None and (not isinstance(kind, str) or kind not in _TYPES):
                return False
            if not _is_context(item.get("context"), named=kind == "collections.namedtuple"):
                return False
            waiting += [part for name, part in item.items() if name != "context"]
    return _names_arguments(value)


def _is_context(text: object, *, named: bool) -> bool:
    """Return True if it is JSON of keys and numbers, or the name of a class of named tuples."""
    if text is None or (named and isinstance(text, str) and _PATH.match(text)):
        return True
    value = _json(text)
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict) or (isinstance(item, str) and not _KEY.match(item)):
            return False
    return value is not _NO_JSON


def _names_arguments(spec: Any) -> bool:
    """Return True if what is given by name has names: they come to stand in generated Python."""
    tree = spec[1] if isinstance(spec, list) and len(spec) == 2 else None
    parts = tree.get("children_spec") if isinstance(tree, dict) else None
    if not isinstance(parts, list) or len(parts) != 2 or not isinstance(parts[1], dict):
        return True
    if parts[1].get("type") != "builtins.dict":
        return True
    names = _json(parts[1].get("context"))
    return isinstance(names, list) and all(
        isinstance(name, str) and _NAME.match(name) for name in names
    )


def _json(text: object) -> Any:
    try:
        return parse_json(text.encode("utf-8", "replace")) if isinstance(text, str) else _NO_JSON
    except NotStrict:
        return _NO_JSON
