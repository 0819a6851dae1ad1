"""The matcher: finds the pattern that decides a path, in tables that every commit reads.

This module is on the path of every commit of every person, so it imports nothing and
trades beauty for speed, in three ways:

* Paths are bytes, as git has them; nothing is decoded.
* A directory is decided once and remembered, with the few tests that can still matter
  for the names right below it. A path then costs one look-up for its directory, one
  for its name and one for its suffix, whatever the number of patterns.
* A pattern that plain names, prefixes and suffixes cannot express is held against a name byte
  by byte, and so are the folders above it. Only with ``**`` between two of them is it a regular
  expression (pathspec's own), for which a name has to pass before :mod:`re` is even imported.

A process that matches one million clean names takes about as long as ``git check-ignore
--stdin`` with ten plain patterns: from half of its time to 1.2 times, by what a look for
a ``.gitignore`` in each folder costs the machine (``python -m benchmarks.fastpath``).

Inside the tables a directory is also looked up under its name with a slash behind it.
So a pattern that matches only directories is an ordinary entry whose text ends in
``/``, which no file name can.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from re import Pattern
    from typing import Any, TypeAlias

    # (prefix, suffix, what is in between, smallest length, no longer than that)
    Look: TypeAlias = tuple[bytes, bytes, bytes, int, bool]
    # What lies between the stars of a name: a literal text, and the bytes that may be at each place
    # behind it.
    Run: TypeAlias = tuple[bytes, tuple[bytes, ...]]
    # What is to be said of the folders above: a text that no match is without; an expression for
    # the whole path, empty where the last two say it all: that there may be more above, and what
    # each of them looks like.
    Whole: TypeAlias = tuple[bytes, bytes, bool, tuple[tuple[Look, tuple[Run, ...] | None], ...]]
    # (pattern number, the five of a Look, what the look leaves open, what the path has to be)
    Test: TypeAlias = tuple[
        int, bytes, bytes, bytes, int, bool, tuple[Run, ...] | None, Whole | None
    ]
    # What the name of the directory above must look like for a test to matter.
    Guarded: TypeAlias = tuple[Look | None, Test]
    # Tests in groups, each behind a text without which none of its tests can match.
    Grouped: TypeAlias = tuple[tuple[bytes, tuple[Test, ...]], ...]
    Tables: TypeAlias = tuple[
        bytes,  # one byte a pattern: 1 where it blocks; the last one is a 0
        dict[bytes, int],  # names, at any depth
        # By suffix from the last dot on, at any depth: all prefixes, and the tests.
        dict[bytes, tuple[tuple[bytes, ...], tuple[Test, ...]]],
        tuple[bytes, ...],  # the prefixes of the following
        tuple[Test, ...],  # tests that begin with a literal, at any depth
        Grouped,  # other tests for names, at any depth
        Grouped,  # all tests for directories' names, at any depth
        dict[bytes, tuple[dict[bytes, int], tuple[Test, ...]]],  # right in a directory
        dict[bytes, tuple[Guarded, ...]],  # anywhere below a directory
        dict[bytes, tuple[Test, ...]],  # in directories of a name, at any depth
        # In directories that look like this, at any depth; grouped like the above.
        tuple[tuple[bytes, tuple[tuple[Look, Test], ...]], ...],
    ]
    State: TypeAlias = tuple[int, dict[bytes, int], tuple[Test, ...]]

_NO_CHILDREN: "tuple[dict[bytes, int], tuple[Test, ...]]" = ({}, ())
_NO_TESTS: "tuple[tuple[bytes, ...], tuple[Test, ...]]" = ((), ())
_AT_ONCE = 64  # paths that are looked at together
_FEW = 8  # paths, for which it takes longer to see what is in none of them
FORMAT = 6  # of the tables; to be raised with every change of their layout


class Matcher:
    """Decides paths by compiled tables.

    *tables* come from :func:`fx_hooks.policy.compiler.compile_tables`. A path is bytes,
    relative to the root, with ``/`` between its parts.
    """

    __slots__ = (
        "_above", "_below", "_blocked", "_by_name", "_children", "_directory_tests",
        "_expressions", "_inherited", "_loose", "_names", "_possible",
        "_prefixed", "_prefixes", "_states", "_suffixes", "_tests", "_within",
    )  # fmt: skip

    def __init__(self, tables: "Tables") -> None:
        (
            self._blocked,
            self._names,
            self._suffixes,
            self._prefixes,
            self._prefixed,
            self._loose,
            self._directory_tests,
            self._children,
            self._below,
            self._within,
            self._above,
        ) = tables
        # The groups of tests for the names of directories, and for what is in them, that any name
        # of those in question can need.
        self._possible = self._directory_tests, self._above
        self._by_name: dict[bytes, tuple[int, tuple[Test, ...], tuple[Test, ...]]] = {}
        self._expressions: dict[bytes, Pattern[bytes]] = {}
        names, tests = self._children.get(b"", _NO_CHILDREN)
        inherited = self._below.get(b"", ())
        tests += tuple([test for above, test in inherited if above is None])
        self._inherited: dict[bytes, tuple[Guarded, ...]] = {b"": inherited}
        self._states: dict[bytes, State] = {b"": (-1, names, _of_files(tests))}
        # The same with the tests of folders, which their slash keeps from files.
        self._tests = {b"": tests}

    def decide(self, paths: "Iterable[bytes]") -> list[int]:
        """Return the number of the last pattern that matches each path; -1 where none does."""
        states = self._states
        any_names = self._names.get
        any_suffixes = self._suffixes.get
        hit = self._hit
        paths = list(paths)
        if len(paths) > _FEW:
            self._narrow({path.rpartition(b"/")[0] for path in paths})
        decided = []
        for start in range(0, len(paths), _AT_ONCE):
            part = paths[start : start + _AT_ONCE]
            split = [path.rpartition(b"/") for path in part]
            # What is in none of some names need not be looked for in each.
            every = b"/" + b"\0/".join([name for _, _, name in split])
            prefixes = tuple([prefix for prefix in self._prefixes if b"/" + prefix in every])
            loose = [(needed, group) for needed, group in self._loose if needed in every]
            for path, (parent, _, name) in zip(part, split, strict=True):
                try:
                    best, names, tests = states[parent]
                except KeyError:
                    best, names, tests = self._state(parent)
                number = any_names(name, -1)
                if number > best:
                    best = number
                by_suffix = any_suffixes(name[name.rfind(b".") :])
                if by_suffix is not None and name.startswith(by_suffix[0]):
                    for test in by_suffix[1]:
                        if test[0] > best and hit(test, name, path):
                            best = test[0]
                if prefixes and name.startswith(prefixes):
                    for test in self._prefixed:
                        if test[0] > best and hit(test, name, path):
                            best = test[0]
                if names:
                    number = names.get(name, -1)
                    if number > best:
                        best = number
                for needed, group in loose:
                    if needed in name:
                        for test in group:
                            if test[0] > best and hit(test, name, path):
                                best = test[0]
                if tests:
                    for test in tests:
                        if test[0] > best and name.startswith(test[1]) and hit(test, name, path):
                            best = test[0]
                decided.append(best)
        if len(paths) > _FEW:
            # What these paths lack, the same name may need elsewhere.
            self._possible = self._directory_tests, self._above
            self._by_name.clear()
        return decided

    def _narrow(self, folders: "Iterable[bytes]") -> None:
        """Leave out the tests that surely no part of the paths of *folders* passes."""
        parts = b"/" + b"/".join(folders) + b"/"
        self._possible = (
            _narrowed(self._directory_tests, parts, lambda test: (test[1:4], test[7])),
            _narrowed(self._above, parts, lambda guarded: (guarded[0], guarded[1][7])),
        )

    def blocks(self, number: int) -> bool:
        """Return True if the pattern of that number blocks; -1, no pattern, does not."""
        return self._blocked[number] == 1

    def blocked(self, paths: "list[bytes]") -> "list[bytes]":
        """Return those of *paths* that the patterns block, in the order given."""
        blocked = self._blocked
        return [path for path, best in zip(paths, self.decide(paths), strict=True) if blocked[best]]

    def decide_directory(self, directory: bytes) -> int:
        """Return the number of the last pattern that matches all of *directory*, or -1."""
        try:
            return self._states[directory][0]
        except KeyError:
            return self._state(directory)[0]

    def directories(self) -> "list[bytes]":
        """Return all directories above the paths decided so far; the root is ``b""``."""
        return list(self._states)

    def _state(self, directory: bytes) -> "State":
        """Decide *directory* and what is above it, from the top down."""
        states = self._states
        missing = []
        while directory not in states:
            parent, _, name = directory.rpartition(b"/")
            missing.append((directory, parent, name))
            directory = parent
        for directory, parent, name in reversed(missing):
            states[directory] = self._enter(directory, parent, name)
        return states[directory]

    def _enter(self, directory: bytes, parent: bytes, name: bytes) -> "State":
        best, names, _ = self._states[parent]
        tests = self._tests[parent]
        try:
            number, undecided, inside = self._by_name[name]
        except KeyError:
            number, undecided, inside = self._by_name[name] = self._look_up(name)
        if number > best:
            best = number
        if names:
            best = max(best, names.get(name, -1), names.get(name + b"/", -1))
        if undecided or tests:
            full = directory + b"/"
            for test in undecided:
                if test[0] > best and self._hit(test, name, full):
                    best = test[0]
            for test in tests:
                if test[0] > best and (
                    self._hit(test, name, full) or self._hit(test, name + b"/", full)
                ):
                    best = test[0]
        inherited = self._inherited[parent]
        if directory in self._below:
            inherited += self._below[directory]
        self._inherited[directory] = inherited
        for look, test in inherited:
            if look is None or _looks_like(name, look):
                inside += (test,)
        names, tests = self._children.get(directory, _NO_CHILDREN)
        if inside:
            full = directory + b"/"
            tests += tuple([test for test in inside if test[7] is None or test[7][0] in full])
        self._tests[directory] = tests
        return best, names, _of_files(tests) if tests else ()

    def _look_up(self, name: bytes) -> "tuple[int, tuple[Test, ...], tuple[Test, ...]]":
        """Return all that a directory's *name* alone can tell, for patterns of any depth.

        The number of the last pattern that matches it, the tests whose expression has to
        see the whole path, and the tests for what lies right in such a directory.
        """
        undecided = []
        grouped: tuple[Test, ...] = ()
        by_directory, by_above = self._possible
        for needed, tests in by_directory:
            if needed in name:
                grouped += tests
        folder = name + b"/"
        best = max(self._names.get(name, -1), self._names.get(folder, -1))
        # Only a name with a dot can have a suffix.
        for text in (name, folder) if grouped or b"." in name else ():
            tests = grouped
            if b"." in text:
                tests += self._suffixes.get(text[text.rfind(b".") :], _NO_TESTS)[1]
            for test in tests:
                if (
                    test[0] > best
                    and (len(text) == test[4] if test[5] else len(text) >= test[4])
                    and text.startswith(test[1])
                    and text.endswith(test[2])
                    and test[3] in text
                ):
                    if test[6] is not None and not _fits(text, test[6]):
                        continue
                    if test[7] is None:
                        best = test[0]
                    else:
                        # Its look has been taken; the path decides.
                        undecided.append((test[0], b"", b"", b"", 0, False, None, test[7]))
        inside = self._within.get(name, ())
        for needed, guarded in by_above:
            if needed in name:
                for look, test in guarded:
                    if name.startswith(look[0]) and _looks_like(name, look):
                        inside += (test,)
        return best, tuple(undecided), inside

    def _hit(self, test: "Test", name: bytes, path: bytes) -> bool:
        # The same as in `_looks_like`: this is asked too often for one more call.
        _, prefix, suffix, needle, length, fixed, runs, whole = test
        if not (
            name.endswith(suffix)
            and (len(name) == length if fixed else len(name) >= length)
            and needle in name
            and name.startswith(prefix)
            and (runs is None or _fits(name, runs))
        ):
            return False
        if whole is None:
            return True
        needed, source, more, folders = whole
        if needed not in path:
            return False
        if not source:
            return _is_below(path, folders, more=more)
        expression = self._expressions.get(source)
        if expression is None:
            import re

            expression = self._expressions[source] = re.compile(source, re.DOTALL)
        return expression.search(path) is not None


def _looks_like(name: bytes, look: "Look") -> bool:
    prefix, suffix, needle, length, fixed = look
    return (
        (len(name) == length if fixed else len(name) >= length)
        and needle in name
        and name.startswith(prefix)
        and name.endswith(suffix)
    )


def _is_below(path: bytes, folders: "tuple[Any, ...]", *, more: bool) -> bool:
    """Return True if the folders above *path* look like *folders*; there may be *more* on top."""
    above = path.removesuffix(b"/").split(b"/")[:-1]
    if more:
        above = above[-len(folders) :]
    return len(above) == len(folders) and all(
        _looks_like(name, look) and (runs is None or _fits(name, runs))
        for name, (look, runs) in zip(above, folders, strict=True)
    )


def _narrowed(groups: "Any", parts: bytes, look: "Callable[[Any], Any]") -> "Any":
    """Return *groups* without what names between the slashes of *parts* do not look like."""
    narrowed = []
    for needed, group in groups:
        if needed in parts:
            kept = []
            for one in group:
                (prefix, suffix, needle, *_), whole = look(one)
                if (
                    b"/" + prefix in parts
                    and suffix.removesuffix(b"/") + b"/" in parts
                    and needle in parts
                    and (whole is None or whole[0] in parts)
                ):
                    kept.append(one)
            if kept:
                narrowed.append((needed, tuple(kept)))
    return tuple(narrowed)


def _of_files(tests: "tuple[Test, ...]") -> "tuple[Test, ...]":
    return tuple([test for test in tests if not (test[2] or test[1]).endswith(b"/")])


def _fits(name: bytes, runs: "tuple[Run, ...]") -> bool:
    """Return True if *name* consists of *runs* with anything between them.

    It is known to be as long as all of them, and no longer if there is but one.
    """
    first, last = runs[0], runs[-1]
    place = len(first[0]) + len(first[1])
    end = len(name) - len(last[0]) - len(last[1])
    if not _is_at(0, name, first):
        return False
    if len(runs) == 1:
        return True
    if place > end or not _is_at(end, name, last):
        return False
    for run in runs[1:-1]:
        # Where it is found first it may stay.
        size = len(run[0]) + len(run[1])
        place = name.find(run[0], place, end)
        while place >= 0 and place + size <= end and not _is_at(place, name, run):
            place = name.find(run[0], place + 1, end)
        if place < 0 or place + size > end:
            return False
        place += size
    return True


def _is_at(place: int, name: bytes, run: "Run") -> bool:
    literal, sets = run
    if not name.startswith(literal, place):
        return False
    place += len(literal)
    for members in sets:
        if name[place] not in members:
            return False
        place += 1
    return True
