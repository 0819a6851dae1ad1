"""``fx-init``: sets fx-hooks up in a repository."""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from fx_hooks.artifacts.classifier import Classifier, Verdict
from fx_hooks.artifacts.exempted import exempted_note
from fx_hooks.artifacts.found_projects import as_globs, find_projects
from fx_hooks.artifacts.index_check import IndexCheck, rm_needs_force
from fx_hooks.best_models.acceptance import ACCEPTED_RULES, Acceptance
from fx_hooks.best_models.milestone import can_be_allowed
from fx_hooks.best_models.staged_models import checks
from fx_hooks.cli._common import add_format_option, command_parser, entry_point
from fx_hooks.cli._runners import CONFIG, File, Runner, find_runner, left_behind
from fx_hooks.cli._trial import try_hooks
from fx_hooks.cli._undo import (
    State,
    hooks_folder,
    recorded,
    remember,
    state_of,
    states_in,
    take_back,
)
from fx_hooks.fastpath.gitignore import FILE
from fx_hooks.frameworks.configuration import MAX_BYTES, is_configuration
from fx_hooks.frameworks.registry import FRAMEWORKS
from fx_hooks.git import commands as git_commands
from fx_hooks.git.repository import IndexEntry, Repository, start_program
from fx_hooks.gitignore import file as ignore_file
from fx_hooks.gitignore.block import rewritten
from fx_hooks.gitignore.blocks import wanted_blocks
from fx_hooks.gitignore.line_findings import LINE, findings_around
from fx_hooks.gitignore.policy_lines import sections
from fx_hooks.gitignore.redundant import redundant_lines
from fx_hooks.policy import near_misses
from fx_hooks.policy.baseline import BASELINE_NAME, Baseline, format_baseline
from fx_hooks.policy.in_force import (
    baseline_in_force,
    policy_in_force,
    policy_of_text,
    refuse_unmerged,
    refuse_unstaged,
)
from fx_hooks.policy.model import BEST_MODELS_RULE, POLICY_NAME, Policy, in_quotes, literal
from fx_hooks.policy.patterns import problem
from fx_hooks.reporting.finding import Finding
from fx_hooks.reporting.layout import plural, them_staying
from fx_hooks.runs.layouts import run_directories
from fx_hooks.util.diff import changed_lines
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.files import replace_file
from fx_hooks.util.paths import shown
from fx_hooks.util.terminal import command_lines, one_line
from fx_hooks.util.yaml_insert import with_items
from fx_hooks.weights.content import NAMED_FORMATS, Inspection

if TYPE_CHECKING:
    from fx_hooks.frameworks.framework import RunDirectory

NAME = "fx-init"
_MOST_LINES = 12
_MOST_TOOLS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The files to write, what to tell, and the tracked files that break the policy."""

    files: list[File]
    notes: list[str]
    runner: Runner
    broken: list[Verdict]
    breaches: list[Finding]
    directories: Sequence[RunDirectory]
    policy: Policy


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Set up fx-hooks in this repository: .fx-hooks.yaml, .gitignore and"
        f" {CONFIG}. It shows you what it would write, and asks first.",
        "0: everything is set up; 1: tracked files break the policy, or there are lines that you"
        " have to add yourself, or something is missing and was not written",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument("--diff", action="store_true", help="show each change in full")
    parser.add_argument(
        "--keep-tracked",
        action="store_true",
        help="accept the files that are tracked today, whatever they become",
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="accept the files that are tracked today, as they are in HEAD",
    )
    parser.add_argument("--push", action="store_true", help="check each push, too")
    parser.add_argument("--install", action="store_true", help="install the runner's hooks")
    parser.add_argument(
        "--try",
        dest="trial",
        action="store_true",
        help="commit and merge a run in a throw-away work tree, to see if git refuses it",
    )
    parser.add_argument(
        "--undo", action="store_true", help="take back what fx-init wrote in this clone"
    )
    parser.add_argument("--report", action="store_true", help="say what is found, write nothing")
    add_format_option(parser, "--report")
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fx-init`` and return its exit code; see its ``--help``."""
    parser = make_parser()
    options = parser.parse_args(argv)
    ways = {"--undo": options.undo, "--report": options.report, "--try": options.trial}
    chosen = [name for name, used in ways.items() if used]
    if len(chosen) > 1:
        parser.error(f"{' and '.join(chosen)} do not go together")
    others = ("--baseline", "--keep-tracked", "--push", "--install", "--diff")
    ignored = [one for one in others if chosen and getattr(options, one[2:].replace("-", "_"))]
    if ignored:
        parser.error(f"{chosen[0]} and {ignored[0]} do not go together")
    if options.baseline and options.keep_tracked:
        parser.error("give either --baseline or --keep-tracked")
    if options.format != "text" and not options.report:
        parser.error("--format goes with --report")
    if options.undo:
        return undo(yes=options.yes, dry_run=options.dry_run)
    if options.report:
        return report(as_json=options.format == "json")
    if options.trial:
        return try_out(dry_run=options.dry_run)
    accept = Accept.CONTENT if options.baseline else None
    if options.keep_tracked:
        accept = Accept.PATH
    return init(
        yes=options.yes,
        dry_run=options.dry_run,
        accept=accept,
        diff=options.diff,
        push=options.push,
        install=options.install,
    )


def init(
    *,
    yes: bool = False,
    dry_run: bool = False,
    accept: Accept | None = None,
    diff: bool = False,
    push: bool = False,
    install: bool = False,
) -> int:
    """Show the plan, ask unless *yes*, write it unless *dry_run*; return the exit code.

    Raises :class:`~fx_hooks.util.errors.FatalError`.
    """
    repository = Repository()
    plan, index = _plan(repository, accept=accept, push=push)
    runner = plan.runner
    before = _states(repository, plan.files)
    asking = bool(plan.files) and not dry_run and not yes
    if asking:
        _need_terminal()  # before there are hundreds of lines that no one reads
    for file in plan.files:
        tools = Counter[str]() if diff else _by_tool(file, plan.policy)
        print("\n".join(_shown(file, tools, whole=diff or asking)))
    for line in (*plan.notes, *runner.open_lines):
        print(line)
    done = not plan.files
    if plan.files and not dry_run:
        done = yes or _agreed()
        if done:
            _write_all(repository, plan.files, before)
            names = [file.name.encode() for file in plan.files]
            commands = git_commands.staging(repository, names)
            print("\n".join(("Written. Look at the changes, then stage them:",
                             *command_lines(commands))))  # fmt: skip
        else:
            print("Nothing was written.")
    elif done and not runner.open_lines:
        print("The files are in place." if runner.install else "All is in place.")
    if done and runner.install and install and not dry_run:
        _install(repository, runner)
    elif done and runner.install:
        lines = command_lines((runner.install,))
        print("\n".join(("Install the hooks, once in each clone:", *lines)))
    if done:
        _print_own_lines(repository, index, plan.policy)
    _print_broken(repository, index, plan)
    left = plan.broken or plan.breaches or runner.open_lines
    return CLEAN if done and not left else FOUND


def _install(repository: Repository, runner: Runner) -> None:
    """Install the runner's hooks, and remember what that has changed."""
    folder = hooks_folder(repository)
    before = states_in(folder)
    words = runner.install.split()
    words[0] = next(
        (name for name in (words[0], "pre-commit", "prek") if shutil.which(name)), words[0]
    )
    try:
        code = start_program(words, os.fsdecode(repository.root))
    finally:
        remember(repository, before, states_in(folder))
    if code:
        raise FatalError(f"{words[0]} has not installed the hooks: see why with", " ".join(words))
    print(f"{words[0]} has installed its hooks: {', '.join(runner.stages)}")


def undo(*, yes: bool, dry_run: bool = False) -> int:
    """Take back what earlier runs wrote, after asking unless *yes*; return the exit code.

    With *dry_run* only say what that would be.
    """
    repository = Repository()
    wanted = recorded(repository)
    if not yes and not dry_run:
        _need_terminal()
    for place, old in wanted.items():
        what = "goes away" if old.content is None else "becomes what it was"
        print(f"{shown(os.path.relpath(place, repository.root))}: {what}")
    if dry_run or (not yes and not _agreed("Take this back? [y/N] ")):
        print("Nothing was taken back.")
        return FOUND
    take_back(repository, wanted)
    print("\n".join(("Taken back.", *left_behind(repository))))
    return CLEAN


def try_out(*, dry_run: bool = False) -> int:
    """Let git commit and merge a run in a throw-away work tree; return the exit code."""
    if dry_run:
        print("Nothing was tried: without --dry-run, git commits and merges a run in a throw-away"
              " work tree.")  # fmt: skip
        return FOUND
    found = try_hooks(Repository())
    for stage, refused in found.items():
        print(f"{stage}: {'a run is refused' if refused else 'a run gets in'}")
    return CLEAN if all(found.values()) else FOUND


def report(*, as_json: bool) -> int:
    """Print what there is: runner, hooks, tools, projects, folders."""
    repository = Repository()
    plan, _ = _plan(repository)
    runner = plan.runner
    classifier = Classifier(plan.policy)
    folders = [
        {
            "path": found.path,
            "tool": found.tool,
            "setting": found.setting,
            "covered": bool(classifier.blocked([os.fsencode(found.path) + b"/x/x"])),
        }
        for found in plan.directories
    ]
    facts: dict[str, Any] = {
        "runner": {"name": runner.kind.value, "config": runner.config,
                   "complete": not runner.files and not runner.open_lines},
        "hooks": dict(runner.stages),
        "tools": sorted({found.tool for found in plan.directories}),
        "projects": list(plan.policy.folders),
        "folders": folders,
        "files_to_write": [file.name for file in plan.files],
        "tracked_artifacts": len(plan.broken),
    }  # fmt: skip
    if as_json:
        print(json.dumps(facts))
        return CLEAN
    rows = [("runner", f"{runner.kind.value} ({runner.config})")]
    for stage, done in runner.stages.items():
        lacking = ", ".join(runner.lacks.get(stage, ())) or "fx-hooks"
        rows.append(
            (f"hook {stage}", "starts fx-hooks" if done else f"does not start {lacking} yet")
        )
    rows += [("tool", tool) for tool in facts["tools"]]
    rows += [("project", project) for project in facts["projects"]]
    for one in folders:
        known = "" if one["covered"] else ": no rule covers it yet"
        rows.append(("folder", f"{one['path']}/ ({one['tool']}, {one['setting']}){known}"))
    rows += [("to write", name) for name in facts["files_to_write"]]
    rows.append(("tracked artifacts", f"{len(plan.broken):,}"))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    return CLEAN


def _plan(
    repository: Repository, *, accept: Accept | None = None, push: bool = False
) -> tuple[Plan, Mapping[bytes, IndexEntry]]:
    root = repository.root
    index = repository.index_by_path()
    refuse_unmerged(index)
    refuse_unstaged(repository, index)
    in_force = policy_in_force(repository, index)
    refuse_unmerged(index, in_force.policy)
    before = in_force.text

    def loaded(text: bytes | None) -> Policy:
        return policy_of_text(repository, index, text)

    missed = near_misses.of_index(repository, index, in_force.policy)
    notes = [*in_force.notes, *(one.text for one in missed)]
    paths = [*index, *repository.untracked()]
    text, said = _with_projects(repository, loaded(before), before, paths)
    notes += said
    policy = loaded(text)
    classifier = Classifier(policy)
    # What runs have left tells where they were, not where they go.
    artifacts = set(classifier.blocked(paths))
    contents = _contents(root, [path for path in paths if path not in artifacts])
    missing = []
    directories = run_directories(contents, policy.projects)
    for found in directories:
        inside = os.fsencode(found.path) + b"/"
        if classifier.blocked([inside + b"x/x"]):
            continue
        if problem("/" + literal(found.path)):
            notes.append(
                f"{found.setting}: {found.tool} writes to {found.path}/, a name that"
                f" {POLICY_NAME} cannot hold"
            )
        elif any(path.startswith(inside) for path in index):
            notes.append(
                f"{found.setting}: {found.tool} writes to {found.path}/, where files are tracked:"
                f" say in {POLICY_NAME} which of them belong in Git"
            )
        else:
            missing.append(found)
            notes += _other_places(found, contents, policy)
    if missing:
        text = with_items(
            text or b"", POLICY_NAME, "ignore", lambda indent: _rules(missing, indent, loaded(text))
        )
    policy = loaded(text)
    debt = _Debt(repository, index, policy)
    files = []
    if accept is not None:
        known = _file_state(repository)
        written = debt.accept(accept)
        if written is not None and written != known:
            files.append(File(name=BASELINE_NAME, before=known, after=written))
    notes += debt.notes
    if text is not None and text != before:
        files.append(File(name=POLICY_NAME, before=before, after=text))
    files += _ignore_files(repository, index, policy)
    old = ignore_file.read(root)
    same = redundant_lines(root, paths, old or b"", policy)
    if same:
        notes.append(f"These lines of {FILE} are redundant, because the block already covers them:")
        notes += [f"    {FILE}:{number}: {shown(line)}" for number, line in same]
    runner = find_runner(repository, push=push)
    plan = Plan(
        files=[*files, *runner.files],
        notes=notes,
        runner=runner,
        broken=debt.broken,
        breaches=debt.breaches,
        directories=directories,
        policy=policy,
    )
    return plan, index


def _ignore_files(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> Iterator[File]:
    """Yield each `.gitignore` whose block is another than *policy* asks for."""
    for folder, wanted in wanted_blocks(repository, index, policy).items():
        name = os.fsdecode(ignore_file.name_in(folder))
        if ignore_file.is_left_out(repository, index, folder):
            raise FatalError(f"{name}: {ignore_file.left_out(folder)}")
        old = ignore_file.read(repository.root, folder)
        merged = ignore_file.merged_versions(repository, index, folder)
        new = rewritten(old or b"", wanted, merged=merged)
        if new != old:
            yield File(name=name, before=old, after=new)


def _with_projects(
    repository: Repository, policy: Policy, text: bytes | None, paths: Sequence[bytes]
) -> tuple[bytes | None, list[str]]:
    """Return the policy file with the projects that it does not know, and what to say of them."""
    seen = [*paths, *_ignored_runs(repository)]
    base = Classifier(policy._replace(projects=None))
    found = find_projects(seen, lambda folder: base.blocks(folder + b"/x"))
    projects = policy.projects
    new = {
        folder: reason
        for folder, reason in found.items()
        if (projects is None or projects.finder.at(folder) != folder)
        and problem(literal(os.fsdecode(folder))) is None
    }
    if not new:
        return text, []
    written = as_globs(new, paths)

    def lines(indent: str) -> list[str]:
        return [
            f"{indent}- {in_quotes(name)}"
            f"  # {', '.join(dict.fromkeys(new[folder] for folder in folders))}"
            for name, folders in written.items()
        ]

    said = [f"{shown(folder)} looks like a project: {reason}" for folder, reason in new.items()]
    if len(said) > _MOST_LINES:
        said[_MOST_LINES:] = [f"and {len(said) - _MOST_LINES} more, in the lines of {POLICY_NAME}"]
    return with_items(text or b"", POLICY_NAME, "projects", lines), said


def _ignored_runs(repository: Repository) -> list[bytes]:
    """Return the runs in folders that git ignores already, two levels down."""
    listed = repository.run(
        "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"
    )
    found = []
    for folder in listed.split(b"\0")[:-1]:
        name = folder.rstrip(b"/").rpartition(b"/")[2]
        if folder.endswith(b"/") and name in (b"wandb", b".wandb", b"outputs", b"multirun"):
            for above, folders, files in os.walk(os.path.join(repository.root, folder)):
                below = os.path.relpath(above, repository.root).replace(os.fsencode(os.sep), b"/")
                found += [below + b"/" + inner for inner in (*folders, *files)]
                if below.count(b"/") > folder.rstrip(b"/").count(b"/"):
                    folders.clear()
    return found


def _other_places(
    found: RunDirectory, contents: Mapping[str, bytes], policy: Policy
) -> Iterator[str]:
    """Yield that a folder may be another one: its file is in a project, or speaks of one.

    What is relative counts from where the tool is started, which another file may show.
    """
    name = found.setting.rpartition(":")[0]
    projects = policy.projects
    if projects is None:
        return
    project = projects.around(os.fsencode(name))
    if project:
        script = re.compile(rb"(?<![\w./-])" + re.escape(project) + rb"/[\w./-]*\.py\b")
        starts = (
            other
            for other, content in contents.items()
            if not projects.around(os.fsencode(other)) and script.search(content)
        )
        start = os.fsdecode(project) + "/"
        at_root = found.path.removeprefix(start)
        for other in starts:
            if found.path.startswith(start):
                yield (
                    f"{found.setting}: {found.tool} writes to {found.path}/, or to {at_root}/ if"
                    f" it is started at the root, as {other} may do: then write /{at_root} under"
                    f" `ignore` in {POLICY_NAME}"
                )
            break
        return
    for folder in projects.among(os.fsencode(path) for path in contents):
        if re.search(rb"(?<![\w./-])" + re.escape(folder) + rb"(?![\w-])", contents.get(name, b"")):
            yield (
                f"{found.setting}: {found.tool} writes to {found.path}/, or to"
                f" {shown(folder)}/{found.path}/ if it is started there: then write"
                f" {shown(b'/' + folder)}/{found.path} under `ignore` in {POLICY_NAME}"
            )


def _contents(root: bytes, paths: Sequence[bytes]) -> dict[str, bytes]:
    contents = {}
    for path in dict.fromkeys(paths):
        name = os.fsdecode(path)
        full = os.path.join(root, path)
        if is_configuration(name) and os.path.isfile(full) and os.path.getsize(full) <= MAX_BYTES:
            try:
                with open(full, "rb") as file:
                    contents[name] = file.read()
            except OSError as exc:
                raise FatalError(f"{shown(path)}: cannot be read: {exc.strerror}") from exc
    return contents


def _rules(found: Sequence[RunDirectory], indent: str, policy: Policy) -> list[str]:
    taken = {entry.rule for entry in policy.entries}
    stems = {framework.name: framework.output_rule for framework in FRAMEWORKS}
    lines = []
    for directory in found:
        stem = stems[directory.tool]
        names = (f"{stem}-{number}" if number > 1 else stem for number in range(1, len(taken) + 9))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        pattern = in_quotes("/" + literal(directory.path))
        lines += [
            f"{indent}- rule: {name}",
            f"{indent}  paths: [{pattern}]  # {directory.setting}",
            f"{indent}  why: {directory.tool} writes its runs there",
        ]
    return lines


def _rule(verdict: Verdict) -> str:
    decider = verdict.decider
    return decider.rule if decider is not None else ""


class Accept(Enum):
    """A way to accept what is tracked: as it is, or whatever it becomes."""

    CONTENT = "content"
    PATH = "path"


class _Debt:
    """The tracked files that the policy refuses, the same as in CI, and how to live with them."""

    def __init__(
        self, repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
    ) -> None:
        self._repository = repository
        self._index = index
        self._policy = policy
        self.notes: list[str] = []
        check = IndexCheck(repository, index, {}, Classifier(policy))
        verdicts = check.verdicts(index, ask_disk=False, open_all=True)
        self._verdicts = [verdict for verdict in verdicts if verdict.blocked]
        exempted = exempted_note(verdicts)
        if exempted:
            self.notes.append(exempted)
        self._findings: list[Finding] = []
        try:
            for contract in checks(repository, index, policy):
                self._findings += contract.findings(None)
        except FatalError as exc:
            self._findings.append(
                Finding(b"", "best-models", str(exc), "", b"", None, tracked=True)
            )
        self._judge(baseline_in_force(repository, index))

    def _judge(self, baseline: Baseline) -> None:
        self._acceptance = Acceptance(self._repository, lambda: baseline, self._policy)
        self.broken = self._acceptance.left(self._verdicts, self._index)
        self.breaches = self._acceptance.left_of_contract(self._findings, self._index)

    def accept(self, how: Accept) -> bytes | None:
        """Return the text of the baseline that accepts what ``HEAD`` has; None where that is none.

        What would run code when it is loaded is left out, and named.
        """
        head = self._repository.head()
        wanted = {verdict.path: _rule(verdict) for verdict in self.broken}
        for finding in self.breaches:
            if finding.rule in ACCEPTED_RULES:
                wanted[finding.path] = BEST_MODELS_RULE
        ids = self._repository.found(head, wanted) if head is not None else {}
        folder = self._policy.best_models.folder.encode() + b"/"
        contents, paths, dangerous = [], [], []
        for path, blob in sorted(ids.items()):
            chosen = wanted[path] == BEST_MODELS_RULE or path.startswith(folder)
            alone = functools.partial(Baseline, contents=frozenset({(path, blob)}))
            trial = Acceptance(self._repository, alone, self._policy)
            if not trial.accepts(path, blob, wanted[path]):
                dangerous.append((path, trial.inspection(blob)))
            elif how is Accept.PATH and not chosen:
                paths.append(path)
            else:
                contents.append((path, blob))
        self.notes += [line for one in dangerous for line in self._danger(*one)]
        baseline = self._acceptance.baseline.plus(contents, paths)
        if not baseline:
            return None
        self._judge(baseline)
        return format_baseline(baseline)

    def _danger(self, path: bytes, found: Inspection | None) -> list[str]:
        """Return what to say of a model that the baseline leaves out."""
        if found is None:
            return [f"{shown(path)}: is not in this clone, so the baseline leaves it out"]
        why = (
            ", ".join(
                (*found.faults, *([f"imports {', '.join(found.globals)}"] * bool(found.globals)))
            )
            or f"is {found.format}, which holds code"
        )
        lines = [f"{shown(path)}: the baseline leaves it out, because it {one_line(why)}"]
        allowed = all(map(can_be_allowed, found.globals)) and not found.faults
        if allowed and path.startswith(self._policy.best_models.folder.encode() + b"/"):
            way = self._repository.path_to_root()
            words = [word for name in found.globals for word in ("--allow-global", name)]
            words += ["--format", found.format] if found.format in NAMED_FORMATS else []
            name = os.fsdecode(f"{way}/".encode() * bool(way) + path)
            command = git_commands.Command("fx-add-milestone", name, "--why", "TEXT", *words)
            lines += ["If you trust it, approve it (TEXT says why):", *command_lines((command,))]
        return lines


def _file_state(repository: Repository) -> bytes | None:
    return state_of(os.path.join(repository.root, BASELINE_NAME.encode())).content


def _by_tool(file: File, policy: Policy) -> Counter[str]:
    """Return how many patterns of each tool *file* has, if it is given the whole block."""
    added = sum(line.startswith("+") for line in changed_lines(file.before, file.after))
    lines = [tool for section in sections(policy) for tool in section.tools]
    is_block = file.name == FILE and added >= len(lines)
    return Counter(lines if is_block else ())


def _shown(file: File, tools: Counter[str], *, whole: bool) -> list[str]:
    changes = [line for line in changed_lines(file.before, file.after) if not line.startswith("@")]
    lines = [f"{file.name}: {'new' if file.before is None else 'changed'}, {len(changes)} lines"]
    if tools:
        named = [(name, count) for name, count in tools.most_common() if name]
        rest = sum(count for _, count in named[_MOST_TOOLS:])
        others = [(f"{len(named) - _MOST_TOOLS} other tools", rest)] if rest else []
        for name, count in (*named[:_MOST_TOOLS], *others, ("no one tool", tools[""])):
            lines.append(f"  {name:<17}  {plural(count, 'pattern')}")
        return [*lines, "  (--diff shows all lines)"]
    few = len(changes) if whole else _MOST_LINES
    lines += [f"  {line}" for line in changes[:few]]
    if len(changes) > few:
        lines.append(f"  and {len(changes) - few} more (--diff shows all)")
    return lines


def _need_terminal() -> None:
    if not sys.stdin.isatty():
        raise FatalError(
            "cannot ask without a terminal: look at the plan with --dry-run, then run with --yes"
        )


def _agreed(question: str = "Write this? [y/N] ") -> bool:
    _need_terminal()
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False


def _states(repository: Repository, files: Sequence[File]) -> dict[bytes, State]:
    places = [os.path.join(repository.root, file.name.encode()) for file in files]
    return {place: state_of(place) for place in places}


def _write_all(
    repository: Repository, files: Sequence[File], before: Mapping[bytes, State]
) -> None:
    """Write what takes *files* back, then them; where one cannot be, say which ones are written.

    None may be another than *before*, when they were shown.
    """
    written: list[str] = []
    try:
        now = _states(repository, files)
        for file, place in zip(files, now, strict=True):
            if now[place] != before[place]:
                raise FatalError(f"{file.name}: it has just been changed: run this again")
        contents = zip(now, files, strict=True)
        after = {p: State(content=file.after, mode=now[p].mode) for p, file in contents}
        remember(repository, now, after)
        for file in files:
            _write(repository.root, file)
            written.append(file.name)
    except FatalError as exc:
        done = f"already written: {', '.join(written)}" if written else "nothing was written"
        raise FatalError(f"{exc}; {done}") from exc


def _write(root: bytes, file: File) -> None:
    if os.path.basename(file.name) == FILE:
        folder = os.path.dirname(os.fsencode(file.name))
        ignore_file.write(root, file.after, file.before, folder)
        return
    place = os.path.realpath(os.path.join(root, file.name.encode()))
    try:
        is_there = file.before is not None
        mode = os.stat(place).st_mode & 0o7777 if is_there else 0o666
        replace_file(place, file.after, mode, exact=is_there)
    except OSError as exc:
        raise FatalError(f"{file.name}: cannot be written: {exc.strerror}") from exc


def _print_own_lines(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> None:
    """Say how many of the user's own lines contradict the block that is written now."""
    found = findings_around(repository, index, policy)
    lines = sum(finding.rule == LINE for finding in found)
    if lines:
        noun = f"line of your {FILE} disagrees" if lines == 1 else f"lines of your {FILE} disagree"
        print(f"{lines:,} {noun} with the policy (see fx-sync-gitignore --findings).")


def _print_broken(repository: Repository, index: Mapping[bytes, IndexEntry], plan: Plan) -> None:
    if plan.broken:
        noun = "tracked file breaks" if len(plan.broken) == 1 else "tracked files break"
        count = f"{len(plan.broken):,} {noun} the policy"
        print(f"{count} (see them with fx-check-artifacts --all-files).")
        them, staying = them_staying(len(plan.broken))
        print(f"Stop tracking {them} ({staying} on disk):")
        paths = {verdict.path for verdict in plan.broken}
        sparse = repository.needs_sparse(paths)
        whole = git_commands.cover(paths, index)
        force = rm_needs_force(repository, repository.staged_by_path(), paths)
        commands = git_commands.untrack(whole, force=force, sparse=sparse, repeatable=False)
        for line in command_lines(git_commands.from_folder(commands, repository.path_to_root())):
            print(line)
    covered = {verdict.path for verdict in plan.broken}
    rest = [finding for finding in plan.breaches if finding.path not in covered]
    if rest:
        noun = "breach" if len(rest) == 1 else "breaches"
        print(f"{len(rest):,} {noun} of the contract for chosen models. See what to do with:")
        print("\n".join(command_lines(("fx-check-best-models --all-files",))))
    if plan.broken or rest:
        print("Or accept what is tracked today, and refuse what is new:")
        print("\n".join(command_lines((f"{NAME} --baseline --yes",))))
    else:
        print("No tracked file breaks the policy.")


if __name__ == "__main__":
    raise SystemExit(main())
