"""``fx-init``: puts a repository under the policy."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fx_hooks import __version__, remedy
from fx_hooks.artifacts import Judge, Verdict
from fx_hooks.atomic import replace_file
from fx_hooks.changes import changed_lines
from fx_hooks.command import CLEAN, FOUND, guarded
from fx_hooks.errors import FatalError
from fx_hooks.git import IndexEntry, Repository
from fx_hooks.gitignore import file as ignore_file
from fx_hooks.gitignore.block import block_lines, parse, rewritten
from fx_hooks.gitignore.state import FILE
from fx_hooks.paths import quoted, shown
from fx_hooks.policy.gitignore import says_the_same
from fx_hooks.policy.load import (
    BEST_MODELS_RULE,
    MILESTONE_RULE,
    POLICY_NAME,
    Policy,
    literal,
    load_policy,
)  # fmt: skip
from fx_hooks.policy.patterns import problem
from fx_hooks.repo_policy import policy_in_force, read_policy_file
from fx_hooks.runs.directories import MAX_BYTES, RunDirectory, may_say_something, run_directories
from fx_hooks.scene import Scene
from fx_hooks.yaml_insert import with_items

NAME = "fx-init"
CONFIG = ".pre-commit-config.yaml"
URL = "https://github.com/fx-hooks/fx-hooks"
HOOKS = ("fx-check-artifacts", "fx-check-best-models", "fx-check-tree", "fx-sync-gitignore")
_MOST_LINES = 12


class File(NamedTuple):
    """A file that is to be written; *before* is None where there is none yet."""

    name: str
    before: bytes | None
    after: bytes


class Plan(NamedTuple):
    """What is to be written, what to tell, and the tracked files that break the policy."""

    files: list[File]
    notes: list[str]
    broken: list[Verdict]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: all is in place; 1: something is left to do; 2: usage, policy or git error."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Bring the repository under the policy: .fx-hooks.yaml, .gitignore and"
        f" {CONFIG}. Shows what it would write, and asks.",
        epilog="Exit code 0: all is in place; 1: tracked files break the policy, or nothing was"
        " written although something is missing; 2: usage, policy or git error.",
        allow_abbrev=False,
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument(
        "--keep-tracked",
        action="store_true",
        help="let in by name what is tracked today although the policy blocks it",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    options = parser.parse_args(argv)
    return guarded(
        NAME,
        lambda: init(yes=options.yes, dry_run=options.dry_run, keep_tracked=options.keep_tracked),
    )


def init(*, yes: bool = False, dry_run: bool = False, keep_tracked: bool = False) -> int:
    """Show the plan, ask unless *yes*, write it unless *dry_run*; return the exit code.

    Raises :class:`~fx_hooks.errors.FatalError`.
    """
    repository = Repository()
    index = {entry.path: entry for entry in repository.index()}
    plan = _plan(repository, index, keep_tracked=keep_tracked)
    for file in plan.files:
        print("\n".join(_shown(file)))
    for note in plan.notes:
        print(note)
    written = False
    if plan.files and not dry_run:
        written = yes or _agreed()
        if written:
            for file in plan.files:
                _write(repository.root, file)
            names = " ".join(quoted(file.name.encode()) for file in plan.files)
            print(f"Written. Look at them, then stage them:\n    git add {names}")
    elif not plan.files:
        print("All is in place.")
    _print_broken(repository, index, plan.broken)
    return CLEAN if not plan.broken and (written or not plan.files) else FOUND


def _plan(repository: Repository, index: Mapping[bytes, IndexEntry], *, keep_tracked: bool) -> Plan:
    root = repository.root
    place = os.fsdecode(os.path.join(root, os.fsencode(POLICY_NAME)))
    before = read_policy_file(place, POLICY_NAME, missing_ok=True)
    milestones = [
        entry
        for entry in policy_in_force(repository, index).policy.entries
        if entry.rule == MILESTONE_RULE
    ]

    def loaded(text: bytes | None) -> Policy:
        policy = load_policy(text)
        return policy._replace(entries=(*policy.entries, *milestones))

    notes: list[str] = []
    text = before
    directories = run_directories(_contents(root, [*index, *repository.untracked()]))
    missing = []
    judge = Judge(loaded(text))
    for found in directories:
        inside = os.fsencode(found.path) + b"/"
        if judge.any_blocked([inside + b"x/x"]):
            continue
        if problem("/" + literal(found.path)):
            notes.append(
                f"{found.setting}: {found.tool} writes to {found.path}/, whose name {POLICY_NAME}"
                " cannot say"
            )
        elif any(path.startswith(inside) for path in index):
            notes.append(
                f"{found.setting}: {found.tool} writes to {found.path}/, where files are tracked:"
                f" say in {POLICY_NAME} what of it is no artifact"
            )
        else:
            missing.append(found)
    if missing:
        text = with_items(
            text or b"", POLICY_NAME, "ignore", lambda indent: _rules(missing, indent, loaded(text))
        )
    broken = _broken(repository, index, loaded(text))
    if keep_tracked:
        kept = [verdict for verdict in broken if _may_be_kept(verdict)]
        if kept:
            text = with_items(text or b"", POLICY_NAME, "keep", lambda indent: _keeps(kept, indent))
            broken = _broken(repository, index, loaded(text))
    policy = loaded(text)
    files = []
    if text is not None and text != before:
        files.append(File(POLICY_NAME, before, text))
    old = ignore_file.read(root)
    new = rewritten(old or b"", block_lines(policy))
    if new != old:
        files.append(File(FILE, old, new))
    same = _superfluous(root, old or b"", policy)
    if same:
        notes.append(f"These lines of {FILE} are superfluous, the block says the same:")
        notes += [f"    {FILE}:{number}: {line}" for number, line in same]
    config, lines = _hooks(repository)
    return Plan(files + config, notes + lines, broken)


def _contents(root: bytes, paths: Sequence[bytes]) -> dict[str, bytes]:
    contents = {}
    for path in dict.fromkeys(paths):
        name = os.fsdecode(path)
        full = os.path.join(root, path)
        if may_say_something(name) and os.path.isfile(full) and os.path.getsize(full) <= MAX_BYTES:
            with open(full, "rb") as file:
                contents[name] = file.read()
    return contents


def _rules(found: Sequence[RunDirectory], indent: str, policy: Policy) -> list[str]:
    taken = {entry.rule for entry in policy.entries}
    lines = []
    for directory in found:
        stem = "hydra-run-dir" if directory.tool == "Hydra" else "wandb-dir"
        names = (f"{stem}-{number}" if number > 1 else stem for number in range(1, len(taken) + 9))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        pattern = json.dumps("/" + literal(directory.path), ensure_ascii=False)
        lines += [
            f"{indent}- rule: {name}",
            f"{indent}  paths: [{pattern}]  # {directory.setting}",
            f"{indent}  why: {directory.tool} writes its runs there",
        ]
    return lines


def _keeps(verdicts: Sequence[Verdict], indent: str) -> list[str]:
    lines = [f"{indent}# Tracked before fx-hooks was; take them out one by one."]
    rule = None
    for verdict in sorted(verdicts, key=lambda verdict: (_rule(verdict), verdict.path)):
        if _rule(verdict) != rule:
            rule = _rule(verdict)
            lines.append(f"{indent}# {rule}")
        pattern = "/" + literal(verdict.path.decode())
        lines.append(f"{indent}- {json.dumps(pattern, ensure_ascii=False)}")
    return lines


def _rule(verdict: Verdict) -> str:
    decider = verdict.decider
    return decider.rule if decider is not None else ""


def _may_be_kept(verdict: Verdict) -> bool:
    """Weights in best_models come in as milestones only; YAML has no place for bytes."""
    try:
        pattern = "/" + literal(verdict.path.decode())
    except UnicodeDecodeError:
        return False
    return _rule(verdict) != BEST_MODELS_RULE and problem(pattern) is None


def _broken(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> list[Verdict]:
    """Verdicts of the tracked files that *policy* blocks, as CI would judge them."""
    scene = Scene(repository, index, {}, Judge(policy))
    return [verdict for verdict in scene.verdicts(index, ask_disk=False) if verdict.blocked]


def _superfluous(root: bytes, text: bytes, policy: Policy) -> list[tuple[int, str]]:
    def is_folder(path: bytes) -> bool:
        return os.path.isdir(os.path.join(root, path))

    parsed = parse(text)
    found = []
    for number, line in enumerate(parsed.lines, 1):
        pattern = line.strip().decode("utf-8", "surrogateescape")
        own = not parsed.start < number <= parsed.stop
        if own and not problem(pattern) and says_the_same(policy, pattern, is_folder):
            found.append((number, shown(line.strip())))
    return found


def _hooks(repository: Repository) -> tuple[list[File], list[str]]:
    """The runner's configuration with our entry, or the lines for another runner."""
    root = repository.root
    place = os.path.join(root, CONFIG.encode())
    if os.path.lexists(place):
        before = read_policy_file(os.fsdecode(place), CONFIG) or b""
        if URL.encode() in before or b"fx-check-artifacts" in before:
            return [], []
        return [File(CONFIG, before, with_items(before, CONFIG, "repos", entry_lines))], []
    for name, lines in _other_runners(repository):
        if os.path.lexists(os.path.join(root, os.fsencode(name))):
            return [], [f"{name} is there; add to it:", *(f"    {line}" for line in lines)]
    return [File(CONFIG, None, with_items(b"", CONFIG, "repos", entry_lines))], []


def entry_lines(indent: str) -> list[str]:
    """Our entry in the runner's configuration."""
    return [
        f"{indent}- repo: {URL}",
        f"{indent}  rev: v{__version__}",
        f"{indent}  hooks:",
        *(f"{indent}    - id: {hook}" for hook in HOOKS),
    ]


def _other_runners(repository: Repository) -> list[tuple[str, list[str]]]:
    commands = ["fx-check-artifacts", "fx-check-best-models", "fx-sync-gitignore"]
    lefthook = ["pre-commit:", "  commands:"]
    for command in commands:
        lefthook += [f"    {command}:", f"      run: {command}"]
    plain = os.path.join(repository.git_directory, "hooks", "pre-commit")
    names = ("lefthook.yml", "lefthook.yaml", ".lefthook.yml", ".lefthook.yaml")
    return [
        *((name, lefthook) for name in names),
        (".husky/pre-commit", commands),
        (".husky", ["# in .husky/pre-commit", *commands]),
        (plain, [f"{command} || exit" for command in commands]),
    ]


def _shown(file: File) -> list[str]:
    changes = [line for line in changed_lines(file.before, file.after) if not line.startswith("@")]
    lines = [f"{file.name}: {'new' if file.before is None else 'changed'}, {len(changes)} lines"]
    lines += [f"  {line}" for line in changes[:_MOST_LINES]]
    if len(changes) > _MOST_LINES:
        lines.append(f"  and {len(changes) - _MOST_LINES} more")
    return lines


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise FatalError("nobody is there to ask: look at it with --dry-run, then run with --yes")
    return input("Write this? [y/N] ").strip().lower() in ("y", "yes")


def _write(root: bytes, file: File) -> None:
    if file.name == FILE:
        ignore_file.write(root, file.after)
        return
    place = os.path.realpath(os.path.join(root, file.name.encode()))
    try:
        mode = os.stat(place).st_mode & 0o7777 if file.before is not None else 0o666
        replace_file(place, file.after, mode)
    except OSError as exc:
        raise FatalError(f"{file.name}: cannot be written: {exc.strerror}") from exc


def _print_broken(
    repository: Repository, index: Mapping[bytes, IndexEntry], broken: Sequence[Verdict]
) -> None:
    if not broken:
        print("No tracked file breaks the policy.")
        return
    noun = "tracked file breaks" if len(broken) == 1 else "tracked files break"
    print(f"{len(broken):,} {noun} the policy (fx-check-artifacts --all-files says which and why).")
    print("Stop tracking them (the files stay on disk):")
    paths = {verdict.path for verdict in broken}
    sparse = not paths.isdisjoint(repository.left_out())
    whole = remedy.cover(paths, index)
    commands = remedy.untrack(whole, force=False, sparse=sparse, repeatable=False)
    commands = remedy.from_folder(commands, repository.way_to_root())
    for command in commands[:_MOST_LINES]:
        print(f"    {command}")
    if len(commands) > _MOST_LINES:
        print(f"    # and {len(commands) - _MOST_LINES} more such commands")
    if any(_may_be_kept(verdict) for verdict in broken):
        print(f"or let in those that are tracked today: {NAME} --keep-tracked")


if __name__ == "__main__":
    raise SystemExit(main())
