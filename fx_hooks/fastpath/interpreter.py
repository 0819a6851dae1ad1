"""The interpreter of a command: only installed modules, UTF-8 whatever the locale, a quick end."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_paused = False  # that garbage is looked for


def begin() -> None:
    """Prepare a process that is a command's own.

    The fast path and all imports leave no garbage, and to look for it takes a twentieth of a
    refusal.
    """
    global _paused
    import gc

    if gc.isenabled():
        gc.disable()
        _paused = True
    leave_out_users_modules()


def go_on() -> None:
    """Look for garbage again, but for what there is by now: a command may work for long."""
    if _paused:
        import gc

        gc.freeze()
        # A report holds hundreds of thousands of objects, none of them garbage. To look through
        # them after every 700 new ones, as Python does, took a tenth of its time.
        gc.set_threshold(100_000)
        gc.enable()


def leave_out_users_modules() -> None:
    """Take ``PYTHONPATH`` and the current folder off the path of imports.

    A ``types.py`` of the user's would otherwise be ours. The entry that this package was loaded
    from stays, and so does what belongs to the interpreter.
    """
    try:
        here = os.getcwd()
    except OSError:
        here = ""
    named = os.environ.get("PYTHONPATH", "") if not sys.flags.ignore_environment else ""
    unwanted = {"", here}
    if named:
        unwanted.update(map(os.path.abspath, named.split(os.pathsep)), named.split(os.pathsep))
        site = sys.modules.get("site")
        installed = [] if site is None else [*site.getsitepackages(), site.USER_SITE]
        unwanted.difference_update(installed, (os.path.dirname(os.__file__),))
    # This file is three levels below the entry.
    unwanted.discard(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    kept = [entry for entry in sys.path if entry not in unwanted]
    if len(kept) == len(sys.path):
        return
    sys.path[:] = kept
    folders = {folder for folder in unwanted if folder}
    for name, module in list(sys.modules.items()):
        # Loaded before our first line: what is imported next gets the real one.
        place = getattr(module, "__file__", None)
        if place and name in sys.stdlib_module_names and os.path.dirname(place) in folders:
            del sys.modules[name]


def speak_utf8() -> None:
    """Start again in UTF-8 mode if the locale has another encoding for names.

    What a repository holds is UTF-8 on every machine; the encoding of the terminal stays.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.name != "posix" or not sys.executable:
        return
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    os.execv(sys.executable, (sys.executable, "-X", "utf8", *sys.orig_argv[1:]))


def end(code: int) -> "NoReturn":
    """End the process of a command with *code*, at once if nobody waits for its end.

    The interpreter would first take apart what the process gives back as a whole: that lasts a
    fifth as long as to start one. Callbacks, threads, ``python -i``, and whoever runs the script in
    a program of his own, as profilers do, are waited for.
    """
    try:
        import atexit

        if (
            # The script's file, which has called the function that calls this one.
            sys._getframe(2).f_back is None
            and atexit._ncallbacks() == 0
            and "threading" not in sys.modules
            and not sys.flags.inspect
        ):
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(code)
    except (OSError, ValueError):
        pass  # what is closed, or takes no more, is for the interpreter to complain of
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
