"""The command that installs an extra: there is no package index yet."""

from __future__ import annotations

from fx_hooks import __version__

_ADDRESS = "git+https://github.com/fx-hooks/fx-hooks"


def install_command(extra: str) -> str:
    """Return the command that installs this version with *extra*."""
    return f"pip install 'fx-hooks[{extra}] @ {_ADDRESS}@v{__version__}'"
