"""The places where a configuration tells W&B to put its runs.

W&B puts ``wandb/`` below ``WANDB_DIR``, below the ``dir`` that ``wandb.init`` is given or the
``root_dir`` of its settings (wandb/sdk/wandb_settings.py), and Lightning's logger hands it
its ``save_dir`` (lightning/pytorch/loggers/wandb.py).
"""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fx_hooks.frameworks.configuration import VALUE, folder_of, value_of
from fx_hooks.frameworks.framework import RunDirectory
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.frameworks.configuration import Configuration

# Not `$WANDB_DIR` and `${WANDB_DIR:-x}`, which only read it.
_WANDB_DIR = re.compile(
    r"(?<![\w$.{])WANDB_DIR[\"']?(?:\s*[:?]{0,3}=(?!=)\s*|:\s+|(?<=ENV WANDB_DIR)\s+)" + VALUE
)
_LOGGER, _LOGGER_FOLDERS = "WandbLogger", ("save_dir", "dir")
# The arguments that are folders, of what is called in Python.
_FOLDERS_OF = {
    "wandb.init": ("dir",),
    "wandb.Settings": ("root_dir",),
    _LOGGER: _LOGGER_FOLDERS,
}


_SAYS_A_FOLDER = re.compile(rb"WANDB_DIR|dir\s*=")
_MOST_PYTHON = 300_000


def output_folders(configuration: Configuration) -> Iterator[RunDirectory]:
    """Yield the folders that YAML files, Python code, shell scripts and the like name."""
    for name, values in configuration.settings.items():
        for key, (target, _) in values.items():
            if key.endswith("_target_") and target.endswith(f".{_LOGGER}"):
                for argument in _LOGGER_FOLDERS:
                    value, line = values.get(key.removesuffix("_target_") + argument, ("", 0))
                    if value:
                        yield from _directory(configuration.resolved(value), name, line)
    for name, content in _python_files(configuration):
        for value, line in _in_python(content):
            yield from _directory(value, name, line)
    for name, line, text in configuration.lines("WANDB_DIR"):
        for match in _WANDB_DIR.finditer(text):
            yield from _directory(value_of(match), name, line)


def _python_files(configuration: Configuration) -> Iterator[tuple[str, bytes]]:
    """Yield the Python files that may say a folder, the small ones first, as far as they may cost.

    Python's own parser takes a second for 100 KB that somebody has made for it.
    """
    found = [
        (name, content)
        for name, content in configuration.files.items()
        if name.endswith(".py") and b"wandb" in content.lower() and _SAYS_A_FOLDER.search(content)
    ]
    left = _MOST_PYTHON
    for name, content in sorted(found, key=lambda item: len(item[1])):
        left -= len(content)
        if left < 0:
            return
        yield name, content


def _directory(value: str, name: str, line: int) -> Iterator[RunDirectory]:
    path = folder_of(f"{value}/wandb")
    if path:
        yield RunDirectory(path, "W&B", f"{shown(os.fsencode(name))}:{line}")


def _in_python(content: bytes) -> Iterator[tuple[str, int]]:
    """Yield the folders that Python code gives W&B as plain text, with their lines."""
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
    """Return the last name of *function*, and what it is taken from if that is a name."""
    if isinstance(function, ast.Attribute):
        of = function.value.id if isinstance(function.value, ast.Name) else ""
        return f"{of}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def _is_name(nodes: list[ast.expr | None] | list[ast.expr]) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == "WANDB_DIR" for node in nodes)
