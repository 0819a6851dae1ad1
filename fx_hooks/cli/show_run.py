"""``fx-show-run``: where a run or a milestone's run is, what it was, and how to run it again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fx_hooks.best_models.contract import metadata_path
from fx_hooks.cli._common import add_format_option, command_parser, entry_point
from fx_hooks.frameworks.framework import Details
from fx_hooks.frameworks.run_files import at
from fx_hooks.git.repository import Repository
from fx_hooks.policy.in_force import policy_in_force
from fx_hooks.runs.archive.listing import figures
from fx_hooks.runs.archive.storage import is_address
from fx_hooks.runs.inventory import survey
from fx_hooks.runs.lookup import Found, Named, joined, known_archives, look_up, read_log
from fx_hooks.util.disk import files_only
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN
from fx_hooks.util.paths import encoded, from_root, quoted, shown
from fx_hooks.util.strict_json import NotStrict, finite, parse_json
from fx_hooks.util.strict_yaml import as_yaml
from fx_hooks.util.terminal import on_github, one_line, without_commands

if TYPE_CHECKING:
    import argparse

    from fx_hooks.policy.model import BestModels

NAME = "fx-show-run"
_MAX_METADATA = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Milestone:
    """A chosen model and its metadata, which say what run it came from."""

    path: str
    metadata: Mapping[str, Any]

    def named(self) -> Named:
        """Return what tells its run."""
        path, identity = (at(self.metadata, "run", key) for key in ("path", "identity"))
        wandb_id = at(self.metadata, "wandb", "id")
        return Named(
            path=encoded(path) if isinstance(path, str) else b"",
            identity=identity if isinstance(identity, str) else "",
            wandb_id=wandb_id if isinstance(wandb_id, str) else "",
        )

    def details(self) -> Details:
        """Return what it keeps of its run."""
        metrics, wandb = self.metadata.get("performance"), self.metadata.get("wandb")
        commit = at(self.metadata, "git", "commit")
        return Details(
            self.metadata.get("config"),
            at(self.metadata, "hydra", "overrides"),
            metrics if isinstance(metrics, dict) else {},
            wandb if isinstance(wandb, dict) else {},
            commit if isinstance(commit, str) else "",
        )


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Show a run, or the run that a milestone came from: where it is now (on disk, in an"
        " archive, at W&B), its configuration, figures and commit, and the command that runs it"
        " again.",
        "0: here it is",
    )
    parser.add_argument("path", metavar="PATH", help="a run, a file in it, or a milestone")
    parser.add_argument(
        "--archive",
        metavar="FILE",
        action="append",
        default=[],
        help="look into this archive, too; you may give it more than once",
    )
    add_format_option(parser)
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: here it is; 2: there is no such run, or an error."""
    options = make_parser().parse_args(argv)
    return show_run(options.path, archives=options.archive, as_json=options.format == "json")


def show_run(name: str, *, archives: Sequence[str] = (), as_json: bool = False) -> int:
    """Print all that is known of the run that *name* means, and return the exit code.

    Raises :class:`~fx_hooks.util.errors.FatalError` where it is nowhere.
    """
    repository = Repository()
    path = from_root(name, repository.root)
    index = repository.index_by_path()
    policy = policy_in_force(repository, index).policy
    project = b"" if policy.projects is None else policy.projects.around(path)
    best_models = policy.best_models_of(project).below(project)
    milestone = _milestone(repository.root, path, best_models)
    found = survey(repository)
    log = read_log(repository.common_directory())
    named = milestone.named() if milestone is not None else Named(path=path)
    run = look_up(found, named, [*archives, *known_archives(found, log)], log)
    if run is None:
        if milestone is None:
            raise FatalError(
                f"{name}: is neither a run nor a milestone, here or in an archive known here."
                " fx-report-space lists the runs; --archive FILE looks into another archive"
                + "".join(f". But {note}" for note in found.not_looked_into())
            )
        run = Found(path=named.path)
    if milestone is not None:
        run = replace(
            run,
            details=joined([run.details, milestone.details()]),
            milestones=(os.fsencode(milestone.path),),
        )
    command, directory = _command(run, repository.root, [os.fsdecode(path) for path in index])
    if as_json:
        record = finite(_as_record(run, command, directory))
        print(json.dumps(record, indent=2, allow_nan=False))
        return CLEAN
    lines = list(_as_text(run, command, directory, repository.root))
    print("\n".join(without_commands(lines) if on_github() else lines))
    return CLEAN


def _milestone(root: bytes, path: bytes, best_models: BestModels) -> _Milestone | None:
    """Return the milestone at *path*; None where that is none.

    Raises :class:`~fx_hooks.util.errors.FatalError` for metadata that cannot be read.
    """
    text = os.fsdecode(path)
    if not text.startswith(f"{best_models.folder}/"):
        return None
    about = text if text.endswith("_meta.json") else metadata_path(text)
    try:
        with open(os.path.join(root, os.fsencode(about)), "rb", opener=files_only) as file:
            value = parse_json(file.read(_MAX_METADATA))
    except FileNotFoundError:
        return None
    except (OSError, NotStrict) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise FatalError(f"{about}: cannot be read: {reason}") from exc
    return _Milestone(path=text, metadata=value if isinstance(value, dict) else {})


def _command(run: Found, root: bytes, tracked: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the command that runs *run* again, and the folder, from the root, to give it in.

    Both are empty where the program is not to be found: tracked, where the run says that it was
    started, or the only one of that name.
    """
    if not run.details.command:
        return (), ""
    program, *arguments = run.details.command
    try:
        start = os.fsdecode(from_root(run.details.directory or ".", root, root))
    except FatalError:
        start = ""  # on another machine, or in another clone
    there = f"{start}/{program}" if start else program
    same = [path for path in tracked if path == program or path.endswith(f"/{program}")]
    if there in tracked:
        return ("python", program, *arguments), start
    if len(same) == 1:
        inside = f"{start}/" if start and same[0].startswith(f"{start}/") else ""
        return ("python", same[0].removeprefix(inside), *arguments), inside.rstrip("/")
    return (), ""


def _as_record(run: Found, command: Sequence[str], directory: str) -> dict[str, Any]:
    details = run.details
    return {
        "version": 1,
        "path": os.fsdecode(run.path) or None,
        "kind": run.kind or None,
        "state": run.state.partition(":")[0] or None,
        "on_disk": run.on_disk,
        "archives": list(run.archives),
        "unread": [{"archive": name, "why": why} for name, why in run.unread.items()],
        "deleted": run.deleted or None,
        "wandb": dict(run.wandb),
        "milestones": [os.fsdecode(path) for path in run.milestones],
        "runs": [os.fsdecode(path) for path in run.runs],
        "config": details.config,
        "overrides": details.overrides,
        "metrics": dict(details.metrics),
        "commit": details.commit or None,
        "command": list(command),
        "directory": directory,
    }


def _as_text(run: Found, command: Sequence[str], directory: str, root: bytes) -> Iterator[str]:
    details = run.details
    head = shown(_from_here(run.path, root)) if run.path else "a run"
    yield ": ".join([head, ", ".join(filter(None, [run.kind, one_line(run.state)]))]).rstrip(": ")
    yield ""
    yield from (f"  {what:<11}{one_line(text)}" for what, text in _facts(run))
    if details.metrics:
        yield f"  {'metrics':<11}{one_line(figures(details.metrics))}"
    if details.config:
        yield "  config"
        yield from (f"    {one_line(line)}" for line in as_yaml(details.config).splitlines())
    if command:
        words = " ".join(quoted(encoded(word)) for word in command)
        place = os.path.relpath(os.path.join(os.fsdecode(root), directory))
        change = "" if place == "." else f"cd {quoted(encoded(place))} && "
        yield "\nRun it again:"
        yield f"    {change}{words}"


def _facts(run: Found) -> Iterator[tuple[str, str]]:
    places = ["on disk"] if run.on_disk else ["not on disk"]
    if not run.on_disk and not run.archives:
        places = ["not on disk, and in no archive that is known here"]
    for name in run.archives:
        why = f" (which cannot be read: {run.unread[name]})" if name in run.unread else ""
        places.append(f"in the archive {shown(_near(name))}{why}")
    if run.wandb.get("url"):
        places.append(f"at W&B: {run.wandb['url']} (not asked)")
    if run.deleted:
        places.append(f"deleted by fx-clean-runs on {run.deleted[:10]}")
    for number, place in enumerate(places):
        yield "" if number else "where", place
    for path in run.milestones:
        yield "milestone", shown(path)
    for path in run.runs[:10]:
        yield "with", shown(path)
    if len(run.runs) > 10:
        yield "", f"and {len(run.runs) - 10} more runs: --format json has all"
    if run.details.commit:
        yield "commit", run.details.commit
    overrides = run.details.overrides
    if isinstance(overrides, list) and overrides:
        yield "overrides", " ".join(quoted(encoded(str(word))) for word in overrides)


def _near(name: str) -> bytes:
    """Return the path of a file from where the user stands, if that is shorter."""
    return os.fsencode(name if is_address(name) else min(name, os.path.relpath(name), key=len))


def _from_here(path: bytes, root: bytes) -> bytes:
    return os.path.relpath(os.path.join(root, path))


if __name__ == "__main__":
    sys.exit(main())
