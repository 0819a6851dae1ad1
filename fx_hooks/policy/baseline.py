"""``.fx-hooks-baseline``: what a repository tracked before it had the hooks.

A line has the id of a blob and a path, or ``-`` and a path whose content may change. Lines are
sorted by path and have no dates, so that two people who write the file write the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from fx_hooks.util.errors import FatalError

BASELINE_NAME = ".fx-hooks-baseline"
MAX_BYTES = 100_000_000
_HEAD = (
    b"# Tracked before fx-hooks was. Written by fx-init; take lines out as you clean up.\n"
)  # fmt: skip
# Compiled when they are needed: most repositories have no baseline.
_LINE = rb"(?s)(-|[0-9a-f]{40}|[0-9a-f]{64}) (.+)\Z"
_ESCAPE = rb"\\([0-7]{3})"
_PLAIN = rb'[^"\\\x00-\x1f\x7f]+\Z'


# No dataclass: to import that module takes longer than the rest of a refusal.
class Baseline(NamedTuple):
    """The accepted paths: with one content, and whatever their content is."""

    contents: frozenset[tuple[bytes, str]] = frozenset()
    paths: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.contents or self.paths)

    def names(self, path: bytes, blob: str | None, *, by_content: bool = False) -> bool:
        """Return True if it lists *path* with the content *blob*.

        With *by_content* a path alone is not enough.
        """
        if blob is not None and (path, blob) in self.contents:
            return True
        return path in self.paths and not by_content

    def lists(self, path: bytes) -> bool:
        """Return True if it lists *path* with any content."""
        return path in self.paths or any(path == listed for listed, _ in self.contents)

    def plus(self, contents: Iterable[tuple[bytes, str]], paths: Iterable[bytes]) -> Baseline:
        """Return the baseline that lists these, too."""
        return Baseline(contents=self.contents | {*contents}, paths=self.paths | {*paths})


def parse_baseline(text: bytes, source: str = BASELINE_NAME) -> Baseline:
    """Return the baseline that *text* says.

    Raises :class:`~fx_hooks.util.errors.FatalError` with the line that is no such line.
    """
    if len(text) > MAX_BYTES:
        raise FatalError(f"{source}:1: has more than {MAX_BYTES:,} bytes: this is not a baseline")
    contents: set[tuple[bytes, str]] = set()
    paths: set[bytes] = set()
    for number, line in enumerate(text.split(b"\n"), 1):
        line = line.removesuffix(b"\r")
        if not line or line.startswith(b"#"):
            continue
        match = re.match(_LINE, line)
        path = None if match is None else _unquoted(match[2])
        if match is None or path is None:
            raise FatalError(
                f"{source}:{number}: is not a blob id (or '-'), a blank, and a path: take the line"
                " out, or write the file anew with fx-init --baseline"
            )
        if match[1] == b"-":
            paths.add(path)
        else:
            contents.add((path, match[1].decode()))
    return Baseline(contents=frozenset(contents), paths=frozenset(paths))


def format_baseline(baseline: Baseline) -> bytes:
    """Return the text of the file that says *baseline*."""
    lines = [(path, blob.encode()) for path, blob in baseline.contents]
    lines += [(path, b"-") for path in baseline.paths]
    return _HEAD + b"".join(b"%b %b\n" % (blob, _quoted(path)) for path, blob in sorted(lines))


def _quoted(path: bytes) -> bytes:
    if re.match(_PLAIN, path) and path == path.strip():
        return path
    escaped = b"".join(
        b"\\%03o" % byte if byte < 32 or byte in b'"\\\x7f' else bytes((byte,)) for byte in path
    )
    return b'"%b"' % escaped


def _unquoted(word: bytes) -> bytes | None:
    if not word.startswith(b'"'):
        return word if re.match(_PLAIN, word) else None
    inner = word[1:-1]
    if len(word) < 3 or not word.endswith(b'"') or b'"' in inner:
        return None
    return re.sub(_ESCAPE, lambda match: bytes((int(match[1], 8) & 255,)), inner)
