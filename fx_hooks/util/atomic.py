"""Writing a file so that nobody ever sees half of it."""

import os


def replace_file(path: "str | bytes", data: bytes, mode: int) -> None:
    """Put *data* at *path* in one step, with *mode* as its permissions.

    It is written beside *path* under a name of this process and moved into place. Raises
    :class:`OSError`. Whatever ends it, nothing is left behind.
    """
    temporary = os.fsencode(path) + b".%d" % os.getpid()
    options = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(temporary, options, mode)
    except FileExistsError:
        # A process of this number was killed here.
        os.unlink(temporary)
        descriptor = os.open(temporary, options, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        try:  # noqa: SIM105
            os.unlink(temporary)
        except OSError:
            pass  # it was interrupted when all was done
        raise
