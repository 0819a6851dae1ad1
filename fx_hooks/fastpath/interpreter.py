"""The interpreter of a command: only installed modules, and UTF-8 whatever the locale."""

import os
import sys


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
