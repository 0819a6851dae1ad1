"""``fx-check-range`` in full, for what the fast path is not sure of."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.best_models import contract
from fx_hooks.cli._common import command_parser, entry_point
from fx_hooks.git.commands import cover, from_folder
from fx_hooks.git.repository import ObjectStore
from fx_hooks.history import ranges
from fx_hooks.history.commit_check import (
    DIGEST_RULE,
    RangeClassifier,
    RangeResult,
    milestones_of_commit,
)
from fx_hooks.history.range_findings import findings_of
from fx_hooks.history.range_report import (
    Place,
    changes_note,
    how_to_remove,
    range_report,
    rewrite_history,
)
from fx_hooks.policy import near_misses
from fx_hooks.policy.in_force import baseline_of_commit, keep_tables, policy_of_commit
from fx_hooks.reporting import output
from fx_hooks.reporting.layout import Step, plural
from fx_hooks.reporting.text import Report
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from fx_hooks.history.ranges import Range
    from fx_hooks.policy.model import Policy
    from fx_hooks.reporting.finding import Finding

NAME = "fx-check-range"
_FEW_COMMITS = 10  # to be listed, for the sake of a short command
_LIST = ("ls-tree", "-r", "-z", "--name-only", "--full-tree")
RULES = {**contract.RULES, DIGEST_RULE: "What is committed in a milestone's place was approved."}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Check every file that commits bring in, even if a later commit deletes it again. Without"
        " a range it checks the commits of HEAD that no remote has.",
        "0: clean; 1: artifacts found",
    )
    parser.add_argument(
        "range", nargs="*", metavar="A..B", help="the commits that B has and A does not"
    )
    parser.add_argument("--from-ref", metavar="A", help="the start of the range, with --to-ref")
    parser.add_argument("--to-ref", metavar="B", help="the end of the range, with --from-ref")
    parser.add_argument(
        "--pre-push",
        action="store_true",
        help="run as git's pre-push hook: read the refs from standard input; git gives the"
        " arguments REMOTE and URL",
    )
    parser.add_argument(
        "--pre-receive",
        action="store_true",
        help="run as a server's pre-receive hook: read the refs from standard input",
    )
    parser.add_argument("--all", action="store_true", help="audit the whole history of all refs")
    parser.add_argument(
        "--merge",
        nargs="+",
        metavar="FILE",
        help="make one audit of several; each FILE was written by --all --format json",
    )
    parser.add_argument(
        "--html", metavar="FILE", help="with --all or --merge: write the audit as a web page"
    )
    parser.add_argument(
        "--policy-ref", metavar="REF", help="use the policy and the milestones of REF"
    )
    parser.add_argument(
        "--given-only",
        action="store_true",
        help="with a pre-push runner: check only the ref that the runner names, not everything"
        " that may be pushed",
    )
    parser.add_argument(
        "--tags",
        action="store_true",
        help="with a pre-push runner: also check the tags that the remote does not have, because"
        " the runner does not say which tags you push",
    )
    parser.add_argument("--verbose", action="store_true", help="name every file")
    output.add_options(parser)
    return parser


@entry_point(NAME)
def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit code of ``fx-check-range``."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    _check_usage(parser, options)
    return _run(options)


def _check_usage(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    ways = {
        "A..B": bool(options.range) and not options.pre_push,
        "--from-ref": options.from_ref is not None or options.to_ref is not None,
        "--pre-push": options.pre_push,
        "--pre-receive": options.pre_receive,
        "--all": options.all,
        "--merge": options.merge is not None,
    }
    chosen = [way for way, used in ways.items() if used]
    if len(chosen) > 1:
        parser.error(f"{' and '.join(chosen)} both say the range: choose one")
    if (options.from_ref is None) != (options.to_ref is None):
        parser.error("--from-ref and --to-ref go together")
    if "" in (options.from_ref, options.to_ref):
        parser.error("--from-ref and --to-ref want a commit each: one of them is empty")
    if len(options.range) > (2 if options.pre_push else 1):
        parser.error("give one range A..B at a time")
    if options.html is not None and not options.all and options.merge is None:
        parser.error("--html goes with --all or --merge")
    if options.merge is not None and options.format != "text":
        parser.error("--merge writes text, and with --html a page")


def _run(options: argparse.Namespace) -> int:
    if options.merge is not None:
        return _merge(options.merge, options.html)
    out = output.begin(options)
    store = ObjectStore()
    if options.all:
        from fx_hooks.history.audit.whole_history import audit

        tip = store.head()
        classifier = classifier_for(store, tip, "HEAD", options.policy_ref)
        notes = []
        if tip is not None and options.policy_ref is None:
            missed = near_misses.of_commit(store, tip, classifier.policy)
            near_misses.refuse_policies(missed)
            notes = [one.text for one in missed]
        if tip is None and options.policy_ref is None:
            notes = ["HEAD has no commit, so the built-in policy counts: see --policy-ref"]
        return audit(
            store,
            classifier,
            out,
            command=NAME,
            rules=RULES,
            html=options.html,
            verbose=options.verbose,
            notes=notes,
        )
    return check(
        store,
        _ranges(store, options),
        out,
        policy_ref=options.policy_ref,
        verbose=options.verbose,
        on_server=options.pre_receive,
        by_runner="PRE_COMMIT_REMOTE_NAME" in os.environ and not _is_said(options),
        written=_written(options),
    )


def _merge(files: Sequence[str], html: str | None) -> int:
    from fx_hooks.history.audit import merged, page

    if html is not None:
        page.check_place(html)
    repositories = merged.read_audits(files)
    audit = merged.merged(repositories)
    if html is not None:
        name = plural(len(repositories), "repository", "repositories")
        page.write_page(html, page.page_of_many(audit, repositories, name))
    for text in merged.lines(repositories, audit):
        print(text)
    return CLEAN


def _is_said(options: argparse.Namespace) -> bool:
    """Return True if the options say the range."""
    ways = (options.pre_push, options.pre_receive, options.range, options.from_ref is not None)
    return any(ways)


def _written(options: argparse.Namespace) -> tuple[str, str] | None:
    """Return both sides of the range where a person has written them."""
    if options.from_ref is not None:
        return options.from_ref, options.to_ref
    if options.range and not options.pre_push:
        old, _, new = options.range[0].partition("..")
        return old, new.removeprefix(".") or "HEAD"
    return None


def _ranges(store: ObjectStore, options: argparse.Namespace) -> list[Range]:
    if options.pre_push:
        return ranges.from_pre_push(store, _standard_input("pre-push"), (options.range or [""])[0])
    if options.pre_receive:
        return ranges.from_pre_receive(store, _standard_input("pre-receive"))
    if options.range:
        return ranges.parse(store, options.range[0])
    if options.from_ref is not None:
        return ranges.between(store, options.from_ref, options.to_ref)
    said = ranges.from_runner(store, os.environ, given_only=options.given_only,
                              tags=options.tags)  # fmt: skip
    return ranges.unpublished(store) if said is None else said


def _standard_input(hook: str) -> list[bytes]:
    if sys.stdin.isatty():
        raise FatalError(f"--{hook} reads from git on standard input: install it as a git hook")
    return sys.stdin.buffer.read().splitlines()


def check(
    store: ObjectStore,
    wanted: Sequence[Range],
    out: output.Output,
    *,
    policy_ref: str | None = None,
    verbose: bool = False,
    on_server: bool = False,
    by_runner: bool = False,
    written: tuple[str, str] | None = None,
) -> int:
    """Report what *wanted* brings in; the exit code. Raises :class:`FatalError`.

    *by_runner* says that only the first of *wanted* surely is pushed. *written* are both sides of
    the range, where a person wrote them.
    """
    cut_off = ranges.shallow_commits(store)
    results: list[tuple[Range, RangeResult]] = []
    policies: dict[str, Policy] = {}
    for one in wanted:
        classifier = classifier_for(store, one.tip, one.name, policy_ref)
        policies[one.tip] = classifier.policy
        found = classifier.classify(one.tip, one.old)
        if cut_off & set(found.commits):
            raise FatalError(
                f"{one.name}: this shallow clone ends within the range: git fetch"
                " --unshallow, or check out with full depth"
            )
        results.append((one, found))
    notes: list[str] = []
    if by_runner:
        results, notes = _without_old_tags(store, results)
    for _, found in results:
        rules = {item.rule for item in found.artifacts}
        notes += [*found.notes, *changes_note(found.changed, policy_ref or "", rules)]
    if written is not None:
        notes += [_no_commits(store, one, *written) for one, found in results if not found.commits]
    notes = list(dict.fromkeys(notes))
    guilty = [(one, found) for one, found in results if found.artifacts]
    if policy_ref is None:
        for tip in dict.fromkeys(one.tip for one, _ in guilty):
            notes += [one.text for one in near_misses.of_commit(store, tip, policies[tip])]
    there = _there(store, guilty)
    findings = _findings(store, guilty, there)
    mends = [item.mend for _, found in guilty for item in found.artifacts if item.mend]
    way = "" if on_server or not findings else store.path_to_root()
    mends = from_folder(dict.fromkeys(mends), way)
    steps = [Step("Complete them in a new commit:", mends)] * bool(mends)
    guilty = [
        (one, found._replace(artifacts=[item for item in found.artifacts if not item.mend]))
        for one, found in guilty
        if not all(item.mend for item in found.artifacts)
    ]
    whole: set[bytes] = set()
    if guilty:
        by_place = {(finding.commit.id, finding.path): finding
                    for finding in findings if finding.commit}  # fmt: skip
        places = [
            (
                _place(store, one, found, there[one.tip], on_server=on_server),
                [by_place[item.commit, item.path] for item in found.artifacts],
            )
            for one, found in guilty
        ]
        whole = {path for place, _ in places for path in place.whole}
        steps += _how_to_remove(store, places, way, on_server=on_server)
    commits = {commit for _, found in results for commit in found.commits}

    def text(colour: bool) -> list[str]:
        said = [f"note: {note}" for note in notes]
        if not findings:
            return said
        lines = range_report(
            findings, steps, commits=len(commits), whole=whole, verbose=verbose, colour=colour
        )
        return [*lines, *([""] if said else []), *said]

    return out.deliver(Report(NAME, findings, RULES, steps, notes), text)


def _how_to_remove(
    store: ObjectStore, places: Sequence[tuple[Place, list[Finding]]], way: str, *, on_server: bool
) -> list[Step]:
    if on_server or store.run("rev-parse", "--is-bare-repository") == b"false\n":
        return how_to_remove(places, way)
    # No commit can be made here.
    kept = {path for place, _ in places for path in place.kept}
    return [rewrite_history([finding for _, some in places for finding in some], kept)]


def _no_commits(store: ObjectStore, one: Range, old: str, new: str) -> str:
    """Say that the range *one*, from *old* to *new*, is empty: often that was not meant."""
    if one.old == ("--remotes",):
        return f"{one_line(new)} has no commits that no remote has, so nothing is checked"
    said = f"{one_line(f'{old}..{new}')} has no commits, so nothing is checked"
    if store.run("rev-list", "-1", *one.old, f"^{one.tip}", "--"):
        said += f": did you mean {one_line(f'{new}..{old}')}?"
    return said


def _without_old_tags(
    store: ObjectStore, results: list[tuple[Range, RangeResult]]
) -> tuple[list[tuple[Range, RangeResult]], list[str]]:
    """Return *results* without tags that the remote of a push already has, and notes on them.

    The remote is asked only where such a tag would refuse the push.
    """
    every = [one for one, _ in results]
    doubtful = [one for one, found in results
                if found.artifacts and ranges.is_other_tag(one, every)]  # fmt: skip
    if not doubtful:
        return results, []
    try:
        there = ranges.published_tags(store, os.environ)
    except FatalError:
        return results, ["the remote did not list its tags, so all local tags count"]
    return [(one, found) for one, found in results
            if one not in doubtful or one.tip not in there], []  # fmt: skip


def classifier_for(
    store: ObjectStore, tip: str | None, name: str, policy_ref: str | None
) -> RangeClassifier:
    """Return the classifier with the policy of *policy_ref* or *tip*, else the built-in one."""
    source, called = tip, name
    if policy_ref is not None:
        source, called = ranges.commit(store, policy_ref), policy_ref
    if source is None:
        from fx_hooks.policy.loader import load_policy

        return RangeClassifier(store, load_policy(), {}, trust_range=True)
    in_force = policy_of_commit(store, source, called)
    if policy_ref is None:
        keep_tables(store.git_directory, in_force)
    approved = milestones_of_commit(store, source, in_force.policy)
    return RangeClassifier(
        store,
        in_force.policy,
        approved,
        trust_range=policy_ref is None,
        source=source,
        baseline=lambda: baseline_of_commit(store, source, called),
    )


def _there(
    store: ObjectStore, results: Sequence[tuple[Range, RangeResult]]
) -> dict[str, dict[bytes, str]]:
    """Return the blobs that each tip has at the paths of the artifacts of all."""
    paths = list(dict.fromkeys(item.path for _, one in results for item in one.artifacts))
    return {tip: store.found(tip, paths) for tip in dict.fromkeys(one.tip for one, _ in results)}


def _findings(
    store: ObjectStore,
    results: Sequence[tuple[Range, RangeResult]],
    there: Mapping[str, Mapping[bytes, str]],
) -> list[Finding]:
    found = {(item.commit, item.path): item for _, one in results for item in one.artifacts}
    artifacts = list(found.values())
    left = {place for places in there.values() for place in places.items()}
    return findings_of(store, artifacts, store.sizes(item.blob for item in artifacts), left)


def _place(
    store: ObjectStore,
    one: Range,
    result: RangeResult,
    there: Mapping[bytes, str],
    *,
    on_server: bool,
) -> Place:
    ids = list(dict.fromkeys(item.commit for item in result.artifacts))
    published = set() if on_server else set(ids) - ranges.without(store, ids, behind=one.old)
    shared = published
    default = ranges.default_branches(store) if published else None
    if default is not None:
        shared = published - ranges.without(store, ids, default, one.old)
    order = {name: number for number, name in enumerate(result.commits)}
    oldest = max(ids, key=lambda name: order[name])
    parents = ranges.parents(store, result.commits[: order[oldest] + 1])
    above = parents.get(oldest, [])
    blobs = {(item.path, item.blob) for item in result.artifacts}
    paths = dict.fromkeys(item.path for item in result.artifacts)
    ref = one.ref if on_server else ranges.full_name(store, one)
    older_stash = not ref and one.name.startswith(("stash@{", f"{ranges.STASH}@{{"))
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""
    if not branch and not on_server and one.tip == store.head():
        branch = store.branch()
    return Place(
        one.name,
        branch,
        one.tip,
        # Where the client is, no server knows.
        on_server or one.tip == store.head(),
        frozenset(published),
        frozenset(shared),
        tuple(ranges.remotes_with(store, branch)) if published and branch else (),
        ref.startswith("refs/tags/"),
        ref == ranges.STASH or older_stash,
        above[0] if above else None,
        any(len(found) > 1 for found in parents.values()),
        any(len(parents.get(name, ())) > 1 for name in ids),
        frozenset(path for path in paths if path in there and (path, there[path]) not in blobs),
        _whole(store, ids, paths),
    )


def _whole(
    store: ObjectStore, commits: Sequence[str], paths: Collection[bytes]
) -> tuple[bytes, ...]:
    """Return the fewest paths that stand for *paths* alone in each of *commits*."""
    if len(commits) > _FEW_COMMITS:
        return tuple(sorted(paths))
    there: set[bytes] = set()
    for commit in commits:
        there.update(store.run(*_LIST, commit).split(b"\0")[:-1])
    return tuple(cover(set(paths), there))
