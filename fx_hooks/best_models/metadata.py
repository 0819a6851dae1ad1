"""``NAME_meta.json`` and the other JSON in ``best_models/``: what it must and must not say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fx_hooks.util.strict_json import NotStrict, parse_json

SUFFIX = "_meta.json"
MAX_BYTES = 1_000_000
# What only these bytes begin: a zip archive, or a pickle of protocol 2 and later.
_BINARY = (b"PK\x03\x04", *(b"\x80" + bytes([protocol]) for protocol in range(2, 6)))


# Values that show what a key holds.
_EXAMPLES = {"performance": {"accuracy": 0.9}, "config": {"lr": 0.1}}


def example_of_keys(keys: Sequence[str]) -> str:
    """Return metadata with *keys*, as an example."""
    return json.dumps({key: _EXAMPLES.get(key, "...") for key in keys})


class Metadata(NamedTuple):
    """The content of one JSON file, and what is wrong with it.

    ``faults`` are sentences without a subject; they name keys, never values.
    """

    value: Any
    faults: tuple[str, ...]


def read_metadata(content: bytes, *, required: Sequence[str] | None) -> Metadata:
    """Classifier the JSON file with *content*.

    With *required* it is the metadata of a model: one object with these keys.
    """
    if content.startswith(_BINARY):
        return Metadata(None, ("is a zip archive or a pickle, not JSON",))
    try:
        value = parse_json(content)
    except NotStrict as exc:
        mend = ": save it as UTF-8, without a byte order mark" if "UTF-8" in str(exc) else ""
        return Metadata(None, (f"{exc}{mend}",))
    faults = []
    if required is not None:
        if not isinstance(value, dict):
            return Metadata(value, ("is not a JSON object",))
        faults += [_lacks(key) for key in required if key not in value]
    return Metadata(value, (*faults, *find_private(value)))


def _lacks(key: str) -> str:
    example = f": add it, such as {example_of_keys([key])[1:-1]}" if key in _EXAMPLES else ""
    return f"lacks the key '{key}'{example}"


def find_private(value: Any) -> list[str]:
    """Secrets and personal details in a JSON value: what is where, never the value."""
    found = []
    for place, secret_name, host_name, text in _texts(value):
        fault = _fault(text, secret_name, host_name)
        if fault:
            found.append(f"has {fault} under '{place}'")
    return found


def _fault(text: str, secret_name: str, host_name: bool) -> str:
    """Return what is private about *text*, below names that make it a secret or a host's name."""
    if _is_secret(text, secret_name):
        return "what looks like a secret"
    if _HOME.search(text):
        return "a path in a home directory"
    if host_name and not _PUBLIC_HOST.match(text):
        return "a host name"
    return ""


# Tokens that say what they are. W&B keys: 40 hex digits after a server's prefix, or the
# form since 2025; then OpenAI, Hugging Face, GitHub, GitLab, AWS, Slack, Google.
_TOKEN = re.compile(
    r"""
    \b (?:
        wandb_v\d+_ [\w-]{20,}
        | local-  [0-9a-f]{40}
        | sk- [\w-]{20,}
        | hf_ [A-Za-z0-9]{30,}
        | gh[pousr]_ [A-Za-z0-9]{30,}
        | github_pat_ \w{30,}
        | glpat- [\w-]{20,}
        | (?: AKIA | ASIA ) [0-9A-Z]{16}
        | xox[abprs]- [\w-]{10,}
        | AIza [\w-]{35}
        | eyJ [\w-]{8,256} \. [\w-]{8,8192} \. [\w-]{8}
    )
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY
    | :// [^/\s:@]+ : [^/\s:@]+ @
    """,
    re.VERBOSE,
)
_HOME = re.compile(
    r"""
    (?<! [\w.-] ) (?:
        / (?: home | Users ) / (?! Shared\b ) [^/\s]
        | /root (?: / | \Z )
        | [A-Za-z]: [\\/]+ Users [\\/]+ (?! Public\b ) [^\\/\s]
    )
    """,
    re.VERBOSE,
)
# A command line gives a key after its option or variable: api_key=..., --token ...
_ASSIGNED = re.compile(
    r"(?i)(?:key|token|secret|passwd|password)[\"']?(?:\s*[=:]\s*|\s+)[\"']?([\w+/.-]+)"
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_KEY_WORDS = frozenset({"key", "token", "auth", "authorization", "credential", "apikey"})
_PASSWORD_WORDS = frozenset({"password", "passwd", "secret", "passphrase"})
_HOST_NAMES = frozenset({"host", "hostname", "nodename", "fqdn"})
_PUBLIC_HOST = re.compile(
    r"(?i)(?:localhost|127\.0\.0\.1|0\.0\.0\.0|::1|auto|<.*>)?\Z|[a-z]+://|\$"
)
# Letters and digits that are not typed mixed like this: no word, no path, no number.
_LONG = re.compile(r"[A-Za-z0-9]{16,}")
# Of the place of a text; more of it would not be read, and each text has one.
_PLACE = 200
# What stands for a value: ${oc.env:KEY}, <your key>, ***
_PLACEHOLDER = re.compile(r"\$|<.*>\Z|\*+\Z|\s*\Z|(?i:null|none|redacted|xxx+)\Z")


def _is_secret(text: str, secret_name: str) -> bool:
    if _PLACEHOLDER.match(text):
        return False
    if _TOKEN.search(text) or (secret_name == "password" and text):
        return True
    if secret_name == "key":
        return any(_is_random(match[0]) for match in _LONG.finditer(text))
    return any(
        _LONG.fullmatch(match[1]) and _is_random(match[1]) for match in _ASSIGNED.finditer(text)
    )


def _is_random(text: str) -> bool:
    return not text.isalpha() and not text.isdigit()


def _kind_of_name(name: str) -> str:
    words = [word.lower().rstrip("s") or word for word in _WORD.findall(name)]
    if _PASSWORD_WORDS & set(words):
        return "password"
    return "key" if _KEY_WORDS & set(words) else ""


def _texts(value: Any) -> Iterator[tuple[str, str, bool, str]]:
    """Each text in *value*: its place, what a name above it makes it, and itself.

    A mapping's keys are texts, too; their place is that of the mapping.
    """
    waiting: list[tuple[Any, str, str, bool]] = [(value, "", "", False)]
    while waiting:
        item, place, secret_name, host_name = waiting.pop()
        if isinstance(item, str):
            yield place or "the top level", secret_name, host_name, item
        elif isinstance(item, list):
            waiting += [
                (part, f"{place[:_PLACE]}[{number}]", secret_name, host_name)
                for number, part in enumerate(item)
            ][::-1]
        elif isinstance(item, dict):
            children: list[tuple[Any, str, str, bool]] = []
            for name, part in item.items():
                private = bool(_fault(name, "", False))
                shown = "..." if private else name[:_PLACE]
                inner = f"{place[:_PLACE]}.{shown}" if place else shown
                if private:
                    children.append((name, inner, "", False))
                children.append(
                    (part, inner, _kind_of_name(name) or secret_name, name.lower() in _HOST_NAMES)
                )
            waiting += children[::-1]


REDACTED = "<redacted>"
_HOME_FOLDER = re.compile(
    r"(?<![\w.-])(?:/(?:home|Users)/(?!Shared\b)[^/\s]+|/root\b|[A-Za-z]:[\\/]+Users[\\/]+(?!Public\b)[^\\/\s]+)"
)


def without_private(value: Any, root: str) -> Any:
    """*value* without what :func:`find_private` finds in it.

    Paths below *root* become relative to it, home directories ``~``, and what JSON has
    no form for text.
    """
    return _without_private(value, root, "", False)


def _without_private(value: Any, root: str, secret_name: str, host_name: bool) -> Any:
    if isinstance(value, dict):
        return {
            _without_private(name, root, "", False): _without_private(
                part,
                root,
                _kind_of_name(name) or secret_name,
                name.lower() in _HOST_NAMES,
            )
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [_without_private(part, root, secret_name, host_name) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if not isinstance(value, str):
        return value
    # Half a surrogate pair has no UTF-8.
    whole = value.encode("utf-8", "replace").decode()
    text = _HOME_FOLDER.sub("~", whole.replace(f"{root}/", ""))
    return REDACTED if _fault(text, secret_name, host_name) else text
