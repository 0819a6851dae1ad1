"""Sections of compressed files: written side by side, read alone, understood by other tools."""

from __future__ import annotations

import gzip
import io
import random
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import zstandard

from fx_hooks import __version__
from fx_hooks.runs.archive import sections
from fx_hooks.runs.archive.sections import BrokenSection, Codec
from fx_hooks.util.errors import FatalError

DATA = random.Random(1).randbytes(700_000) + bytes(2_000_000) + b"text " * 300_000


class _StandIn:
    """What the standard library's zstd is from 3.14 on, as far as it is used."""

    ZstdError = zstandard.ZstdError
    CompressionParameter = SimpleNamespace(
        compression_level="level",
        checksum_flag="checksum",
        nb_workers=type("_", (), {"bounds": lambda _: (0, 0), "__hash__": object.__hash__})(),
    )

    class ZstdCompressor:
        def __init__(self, options: dict[Any, int]) -> None:
            level, checksum = options["level"], bool(options["checksum"])
            packer = zstandard.ZstdCompressor(level, write_checksum=checksum).compressobj()
            self.compress, self.flush = packer.compress, packer.flush

    class ZstdDecompressor:
        needs_input = True

        def __init__(self) -> None:
            self._unpacker = zstandard.ZstdDecompressor().decompressobj()
            self._ready = b""

        def decompress(self, data: bytes, max_length: int) -> bytes:
            if data:
                self._ready += self._unpacker.decompress(data)
            found, self._ready = self._ready[:max_length], self._ready[max_length:]
            self.needs_input = not self._ready
            return found

        @property
        def eof(self) -> bool:
            return self._unpacker.eof and not self._ready

        @property
        def unused_data(self) -> bytes:
            return self._unpacker.unused_data


def standard() -> Codec:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        zstd = _StandIn
    return sections.StandardZstd(zstd)


CODECS: list[Any] = [
    pytest.param(lambda: sections.codec_for("a.tar.gz"), id="gzip"),
    pytest.param(lambda: sections.codec_for("a.tar.zst"), id="zstandard"),
    pytest.param(standard, id="standard zstd"),
]


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Iterator[Codec]:
    make: Callable[[], Codec] = request.param
    codec = make()
    yield codec
    codec.close()


def packed(codec: Codec, *contents: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """A file with a section for each of *contents*, and where they are."""
    out = bytearray()
    places = []
    for content in contents:
        start = len(out)
        writer = codec.writer(out.extend)
        for position in range(0, len(content), 100_001):
            writer.write(content[position : position + 100_001])
        writer.close()
        places.append((start, len(out)))
    return bytes(out) + codec.footer(places[-1][0]), places


def unpacked(codec: Codec, data: bytes, start: int, end: int) -> bytes:
    file = io.BytesIO(data)
    file.seek(start)
    return b"".join(codec.chunks(file, end - start))


def test_each_section_is_read_alone(codec: Codec) -> None:
    contents = (DATA, b"", b"x", DATA[:600_000])
    data, places = packed(codec, *contents)
    for (start, end), content in list(zip(places, contents, strict=True))[::-1]:
        assert unpacked(codec, data, start, end) == content
    footer = len(codec.footer(0))
    assert codec.last_section(io.BytesIO(data)) == (places[-1][0], len(data) - footer)


def test_other_tools_read_it_as_one(codec: Codec) -> None:
    data, _ = packed(codec, DATA, b"more")
    if data.startswith(b"\x1f\x8b"):
        assert gzip.decompress(data) == DATA + b"more"
    else:
        reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
        assert reader.read() == DATA + b"more"


def test_gzip_packs_as_well_as_gzip() -> None:
    codec = sections.codec_for("a.tar.gz")
    data, _ = packed(codec, DATA)
    codec.close()
    assert len(data) < len(zlib.compress(DATA, 6)) * 1.01


def test_what_is_wrong_with_a_section(codec: Codec) -> None:
    data, ((start, end), _) = packed(codec, DATA, b"next")
    with pytest.raises(BrokenSection, match="it is cut off"):
        unpacked(codec, data, start, end - 1)
    with pytest.raises(BrokenSection, match="it is cut off"):
        unpacked(codec, data[: end // 2], start, end)
    with pytest.raises(BrokenSection, match=r"it is longer than it says|it is damaged"):
        unpacked(codec, data, start, end + 1)
    damaged = bytearray(data)
    damaged[end - 2] ^= 1  # in the checksum
    with pytest.raises(BrokenSection, match="it is damaged"):
        unpacked(codec, bytes(damaged), start, end)
    with pytest.raises(BrokenSection, match="it is damaged"):
        unpacked(codec, b"rubbish" * 10, 0, 70)


@pytest.mark.parametrize("size", [0, 200, 300, 70_000, 3_000_000])
@pytest.mark.parametrize("options", [{}, {"write_checksum": True}, {"write_content_size": False}])
def test_frames_as_others_write_them(size: int, options: dict[str, Any]) -> None:
    codec = sections.codec_for("a.tar.zst")
    content = DATA[600_000 : 600_000 + size]
    data = zstandard.ZstdCompressor(**options).compress(content)
    assert unpacked(codec, data, 0, len(data)) == content
    codec.close()


def test_what_unpacks_to_much_comes_in_pieces() -> None:
    """Also of blocks that are not packed, without number; what hides them is not a section."""
    codec = sections.codec_for("a.tar.zst")
    data = zstandard.ZstdCompressor(write_checksum=True).compress(bytes(50 << 20))
    assert len(data) < 10_000
    pieces = list(codec.chunks(io.BytesIO(data), len(data)))
    assert (sum(map(len, pieces)), max(map(len, pieces))) == (50 << 20, 1 << 17)
    repeated = b"\x02\0\x10x"  # one byte, 128 KiB of it
    frame = b"\x28\xb5\x2f\xfd\0\x58" + repeated * 100 + bytes(3) * 5000 + b"\x01\0\0"
    pieces = list(codec.chunks(io.BytesIO(frame), len(frame)))
    assert (sum(map(len, pieces)), max(map(len, pieces))) == (100 << 17, 1 << 17)
    skipped = b"\x50\x2a\x4d\x18" + bytes(4) + frame
    with pytest.raises(BrokenSection, match="it is damaged"):
        unpacked(codec, skipped, 0, len(skipped))
    codec.close()


def test_a_foot_that_is_none(codec: Codec) -> None:
    data, _ = packed(codec, b"x")
    size = len(codec.footer(0))
    wrong = [b"", data[:-1], data + b"\0", data[:-size] + codec.footer(len(data)), data[-size:]]
    for content in wrong:
        with pytest.raises(BrokenSection, match="was not written by fx-archive-runs"):
            codec.last_section(io.BytesIO(content))


def test_what_is_abandoned(codec: Codec) -> None:
    """In its middle, or when its end could not be written: the next section is whole."""
    written: list[bytes] = []
    section = codec.writer(written.append)
    for _ in range(20):
        section.write(DATA[:500_000])
    before = len(written)
    section.abandon()
    assert len(written) == before

    is_full = False

    def sink(_: bytes) -> None:
        if is_full:
            raise FatalError("no space left on device")

    section = codec.writer(sink)
    section.write(b"x")
    is_full = True
    with pytest.raises(FatalError):
        section.close()
    section.abandon()
    data, ((start, end),) = packed(codec, DATA)
    assert unpacked(codec, data, start, end) == DATA


def test_without_any_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    for is_new, else_ in ((False, ""), (True, ", or name it NAME.tar.gz")):
        with pytest.raises(FatalError) as caught:
            sections.codec_for("a.tar.zst", is_new=is_new)
        assert str(caught.value) == (
            "a.tar.zst: zstd needs the package zstandard: pip install 'fx-hooks[tools]"
            f" @ git+https://github.com/fx-hooks/fx-hooks@v{__version__}'{else_}"
        )


def test_the_standard_library_is_the_second_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", SimpleNamespace(zstd=_StandIn))
    monkeypatch.setitem(sys.modules, "compression.zstd", _StandIn)
    assert isinstance(sections.codec_for("a.tar.zst"), sections.StandardZstd)


def test_reading_ahead() -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"a", b"", b"b")
        raise BrokenSection("it is damaged")

    with sections.read_ahead(chunks()) as ahead:
        assert [next(ahead), next(ahead)] == [b"a", b"b"]
        with pytest.raises(BrokenSection):
            next(ahead)
    with sections.read_ahead(iter([b"a"])) as ahead:
        assert list(ahead) == [b"a"]
    endless = iter(lambda: b"x", b"")
    with sections.read_ahead(endless) as ahead:
        assert next(ahead) == b"x"


def test_reading_ahead_is_interrupted_as_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    real = threading.Thread.start

    for is_started in (False, True):

        def start(thread: threading.Thread, is_started: bool = is_started) -> None:
            if is_started:
                real(thread)
            raise KeyboardInterrupt

        monkeypatch.setattr(threading.Thread, "start", start)
        with (
            pytest.raises(KeyboardInterrupt),
            sections.read_ahead(iter(lambda: b"x", b"")),
        ):
            raise AssertionError("it goes on")
        assert threading.active_count() == before
