"""Where a repository's own configuration tells Hydra and W&B to put their runs.

Hydra reads ``hydra.run.dir`` and ``hydra.sweep.dir`` from any of its YAML files, or
``run.dir`` and ``sweep.dir`` in one of a config group called ``hydra/``
(https://hydra.cc/docs/configure_hydra/workdir/), or from the command line. W&B puts
``wandb/`` below ``WANDB_DIR``, below the ``dir`` that ``wandb.init`` is given or the
``root_dir`` of its settings (wandb/sdk/wandb_settings.py), and Lightning's logger hands it
its ``save_dir`` (lightning/pytorch/loggers/wandb.py).
"""

from __future__ import annotations

import ast
import os
import posixpath
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import shown
from fx_hooks.util.strict_yaml import scalars

MAX_BYTES = 100_000  # configuration that a person wrote
_INTERPOLATION = re.compile(r"\$\{([^${}]*)\}")
# What stands for the folder that the repository is in.
_HERE = (
    "hydra:runtime.cwd", "hydra.runtime.cwd", "oc.env:PROJECT_ROOT", "oc.env:PWD", "PWD",
)  # fmt: skip
_SHELL_HERE = re.compile(r"(?:\$PWD|\$\{PWD\}|\$\(pwd\)|\$\(CURDIR\))(?=/)")
_PACKAGE = re.compile(rb"^#[ \t]*@package[ \t]+(\S+)", re.MULTILINE)
# Not `$WANDB_DIR` and `${WANDB_DIR:-x}`, which only read it.
_VALUE = (
    r"(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'"
    r"|(?P<bare>(?:\$\([^()]*\)|[^\s\"';#&|()])+))"
)
_WANDB_DIR = re.compile(
    r"(?<![\w$.{])WANDB_DIR[\"']?(?:\s*[:?]{0,3}=(?!=)\s*|:\s+|(?<=ENV WANDB_DIR)\s+)" + _VALUE
)
_OVERRIDE = re.compile(
    r"(?<![\w.])(?:(?P<quote>[\"'])hydra\.(?:run|sweep)\.dir=(?P<quoted>.*?)(?P=quote)"
    r"|hydra\.(?:run|sweep)\.dir=" + _VALUE + ")"
)
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_LOGGER, _LOGGER_FOLDERS = "WandbLogger", ("save_dir", "dir")
# The arguments that are folders, of what is called in Python.
_FOLDERS_OF = {
    "wandb.init": ("dir",),
    "wandb.Settings": ("root_dir",),
    _LOGGER: _LOGGER_FOLDERS,
}
_DEFAULT_RUN = "outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}"
_SHELL = (".env", ".envrc", "Makefile", "Dockerfile")
_YAML = (".yaml", ".yml")
# A value grows while its interpolations are answered; in a circle it would not end.
_MAX_LENGTH, _MAX_ROUNDS = 4096, 10

# Of each file by name: the value of each key, and its line.
_Settings: TypeAlias = dict[str, dict[str, tuple[str, int]]]


class RunDirectory(NamedTuple):
    """A folder for runs, relative to the root; ``setting`` says where that is written."""

    path: str
    tool: str
    setting: str


def may_say_something(name: str) -> bool:
    """Whether the file of that path is one that is looked into."""
    return name.endswith((*_YAML, ".py", ".sh", ".mk")) or posixpath.basename(name) in _SHELL


def run_directories(files: Mapping[str, bytes]) -> list[RunDirectory]:
    """What *files*, contents by path, say; each folder once."""
    settings = _all_settings(files)
    found: dict[str, RunDirectory] = {}

    def add(tool: str, value: str, name: str, line: int) -> None:
        path = _folder(value)
        if path:
            setting = f"{shown(os.fsencode(name))}:{line}"
            found.setdefault(path, RunDirectory(path, tool, setting))

    for name, values in settings.items():
        for key in ("hydra.run.dir", "hydra.sweep.dir"):
            if key in values:
                value, line = values[key]
                add("Hydra", _resolved(value, settings), name, line)
        for key, (target, _) in values.items():
            if key.endswith("_target_") and target.endswith(f".{_LOGGER}"):
                for argument in _LOGGER_FOLDERS:
                    value, line = values.get(key.removesuffix("_target_") + argument, ("", 0))
                    if value:
                        add("W&B", f"{_resolved(value, settings)}/wandb", name, line)
    for name, content in files.items():
        if name.endswith(".py"):
            for value, line in _in_python(content):
                add("W&B", f"{value}/wandb", name, line)
            continue
        for line, text in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
            code = _COMMENT.sub("", text)
            for match in _WANDB_DIR.finditer(code):
                add("W&B", f"{_value(match)}/wandb", name, line)
            for match in _OVERRIDE.finditer(code) if name not in settings else ():
                add("Hydra", _resolved(_value(match), settings), name, line)
    return list(found.values())


def run_patterns(files: Mapping[str, bytes]) -> list[re.Pattern[bytes]]:
    """What the paths of single runs look like, after ``run.dir`` and Hydra's own default.

    An interpolation that has no answer here stands for one part of a path or of its name.
    """
    settings = _all_settings(files)
    found = {_DEFAULT_RUN}
    for values in settings.values():
        if "hydra.run.dir" in values:
            found.add(_resolved(values["hydra.run.dir"][0], settings))
    patterns = [_path_pattern(value) for value in sorted(found) if _folder(value)]
    return [re.compile(os.fsencode(pattern), re.DOTALL) for pattern in patterns]


def _path_pattern(value: str) -> str:
    def part(match: re.Match[str]) -> str:
        if not match[1].startswith("now:"):
            return "\0any\0"
        return re.sub("%.", "\0digits\0", match[1][len("now:") :])

    path = posixpath.normpath(_INTERPOLATION.sub(part, value))
    return re.escape(path).replace("\0any\0", "[^/]+").replace("\0digits\0", r"\w+")


def _all_settings(files: Mapping[str, bytes]) -> _Settings:
    return {
        name: _settings(content, name) for name, content in files.items() if name.endswith(_YAML)
    }


def _settings(content: bytes, name: str) -> dict[str, tuple[str, int]]:
    try:
        found = {key: (value, line) for key, value, line in scalars(content, name)}
    except FatalError:
        return {}  # it is somebody else's file, and may be a template
    package = _package(content, name)
    if package:
        found.update({f"{package}.{key}": value for key, value in found.items()})
    return found


def _package(content: bytes, name: str) -> str:
    """Where Hydra puts what the file says, as far as it is about Hydra itself."""
    folders = posixpath.dirname(name).split("/")
    group = ".".join(folders[folders.index("hydra") :]) if "hydra" in folders else ""
    header = _PACKAGE.search(content)
    if header is None:
        return group
    package = header[1].decode("utf-8", "replace")
    return group if package == "_group_" else package.removeprefix("_global_").lstrip(".")


def _in_python(content: bytes) -> Iterator[tuple[str, int]]:
    """The folders that Python code gives W&B as plain text, with their lines."""
    if b"wandb" not in content.lower():
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape is none of our business
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # it may be a template, or for another Python
    for node in ast.walk(tree):
        values: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            name = _called(node.func)
            folders = _FOLDERS_OF.get(name) or _FOLDERS_OF.get(name.rpartition(".")[2], ())
            values = [word.value for word in node.keywords if word.arg in folders]
            if name.endswith((".setdefault", ".putenv")) and _is_name(node.args[:1]):
                values = list(node.args[1:2])
        elif isinstance(node, ast.Assign):
            targets = [target for target in node.targets if isinstance(target, ast.Subscript)]
            values = [node.value] * any(_is_name([target.slice]) for target in targets)
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            values = [value for key, value in pairs if _is_name([key])]
        for value in values:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value, value.lineno


def _called(function: ast.expr) -> str:
    """The last name of *function*, and what it is taken from if that is a name."""
    if isinstance(function, ast.Attribute):
        of = function.value.id if isinstance(function.value, ast.Name) else ""
        return f"{of}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def _is_name(nodes: list[ast.expr | None] | list[ast.expr]) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == "WANDB_DIR" for node in nodes)


def _value(match: re.Match[str]) -> str:
    """What a shell or make hands on."""
    found = match.groupdict()
    found.pop("quote", None)
    text = next(text for text in found.values() if text is not None)
    return _SHELL_HERE.sub(".", text.replace("\\", ""))


def _resolved(value: str, settings: _Settings) -> str:
    """*value* with the interpolations that config groups of the same name answer."""

    def answer(match: re.Match[str]) -> str:
        name, comma, default = (part.strip() for part in match[1].partition(","))
        if name in _HERE:
            return "."
        if name.startswith("oc.env:"):
            return default.strip("\"'") if comma else match[0]
        group, _, key = name.partition(".")
        for file, values in settings.items():
            known = values.get(name)
            if known is None and group == posixpath.basename(posixpath.dirname(file)):
                known = values.get(key)
            if known is not None:
                return known[0]
        return match[0]

    for _ in range(_MAX_ROUNDS):
        further = _INTERPOLATION.sub(answer, value)
        if further == value or len(further) > _MAX_LENGTH:
            break
        value = further
    return value


def _folder(value: str) -> str:
    """The folder of the repository that all of *value* lies in; empty if there is none."""
    start, dollar, _ = value.partition("$")
    path = posixpath.normpath(start[: start.rfind("/") + 1] if dollar else start)
    if path in (".", "") or path.startswith(("/", "..", "~")):
        return ""
    # What is no UTF-8 was read by guessing.
    odd = not path.isprintable() or "\ufffd" in path
    return "" if odd else path
