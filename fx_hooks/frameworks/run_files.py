"""Reading the small files of a run: what is missing, broken or too long gives nothing."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any

from fx_hooks.util.disk import files_not_links
from fx_hooks.util.errors import FatalError

_MAX_TEXT = 1 << 20


def read_yaml(place: bytes) -> Any:
    """Return the data of a YAML file; None without any."""
    content = read_text(place)
    if content is None:
        return None
    from fx_hooks.util.strict_yaml import plain_data  # slow to load, and many have none

    try:
        return plain_data(content, os.fsdecode(place))
    except FatalError:
        return None


def read_json(place: bytes) -> dict[str, Any]:
    """Return the object in a JSON file; empty where there is none."""
    try:
        value = json.loads(read_text(place) or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def at(value: Any, *keys: str) -> Any:
    """Return what stands in nested mappings under *keys*; None where something else is there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def read_text(place: bytes) -> bytes | None:
    """Return all of a file; None where it cannot be read or is long."""
    try:
        with open(place, "rb", opener=files_not_links) as file:
            content = file.read(_MAX_TEXT + 1)
    except OSError:
        return None
    return content if len(content) <= _MAX_TEXT else None


def read_tail(place: bytes) -> bytes | None:
    """Return the last MiB of a file; None where it cannot be read."""
    try:
        with open(place, "rb", opener=files_not_links) as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _MAX_TEXT, 0))
            return file.read()
    except OSError:
        return None


def named_time(text: bytes, form: str) -> float | None:
    """Return the time that part of a name says, in the zone of this machine."""
    try:
        return datetime.strptime(text.decode(), form).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
