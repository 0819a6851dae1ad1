"""Proves that a plain range of commits brings in nothing.

Two git calls say nearly all of it: ``ls-tree`` the policy, the milestones and the runs that the
new tip has, ``log`` what its commits bring in; of many files a third one says how large they are.
A range is plain if it is said by its two ends, the tip has the policy whose tables a commit has
left behind, and no commit touches an artifact (be it to delete it), a milestone or the policy. A
thousand commits then cost little more than git's own walk, in place of some five times as much.
"""

import os

from fx_hooks.fastpath import POLICY, fast_git
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.fastpath.unnamed_weights import LARGE, least_size, may_be_one
from fx_hooks.fastpath.work_tree import find_git_directory, kept_tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fx_hooks.fastpath.projects import Judge
    from fx_hooks.fastpath.table_cache import Content

# Said in full: each of these can be set otherwise, and would hide something.
LOG = (
    "log", "--full-history", "--raw", "-z", "--root", "--no-abbrev",
    "--no-renames", "--no-relative", "--no-notes", "--no-show-signature",
    "--ignore-submodules=none", "-O/dev/null",
)  # fmt: skip
_SUBMODULE = b" 160000 "
_FEW = 50  # files to look into here, in place of asking git how large they are


def proven_clean(arguments: "list[str]") -> bool:
    """Return True if ``fx-check-range`` with *arguments* has nothing to say.

    True is certain; False means that the command has to look closely.
    """
    ends = _ends(arguments)
    git_directory = find_git_directory()
    if ends is None or git_directory is None or "GIT_SHALLOW_FILE" in os.environ:
        return False
    # A linked work tree has this elsewhere; a shallow clone lacks commits.
    for name in ("commondir", "shallow"):
        if os.path.lexists(os.path.join(git_directory, name)):
            return False
    policy, content = kept_tables(git_directory)
    if content is None:
        return False
    tables, marks, _, milestones, _, projects, _ = content
    old, new = ends
    # A merge against each of its parents (-m): that shows more than it brings in, but also what
    # it took away, so that a folder that was a run in one commit alone is not missed.
    judge: Judge | Matcher = Matcher(tables)
    tree = None
    # It lists the tip on another core, while the log is judged here.
    with fast_git.Call("ls-tree", "-r", "-z", "--full-tree", new, "--", in_full=True) as listing:
        if projects is not None:
            from fx_hooks.fastpath import projects as of_projects

            tip = tree = _tree_with_policy(listing, policy, content)
            if tip is None:
                return False
            judge = of_projects.Judge(
                projects, tables, marks, lambda path, blob: _has(tip, path, blob)
            )
        first = _First(judge)
        options = ("-m", "--format=", new, *old, "--")
        log = fast_git.output(*LOG, *options, in_full=True, enough=first.blocked)
        if first.found or log is None or log[:1] not in (b"", b":") or _SUBMODULE in log:
            return False
        if arguments and not log:
            return False  # there may be no commits in it, which was not meant
        tree = _tree_with_policy(listing, policy, content) if tree is None else tree
    if tree is None:
        return False
    paths = list(first.numbers)
    if isinstance(judge, Matcher):
        folder = milestones.rpartition(b"/")[0] + b"/"
        places = [(marks, judge.directories(), folder)]
    else:
        places = judge.places()
    # What makes a folder a run, and what says how to judge.
    every = dict.fromkeys([mark for found, _, _ in places for mark in found])
    plain_marks = [mark[2:] if mark.startswith(b"*/") else mark for mark in every]
    watched = (*plain_marks, POLICY, milestones)
    if any(path.endswith(watched) for path in paths):
        return False
    # The content counts of what is in a folder of chosen models.
    chosen = tuple([folder for _, _, folder in places])
    if any(path.startswith(chosen) for path in paths):
        return False
    undecided = frozenset([path for path, number in first.numbers.items() if number < 0])
    if not _without_weights(log, undecided, git_directory):
        return False
    names = {entry.rpartition(b"/")[2] for entry in tree.split(b"\0")}
    for found, directories, _ in places:
        if any(name.endswith((b"/outputs", b"/multirun", b"/logs")) for name in directories):
            return False  # with a run in it, all that is in such a folder may be refused
        there = [mark for mark in found if mark.rpartition(b"/")[2] in names]
        if any(_has_run(directories, b"/" + mark, tree) for mark in there):
            return False
    return True


def _tree_with_policy(
    listing: fast_git.Call, policy: "bytes | None", content: "Content"
) -> "bytes | None":
    """Return what a commit has by its *listing*; None unless that has *content*'s policy."""
    _, _, tracked, milestones, listed, *_ = content
    tree = listing.output()
    # Each entry begins with its mode; a complaint does not (of a name that is ambiguous, say).
    if tree is None or tree[:1] not in (b"", b"1") or (policy is None) == bool(tracked):
        return None
    if not _has(tree, POLICY, tracked) or not _has(tree, milestones, listed):
        return None
    return tree


class _First:
    """Looks for the first artifact in a log, as it comes, and remembers all paths before.

    The newest commits come first: what was left behind once, most of them have seen.
    """

    __slots__ = ("_judge", "_rest", "found", "numbers")

    def __init__(self, judge: "Matcher | Judge") -> None:
        self._judge = judge
        self.numbers: dict[bytes, int] = {}
        self.found = False
        self._rest: list[bytes] = [b""]

    def blocked(self, piece: bytes) -> bool:
        """Return True once a path is an artifact; *piece* is the next one of the log."""
        fields = piece.split(b"\0")
        fields[0] = self._rest.pop() + fields[0]
        fields = self._rest + fields
        # A head and a path each; the last one may go on.
        whole = len(fields) - 1 & ~1
        self._rest = fields[whole:]
        numbers = self.numbers
        new = [path for path in dict.fromkeys(fields[1:whole:2]) if path not in numbers]
        decided = self._judge.decide(new)
        numbers.update(zip(new, decided, strict=True))
        self.found = self.found or any(map(self._judge.blocks, decided))
        return self.found


def _without_weights(log: bytes, undecided: "frozenset[bytes]", git_directory: str) -> bool:
    """Return True if no file that *log* brings in could be weights, or a store, by its content.

    *undecided* are the paths that no pattern decides.
    """
    fields = log.split(b"\0")
    least = {path: least_size(path) for path in undecided}
    # By blob: from how many bytes on it is looked into, by any name that it has.
    asked: dict[bytes, int] = {}
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        # `:100644 100644 ID ID M`
        if head[8:11] == b"100" and path in undecided:
            width = (len(head) - 18) >> 1
            blob = head[16 + width : 16 + 2 * width]
            asked[blob] = min(least[path], asked.get(blob, LARGE))
    if not asked:
        return True
    from fx_hooks.fastpath.looked_into import read

    nothing = read(git_directory)[0]
    left = [blob for blob in asked if bytes.fromhex(blob.decode()) not in nothing]
    if len(left) <= _FEW:
        from fx_hooks.fastpath.loose_objects import beginning

        begun = {blob: beginning(git_directory, bytes.fromhex(blob.decode())) for blob in left}
        left = [
            blob
            for blob, found in begun.items()
            if found is None or (found[1] >= asked[blob] and may_be_one(*found))
        ]
    if not left:
        return True
    sizes = fast_git.sizes_of(left)
    if sizes is None:
        return False
    return not any(size >= asked[blob] for blob, size in zip(left, sizes, strict=True))


def _ends(arguments: "list[str]") -> "tuple[tuple[str, ...], str] | None":
    """Return what is old and new, as words for ``git log``; None where that is not plain."""
    environ = os.environ
    if len(arguments) == 1 and ".." in arguments[0]:
        old, _, new = arguments[0].partition("..")
    elif len(arguments) == 4 and arguments[::2] == ["--from-ref", "--to-ref"]:
        old, new = arguments[1::2]
        if not new:
            return None
    elif not arguments and "PRE_COMMIT_REMOTE_NAME" not in environ:
        old, new = environ.get("PRE_COMMIT_FROM_REF", ""), environ.get("PRE_COMMIT_TO_REF", "")
        if not old or not new:
            return ("--not", "--remotes"), "HEAD^{commit}"
    else:
        return None
    for name in (old, new):
        # An option, a third dot, no commit at all.
        if name.startswith(("-", ".")) or (name and not name.strip("0")):
            return None
    return ((f"^{old}^{{commit}}",), f"{new or 'HEAD'}^{{commit}}") if old else None


def _has(tree: bytes, path: bytes, blob: bytes) -> bool:
    """Return True if *tree* has the regular file *blob* at *path*, or nothing if that is empty.

    A folder is not nothing.
    """
    end = b"\t" + path + b"\0"
    if not blob:
        return end not in tree and b"\t" + path + b"/" not in tree
    entry = b" blob " + blob.hex().encode() + end
    # The NUL of the entry before: a file may be called like a whole entry.
    return any(b"\0" + mode + entry in b"\0" + tree for mode in (b"100644", b"100755"))


def _has_run(directories: "list[bytes]", mark: bytes, tree: bytes) -> bool:
    """Return True if one of *directories*, but the root, has *mark* in *tree*.

    A mark that begins with ``/*/`` is in any folder of such a directory.
    """
    any_folder = mark.startswith(b"/*/")
    mark = mark[2:] if any_folder else mark
    tails = []
    longest = max(map(len, directories))
    found = tree.find(mark + b"\0")
    while found >= 0:
        end = max(0, tree.rfind(b"/", 0, found)) if any_folder else found
        tails.append(tree[max(0, end - longest) : end])
        found = tree.find(mark + b"\0", found + 1)
    return any(tail.endswith(folder) for folder in directories if folder for tail in tails)
