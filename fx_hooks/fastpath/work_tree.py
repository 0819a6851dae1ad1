"""The current work tree: its git directory, policy file, tables, and what is on disk in it."""

import os

from fx_hooks.fastpath import POLICY, table_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

ATTRIBUTES = b".gitattributes"
_LISTED = 50  # names in a folder, beyond which to look for each takes less time
_LONG = 1 << 16  # bytes of a configuration, more than a person writes
# Where git looks that Linux distributions, Homebrew and its own Makefile build.
_SYSTEM = ("/etc", "/opt/homebrew/etc", "/usr/local/etc")


def find_git_directory() -> "str | None":
    """Return the git directory, if the current directory is plainly a work tree's root."""
    if "GIT_WORK_TREE" in os.environ:
        return None
    given = os.environ.get("GIT_DIR")
    if given:
        return given if os.path.lexists(".git") and _is_of_this_folder(given) else None
    try:
        with open(".git/config", "rb") as file:
            config = file.read()
    except NotADirectoryError:
        return _linked_git_directory()
    except OSError:
        return None
    # git goes on above a folder without it.
    return ".git" if os.path.lexists(".git/HEAD") and _is_here(".git", config) else None


def _linked_git_directory() -> "str | None":
    """Return the directory that the ``.git`` file of a work tree or submodule points to."""
    try:
        with open(".git", encoding="utf-8", errors="surrogateescape") as file:
            head, _, path = file.read(4096).partition("gitdir: ")
    except OSError:
        return None
    path = path.rstrip("\n")
    return path if path and not head and _is_of_this_folder(path) else None


def _is_of_this_folder(git_directory: str) -> bool:
    """Return True if the files of the work tree of *git_directory* surely are here."""
    try:
        with open(f"{git_directory}/config", "rb") as file:
            return _is_here(git_directory, file.read())
    except FileNotFoundError:
        # Of a linked work tree; core.worktree of the repository is not about it.
        return _is_here(git_directory, b"worktreeconfig")
    except OSError:
        return False


def _is_here(git_directory: str, config: bytes) -> bool:
    """Return False unless *config* leaves the files here: core.worktree and core.bare do not."""
    lower = config.lower()
    if b"worktreeconfig" in lower:
        lower = lower.replace(b"worktreeconfig", b"")
        try:
            with open(f"{git_directory}/config.worktree", "rb") as file:
                lower += file.read().lower()
        except FileNotFoundError:
            pass
        except OSError:
            return False
    if b"bare" in lower.replace(b"bare = false", b""):
        return False
    if b"worktree" not in lower:
        return True
    # Each submodule has one, written by git, and it leads back.
    _, *found = config.split(b"\n\tworktree = ")
    if len(found) != 1 or lower.count(b"worktree") != 1:
        return False
    place = os.path.join(os.fsencode(git_directory), found[0].partition(b"\n")[0])
    try:
        return os.path.samefile(place, b".")
    except OSError:
        return False


def kept_tables(git_directory: str) -> "tuple[bytes | None, table_cache.Content | None]":
    """Return the policy file on disk and its cached tables; None for each that is not there."""
    policy = read_policy()
    key = table_cache.cache_key(policy)
    content: table_cache.Content | None
    content = table_cache.read(table_cache.places(git_directory, key), key)
    return policy, content


def read_policy() -> "bytes | None":
    """Return the bytes of the policy file on disk, or None."""
    try:
        if os.stat(POLICY).st_mode & 0o170000 == 0o100000:
            with open(POLICY, "rb") as file:
                return file.read(table_cache.MAX_BYTES)
    except OSError:
        if not os.path.lexists(POLICY):
            return None
    # What is there and cannot be read matches no tables that were ever kept.
    return b"\0"


class Disk:
    """The files on disk. Of a small folder one look tells all names."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        """Know nothing yet."""
        self._names: dict[bytes, frozenset[bytes] | None] = {}

    def has_any(self, folders: "Iterable[bytes]", tails: "Collection[bytes]") -> bool:
        """Return True if one of *folders* has one of the paths *tails* in it."""
        heads = frozenset([tail.partition(b"/")[0].lower() for tail in tails])
        for folder in folders:
            if folder not in self._names:
                self._names[folder] = _names_in(folder or b".")
            names = self._names[folder]
            if names is None or not names.isdisjoint(heads):
                before = folder + b"/" if folder else b""
                if any(os.path.lexists(before + tail) for tail in tails):
                    return True
        return False

    def may_have(self, path: bytes) -> bool:
        """Return False if a look into the folder of *path* has not shown it."""
        folder, _, name = path.rpartition(b"/")
        names = self._names.get(folder)
        return names is None or name.lower() in names


def _names_in(folder: bytes) -> "frozenset[bytes] | None":
    """Return the names in *folder*, in small letters; None if there are many, or no answer.

    In what letters a name is asked for does not matter to every file system.
    """
    names = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.add(entry.name.lower())
                if len(names) > _LISTED:
                    return None
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        return None
    return frozenset(names)


def has_other_attributes(git_directory: str) -> bool:
    """Return True unless surely no attributes count besides the files of the work tree.

    gitattributes(5) says where they are; any configuration may name one more place.
    """
    environ = os.environ
    given = environ.get("GIT_CONFIG_PARAMETERS", "").lower()
    if "attr" in given or "include" in given:
        return True
    if "GIT_ATTR_SOURCE" in environ or "GIT_CONFIG_COUNT" in environ:
        return True
    # A linked work tree has its own where the repository is; elsewhere that is a needless look.
    own = [os.path.join(git_directory, above) for above in ("", "../..")]
    home = environ.get("HOME")
    users = environ.get("XDG_CONFIG_HOME") or (home and home + "/.config")
    attributes = [folder + "/info/attributes" for folder in own]
    attributes += [folder + "/gitattributes" for folder in _SYSTEM]
    configurations = [folder + "/config" for folder in own]
    configurations.append(os.path.join(git_directory, "config.worktree"))
    # git before 2.32 knows none of the two variables, and reads the usual files.
    configurations += [folder + "/gitconfig" for folder in _SYSTEM]
    for name in ("GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL"):
        if name in environ:
            configurations.append(environ[name])
    if users:
        attributes.append(users + "/git/attributes")
        configurations.append(users + "/git/config")
    if home:
        configurations.append(home + "/.gitconfig")
    return any(map(os.path.lexists, attributes)) or any(map(_names_attributes, configurations))


def _names_attributes(configuration: str) -> bool:
    """Return True if the file *configuration* names a file of attributes, or other files."""
    try:
        descriptor = os.open(configuration, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        text = os.read(descriptor, _LONG).lower()
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return len(text) == _LONG or b"attr" in text or b"[include" in text
