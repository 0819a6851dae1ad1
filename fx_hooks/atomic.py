"""Writing a file so that nobody ever sees half of it."""

import os


def replace_file(path: "str | bytes", data: bytes, mode: int) -> None:
    """Put *data* at *path* in one step, with *mode* as its permissions.

    It is written beside *path* under a name of this process and moved into place. Raises
    :class:`OSError`, and then leaves nothing behind.
    """
    temporary = os.fsencode(path) + b".%d" % os.getpid()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
