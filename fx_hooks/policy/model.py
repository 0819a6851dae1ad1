"""The policy: ordered patterns, the files that mark runs, and the settings of best_models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fx_hooks.policy.project_policies import Projects

POLICY_NAME = ".fx-hooks.yaml"
BUILTIN_SOURCE = "built-in policy"
BEST_MODELS_RULE = "best-models"
WEIGHTS_RULE = "weights"
KEEP_RULE = "keep"
MILESTONE_RULE = "milestone"
# What a project's own file may say, unless the root's `projects_may` says less.
PROJECT_KEYS = ("ignore", "keep", "disable", "best_models")
PATTERN_RULE = "ignore"  # of an `ignore` entry that is only a pattern
LFS_REQUIRED, LFS_ALLOWED, LFS_FORBIDDEN = "required", "allowed", "forbidden"


class Entry(NamedTuple):
    """One pattern of the policy, in its place in the order.

    ``source`` and ``line`` (from 1) say where it is written; ``why`` and ``advice``
    are its rule's, and empty where the rule gives none. A ``binary_only`` entry leaves
    text alone, an ``unless_source`` one leaves a directory alone that holds source
    files, and one with ``only_with`` matches only where all of those files are as well: what
    only content and tree can say. ``test_data`` marks the exceptions that let test data
    through. ``tool`` names the folder below ``frameworks/`` whose ``rules.yaml`` has the line;
    it is empty for every other file. ``written`` is what stands there, where ``pattern`` is
    what is left of it at a project's root.
    """

    pattern: str
    blocks: bool
    rule: str
    why: str
    advice: str
    source: str
    line: int
    binary_only: bool = False
    unless_source: bool = False
    tool: str = ""
    written: str = ""
    only_with: tuple[str, ...] = ()
    test_data: bool = False

    @property
    def place(self) -> str:
        """The file and the line, for people."""
        return _place(self.source, self.tool, self.line)


class RunMark(NamedTuple):
    """A file that makes the directory it is in a run: all of it is an artifact.

    ``path`` is relative to that directory (``.hydra/config.yaml``). With ``only_with``, the
    other files have to be there as well; ``path`` is one of them.
    """

    path: str
    rule: str
    why: str
    advice: str
    source: str
    line: int
    tool: str = ""
    only_with: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The file and the line, for people."""
        return _place(self.source, self.tool, self.line)


def _place(source: str, tool: str, line: int) -> str:
    return f"{source}, {tool}:{line}" if tool else f"{source}:{line}"


class BestModels(NamedTuple):
    """The settings of the folder of chosen models.

    ``metadata``, ``documents`` and ``weights`` are patterns for a file's name at any
    depth below ``folder``. ``required_keys`` are those that the metadata of a model has
    to have. ``lfs`` says whether milestones go to Git LFS, as :data:`LFS_REQUIRED`,
    :data:`LFS_ALLOWED` or :data:`LFS_FORBIDDEN`; ``max_size`` is the largest one in
    bytes, None for any.
    """

    folder: str
    metadata: tuple[str, ...]
    documents: tuple[str, ...]
    weights: tuple[str, ...]
    required_keys: tuple[str, ...] = ()
    lfs: str = LFS_ALLOWED
    max_size: int | None = None

    @property
    def milestones_file(self) -> str:
        return f"{self.folder}/milestones.yaml"

    def below(self, project: bytes) -> BestModels:
        """Return the same for the folder as it is from the root of the repository."""
        if not project:
            return self
        folder = f"{project.decode('utf-8', 'surrogateescape')}/{self.folder}"
        return self._replace(folder=folder)


class Policy(NamedTuple):
    """The whole policy: the last entry that matches a path decides it.

    ``admitted_from`` is the number of the first entry that also overrides what the
    tree says (``keep`` patterns and milestones); ``run_marks`` are asked for what the
    patterns leave alone. ``folders`` are the repository's projects as folders and globs,
    ``projects_may`` the keys that their own files may have; ``projects`` finds them and has
    their policies, None where there are none.
    """

    entries: tuple[Entry, ...]
    run_marks: tuple[RunMark, ...]
    best_models: BestModels
    admitted_from: int
    folders: tuple[str, ...] = ()
    projects_may: tuple[str, ...] = PROJECT_KEYS
    projects: Projects | None = None

    def best_models_of(self, project: bytes) -> BestModels:
        """Return the settings of *project*, with paths from its root; empty is the repository."""
        at = None if self.projects is None or not project else self.projects.at(project)
        return self.best_models if at is None else at.policy.best_models

    def patterns(self) -> list[tuple[str, bool]]:
        """Return each pattern and whether it blocks, in order, as the compiler takes them.

        Those with ``only_with`` are among them: more is matched than is refused.
        """
        return [(entry.pattern, entry.blocks) for entry in self.entries]

    def alone(self) -> list[Entry]:
        """Return the entries that need no file next to what they match, in order."""
        return [entry for entry in self.entries if not entry.only_with]


def with_milestones(policy: Policy, lines: dict[str, int], source: str) -> Policy:
    """Return *policy* with the listed milestones let in; *lines* says where each is listed."""
    if all(entry.rule != BEST_MODELS_RULE for entry in policy.entries):
        return policy
    admitted: list[Entry] = []
    # In the order of their paths, whoever added which first.
    for path, line in sorted(lines.items()):
        entry = Entry(f"/{literal(path)}", False, MILESTONE_RULE, "", "", source, line)
        # A milestone is a file; a folder of its name lets nothing in.
        admitted += [entry, entry._replace(pattern=f"{entry.pattern}/**", blocks=True)]
    return policy._replace(entries=policy.entries + tuple(admitted))


def literal(path: str) -> str:
    """Return *path* as a pattern that matches nothing else."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)


def in_quotes(pattern: str) -> str:
    """Return *pattern* as the policy file can have it, whatever is in it."""
    import json  # few commits have this to say, and it takes as long as all of Python

    return json.dumps(pattern, ensure_ascii=False)
