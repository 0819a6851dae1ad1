"""One command at a time, among those that choose models and those that delete runs."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from fx_hooks.git.repository import Repository
from fx_hooks.util import files
from fx_hooks.util.errors import FatalError

NAME = b"fx-hooks.lock"


@contextlib.contextmanager
def alone(git_directory: bytes | None = None) -> Iterator[None]:
    """Hold the lock of the repository whose work trees share *git_directory*.

    That is the one that we are in, if none is given. Raises
    :class:`~fx_hooks.util.errors.FatalError` where another process holds it.
    """
    folder = Repository().common_directory() if git_directory is None else git_directory
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.locked(os.path.join(folder, NAME)))
        except TimeoutError as exc:
            raise FatalError(
                "another fx-hooks command has been at work for a minute: try again when it is done"
            ) from exc
        except OSError as exc:
            # Where nothing can be written, no other process can be at work.
            if exc.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
                raise FatalError(
                    f"the lock of the repository cannot be taken: {exc.strerror}"
                ) from exc
        yield
