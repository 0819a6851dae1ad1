"""What a range brings in, for people: commit by commit, and how to take it out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks import remedy
from fx_hooks.command import one_line
from fx_hooks.paths import human_size, quoted, shown
from fx_hooks.reports.text import Step

if TYPE_CHECKING:
    from fx_hooks.finding import Commit, Finding

MAX_LINES = 80
_MOST_PATHS = 20
_SUBJECT = 60
# Nothing else may have been in it.
_AMEND = "git commit --amend --no-edit --allow-empty"


class Place(NamedTuple):
    """Where the artifacts of a range stand, which decides how they are taken out.

    ``tip`` is the newest commit. ``published`` are the commits that a remote has already.
    ``parent`` is that of the oldest commit with an artifact, None if it has none.
    """

    tip: str
    published: frozenset[str]
    parent: str | None
    merges: bool


def range_report(
    findings: Sequence[Finding],
    steps: Sequence[Step],
    *,
    commits: int,
    verbose: bool,
    colour: bool,
) -> list[str]:
    """The lines to print: the findings by commit, then what to do."""
    guilty = len({finding.commit for finding in findings})
    sizes = {finding.blob: finding.size for finding in findings}
    total = sum(size for size in sizes.values() if size is not None)
    noun = "file" if len(findings) == 1 else "files"
    verb = "does" if len(findings) == 1 else "do"
    head = (
        f"{len(findings):,} {noun} in {guilty:,} of {commits:,} commits {verb} not belong in Git"
        f" ({human_size(total)}):"
    )
    tail: list[str] = []
    for step in steps:
        tail += ["", one_line(step.what)]
        tail += [f"    {line}" for line in step.commands]
    body = _body(findings, verbose=verbose, colour=colour)
    room = MAX_LINES - 1 - len(tail)
    if not verbose and len(body) > max(room, 10):
        kept = body[: max(room, 10) - 2]
        body = [*kept, "", f"and {len(body) - len(kept):,} more lines (--verbose shows them)"]
    return [_bold(head, colour), *body, *tail]


def _body(findings: Sequence[Finding], *, verbose: bool, colour: bool) -> list[str]:
    by_commit: dict[Commit | None, list[Finding]] = {}
    for finding in findings:
        by_commit.setdefault(finding.commit, []).append(finding)
    lines = []
    for commit, members in by_commit.items():
        lines += ["", _bold(_title(commit), colour)]
        groups: dict[tuple[str, bytes], list[Finding]] = {}
        for finding in members:
            key = finding.path if verbose else finding.group
            groups.setdefault((finding.rule, key), []).append(finding)
        by_rule: dict[str, list[tuple[bytes, list[Finding]]]] = {}
        for (rule, group), files in sorted(groups.items()):
            by_rule.setdefault(rule, []).append((group, files))
        for rule, rows in by_rule.items():
            lines.append(f"  {rule}: {one_line(rows[0][1][0].why)}")
            lines += [f"  - {_row(group, files)}" for group, files in rows]
    return lines


def _title(commit: Commit | None) -> str:
    assert commit is not None
    subject = one_line(commit.subject)
    subject = subject if len(subject) <= _SUBJECT else subject[: _SUBJECT - 3] + "..."
    return f"{commit.id[:10]} {commit.date[:10]} {subject}".rstrip()


def _row(group: bytes, files: Sequence[Finding]) -> str:
    single = files[0].path == group
    facts = [] if single else [f"{len(files):,} file{'s' * (len(files) != 1)}"]
    sizes = [finding.size for finding in files if finding.size is not None]
    facts.append(human_size(sum(sizes)) if sizes else "size unknown")
    there = sum(bool(finding.in_tip) for finding in files)
    if there == len(files):
        facts.append("still there")
    else:
        facts.append("gone since" if not there else f"{there:,} of them still there")
    most = max(finding.occurrences or 1 for finding in files)
    if most > 1:
        facts.append(f"{most:,} times in the range" if single else f"up to {most:,} times each")
    return f"{shown(group)}{'' if single else '/'}  {', '.join(facts)}"


def how_to_remove(findings: Sequence[Finding], place: Place, *, verbose: bool) -> list[Step]:
    """The commands that take *findings* out of the history; nothing is rewritten here."""
    paths = sorted({finding.path for finding in findings})
    ids = list(dict.fromkeys(finding.commit.id for finding in findings if finding.commit))
    if place.published & set(ids):
        return [_filter_repo(paths, verbose=verbose)]
    if ids == [place.tip]:
        rm = remedy.untrack(paths, force=True, sparse=False, repeatable=False)
        return [
            Step(
                "Take them out of the last commit (the files stay on disk):",
                [*_few(rm, verbose), _AMEND],
            )
        ]
    start = "--root" if place.parent is None else place.parent[:10]
    merges = " --rebase-merges" if place.merges else ""
    names = ", ".join(name[:10] for name in ids[:5])
    more = f" and {len(ids) - 5:,} more" if len(ids) > 5 else ""
    rm = remedy.untrack(paths, force=True, sparse=False, repeatable=True)
    return [
        Step(
            f"No remote has these commits yet: rebase, and mark {names}{more} as 'edit':",
            [f"git rebase -i{merges} {start}"],
        ),
        Step(
            "At each of them (copy the files elsewhere first if you need them):",
            [*_few(rm, verbose), _AMEND, "git rebase --continue"],
        ),
    ]


def _filter_repo(paths: Sequence[bytes], *, verbose: bool) -> Step:
    what = (
        "A remote has them already. In a fresh clone, with git-filter-repo; it rewrites the"
        " history, so tell everybody who has a clone, and push with --force:"
    )
    if len(paths) > _MOST_PATHS and not verbose:
        return Step(what, [f"# {len(paths):,} paths: --verbose shows the command"])
    words = [f"--path {quoted(path)}" for path in paths]
    return Step(what, [" \\\n        ".join(["git filter-repo --invert-paths", *words])])


def _few(commands: list[str], verbose: bool) -> list[str]:
    if verbose or len(commands) <= 3:
        return commands
    return [*commands[:2], f"# and {len(commands) - 2} more such commands; --verbose shows all"]


def changes_note(changed: Mapping[str, Sequence[str]], policy_ref: str) -> list[str]:
    """That a range changes what it is judged by, a line a file."""
    counts = f"that of {policy_ref} counts" if policy_ref else "what it says at the end counts"
    notes = []
    for name, commits in changed.items():
        where = ", ".join(commit[:10] for commit in commits[:3]) or "a deletion"
        notes.append(f"the range changes {name} ({where}): {counts}")
    return notes


def _bold(text: str, colour: bool) -> str:
    return f"\033[1m{text}\033[0m" if colour else text
