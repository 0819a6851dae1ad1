"""The report of a range for people: commit by commit, and how to remove artifacts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.git import commands as git_commands
from fx_hooks.history.commit_check import DIGEST_RULE
from fx_hooks.policy.model import BEST_MODELS_RULE
from fx_hooks.reporting.layout import Step, bold, plural, step_lines
from fx_hooks.reporting.text import grouped
from fx_hooks.util.extras import install_program
from fx_hooks.util.paths import human_size, quoted, shown
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from fx_hooks.reporting.finding import Commit, Finding

MAX_LINES = 80
_SUBJECT = 60
_ALL = ("--all", "--tags")  # of a push
_AMEND = ("git", "commit", "--amend", "--no-edit", "--allow-empty")


class Place(NamedTuple):
    """The position of the artifacts of one range, which decides how to remove them.

    ``name`` is what people call the tip, ``branch`` the branch it is, empty if it is none;
    ``checked_out`` says that the work tree has it. ``published`` are the guilty commits that
    a remote has already, ``shared`` those of its default branch, which others build on;
    ``remotes`` have a branch of that name. ``is_tag`` says that the tip is a tag's, ``is_stash``
    that it is a stash.
    ``parent`` is that of the oldest guilty commit, None if it has none.
    ``merges`` says that there are merges from there on, ``guilty_merge`` that one of them
    brings something in. ``kept`` are paths where the tip has what belongs in Git. ``whole`` are
    the fewest paths, files or folders, that stand for the artifacts in each guilty commit.
    """

    name: str
    branch: str
    tip: str
    checked_out: bool
    published: frozenset[str]
    shared: frozenset[str]
    remotes: tuple[str, ...]
    is_tag: bool
    is_stash: bool
    parent: str | None
    merges: bool
    guilty_merge: bool
    kept: frozenset[bytes]
    whole: tuple[bytes, ...]


def range_report(
    findings: Sequence[Finding],
    steps: Sequence[Step],
    *,
    commits: int,
    whole: Collection[bytes],
    verbose: bool,
    colour: bool,
) -> list[str]:
    """Return the lines to print: the findings by commit, then what to do.

    *whole* are paths that the commands take, with all that is in those that are folders.
    """
    guilty = len({finding.commit for finding in findings})
    sizes = {finding.blob: finding.size for finding in findings}
    total = sum(size for size in sizes.values() if size is not None)
    noun = "file" if len(findings) == 1 else "files"
    verb = "does" if len(findings) == 1 else "do"
    amount = f" ({human_size(total)})" if any(size is not None for size in sizes.values()) else ""
    head = (
        f"{len(findings):,} {noun} in {guilty:,} of {commits:,} commits {verb} not belong in Git"
        f"{amount}:"
    )
    tail = step_lines(steps)
    body = _body(findings, whole, verbose=verbose, colour=colour)
    room = MAX_LINES - 1 - len(tail)
    if not verbose and len(body) > max(room, 10):
        kept = body[: max(room, 10) - 2]
        body = [*kept, "", f"and {len(body) - len(kept):,} more lines (--verbose shows them)"]
    return [bold(head, colour), *body, *tail]


def _body(
    findings: Sequence[Finding], whole: Collection[bytes], *, verbose: bool, colour: bool
) -> list[str]:
    by_commit: dict[Commit | None, list[Finding]] = {}
    commits: dict[str | None, set[Commit | None]] = {}
    for finding in findings:
        by_commit.setdefault(finding.commit, []).append(finding)
        commits.setdefault(finding.blob, set()).add(finding.commit)
    lines = []
    for commit, members in by_commit.items():
        lines += ["", bold(_title(commit), colour)]
        by_rule: dict[str, list[Finding]] = {}
        for finding in members:
            by_rule.setdefault(finding.rule, []).append(finding)
        for rule, some in sorted(by_rule.items()):
            why = one_line(some[0].why)
            lines.append(f"  {rule}: {why}" if why else f"  {rule}")
            for group, files in grouped(some, whole, verbose=verbose):
                most = max(len(commits[finding.blob]) for finding in files)
                lines.append(f"  - {_row(group, files, most)}")
    return lines


def _title(commit: Commit | None) -> str:
    assert commit is not None
    subject = one_line(commit.subject)
    subject = subject if len(subject) <= _SUBJECT else subject[: _SUBJECT - 3] + "..."
    return f"{commit.id[:10]} {commit.date[:10]} {subject}".rstrip()


def _row(group: bytes, files: Sequence[Finding], most: int) -> str:
    single = files[0].path == group
    facts = [] if single else [plural(len(files), "file")]
    sizes = [finding.size for finding in files if finding.size is not None]
    facts.append(human_size(sum(sizes)) if sizes else "size unknown")
    there = sum(bool(finding.in_tip) for finding in files)
    if there == len(files):
        facts.append("still there")
    else:
        facts.append("gone since" if not there else f"{there:,} of them still there")
    if most > 1:
        facts.append(f"in {most:,} commits" if single else f"up to {most:,} commits each")
    return f"{shown(group)}{'' if single else '/'}  {', '.join(facts)}"


def how_to_remove(
    found: Sequence[tuple[Place, Sequence[Finding]]], path_to_root: str
) -> list[Step]:
    """Return the commands that remove findings from the history; this rewrites nothing.

    Each range comes with its findings. The commands are for the folder from which
    *path_to_root* leads to the root.
    """
    shared = [(place, some) for place, some in found if place.shared]
    steps = []
    if shared:
        every = [finding for _, some in shared for finding in some]
        kept = {path for place, _ in shared for path in place.kept}
        steps.append(rewrite_history(every, kept, "A remote has them already. "))
    found = [(place, some) for place, some in found if not place.shared]
    for place, findings in found:
        if len(found) > 1:
            # Whichever comes first takes the work tree along.
            place = place._replace(checked_out=False)
        for what, commands in _take_out(place, findings):
            where = f"{place.name}: " if len(found) > 1 else ""
            steps.append(Step(where + what, git_commands.from_folder(commands, path_to_root)))
    return steps


def rewrite_history(findings: Sequence[Finding], kept: Collection[bytes], said: str = "") -> Step:
    """Return the steps that remove *findings* from published history; *said* comes first.

    Of *kept* paths only the blobs of the findings go.
    """
    what = (
        f"{said}Taking them out rewrites the history: tell everyone who has a clone. In a fresh"
        f" clone, with {_named_filter_repo()}:"
    )
    # git-filter-repo takes the remote of a fresh clone away, so that nobody pushes by mistake.
    rewrite = (
        f"url=$(git remote get-url origin) && {_filter_repo(findings, kept, ())}"
        ' \\\n        && git remote add origin "$url"'
    )
    return Step(what, [rewrite, *(f"git push -q --force {which} origin" for which in _ALL)])


def take_back_stash(name: str, others: int = 0) -> Step:
    """Return the step that ends a stash, whose content the hooks then see like any other.

    So many *others* have to end, too, once the work tree is free again.
    """
    which = [] if name in ("", "stash@{0}") or "@{" not in name else [name]
    more = f" Then run this again for {others:,} more." if others else ""
    what = (
        "Only your stash has them, and nobody else gets that. Apply it, so that you lose nothing;"
        f" the hooks check what you commit of it.{more}"
    )
    return Step(what, [git_commands.Command("git", "stash", "pop", "-q", *which)])


def _take_out(place: Place, findings: Sequence[Finding]) -> list[Step]:
    """Return the steps that remove *findings* from commits that no one else has."""
    ids = list(dict.fromkeys(finding.commit.id for finding in findings if finding.commit))
    if place.is_tag:
        what = f"Delete the tag {place.name}, and set it again on a clean commit:"
        return [Step(what, [git_commands.Command("git", "tag", "-d", place.name)])]
    if place.is_stash:
        return [take_back_stash(place.name)]
    if not place.branch and not place.checked_out:
        what = "Check out a branch that has them, and run this again. These branches do:"
        return [Step(what, [git_commands.Command("git", "branch", "--contains", ids[0])])]
    there = [] if place.checked_out else [f"git checkout -q {quoted(place.name.encode())} --"]
    if ids == [place.tip]:
        rm = git_commands.untrack(place.whole, force=True, sparse=False, repeatable=False)
        what = (
            "Take them out of the last commit, with nothing else staged (the files stay on disk):"
        )
        return [_with_push(place, what, [*there, *rm, git_commands.Command(*_AMEND)])]
    whose = (
        "Only this branch has these commits" if place.published
        else "No remote has these commits yet"
    )  # fmt: skip
    if _would_stop(place, findings):
        start = "" if place.parent is None else f"{place.parent[:10]}.."
        refs = ("--force", "--refs", quoted(f"{start}{place.branch or place.name}".encode()))
        what = (
            f"{whose}. A rebase would stop, because a later commit changes or deletes such a file."
            f" So rewrite them with {_named_filter_repo()}. First commit everything, and copy the"
            " files elsewhere if you need them:"
        )
        command = _filter_repo(findings, place.kept, refs)
        look = f"git diff --stat --exit-code HEAD && {command}"
        return [_with_push(place, what, [*there, look])]
    if len(ids) == 1:
        what = (
            f"{whose}. Take the files out of {ids[0][:10]}, and put what came after it on top (they"
            " stay on disk):"
        )
        return [_with_push(place, what, [_mended_below(place, ids[0])])]
    start = "--root" if place.parent is None else place.parent[:10]
    merges = " --rebase-merges" if place.merges else ""
    names = ", ".join(name[:10] for name in ids[:5])
    more = f" and {len(ids) - 5:,} more" if len(ids) > 5 else ""
    rm = git_commands.untrack(place.whole, force=True, sparse=False, repeatable=True)
    what = (
        f"{whose}: rebase, and mark {names}{more} as 'edit'. Run the other commands at each of"
        " them (the files stay on disk):"
    )
    commands = [
        *there,
        f"git rebase -i{merges} {start}",
        *rm,
        git_commands.Command(*_AMEND),
        "git rebase --continue",
    ]
    return [Step(what, commands), *_push_again(place)]


def _mended_below(place: Place, commit: str) -> str:
    """Return the command that takes the artifacts out of *commit*, which is not the last one.

    It is one, so that nothing of it starts where something is not committed.
    """
    merges = ("--rebase-merges",) * place.merges
    commands = [
        git_commands.Command("git", "checkout", "-q", commit[:10]),
        *git_commands.untrack(place.whole, force=True, sparse=False, repeatable=False),
        git_commands.Command(*_AMEND),
        git_commands.Command("git", "rebase", "-q", *merges, "--onto", "HEAD", commit[:10],
                             place.branch or place.tip),
    ]  # fmt: skip
    first, *rest = commands
    return " \\\n        && ".join([f"git diff --stat --exit-code HEAD && {first}", *rest])


def _push_again(place: Place) -> list[Step]:
    """Return the step that replaces what a remote has of a branch of your own."""
    pushes = _pushes(place)
    return [Step("Then replace the branch that the remote has:", pushes)] if pushes else []


def _with_push(place: Place, what: str, commands: Sequence[str]) -> Step:
    """Return the step that ends with replacing what a remote has of a branch of your own."""
    pushes = _pushes(place)
    if pushes:
        what = f"{what.removesuffix(':')}, and replace the branch that the remote has:"
    return Step(what, [*commands, *pushes])


def _pushes(place: Place) -> list[git_commands.Command]:
    return [
        git_commands.Command("git", "push", "--force-with-lease", remote, place.branch)
        for remote in place.remotes
        if place.published and place.branch
    ]


def _would_stop(place: Place, findings: Sequence[Finding]) -> bool:
    """Return True if a rebase that removes *findings* where they come in meets them again.

    A later commit that changes, deletes or renames such a file is a conflict, and what a
    merge brings in is not a commit that could be edited.
    """
    paths = [finding.path for finding in findings]
    return (
        place.guilty_merge
        or bool(place.kept)
        or len(set(paths)) < len(paths)
        or not all(finding.in_tip for finding in findings)
    )


def _named_filter_repo() -> str:
    return f"git-filter-repo ({install_program('git-filter-repo')})"


def _filter_repo(
    findings: Sequence[Finding], kept: Collection[bytes], options: Sequence[str]
) -> str:
    """Return the command that removes *findings* wherever they are.

    Where a path also has, or had, what belongs in Git (*kept*), only the blobs go.
    """
    by_blob = {
        finding.path for finding in findings if finding.path in kept or finding.rule == DIGEST_RULE
    }
    paths = sorted({finding.path for finding in findings} - by_blob)
    blobs = sorted({finding.blob or "" for finding in findings if finding.path in by_blob})
    words = [" ".join(("git filter-repo", *options, *(("--invert-paths",) if paths else ())))]
    # With `=`, for a name may begin with a dash.
    words += [f"--path={quoted(path)}" for path in paths]
    command = " \\\n        ".join(words)
    if not blobs:
        return command
    # Not `<(...)`, which dash and busybox sh do not know.
    listed = " \\\n        ".join(("printf '%s\\n'", *blobs))
    return f"{listed} | {command} \\\n        --strip-blobs-with-ids /dev/stdin"


def changes_note(
    changed: Mapping[str, Sequence[str]], policy_ref: str, rules: Collection[str]
) -> list[str]:
    """Return notes that a range changes its own policy or milestones, one per file.

    *rules* are those of what is refused.
    """
    counts = f"that of {policy_ref} counts" if policy_ref else "what it says at the end counts"
    notes = []
    for name, commits in changed.items():
        where = ", ".join(commit[:10] for commit in commits[:3]) or "a deletion"
        notes.append(f"the range changes {name} ({where}): {counts}")
        if policy_ref and BEST_MODELS_RULE in rules and name.endswith("/milestones.yaml"):
            notes[-1] += (
                ". Whoever may approve its new milestones runs this again without --policy-ref,"
                " and merges them"
            )
    return notes
