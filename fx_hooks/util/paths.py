"""Paths as people give them and as people read them."""

from __future__ import annotations

import os
import shlex
import sys

from fx_hooks.util.errors import FatalError

# No shell reads anything into these within quotes, nor does `printf`.
_AS_IT_IS = frozenset(
    b" #()*+,-./0123456789:;<=>?@[]^_{|}~&ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def from_root(name: str, root: bytes, cwd: bytes | None = None) -> bytes:
    """Return *name*, absolute or relative to *cwd*, as a path relative to *root*.

    Links on the way are not followed if the path lies below the root as it is spelled:
    ``outputs`` may point to other storage. Raises
    :class:`~fx_hooks.util.errors.FatalError` for what lies outside.
    """
    path = os.fsencode(name)
    if not path:
        raise FatalError("a file name is empty: leave it out")
    if b"\0" in path:
        raise FatalError("a file name has a NUL character, which no path can have")
    cwd = os.getcwdb() if cwd is None else cwd
    full = os.path.normpath(os.path.join(cwd, path))
    folder, last = os.path.split(full)
    candidates = (full, os.path.join(os.path.realpath(folder), last))
    for candidate in candidates:
        for base in (root, os.path.realpath(root)):
            relative = _below(candidate, base)
            if relative is not None:
                return relative
    if os.path.realpath(full) == os.path.realpath(root):
        return b""
    raise FatalError(f"{name}: outside the repository {os.fsdecode(root)}: name files within it")


def _below(path: bytes, base: bytes) -> bytes | None:
    base = os.path.normpath(base)
    prefix = base if base.endswith(os.fsencode(os.sep)) else base + os.fsencode(os.sep)
    if path == base:
        return b""
    if not path.startswith(prefix):
        return None
    return path[len(prefix) :].replace(os.fsencode(os.sep), b"/")


def parents(path: bytes) -> list[bytes]:
    """Return the directories above *path*, the outermost first, without the root."""
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[: count + 1]) for count in range(len(parts))]


def encoded(text: str) -> bytes:
    """Return the path that *text* from JSON or YAML is, also where no path can be that."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # half of a surrogate pair
        return text.encode("utf-8", "surrogatepass")


def shown(path: bytes) -> str:
    r"""Return *path* for reading: as it is if it can be printed, else in quotes and escaped.

    ``'a\n.pt'`` has a line break, ``\xff`` is a byte that is not text. For commands there is
    :func:`quoted`, which shells read and people do not.
    Both are the same whatever the encoding of the terminal: some of it goes into files.
    """
    text = _printable(path)
    if text is not None and not text.startswith("'"):
        return text
    return f"'{''.join(map(_escaped, path.decode('utf-8', 'surrogateescape')))}'"


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable():
        return char
    if code < 0x80:
        return ascii(char)[1:-1]
    # Not \xe9, which is a byte here.
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(path: bytes) -> str:
    """Return *path* as one word, the same one for bash, dash, zsh and busybox sh.

    For fish, too, but where it ends in a line break.
    """
    text = _printable(path)
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    if text is not None and not text.isascii() and encoding not in ("utf-8", "utf8"):
        text = None  # what is copied from there would be another name
    # zsh reads a leading "=" as the path of a command, fish a leading "%" as a process, and
    # fish alone knows a backslash that escapes within single quotes.
    if text is None or "\\\\" in text or "\\'" in text or text.endswith("\\"):
        return _by_printf(path)
    return f"'{text}'" if text.startswith(("=", "%")) and "'" not in text else shlex.quote(text)


def _by_printf(path: bytes) -> str:
    """*path* as a word that ``printf`` writes, whose escapes are octal in every shell."""
    body = path.rstrip(b"\n")
    written = "".join(
        chr(byte) if byte in _AS_IT_IS and (place or byte != ord("-")) else f"\\{byte:03o}"
        for place, byte in enumerate(body)
    )
    return f"\"$(printf '{written}'){_line_breaks(len(path) - len(body))}\""


def _line_breaks(count: int) -> str:
    """*count* line breaks within double quotes: from the end of ``$(...)`` a shell takes them."""
    if not count:
        return ""
    # The first expansion sets the variable and stands for nothing: $? is digits alone.
    return "${?##[0-9\"${fx_nl=$(printf '\\012.')}\"]*}" + "${fx_nl%.}" * count


def _printable(path: bytes) -> str | None:
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def human_size(size: int) -> str:
    """Return *size* in bytes, as people read it: ``1.2 MiB``."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        # What would be rounded to 1024.0 is one of the next unit.
        if round(amount, 1) < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TiB"
