"""JSON as the standard has it: UTF-8, no key twice, no NaN."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn


class NotStrict(Exception):
    """A text that is not strict JSON; the message says why in a few words."""


def parse_json(text: bytes) -> Any:
    """Return the value of *text*, as :mod:`json` gives it. Raise :class:`NotStrict`."""
    encoding = json.detect_encoding(text)
    if encoding == "utf-8-sig":
        raise NotStrict("begins with a byte order mark, which plain UTF-8 does not have")
    if encoding != "utf-8":
        raise NotStrict(f"is {encoding[:6].upper()}, not UTF-8")
    try:
        return json.loads(
            text.decode(),
            object_pairs_hook=_unique,
            parse_constant=_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as exc:
        raise NotStrict(f"is not UTF-8 (byte {exc.start})") from exc
    except json.JSONDecodeError as exc:
        raise NotStrict(f"is not JSON: line {exc.lineno}: {exc.msg}") from exc
    except RecursionError as exc:
        raise NotStrict("is nested too deeply") from exc
    except ValueError as exc:  # an integer with more digits than Python converts
        raise NotStrict("has a number that is too long") from exc


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise NotStrict(f"has the key {json.dumps(twice)} twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotStrict(f"has {text}, which is larger than numbers can be here")
    return value


def _constant(name: str) -> NoReturn:
    raise NotStrict(f"has {name}, which is not JSON")


def finite(value: Any) -> Any:
    """Return *value* with numbers that JSON does not have as texts: ``"nan"``."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
