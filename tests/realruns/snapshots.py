"""Run folders of real tools as test data: where they are made, and what is kept of them."""

from __future__ import annotations

import csv
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"


def environment(
    name: str, packages: Sequence[str], *, needs: str, venvs: Path, pythons: Path
) -> str:
    """Return the Python of the environment of that name, made if it is not there yet.

    It is Python *needs* of *pythons*, a folder with one ``VERSION/bin/python`` each.
    """
    place = venvs.resolve() / name
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        base = next(iter(sorted(pythons.glob(f"{needs}.*/bin/python"))), f"python{needs}")
        subprocess.run((base, "-m", "venv", "--clear", place), check=True)
        subprocess.run((python, "-m", "pip", "install", "-q", *packages), check=True)
        (place / "ready").touch()
    return str(python)


def pack(listing: Path, rows: Sequence[Mapping[str, str]], kept: Path) -> None:
    """Put ``kept/NAME`` of each row into the archive beside *listing*, and the row into that.

    What they have of other names stays.
    """
    packed = listing.with_suffix(".tar.gz")
    known = {row["name"]: row for row in rows}
    if listing.exists():
        with tarfile.open(packed) as archive:
            for member in archive.getmembers():
                if member.name.partition("/")[0] not in known:
                    archive.extract(member, kept, filter="data")
        known = {row["name"]: row for row in read_listing(listing)} | known
    listing.parent.mkdir(parents=True, exist_ok=True)
    with listing.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(known[name] for name in sorted(known))
    with tarfile.open(packed, "w:gz", compresslevel=9) as archive:
        for path in sorted(entries_in(kept)):
            member = archive.gettarinfo(path, path.relative_to(kept).as_posix())
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            with path.open("rb") if member.isreg() else nullcontext() as content:
                archive.addfile(member, content)


def read_listing(listing: Path) -> list[dict[str, str]]:
    """Return the rows of a listing."""
    with listing.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def keep(path: Path, target: Path, places: Mapping[str, str]) -> None:
    """Copy an entry with its times to *target*, without what it says of this machine."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.symlink_to(os.readlink(path))
    elif path.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.write_bytes(scrubbed(path, places))
        shutil.copystat(path, target)


def entries_in(top: Path) -> Iterator[Path]:
    """Yield all files, links and empty folders."""
    for folder, folders, names in os.walk(top):
        for name in (*folders, *names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
                yield path


def scrubbed(path: Path, places: Mapping[str, str]) -> bytes:
    """Return the content of *path* without what it says of this machine, as long as before.

    *places* are folders with the names that they get.
    """
    content = path.read_bytes()
    host = socket.gethostname()
    private = {**places, host: "host", f"hostname={host}": "hostname=host"}
    private |= {str(Path.home()): "/home/anna"}
    private |= {sys.prefix: "/venv", getpass.getuser(): "anna"}
    for old, new in sorted(private.items(), key=lambda pair: -len(pair[0])):
        if len(old) > 4:
            filled = new.ljust(len(old), "_")[: len(old)]
            content = content.replace(old.encode(), filled.encode())
    return _with_sums(content) if path.suffix == ".wandb" else content


def _with_sums(content: bytes) -> bytes:
    """Set the checksums of a log of W&B right, whose records have changed."""
    done = bytearray(content)
    position = 7
    while position + 7 <= len(done):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        length = int.from_bytes(done[position + 4 : position + 6], "little")
        data = bytes(done[position + 6 : position + 7 + length])
        done[position : position + 4] = zlib.crc32(data).to_bytes(4, "little")
        position += 7 + length
    return bytes(done)
