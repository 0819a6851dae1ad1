"""A repository's own configuration: what its files say of the folders that runs go to.

YAML is read as Hydra composes it (https://hydra.cc/docs/advanced/overriding_packages/), with
the interpolations of OmegaConf that the files answer; shell, make and Python are searched for
plain text. Each tool looks up its own keys.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from fx_hooks.util.errors import FatalError

MAX_BYTES = 100_000  # configuration that a person wrote
# Text that a shell, make or Docker hands on, quoted or not.
VALUE = (
    r"(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'"
    r"|(?P<bare>(?:\$\([^()]*\)|[^\s\"';#&|()])+))"
)
INTERPOLATION = re.compile(r"\$\{([^${}]*)\}")
# What stands for the folder that the repository is in.
_HERE = (
    "hydra:runtime.cwd", "hydra.runtime.cwd", "oc.env:PROJECT_ROOT", "oc.env:PWD", "PWD",
)  # fmt: skip
_SHELL_HERE = re.compile(r"(?:\$PWD|\$\{PWD\}|\$\(pwd\)|\$\(CURDIR\))(?=/)")
_PACKAGE = re.compile(rb"^#[ \t]*@package[ \t]+(\S+)", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_SHELL = (".env", ".envrc", "Makefile", "Dockerfile")
_YAML = (".yaml", ".yml")
# A value grows while its interpolations are answered; in a circle it would not end.
_MAX_LENGTH, _MAX_ROUNDS = 4096, 10

# Of each file by name: the value of each key, and its line.
_Settings: TypeAlias = dict[str, dict[str, tuple[str, int]]]


def is_configuration(name: str) -> bool:
    """Return whether the file of that path is one that is looked into."""
    return name.endswith((*_YAML, ".py", ".sh", ".mk")) or posixpath.basename(name) in _SHELL


class Configuration:
    """The files of a repository, contents by path, of which any may be configuration."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.settings = _all_settings(files)
        self._answers: dict[str, str | None] = {}

    def lines(self, word: str) -> Iterator[tuple[str, int, str]]:
        """Yield the lines with *word* of what is not Python: file, number, text without comment."""
        for name, content in self.files.items():
            if not name.endswith(".py") and word.encode() in content:
                text = content.decode("utf-8", "replace")
                for line, each in enumerate(text.split("\n"), 1):
                    if word in each:
                        yield name, line, _COMMENT.sub("", each)

    def resolved(self, value: str) -> str:
        """Return *value* with the interpolations that config groups of the same name answer."""

        def answer(match: re.Match[str]) -> str:
            name, comma, default = (part.strip() for part in match[1].partition(","))
            if name in _HERE:
                return "."
            if name.startswith("oc.env:"):
                return default.strip("\"'") if comma else match[0]
            if name not in self._answers:
                self._answers[name] = self._answer(name)
            known = self._answers[name]
            return match[0] if known is None else known

        for _ in range(_MAX_ROUNDS if len(value) <= _MAX_LENGTH else 0):
            further = INTERPOLATION.sub(answer, value)
            if further == value or len(further) > _MAX_LENGTH:
                break
            value = further
        return value

    def _answer(self, name: str) -> str | None:
        group, _, key = name.partition(".")
        for file, values in self.settings.items():
            known = values.get(name)
            if known is None and group == posixpath.basename(posixpath.dirname(file)):
                known = values.get(key)
            if known is not None:
                return known[0]
        return None


def value_of(match: re.Match[str]) -> str:
    """Return what :data:`VALUE` matched, as a shell or make hands it on."""
    found = match.groupdict()
    found.pop("quote", None)
    text = next(text for text in found.values() if text is not None)
    return _SHELL_HERE.sub(".", text.replace("\\", ""))


def _all_settings(files: Mapping[str, bytes]) -> _Settings:
    return {
        name: _settings(content, name) for name, content in files.items() if name.endswith(_YAML)
    }


def _settings(content: bytes, name: str) -> dict[str, tuple[str, int]]:
    from fx_hooks.util.strict_yaml import scalars  # slow to load

    try:
        found = {key: (value, line) for key, value, line in scalars(content, name)}
    except FatalError:
        return {}  # it is another user's file, and may be a template
    package = _package(content, name)
    if package:
        found.update({f"{package}.{key}": value for key, value in found.items()})
    return found


def _package(content: bytes, name: str) -> str:
    """Return where Hydra puts what the file says, as far as it is about Hydra itself."""
    folders = posixpath.dirname(name).split("/")
    group = ".".join(folders[folders.index("hydra") :]) if "hydra" in folders else ""
    header = _PACKAGE.search(content)
    if header is None:
        return group
    package = header[1].decode("utf-8", "replace")
    return group if package == "_group_" else package.removeprefix("_global_").lstrip(".")


def folder_of(value: str) -> str:
    """Return the folder of the repository that all of *value* lies in; empty without one."""
    start, dollar, _ = value.partition("$")
    path = posixpath.normpath(start[: start.rfind("/") + 1] if dollar else start)
    if path in (".", "") or path.startswith(("/", "..", "~")):
        return ""
    # What is not UTF-8 was read by guessing.
    odd = not path.isprintable() or "\ufffd" in path
    return "" if odd else path
