"""``fx-explain``: which rule decides a path, and why."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.artifacts.classifier import Classifier, Verdict
from fx_hooks.artifacts.index_check import IndexCheck
from fx_hooks.artifacts.tree_reader import Tree
from fx_hooks.best_models.acceptance import Acceptance
from fx_hooks.cli._common import add_format_option, add_policy_option, command_parser, entry_point
from fx_hooks.fastpath.artifacts import plain
from fx_hooks.git.repository import IndexEntry, NotARepository, Repository
from fx_hooks.policy import near_misses
from fx_hooks.policy.baseline import BASELINE_NAME
from fx_hooks.policy.in_force import baseline_in_force, policy_in_force, policy_on_disk
from fx_hooks.policy.model import Entry, Policy, RunMark
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.paths import from_root, shown
from fx_hooks.util.terminal import complain, in_json, one_line

if TYPE_CHECKING:
    import argparse

NAME = "fx-explain"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Say which rule decides each PATH, and why. In a repository you get the same answer as"
        " from the hook. It also works outside a repository.",
        "0: answered; 1: with --quiet, a path is blocked",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH")
    parser.add_argument(
        "--stdin",
        action="store_true",
        help="read paths, one per line, and judge them as one tree, together with what git tracks",
    )
    parser.add_argument(
        "-z", action="store_true", help="with --stdin: paths end in NUL, not newline"
    )
    parser.add_argument("--paths-only", action="store_true", help="decide by the patterns alone")
    add_format_option(parser)
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing; exit 1 if a path is blocked"
    )
    add_policy_option(parser)
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fx-explain`` and return its exit code; see its ``--help``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and not any(argument.startswith("-") for argument in arguments):
        return explain(arguments)  # there is nothing to parse
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.stdin == bool(options.paths):
        parser.error("name PATHs, or use --stdin (not both)")
    if options.z and not options.stdin:
        parser.error("-z goes with --stdin")
    return explain(
        options.paths,
        from_stdin=options.stdin,
        nul=options.z,
        paths_only=options.paths_only,
        as_json=options.format == "json",
        quiet=options.quiet,
        policy_file=options.policy,
    )


def explain(
    names: Sequence[str],
    *,
    from_stdin: bool = False,
    nul: bool = False,
    paths_only: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    policy_file: str | None = None,
) -> int:
    """Print one line a path and return the exit code.

    The index and the disk of the repository around the current directory are asked, if there
    is one. With *from_stdin*, paths that the index does not have are files all the same; if it
    has none of them, they are the whole tree.
    """
    try:
        repository = Repository()
    except NotARepository:
        repository = None
    if repository is None:
        index = {}
        in_force = policy_on_disk(policy_file)
        root = os.getcwdb()
    else:
        index = repository.index_by_path()
        in_force = policy_in_force(repository, index, policy_file)
        root = repository.root
    classifier = Classifier(in_force.policy)
    acceptance: Acceptance | None = None
    not_accepted: dict[bytes, str] = {}
    if from_stdin:
        given, paths = _read_paths(sys.stdin.buffer.read(), nul=nul, root=root)
    else:
        given = [os.fsencode(name) for name in names]
        paths = [_named(name, root, is_folder=_is_folder(name)) for name in names]
        # What the index has is not a folder, whatever is on disk.
        paths = [path[:-1] if path[:-1] in index else path for path in paths]
    if quiet and paths_only:
        return FOUND if classifier.blocked(paths) else CLEAN
    if paths_only:
        verdicts = classifier.classify(paths, Tree({}, ()))
    elif repository is None or (from_stdin and index.keys().isdisjoint(paths)):
        verdicts = classifier.classify(paths, classifier.tree(paths))
    else:
        staged = repository.staged_by_path()
        others = [path for path in paths if path not in index] if from_stdin else []
        check = IndexCheck(repository, index, staged, classifier, others)
        verdicts = check.verdicts(paths, ask_disk=True, open_all=True)
        acceptance = Acceptance(
            repository, lambda: baseline_in_force(repository, index), in_force.policy
        )
        verdicts, not_accepted = acceptance.explained(verdicts, index)
    if quiet:
        return FOUND if any(verdict.blocked for verdict in verdicts) else CLEAN
    terms: dict[bytes, list[str]] = {}
    if repository is not None and acceptance is not None and not from_stdin:
        terms = _terms(repository, index, in_force.policy, paths, acceptance)
    for name, verdict in zip(given, verdicts, strict=True):
        contract = terms.get(verdict.path)
        if as_json:
            import json  # most people want text, which is there sooner

            extra: dict[str, object] = {} if contract is None else {"contract": contract}
            if verdict.path in not_accepted:
                extra["baseline"] = not_accepted[verdict.path]
            print(in_json(json.dumps({**_as_record(name, verdict), **extra})))
        else:
            print(_as_text(name, verdict))
            if verdict.path in not_accepted:
                print(f"    {BASELINE_NAME} {not_accepted[verdict.path]}")
            for line in contract or ():
                print(f"    contract: {one_line(line)}")
    notes = list(in_force.notes)
    if repository is not None and policy_file is None:
        missed = near_misses.of_index(repository, index, in_force.policy)
        notes += [one.text for one in missed]
    for note in notes:
        complain(f"{NAME}: note: {note}")
    return CLEAN


def _terms(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    policy: Policy,
    paths: Sequence[bytes],
    acceptance: Acceptance,
) -> dict[bytes, list[str]]:
    """Return what the contract says of each path in the folder of chosen models."""
    inside: dict[bytes, list[bytes]] = {}
    for path in paths:
        project = b"" if policy.projects is None else policy.projects.around(path)
        folder = policy.best_models_of(project).below(project).folder
        if path.startswith(os.fsencode(folder) + b"/") and not path.endswith(b"/"):
            inside.setdefault(project, []).append(path)
    found: dict[bytes, list[str]] = {}
    for project, chosen in inside.items():
        found |= _terms_of(repository, index, policy, project, chosen, acceptance)
    return found


def _terms_of(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    policy: Policy,
    project: bytes,
    paths: Sequence[bytes],
    acceptance: Acceptance,
) -> dict[bytes, list[str]]:
    from fx_hooks.best_models.staged_models import ContractCheck  # for the chosen models alone

    try:
        check = ContractCheck(repository, index, policy, project)
        return {path: check.terms(path, acceptance) for path in paths}
    except FatalError as exc:
        return {path: [str(exc)] for path in paths}


def _is_folder(name: str) -> bool:
    return name.endswith("/") or (os.path.isdir(name) and not os.path.islink(name))


def _named(name: str, root: bytes, *, is_folder: bool) -> bytes:
    path = from_root(name, root)
    # A folder is asked for as what lies beneath it, as git does.
    return path + b"/" if path and is_folder else path


def _read_paths(data: bytes, *, nul: bool, root: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the paths as given, and relative to *root*."""
    end = b"\0" if nul else b"\n"
    given = data.split(end)
    if not given[-1]:
        given.pop()
    if not nul:
        given = [_unquoted(line.removesuffix(b"\r")) for line in given]
    for number, path in enumerate(given, 1):
        if not path:
            raise FatalError(f"standard input, path {number}: is empty: leave it out")
    at_root = os.path.realpath(os.getcwdb()) == os.path.realpath(root)
    # One search through all of the input spares a look at each of a million paths.
    if at_root and plain(b"\0" + b"\0".join(given) + b"\0"):
        return given, given
    return given, [_named(os.fsdecode(path), root, is_folder=path.endswith(b"/")) for path in given]


_ESCAPE = rb"\\([abfnrtv\"\\]|[0-7]{3})"
_CONTROL = dict(zip(b'abfnrtv"\\', b'\a\b\f\n\r\t\v"\\', strict=True))


def _unquoted(line: bytes) -> bytes:
    """Return *line* without the quotes that git puts around unusual names."""
    if len(line) < 2 or not (line.startswith(b'"') and line.endswith(b'"')):
        return line

    def character(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([_CONTROL[code[0]] if len(code) == 1 else int(code, 8) & 0xFF])

    return re.sub(_ESCAPE, character, line[1:-1])


def _as_text(name: bytes, verdict: Verdict) -> str:
    text = f"{shown(name)}: {'blocked' if verdict.blocked else 'allowed'}"
    decider = verdict.decider
    if verdict.released and verdict.overridden is not None:
        return f"{text}: {_origin(verdict.overridden)} does not hold, because {verdict.released}"
    if decider is None:
        return f"{text}: no rule matches it"
    text += f" by {_origin(decider)}"
    if isinstance(decider, RunMark):
        text += f" is in {shown(verdict.directory)}/, which makes it a run"
    if verdict.overridden is not None:
        text += f", which overrides {_origin(verdict.overridden)}"
    return f"{text}: {decider.why}" if verdict.blocked and decider.why else text


def _origin(decider: Entry | RunMark) -> str:
    what = decider.path if isinstance(decider, RunMark) else decider.written or decider.pattern
    return f"{decider.rule} ({decider.place}) {what}"


def _as_record(name: bytes, verdict: Verdict) -> dict[str, object]:
    decider = verdict.decider
    record: dict[str, object] = {
        "path": os.fsdecode(name),
        "verdict": "blocked" if verdict.blocked else "allowed",
        **_as_fields(decider),
        "why": decider.why if decider is not None else "",
    }
    if isinstance(decider, RunMark):
        record["directory"] = os.fsdecode(verdict.directory)
    if verdict.overridden is not None:
        record["overrides"] = _as_fields(verdict.overridden)
    if verdict.released:
        record["released"] = verdict.released
    return record


def _as_fields(decider: Entry | RunMark | None) -> dict[str, object]:
    if decider is None:
        return {"rule": None, "pattern": None, "source": None, "tool": None, "line": None}
    return {
        "rule": decider.rule,
        "pattern": decider.path
        if isinstance(decider, RunMark)
        else decider.written or decider.pattern,
        "source": decider.source,
        "tool": decider.tool or None,
        "line": decider.line,
    }


if __name__ == "__main__":
    raise SystemExit(main())
