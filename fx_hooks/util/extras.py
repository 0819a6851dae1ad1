"""The commands that install what is missing, where these commands were installed themselves."""

from __future__ import annotations

import os
import re
import sys

from fx_hooks import __version__

_ADDRESS = "git+https://github.com/fx-hooks/fx-hooks"
# By the file that it leaves in an environment of its own.
_INSTALLERS = {"pipx_metadata.json": "pipx install", "uv-receipt.toml": "uv tool install"}
_FOR_DEVELOPERS = ("test", "docs")


def install_command(extra: str) -> str:
    """Return the command that installs this version with *extra*: no package index has it yet."""
    install = _installer()
    if install == "pip install":
        extras = [extra]
    else:
        # It makes the environment anew.
        install += " --force"
        extras = sorted({extra, *_installed_extras()})
    return f"{install} 'fx-hooks[{','.join(extras)}] @ {_ADDRESS}@v{__version__}'"


def install_program(package: str) -> str:
    """Return the command that installs the program of a *package*."""
    return f"{_installer()} {package}"


def _installer() -> str:
    for name, command in _INSTALLERS.items():
        if os.path.isfile(os.path.join(sys.prefix, name)):
            return command
    return "pip install"


def _installed_extras() -> list[str]:
    """Return the extras of which each package is there."""
    from importlib import metadata  # which takes long

    wanted: dict[str, list[str]] = {}
    try:
        for line in metadata.requires("fx-hooks") or ():
            match = re.match(r"([\w.-]+).*\bextra == [\"']([\w-]+)", line)
            if match is not None:
                wanted.setdefault(match[2], []).append(match[1])
    except metadata.PackageNotFoundError:
        return []
    names = {one.metadata["Name"].lower() for one in metadata.distributions()}
    return [
        extra for extra, packages in wanted.items()
        if extra not in _FOR_DEVELOPERS and names.issuperset(map(str.lower, packages))
    ]  # fmt: skip
