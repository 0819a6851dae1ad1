"""Calls of git without :mod:`subprocess`, whose import costs more than a call."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader

# A partial clone lacks objects, and git before 2.39.4 fetches them in spite of GIT_NO_LAZY_FETCH,
# unless no protocol is allowed.
OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
# Neither `git replace` nor grafts change what a commit holds, and what a push sends.
AS_PUSHED = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}
# What every git call has in its environment: English messages, no fetching, no locks, objects as
# they are, and paths that mean what they always mean.
QUIET = {
    "LC_ALL": "C",
    **OFFLINE,
    **AS_PUSHED,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "0",
    "GIT_GLOB_PATHSPECS": "0",
    "GIT_NOGLOB_PATHSPECS": "0",
    "GIT_ICASE_PATHSPECS": "0",
}
# A question starts no program that the repository's configuration names.
ASKING = ("-c", "core.fsmonitor=false")
# What is said first of an old side and a new one: a name that is a tag and a branch. What a merge
# brings in is not for the configuration to leave out, and `-m` means what it sets (git 2.32).
_IN_FULL = (
    "-c", "advice.graftFileDeprecated=false", "-c", "core.warnAmbiguousRefs=true",
    "-c", "log.diffMerges=separate",
)  # fmt: skip
_PIECE = 1 << 14  # bytes that are looked at first, then twice as many, and so on
_TERMINATE = 15  # the number of SIGTERM, for which signal would be imported


def output(
    *arguments: str,
    in_full: bool = False,
    stdin: bytes = b"",
    enough: "Callable[[bytes], bool] | None" = None,
) -> "bytes | None":
    """Return what ``git``, given *stdin*, prints; None if it fails or cannot be started.

    With *enough* each piece of it is looked at as it comes, and git is stopped where that says so.
    With *in_full* no setting shortens it, and what git complains of comes first. Where there is
    no answer, the caller asks :mod:`fx_hooks.git.repository`, which says what is wrong.
    """
    with Call(*arguments, in_full=in_full, stdin=stdin) as call:
        return call.output(enough)


def sizes_of(blobs: "list[bytes]") -> "list[int] | None":
    """Return the size of each of *blobs*, ids in hexadecimal; None unless git knows all."""
    option = "--batch-check=%(objectsize)"
    said = output("cat-file", "--buffer", option, in_full=True, stdin=b"\n".join(blobs))
    lines = [] if said is None else said.split()
    # What is not in this clone has no size.
    if len(lines) != len(blobs) or not all(map(bytes.isdigit, lines)):
        return None
    return list(map(int, lines))


class Call:
    """A call of git, as :func:`output` makes it, that runs while the caller does something else.

    Leaving it stops git, unless its output was read.
    """

    __slots__ = ("_process", "_stream")

    def __init__(self, *arguments: str, in_full: bool = False, stdin: bytes = b"") -> None:
        self._process = 0
        self._stream: BufferedReader | None = None
        if sys.platform == "win32" or not hasattr(os, "posix_spawnp"):
            return
        questions = in_memory(stdin) if stdin else None
        if stdin and questions is None:
            return
        reading, writing = os.pipe()
        try:
            self._process = os.posix_spawnp(
                "git",
                ("git", *ASKING, *(_IN_FULL if in_full else ()), *arguments),
                {**os.environ, **QUIET},
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, questions, 0)
                    if questions is not None
                    else (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, writing, 1),
                    (os.POSIX_SPAWN_DUP2, writing, 2)
                    if in_full
                    else (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ),
            )
        except OSError:
            os.close(reading)
            return
        finally:
            os.close(writing)
            if questions is not None:
                os.close(questions)
        self._stream = open(reading, "rb")  # noqa: SIM115 (output closes it)

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None and not self._stream.closed:
            _stop(self._process)
            self.output()

    def output(self, enough: "Callable[[bytes], bool] | None" = None) -> "bytes | None":
        """Return what git prints; None if it fails, or could not be started."""
        if self._stream is None:
            return None
        with self._stream as stream:
            data = stream.read() if enough is None else _until(enough, stream, self._process)
        try:
            _, status = os.waitpid(self._process, 0)
        except ChildProcessError:
            return None  # whoever started us ignores SIGCHLD, so its exit code is lost
        return data if status == 0 else None


def in_memory(content: bytes) -> "int | None":
    """Return the descriptor of a file with *content*: a pipe could fill before git has read it."""
    if sys.platform != "linux" or not hasattr(os, "memfd_create"):
        return None
    try:
        descriptor = os.memfd_create("questions")
    except OSError:
        return None
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _until(enough: "Callable[[bytes], bool]", stream: "BufferedReader", process: int) -> bytes:
    pieces = []
    size = _PIECE
    while piece := stream.read(size):
        pieces.append(piece)
        size *= 2
        if enough(piece):
            _stop(process)
            break
    return b"".join(pieces)


def _stop(process: int) -> None:
    try:
        os.kill(process, _TERMINATE)
    except OSError:
        return  # it has ended, and whoever started us ignores SIGCHLD, so nothing is left of it
