"""Logs of W&B put together by hand: protobuf records in LevelDB's format."""

from __future__ import annotations

import json


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def item(key: str, value: object) -> bytes:
    return field(1, field(1, key) + field(16, json.dumps(value)))


def log(*records: bytes) -> bytes:
    """A log as W&B writes it, records over the ends of blocks too."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        first = True
        while first or record:
            left = (1 << 15) - len(out) % (1 << 15)
            if left < 7:
                out += bytes(left)
                continue
            piece, record = record[: left - 7], record[left - 7 :]
            kind = 1 if first and not record else 2 if first else 3 if record else 4
            out += bytes(4) + len(piece).to_bytes(2, "little") + bytes([kind]) + piece
            first = False
    return bytes(out)


def ended_with(code: int) -> bytes:
    """The record of an exit: an ``int32``, which protobuf extends to 64 bits."""
    return field(18, varint(1 << 3) + varint(code & (1 << 64) - 1) if code else b"")
