"""Runs packed into a compressed tar archive that is known to be whole.

The archive is written under a temporary name, synced, read back from disk, compared with
its manifest, and only then given its name. Each run is a section of its own, so a run that
turns out to change can be taken out again, and one can be read without the others.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fx_hooks import __version__
from fx_hooks.runs.archive import tree
from fx_hooks.runs.archive.manifest import (
    MAX_BYTES,
    MEMBER,
    SUFFIX,
    Entry,
    Manifest,
    PackedRun,
    Type,
    as_text,
    decimal,
    join,
    map_of,
    to_json,
)
from fx_hooks.runs.archive.read_back import ReadBack
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.archive.sections import CHUNK, Codec, SectionWriter, codec_for
from fx_hooks.runs.archive.storage import THERE, StartOver, Storage, Upload, is_address
from fx_hooks.runs.archive.tree import Found, Unfit
from fx_hooks.util import files
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import shown

Progress = Callable[[str, int, int], None]
_ENDS = tuple(
    end + suffix for end in (b".tar.gz", b".tar.zst") for suffix in (b"", os.fsencode(SUFFIX))
)
# Bytes of holes in a run whose zeros are hashed; readers take twice as many.
_MOST_HOLES = 1 << 29
_WHOLE = "the archive is whole all the same"
_ZEROS = bytes(CHUNK)
_TYPES = {Type.FILE: tarfile.REGTYPE, Type.FOLDER: tarfile.DIRTYPE, Type.LINK: tarfile.SYMTYPE}


class Item(NamedTuple):
    """A run to pack: a directory below the root, and what the manifest is to say about it."""

    path: bytes
    about: Mapping[str, Any]


class LeftOut(NamedTuple):
    """A run that is not in the archive, and why."""

    path: bytes
    reason: str


class Written(NamedTuple):
    """The verified content of the archive; ``size`` is the archive's, 0 if there is none."""

    runs: tuple[PackedRun, ...]
    left_out: tuple[LeftOut, ...]
    size: int


def check_target(root: bytes, items: Sequence[Item], target: bytes, *, force: bool) -> None:
    """Raise :class:`FatalError` if no archive of *items* can go to *target*."""
    _check_place(root, items, target, force=force)
    _check_replaced(root, target, _is_as_packed)


def _check_place(root: bytes, items: Sequence[Item], target: bytes, *, force: bool) -> None:
    name = shown(target)
    codec_for(os.fsdecode(target), is_new=True).close()
    if is_address(os.fsdecode(target)):
        _check_address(target, force=force)
        return
    folder = os.path.dirname(target) or b"."
    if not os.path.isdir(folder):
        raise FatalError(f"{shown(folder)}: is not a directory: make it first")
    for place in (target, target + os.fsencode(SUFFIX)):
        with _writing(place), contextlib.suppress(FileNotFoundError):
            os.lstat(place)  # its name may be too long
        if os.path.islink(place) or os.path.isdir(place):
            kind = "symbolic link" if os.path.islink(place) else "directory"
            raise FatalError(f"{shown(place)}: is a {kind}: choose another name")
        if os.path.lexists(place) and not force:
            raise FatalError(f"{shown(place)}: {THERE}")
    real = os.path.join(os.path.realpath(folder), b"")
    for item in items:
        if real.startswith(os.path.join(os.path.realpath(os.path.join(root, item.path)), b"")):
            raise FatalError(
                f"{name}: lies in {shown(item.path)}, which is to be packed: put it elsewhere"
            )


def _check_address(target: bytes, *, force: bool) -> None:
    for place in (target, target + os.fsencode(SUFFIX)):
        if Storage(os.fsdecode(place)).exists() and not force:
            raise FatalError(f"{shown(place)}: {THERE}")


def place_notes(root: bytes, runs: Iterable[bytes], target: bytes) -> list[str]:
    """Return a note for each of *runs* that an archive at *target* lies in: it keeps them."""
    if is_address(os.fsdecode(target)):
        return []
    real = os.path.join(os.path.realpath(os.path.dirname(target) or b"."), b"")
    return [
        f"{shown(target)} lies in the run {shown(path)}, which stays until you move the archive"
        for path in runs
        if real.startswith(os.path.join(os.path.realpath(os.path.join(root, path)), b""))
    ]


_IsKnown = Callable[[bytes, Entry, os.stat_result], bool]


def _is_as_packed(_: bytes, entry: Entry, status: os.stat_result) -> bool:
    """Return True for a file that seems to be as it was; all is looked at again before it goes."""
    return (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime)


def _is_in(runs: Iterable[PackedRun]) -> _IsKnown:
    """Return what knows files that *runs* have with the same content, unless they have changed."""
    packed = {join(run.path, entry.path): entry for run in runs for entry in run.entries}

    def is_known(path: bytes, entry: Entry, status: os.stat_result) -> bool:
        new = packed.get(path)
        return (
            new is not None
            and (new.size, new.sha256, new.data) == (entry.size, entry.sha256, entry.data)
            and _is_as_packed(path, new, status)
        )

    return is_known


def _check_replaced(root: bytes, target: bytes, is_known: _IsKnown) -> None:
    """Raise :class:`FatalError` where *target* may be all that is left of a run."""
    if is_address(os.fsdecode(target)):
        if not Storage(os.fsdecode(target)).exists():
            return
    elif not os.path.lexists(target):
        return
    try:
        with Archive(target) as archive:
            runs = archive.manifest.runs
    except FatalError as exc:
        raise FatalError(f"{exc}: it is not replaced: choose another name") from exc

    def is_lost(run: PackedRun) -> bool:
        def is_there(entry: Entry, status: os.stat_result) -> bool:
            return is_known(join(run.path, entry.path), entry, status)

        return tree.not_held(os.path.join(root, run.path), run.entries, is_there) is not None

    lost = [run.path for run in runs if is_lost(run)]
    if lost:
        more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise FatalError(
            f"{shown(target)}: may hold the only copy of {shown(lost[0])}{more}: it is not"
            " replaced: choose another name"
        )


def write(
    root: bytes,
    items: Sequence[Item],
    target: bytes,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Pack *items* into *target*, with a copy of the manifest next to it.

    When this returns, what it says is in the archive has been read back from disk. A run
    that changes meanwhile, or cannot be read, is left out whole; if none is left, there is
    no archive. Raises :class:`FatalError`, and then nothing is left under either name.
    """
    _check_place(root, items, target, force=force)
    is_remote = is_address(os.fsdecode(target))
    beside = target + os.fsencode(SUFFIX)
    if is_remote:
        Storage(os.fsdecode(target)).remove_left_over()
    else:
        files.remove_left_over(target)
        files.remove_left_over(beside)
        files.remove_left_over_in(os.path.dirname(target), _ENDS)
    try:
        return _write(root, items, target, beside, force=force, progress=progress)
    except _Begun as exc:
        # What was sent of a run that changes cannot be taken back: begin again without it.
        rest = [item for item in items if item.path != exc.left_out.path]
        written = write(root, rest, target, force=force, progress=progress)
        return written._replace(left_out=(exc.left_out, *written.left_out))


class _Begun(Exception):
    """A run that cannot be packed has been sent in part."""

    def __init__(self, left_out: LeftOut) -> None:
        self.left_out = left_out


def _write(
    root: bytes,
    items: Sequence[Item],
    target: bytes,
    beside: bytes,
    *,
    force: bool,
    progress: Progress | None,
) -> Written:
    with contextlib.ExitStack() as cleanup:
        codec = codec_for(os.fsdecode(target))
        cleanup.callback(codec.close)
        output = _output(target)
        cleanup.callback(output.close)
        packer = _Packer(root, codec, output, progress)
        runs, left_out = packer.pack(items)
        if not runs:
            return Written((), tuple(left_out), 0)
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        manifest = Manifest(created, f"fx-hooks {__version__}", tuple(runs))
        text = to_json(manifest)
        if len(text) > MAX_BYTES:
            raise FatalError(f"{shown(target)}: too many files for one archive: pack fewer runs")
        packer.finish(text)
        if output.is_placed_by_sync:
            _make_way(root, target, beside, runs, force=force)
        output.sync()
        _verify(output, target, manifest, text, progress)
        copy = _output(beside)
        cleanup.callback(copy.close)
        copy.write(text)
        copy.sync()
        size = output.size
        if not output.is_placed_by_sync:
            _make_way(root, target, beside, runs, force=force)
        output.place(replace=force)
        copy.place(replace=force, else_=_WHOLE)
    return Written(tuple(runs), tuple(left_out), size)


def _make_way(
    root: bytes, target: bytes, beside: bytes, runs: Sequence[PackedRun], *, force: bool
) -> None:
    """Look at all of what is to be replaced, and again at whether it may be.

    What is in *runs* has just been read.
    """
    is_remote = is_address(os.fsdecode(target))
    if is_remote:
        _check_address(target, force=force)
    if force:
        _check_replaced(root, target, _is_in(runs))
    # The copy next to an archive is never that of another one.
    if force and is_remote:
        Storage(os.fsdecode(beside)).remove()
    elif force:
        with _writing(beside), contextlib.suppress(FileNotFoundError):
            os.unlink(beside)


def _output(place: bytes) -> _Output | Upload:
    name = os.fsdecode(place)
    return Upload(Storage(name)) if is_address(name) else _Output(place)


def changed_since(root: bytes, run: PackedRun, place: bytes | None = None) -> str | None:
    """Return how a run on disk differs from what was packed; None if in nothing.

    *place* is where it is now, if not where it was.
    """
    here = os.path.join(root, run.path) if place is None else place
    return tree.difference(here, run.entries, run.left_out)


@contextlib.contextmanager
def _writing(place: bytes, else_: str = "nothing was kept") -> Iterator[None]:
    try:
        yield
    except FileExistsError as exc:
        raise FatalError(
            f"{shown(place)}: another process has just made it: choose another name"
        ) from exc
    except OSError as exc:
        raise FatalError(f"{shown(place)}: cannot be written: {exc.strerror}: {else_}") from exc


class _Output:
    """A file that gets its name when it is whole."""

    is_placed_by_sync = False

    def __init__(self, place: bytes) -> None:
        self._place = place
        self._temporary = files.name_beside(place)
        self.temporary = os.fsdecode(self._temporary)
        self.size = 0
        self._written = 0
        self._waiting: list[bytes] = []
        self._is_placed = False
        self.back = ReadBack(self._temporary, place, self._bring)
        with _writing(place):
            self.descriptor = files.create(self._temporary)

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self.size += len(data)
        if self.size - self._written >= CHUNK // 2:
            self._flush()

    def _flush(self) -> None:
        with _writing(self._place):
            files.write_all(self.descriptor, b"".join(self._waiting))
        self._waiting.clear()
        self._written = self.size
        self.back.grown(self.size)

    def cut(self, size: int) -> None:
        """Forget what was written after the first *size* bytes."""
        self._flush()
        self.back.cut(size)
        with _writing(self._place):
            os.ftruncate(self.descriptor, size)
            os.lseek(self.descriptor, size, os.SEEK_SET)
        self.size = self._written = size

    def sync(self) -> None:
        """Bring all of it to disk, so that what is read next comes from there."""
        self._flush()
        self._bring(0, self.size)

    def _bring(self, start: int, end: int) -> None:
        with _writing(self._place):
            os.fsync(self.descriptor)
            if sys.platform == "linux":
                os.posix_fadvise(self.descriptor, start, end - start, os.POSIX_FADV_DONTNEED)

    def place(self, *, replace: bool, else_: str = "nothing was kept") -> None:
        with _writing(self._place, else_):
            if sys.platform == "win32":
                os.close(self.descriptor)  # an open file has no other name there
                self.descriptor = -1
            files.move(self._temporary, self._place, replace=replace)
        self._is_placed = True
        with _writing(self._place, _WHOLE):
            files.sync_folder(os.path.dirname(self._place))

    def close(self) -> None:
        self.back.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
        if not self._is_placed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)


class _Packer:
    def __init__(
        self, root: bytes, codec: Codec, output: _Output | Upload, progress: Progress | None
    ) -> None:
        self._root = root
        self._codec = codec
        self._output = output
        self._progress = progress
        self._done = self._total = 0
        self._sizes: dict[bytes, int] = {}
        # What is sent elsewhere can only be read back when it is whole.
        self._back = (
            output.back if isinstance(output, _Output) else ReadBack(b"", b"", lambda *_: None)
        )
        # Files with several names, by device and number, with the path of the first.
        self._linked: dict[tuple[int, int], tuple[bytes, Entry]] = {}
        self._holes = 0  # of the run that is being packed

    def pack(self, items: Sequence[Item]) -> tuple[list[PackedRun], list[LeftOut]]:
        items = sorted(items, key=lambda item: item.path)
        self._total = sum(self._size(item) for item in items)
        runs, left_out = [], []
        for item in items:
            start, done, linked = self._output.size, self._done, dict(self._linked)
            try:
                runs.append(self._pack_run(item, start))
            except Unfit as exc:
                left_out.append(LeftOut(item.path, str(exc)))
                try:
                    self._output.cut(start)
                except StartOver:
                    raise _Begun(left_out[-1]) from exc
                self._linked = linked
                self._done = done
                self._total -= self._sizes[item.path]
        return runs, left_out

    def _size(self, item: Item) -> int:
        """Return how much there is to read in a run, for who watches."""
        size = 0
        with contextlib.suppress(Unfit):
            found = tree.scan(os.path.join(self._root, item.path))
            size = sum(file.status.st_size for file in found if file.type is Type.FILE)
        self._sizes[item.path] = size
        return size

    def finish(self, manifest: bytes) -> None:
        """Write the manifest as the last section, and where that is."""
        start = self._output.size
        section = self._codec.writer(self._output.write)
        member = tarfile.TarInfo(MEMBER)
        member.size = len(manifest)
        member.mtime = int(time.time())
        section.write(header(member) + manifest + _padding(len(manifest)))
        section.write(bytes(2 * tarfile.BLOCKSIZE))
        section.close()
        self._output.write(self._codec.footer(start))

    def _pack_run(self, item: Item, start: int) -> PackedRun:
        place = os.path.join(self._root, item.path)
        found = tree.scan(place)
        self._back.begin(item.path, start)
        section = self._codec.writer(self._output.write)
        entries: list[Entry] = []
        left_out: list[bytes] = []
        self._holes = 0
        try:
            for file in found:
                if file.type is None:
                    left_out.append(file.path)
                    continue
                entries.append(self._pack_file(section, item.path, place, file, file.type))
            section.close()
        except BaseException:
            section.abandon()
            raise
        changed = tree.difference(place, entries, left_out)
        if changed is not None:
            raise Unfit(changed)
        end = self._output.size
        run = PackedRun(item.path, item.about, tuple(entries), tuple(left_out), start, end)
        self._back.end(run)
        return run

    def _pack_file(
        self, section: SectionWriter, run: bytes, place: bytes, file: Found, kind: Type
    ) -> Entry:
        status = file.status
        mode, mtime = stat.S_IMODE(status.st_mode), status.st_mtime_ns
        member = tarfile.TarInfo(as_text(join(run, file.path)))
        member.type, member.mode = _TYPES[kind], mode
        member.uid, member.gid = status.st_uid, status.st_gid
        member.mtime = mtime // 1_000_000_000
        member.pax_headers = {"mtime": decimal(mtime)}
        if kind is not Type.FILE:
            member.linkname = as_text(file.target)
            section.write(header(member))
            return self._told(Entry(file.path, kind, mode, mtime, target=file.target))
        identity = (status.st_dev, status.st_ino)
        first = self._linked.get(identity) if status.st_nlink > 1 else None
        if first is not None:
            target, entry = first
            member.type, member.linkname = tarfile.LNKTYPE, as_text(target)
            section.write(header(member))
            self._tell(status.st_size)
            return self._told(
                entry._replace(
                    path=file.path, type=Type.HARD_LINK, mode=mode, mtime=mtime, target=target
                )
            )
        with tree.opened(place, file) as descriptor:
            entry = self._pack_content(
                section, member, descriptor, Entry(file.path, Type.FILE, mode, mtime), status
            )
        if status.st_nlink > 1:
            self._linked[identity] = (join(run, file.path), entry)
        return entry

    def _told(self, entry: Entry) -> Entry:
        self._back.tell(entry)
        return entry

    def _pack_content(
        self,
        section: SectionWriter,
        member: tarfile.TarInfo,
        descriptor: int,
        entry: Entry,
        status: os.stat_result,
    ) -> Entry:
        """Write header and content; what is not data in a sparse file is only told.

        Return *entry* with the digest, and of how many bytes of data it is where the holes are too
        many.
        """
        size = status.st_size
        parts = tree.data_of(descriptor, status)
        if parts is None:
            member.size = size
            section.write(header(member))
            parts = [(0, size)]
        else:
            section.write(sparse_header(member, parts, size))
        data_size = sum(length for _, length in parts)
        self._holes += size - data_size
        whole = self._holes <= _MOST_HOLES
        entry = self._told(entry._replace(size=size, data=None if whole else data_size))
        digest = hashlib.sha256(b"" if whole else map_of(parts, size))
        position = 0
        for start, length in parts:
            self._skip(digest if whole else None, start - position)
            if start != position:
                os.lseek(descriptor, start, os.SEEK_SET)
            left = length
            while left:
                data = os.read(descriptor, min(left, CHUNK))
                if not data:
                    raise Unfit(f"{shown(entry.path)} is being written")
                left -= len(data)
                digest.update(data)
                section.write(data)
                self._tell(len(data))
            position = start + length
        self._skip(digest if whole else None, size - position)
        section.write(_padding(data_size))
        sha256 = digest.hexdigest()
        self._back.tell(sha256)
        return entry._replace(sha256=sha256)

    def _skip(self, digest: Any, count: int) -> None:
        """Go over a hole, whose zeros belong to *digest* if there is one."""
        if digest is None:
            self._tell(count)
            return
        while count:
            step = min(count, CHUNK)
            digest.update(memoryview(_ZEROS)[:step])
            count -= step
            self._tell(step)

    def _tell(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress("packing", self._done, self._total)


def header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def sparse_header(member: tarfile.TarInfo, parts: list[tuple[int, int]], size: int) -> bytes:
    """Return the header of a sparse file with the map that its content begins with.

    It is GNU tar's format 1.0
    (https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html), which
    tarfile reads and does not write.
    """
    shown_parts = list(parts)
    if not parts or sum(parts[-1]) < size:
        shown_parts.append((size, 0))  # it ends with a hole
    numbers = [len(shown_parts), *(number for part in shown_parts for number in part)]
    table = "".join(f"{number}\n" for number in numbers).encode()
    table += _padding(len(table))
    member.pax_headers = {
        **member.pax_headers,
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": member.name,
        "GNU.sparse.realsize": str(size),
    }
    # What readers show that do not know the format; a long name would override the real one.
    member.name = (
        "GNUSparseFile.0/"
        + hashlib.sha256(member.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    )
    member.size = len(table) + sum(length for _, length in parts)
    return header(member) + table


def _verify(
    output: _Output | Upload,
    target: bytes,
    manifest: Manifest,
    text: bytes,
    progress: Progress | None,
) -> None:
    """Read the file back and compare every byte of content with its digest."""
    total = sum(
        entry.size for run in manifest.runs for entry in run.entries if entry.type is Type.FILE
    )

    def tell(done: int) -> None:
        if progress is not None:
            progress("verifying", done, total)

    with Archive(os.fsencode(output.temporary), name=target) as archive:
        if archive.text != text:
            raise FatalError(f"{shown(target)}: what was read back is not what was written")
        compared = output.back.finish(output.size, tell) if isinstance(output, _Output) else []
        if compared != list(manifest.runs[: len(compared)]):
            raise FatalError(f"{shown(target)}: what was read back is not what was written")
        done = sum(
            entry.size for run in compared for entry in run.entries if entry.type is Type.FILE
        )
        for run in manifest.runs[len(compared) :]:
            for _, pieces in archive.members(run):
                for _, data in pieces:
                    done += len(data)
                    tell(done)
