"""``fx-archive-runs``: runs into an archive that is known to be whole, and back."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence

from fx_hooks.cli._common import add_format_option, command_parser, entry_point
from fx_hooks.git.repository import Repository
from fx_hooks.reporting.layout import plural
from fx_hooks.runs import selection
from fx_hooks.runs.archive import catalogue, writer
from fx_hooks.runs.archive import restore as run_restore
from fx_hooks.runs.archive.about import about
from fx_hooks.runs.archive.byte_progress import shown_progress
from fx_hooks.runs.archive.listing import listing, run_lines
from fx_hooks.runs.archive.manifest import to_json
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.archive.sections import codec_for
from fx_hooks.runs.archive.storage import is_address
from fx_hooks.runs.archive.writer import Item, LeftOut
from fx_hooks.runs.inventory import LIVE, Survey, survey
from fx_hooks.runs.lookup import known_archives, read_log
from fx_hooks.runs.query import parse_query
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.paths import human_size, shown
from fx_hooks.util.terminal import in_json, one_line

NAME = "fx-archive-runs"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Pack runs into ARCHIVE (NAME.tar.gz or NAME.tar.zst), and read it back to see that it is"
        " whole. Or list an archive, restore runs below the current folder, or find runs in"
        " archives. A RUN is a path or a glob.",
        "0: all is done; 1: runs were left out, or a folder cannot be read",
        failed="nothing was done",
        usage=f"{NAME} [options] [RUN ...] ARCHIVE\n"
        f"       {NAME} --list ARCHIVE [--format json] [RUN ...]\n"
        f"       {NAME} --restore ARCHIVE [--force] [RUN ...]\n"
        f"       {NAME} --find CONDITION [--format json] [PLACE ...]",
    )
    parser.add_argument("names", nargs="*", metavar="RUN ... ARCHIVE", help=argparse.SUPPRESS)
    selection.add_options(parser)
    parser.add_argument("--list", metavar="ARCHIVE", help="list what is in an archive")
    parser.add_argument("--restore", metavar="ARCHIVE", help="put runs back, below this folder")
    parser.add_argument(
        "--find",
        metavar="CONDITION",
        help="list the runs whose metrics fit, such as 'val/acc > 0.9 and not loss >= 1', from the"
        " archives at each PLACE, a folder or an address",
    )
    add_format_option(parser, "--list and --find")
    parser.add_argument(
        "--force", action="store_true", help="replace an archive or a run that exists"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: all of it is done; 1: runs were left out, or may be; 2: error."""
    parser = make_parser()
    options = selection.parsed(parser, argv)
    given = [name for name in ("list", "restore", "find") if getattr(options, name) is not None]
    if len(given) > 1:
        parser.error(f"--{given[0]} and --{given[1]} do not go together")
    if given not in (["list"], ["find"]) and options.format != "text":
        parser.error("--format goes with --list and --find")
    if options.find is not None:
        return find_runs(options.find, options.names, options.format)
    if options.list is not None:
        return list_archive(options.list, options.names, options.format)
    force, dry_run = options.force, options.dry_run
    if options.restore is not None:
        return restore_runs(options.restore, options.names, force=force, dry_run=dry_run)
    if not options.names:
        parser.error("name an archive: NAME.tar.gz or NAME.tar.zst")
    *names, target = options.names
    ends = (".tar.gz", ".tar.zst")
    if not target.endswith(ends) and names and names[0].endswith(ends):
        parser.error(f"the archive comes last: {one_line(names[0])}")
    return archive_runs(options, names, target, force=force, dry_run=dry_run)


def archive_runs(
    options: argparse.Namespace,
    names: Sequence[str],
    target: str,
    *,
    force: bool = False,
    dry_run: bool = False,
) -> int:
    """Pack the runs that *options* and *names* mean into *target*; return the exit code."""
    repository = Repository()
    codec_for(target, is_new=True).close()  # before what takes long
    found = survey(repository)
    runs = selection.choose(found, options, names)
    items = []
    left_out = []
    for run in runs:
        mount = next((path for path in found.scan.mounts if path.startswith(run.path + b"/")), None)
        if run.state == LIVE:
            left_out.append(LeftOut(run.path, f"{run.state}: {run.reason}"))
        elif mount is not None:
            reason = f"another file system is mounted in it: {shown(mount)}"
            left_out.append(LeftOut(run.path, reason))
        else:
            items.append(Item(run.path, about(found, run)))
    place = os.fsencode(target)
    writer.check_target(repository.root, items, place, force=force)
    around = writer.place_notes(repository.root, (run.path for run in found.runs), place)
    for note in (*found.notes, *found.not_looked_into(), *around):
        print(f"note: {one_line(note)}")
    if dry_run:
        sizes = {run.path: run.size.bytes for run in runs}
        print(f"Would pack {plural(len(items), 'run')} into {shown(place)}:")
        for item in items:
            print(f"  {human_size(sizes[item.path]):>10}  {shown(item.path)}")
        return _tell(left_out) or _unread(found)
    with shown_progress() as progress:
        written = writer.write(repository.root, items, place, force=force, progress=progress)
    if written.runs:
        total = human_size(sum(run.size for run in written.runs))
        print(
            f"{shown(place)}: {plural(len(written.runs), 'run')}, {total} in"
            f" {human_size(written.size)}, read back and whole"
        )
        for line in run_lines(written.runs):
            print(line)
        for packed in written.runs:
            for path in packed.left_out:
                print(f"note: {shown(packed.path + b'/' + path)}: holds no data, and is left out")
    else:
        why = selection.without_failure(found, options, names)
        print(f"{why}Nothing was packed: there is no run to pack. fx-report-space lists the runs.")
    return _tell([*left_out, *written.left_out]) or _unread(found)


def _unread(found: Survey) -> int:
    """Report names that match no run, and return the exit code."""
    return FOUND if found.unread else CLEAN


def _tell(left_out: Sequence[LeftOut]) -> int:
    if not left_out:
        return CLEAN
    print(f"Left out, and still in {'its' if len(left_out) == 1 else 'their'} place:")
    for path, reason in left_out:
        print(f"  {shown(path)}: {one_line(reason)}")
    return FOUND


def list_archive(name: str, patterns: Sequence[str], form: str = "text") -> int:
    """Print what is in the archive *name*; return the exit code."""
    place = os.fsencode(name)
    with Archive(place) as archive:
        runs = run_restore.chosen(archive.manifest.runs, patterns)
        if form == "json":
            print(in_json(to_json(archive.manifest._replace(runs=tuple(runs))).decode()), end="")
            return CLEAN
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
        for line in listing(shown(place), archive.size, archive.manifest, runs, width):
            print(line)
    return CLEAN


def find_runs(condition: str, places: Sequence[str], form: str = "text") -> int:
    """Print the runs in archives that fit *condition*; return the exit code.

    Without *places* these are the archives that are known here.
    """
    query = parse_query(condition)
    found = catalogue.search(places or _known_places(), query)
    if form == "json":
        print(in_json(catalogue.as_json(found, query)))
    else:
        print("\n".join(catalogue.as_lines(found, query)))
    return FOUND if found.unread else CLEAN


def _known_places() -> list[str]:
    repository = Repository()
    log = read_log(repository.common_directory())
    told = [entry["archive"] for entry in log if isinstance(entry.get("archive"), str)]
    places = [*known_archives(survey(repository), log), *filter(is_address, told)]
    if not places:
        raise FatalError("no archive is known here: name a folder or an address that has some")
    return list(dict.fromkeys(map(catalogue.folder_of, places)))


def restore_runs(
    name: str, patterns: Sequence[str], *, force: bool = False, dry_run: bool = False
) -> int:
    """Put the runs of the archive *name* that *patterns* choose below the current directory.

    Returns the exit code.
    """
    here = b"."
    with Archive(os.fsencode(name)) as archive:
        runs = run_restore.chosen(archive.manifest.runs, patterns)
        if not runs:
            raise FatalError(f"{name}: has no runs")
        if dry_run:
            run_restore.check_places(here, runs, force=force)
            print(f"Would restore {plural(len(runs), 'run')}:")
            for line in run_lines(runs):
                print(line)
            return CLEAN
        with shown_progress() as progress:
            restored = run_restore.restore(archive, here, runs, force=force, progress=progress)
    print(f"Restored {plural(len(runs), 'run')}:")
    for line in run_lines(restored.runs):
        print(line)
    for path, kept, own in restored.kept:
        print(
            f"note: {shown(path)}: what was there is kept as {shown(kept)}: the archive does not"
            f" have its {own}"
        )
    for note in restored.notes:
        print(f"note: {note}")
    return FOUND if restored.notes else CLEAN


if __name__ == "__main__":
    raise SystemExit(main())
