"""Pickles put together by hypothesis: what a pickler writes, and what none would."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def name(dotted: str) -> bytes:
    module, _, attribute = dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def wrap(items: list[bytes], form: str) -> bytes:
    """A container of what *items* push."""
    body = b"".join(items)
    if form == "tuple":
        return b"(" + body + b"t"
    if form == "list":
        return b"](" + body + b"e"
    if form == "appended":
        return b"]" + b"".join(item + b"a" for item in items)
    pairs = items[: len(items) // 2 * 2]
    if form == "dict":
        return b"}(" + b"".join(pairs) + b"u"
    return b"}" + b"".join(a + b + b"s" for a, b in zip(pairs[::2], pairs[1::2], strict=True))


STORAGE = (
    b"("
    + text("storage")
    + name("torch.FloatStorage")
    + text("0")
    + text("cpu")
    + number(12)
    + b"tQ"
)
ORDERED = name("collections.OrderedDict") + b")R"
TENSOR = (
    name("torch._utils._rebuild_tensor_v2") + b"(" + STORAGE + number(0)
    + b"(" + number(2) + number(3) + b"t(" + number(3) + number(1) + b"t\x89" + ORDERED + b"tR"
)  # fmt: skip
PARAMETER = name("torch._utils._rebuild_parameter") + b"(" + TENSOR + b"\x88" + ORDERED + b"tR"
COUNTER = name("collections.Counter") + b"}" + text("a") + number(1) + b"s\x85R"
OBJECTS = {
    "tensor": TENSOR,
    "parameter": PARAMETER,
    "ordered": ORDERED,
    "counter": COUNTER,
    "storage": STORAGE,
    "size": name("torch.Size") + b"(" + number(1) + number(2) + b"t\x85R",
    "device": name("torch.device") + text("cpu") + b"\x85R",
    "set": name("builtins.set") + b"](" + number(1) + text("b") + b"e\x85R",
    "empty set": b"\x8f",
    "bytes": name("_codecs.encode") + text("é") + text("latin1") + b"\x86R",
    "bytearray": name("builtins.bytearray") + b")R",
    "complex": name("builtins.complex") + b"G" + bytes(8) + b"G" + bytes(8) + b"\x86R",
    "new ordered": name("collections.OrderedDict") + b")\x81",
    "new tensor": name("torch.FloatTensor") + b")\x81",
    "new set": name("builtins.set") + b")\x81",
    "new parameter": name("torch.nn.parameter.Parameter") + TENSOR + b"\x85\x81",
    "layout": name("torch.serialization._get_layout") + text("torch.strided") + b"\x85R",
    "meta": name("torch._utils._rebuild_meta_tensor_no_storage") + b"(" + name("torch.float32")
    + b"(" + number(2) + b"t(" + number(1) + b"t\x89tR",
}  # fmt: skip
CLASSES = (
    "collections.Counter collections.OrderedDict builtins.set builtins.bytearray torch.Size"
    " torch.device torch.Tensor torch.FloatTensor torch.FloatStorage torch.float32"
    " torch.nn.parameter.Parameter torch._utils._rebuild_tensor_v2 _codecs.encode"
    " torch.serialization._get_layout torch._utils._rebuild_parameter builtins.complex"
)
ATOMS = [
    b"N", b"\x88", b"\x89", b")", b"]", b"}", b"K\x05", b"M\x05\x00", number(-1), b"\x8a\x01\x07",
    b"G" + bytes(8), text("a"), text("é"), b"U\x01a", *OBJECTS.values(),
    *(name(item) for item in CLASSES.split()),
]  # fmt: skip


def values() -> SearchStrategy[bytes]:
    """What pushes one value, honest or not."""
    forms = st.sampled_from(("tuple", "list", "appended", "dict", "items"))

    def grow(inner: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
        pair: Callable[..., SearchStrategy[bytes]] = lambda end: st.builds(  # noqa: E731
            lambda a, b: a + b + end, inner, inner
        )
        return st.one_of(
            st.builds(wrap, st.lists(inner, max_size=4), forms),
            st.builds(lambda a: a + b"\x85", inner),
            pair(b"\x86"),
            st.builds(lambda a, b: a + b + b"b", inner, inner),
            st.builds(lambda a, b: a + b + b"a", inner, inner),
            st.builds(lambda a, b: a + b"(" + b + b"e", inner, inner),
            st.builds(lambda a, b, c: a + b + c + b"s", inner, inner, inner),
            st.builds(lambda a, b, c: a + b"(" + b + c + b"u", inner, inner, inner),
            st.builds(lambda a, b: a + b"(" + b + b"tR", inner, inner),
            st.builds(lambda a, b: a + b + b"R", inner, inner),
            st.builds(lambda a, b: a + b + b"\x81", inner, inner),
            st.builds(lambda a: a + b"q\x07h\x07\x86", inner),
            st.builds(lambda a: a + b"r\x07\x00\x00\x00j\x07\x00\x00\x00\x86", inner),
            st.builds(lambda a: a + b"Q", inner),
        )

    return st.recursive(st.sampled_from(ATOMS), grow, max_leaves=6)


def pickles() -> SearchStrategy[bytes]:
    """Whole pickles of protocol 2, as data.pkl of a torch file with one storage of 12 floats."""
    operations = st.sampled_from([
        *ATOMS, b"(", b"t", b"e", b"u", b"a", b"s", b"R", b"\x81", b"b", b"Q", b"q\x01", b"h\x01",
        b"\x85", b"\x86", b"\x87",
    ])  # fmt: skip
    shapeless = st.lists(operations, max_size=8).map(b"".join)
    return st.one_of(values(), values(), shapeless).map(lambda body: b"\x80\x02" + body + b".")
