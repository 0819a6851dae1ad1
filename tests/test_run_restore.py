"""What comes as an archive is believed in nothing; what is there already stays."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_hooks.runs.archive import reader as run_archive_reader
from fx_hooks.runs.archive import restore as run_restore
from fx_hooks.runs.archive import sections
from fx_hooks.runs.archive import tree as run_tree
from fx_hooks.runs.archive.manifest import (
    MEMBER,
    BadManifest,
    decimal,
    from_json,
    nanoseconds,
)
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.archive.tree import Unfit
from fx_hooks.util.errors import FatalError
from tests.run_trees import at_the_end_of, pack, restore, seen, write

KINDS = ["a.tar.gz", "a.tar.zst"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links")
CONTENT = b"evil"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def folder(path: str = "") -> dict[str, Any]:
    return {"path": path, "type": "directory", "mode": "0755", "mtime": "1.0"}


def file(path: str, **fields: Any) -> dict[str, Any]:
    found = {"path": path, "type": "file", "mode": "0644", "mtime": "1.0", "size": len(CONTENT)}
    return {**found, "sha256": SHA256, **fields}


def link(path: str, target: str) -> dict[str, Any]:
    return {"path": path, "type": "link", "mode": "0777", "mtime": "1.0", "target": target}


def hard_link(path: str, target: str, **fields: Any) -> dict[str, Any]:
    return {**file(path, **fields), "type": "hard link", "target": target}


def a_run(path: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"path": path, "about": {}, "files": list(entries), "left_out": [], "section": [0, 0]}


TYPES = {"file": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
TYPES |= {"hard link": tarfile.LNKTYPE}


def members(run: dict[str, Any]) -> bytes:
    """The part of a tar archive that agrees with what the manifest says of *run*."""
    data = b""
    for entry in run["files"]:
        member = tarfile.TarInfo("/".join(filter(None, (run["path"], entry["path"]))))
        member.type = TYPES.get(entry["type"], tarfile.CHRTYPE)
        member.mode = int(entry["mode"], 8)
        member.linkname = entry.get("target", "")
        member.pax_headers = {"mtime": entry["mtime"]}
        if entry["type"] == "file":
            member.size = len(CONTENT)
        data += member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if entry["type"] == "file":
            data += CONTENT.ljust(512, b"\0")
    return data


def forge(
    path: Path,
    *runs: dict[str, Any],
    contents: list[bytes] | None = None,
    text: bytes | None = None,
    name: str = MEMBER,
    tail: bytes = bytes(1024),
) -> None:
    """An archive with a manifest that says *runs*, whatever it is that they hold."""
    codec = sections.codec_for(path.name)
    out = bytearray()
    for run, data in zip(runs, contents or map(members, runs), strict=True):
        start = len(out)
        section = codec.writer(out.extend)
        section.write(data)
        section.close()
        run["section"] = [start, len(out)]
    start = len(out)
    manifest = {"format": "fx-runs", "version": 1, "created": "", "by": "", "runs": list(runs)}
    text = json.dumps(manifest).encode() if text is None else text
    member = tarfile.TarInfo(name)
    member.size = len(text)
    section = codec.writer(out.extend)
    section.write(member.tobuf() + text + bytes(-len(text) % 512) + tail)
    section.close()
    path.write_bytes(bytes(out) + codec.footer(start))
    codec.close()


@pytest.mark.parametrize("name", KINDS)
def test_a_forged_archive_that_is_in_order(tmp_path: Path, name: str) -> None:
    entries = (folder(), file("x"), link("y", "/etc"), hard_link("z", "outputs/a/x"))
    forge(tmp_path / name, a_run("outputs/a", *entries))
    restore(tmp_path / name, tmp_path / "there")
    assert (tmp_path / "there/outputs/a/x").read_bytes() == CONTENT
    if sys.platform != "win32":
        assert os.readlink(tmp_path / "there/outputs/a/y") == "/etc"
        assert (tmp_path / "there/outputs/a/z").stat().st_nlink == 2


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        pytest.param([a_run("../a", folder())], "leads elsewhere", id="run above"),
        pytest.param([a_run("/tmp/a", folder())], "leads elsewhere", id="absolute run"),
        pytest.param([a_run("", folder())], "leads elsewhere", id="the root itself"),
        pytest.param([a_run("a//b", folder())], "leads elsewhere", id="empty part"),
        pytest.param([a_run("a/./b", folder())], "leads elsewhere", id="dot"),
        pytest.param([a_run("a\0", folder())], "leads elsewhere", id="nul"),
        pytest.param([a_run(".git/hooks", folder())], "leads elsewhere", id="git"),
        pytest.param([a_run("sub/.GIT/hooks", folder())], "leads elsewhere", id="git elsewhere"),
        pytest.param([a_run("git~1/hooks", folder())], "leads elsewhere", id="git on Windows"),
        pytest.param([a_run("a", folder(), file("../b"))], "leads elsewhere", id="file above"),
        pytest.param([a_run("a", folder(), file("/b"))], "leads elsewhere", id="absolute file"),
        pytest.param([a_run("a", folder(), file("b/c"))], "leads elsewhere", id="no folder"),
        pytest.param(
            [a_run("a", folder(), link("b", "/etc"), file("b/c"))],
            "leads elsewhere",
            id="through a link",
        ),
        pytest.param(
            [a_run("a", folder(), link("b", "/etc"), folder("b"), file("b/c"))],
            "has a file twice",
            id="link and folder",
        ),
        pytest.param([a_run("a", folder(), file("b"), file("b"))], "has a file twice", id="twice"),
        pytest.param([a_run("a", link("", "/etc"))], "is not a directory", id="a link as run"),
        pytest.param([a_run("a")], "is not a directory", id="nothing"),
        pytest.param([a_run("a", file("b"), folder())], "is not a directory", id="later"),
        pytest.param([a_run("a", folder(), folder(""))], "is not a directory", id="twice itself"),
        pytest.param([a_run("a", folder()), a_run("a", folder())], "within another", id="same"),
        pytest.param([a_run("a", folder()), a_run("a/b", folder())], "within another", id="inner"),
        pytest.param(
            [a_run("a", folder(), hard_link("b", "/etc/passwd"))], "hard link", id="hard link out"
        ),
        pytest.param(
            [a_run("a", folder(), hard_link("b", "a/c"), file("c"))], "hard link", id="later file"
        ),
        pytest.param(
            [a_run("a", folder(), file("c"), hard_link("b", "a/c", size=1))],
            "hard link",
            id="other size",
        ),
        pytest.param([a_run("a", folder(), link("b", ""))], "without a target", id="no target"),
        pytest.param([a_run("a", folder(), link("b", "\0"))], "without a target", id="nul target"),
        pytest.param(
            [a_run("a", folder(), {**folder("b"), "type": "device"})], "of another type", id="type"
        ),
        pytest.param([a_run("a", {**folder(), "mode": "755"})], "of another type", id="mode"),
        pytest.param([a_run("a", {**folder(), "mtime": "now"})], "a time that is", id="time"),
        pytest.param([a_run("a", folder(), file("b", size=-1))], "a size that is", id="negative"),
        pytest.param([a_run("a", folder(), file("b", size=1 << 62))], "a size that is", id="huge"),
        pytest.param([a_run("a", folder(), file("b", size=True))], "has no size", id="no number"),
        pytest.param([a_run("a", folder(), file("b", sha256="0"))], "a digest that", id="digest"),
        pytest.param([a_run("a", folder(), file("\ud800"))], "a name that no path", id="name"),
        pytest.param([{"path": "a"}], "has no section", id="incomplete"),
    ],
)
def test_a_manifest_that_lies(tmp_path: Path, runs: list[dict[str, Any]], message: str) -> None:
    for run in runs:
        run.setdefault("files", [])
    forge(tmp_path / "a.tar.gz", *runs, contents=[b""] * len(runs))
    if message == "has no section":
        text = json.dumps({"format": "fx-runs", "version": 1, "runs": [{"path": "a"}]}).encode()
        forge(tmp_path / "a.tar.gz", text=text)
    before = seen(tmp_path)
    with pytest.raises(FatalError, match=rf"a\.tar\.gz: cannot be trusted: .*{message}"):
        Archive(os.fsencode(tmp_path / "a.tar.gz"))
    assert seen(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(b"{", "is not JSON", id="no JSON"),
        pytest.param(b"[]", "is not that of an archive", id="a list"),
        pytest.param(b'{"format": "x"}', "is not that of an archive", id="format"),
        pytest.param(b'{"format": "fx-runs", "version": 2}', "another version", id="version"),
        pytest.param(b'{"format": "fx-runs", "version": 1}', "has no runs", id="no runs"),
        pytest.param(
            b'{"format": "fx-runs", "version": 1, "runs": [{"path": "a", "section": [1, 2],'
            b' "about": {}, "files": [], "left_out": [], "files": []}]}',
            "has the key",
            id="a key twice",
        ),
        pytest.param(
            b'{"format": "fx-runs", "version": 1, "runs": [{"path": "a", "section": [1, 2],'
            b' "about": {}, "files": [], "left_out": []}]}',
            "do not follow",
            id="a gap",
        ),
    ],
)
def test_a_text_that_is_no_manifest(text: bytes, message: str) -> None:
    with pytest.raises(BadManifest, match=message):
        from_json(text)


def test_times() -> None:
    assert nanoseconds("-1.5") == -1_500_000_000
    assert nanoseconds("12") == 12_000_000_000
    # File systems have times that no calendar has.
    for years in (10_000, 3_000_000):
        time = years * 365 * 86_400 * 1_000_000_000
        assert [nanoseconds(decimal(each)) for each in (time, -time)] == [time, -time]


def changed(change: Callable[[tarfile.TarInfo], object]) -> bytes:
    """A run with the file ``x``, whose header is not what the manifest says."""
    run = a_run("outputs/a", folder())
    member = tarfile.TarInfo("outputs/a/x")
    member.size, member.mode = len(CONTENT), 0o644
    member.pax_headers = {"mtime": "1.0"}
    change(member)
    header = member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return members(run) + header + CONTENT.ljust(512, b"\0")


def set_to(**fields: Any) -> Callable[[tarfile.TarInfo], object]:
    def change(member: tarfile.TarInfo) -> None:
        for name, value in fields.items():
            setattr(member, name, value)

    return change


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(changed(set_to(name="outputs/a/../../x")), id="name above"),
        pytest.param(changed(set_to(name="/x")), id="absolute name"),
        pytest.param(changed(set_to(type=tarfile.CHRTYPE)), id="device"),
        pytest.param(changed(set_to(type=tarfile.SYMTYPE, linkname="/etc")), id="link"),
        pytest.param(changed(set_to(mode=0o4755)), id="setuid"),
        pytest.param(changed(set_to(size=3)), id="size"),
        pytest.param(changed(set_to(pax_headers={"mtime": "2"})), id="time"),
        pytest.param(changed(set_to(pax_headers={})), id="no time"),
        pytest.param(
            changed(set_to(pax_headers={"mtime": "1.0", "path": "outputs/b"})), id="second name"
        ),
        pytest.param(
            changed(
                set_to(
                    pax_headers={
                        "mtime": "1.0",
                        "GNU.sparse.major": "1",
                        "GNU.sparse.minor": "0",
                        "GNU.sparse.realsize": "4",
                    }
                )
            ),
            id="sparse without a map",
        ),
        pytest.param(
            changed(
                set_to(
                    pax_headers={
                        "mtime": "1.0",
                        "GNU.sparse.map": "2,2,0,2",
                        "GNU.sparse.size": "4",
                    }
                )
            ),
            id="sparse backwards",
        ),
        pytest.param(members(a_run("outputs/a", folder())), id="missing"),
        pytest.param(changed(lambda _: None) + members(a_run("b", folder())), id="more"),
        pytest.param(changed(lambda _: None)[:-512], id="cut"),
        pytest.param(changed(lambda _: None)[:-600], id="cut header"),
        pytest.param(b"rubbish" * 1000, id="rubbish"),
        pytest.param(b"", id="empty"),
        pytest.param(changed(lambda _: None) + bytes(3_000_000), id="a bomb"),
        pytest.param(changed(lambda _: None).replace(CONTENT, b"good"), id="digest"),
    ],
)
@pytest.mark.parametrize("name", KINDS)
def test_content_that_is_not_what_its_manifest_says(
    tmp_path: Path, content: bytes, name: str
) -> None:
    run = a_run("outputs/a", folder(), file("x"))
    forge(tmp_path / name, run, contents=[content])
    with pytest.raises(FatalError, match=r"cannot be trusted: "):
        restore(tmp_path / name, tmp_path / "there")
    assert os.listdir(tmp_path / "there") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"name": "other"}, "manifest is missing", id="name"),
        pytest.param({"tail": members(a_run("a", folder()))}, "not the last", id="more behind"),
        pytest.param({"text": b"{}"}, "is not that of", id="empty"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    forge(tmp_path / "a.tar.gz", **options)
    with pytest.raises(FatalError, match=message):
        Archive(os.fsencode(tmp_path / "a.tar.gz"))


def test_a_manifest_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forge(tmp_path / "a.tar.gz", a_run("a", folder()))
    monkeypatch.setattr(run_archive_reader, "MAX_BYTES", 100)
    monkeypatch.setattr(run_archive_reader, "SMALL", 0)
    with pytest.raises(FatalError, match="its manifest is too large"):
        Archive(os.fsencode(tmp_path / "a.tar.gz"))
    monkeypatch.setattr(run_archive_reader, "MAX_BYTES", 1000)
    forge(tmp_path / "b.tar.gz", tail=bytes(3_000_000))
    with pytest.raises(FatalError, match="unpacks to more than its manifest says"):
        Archive(os.fsencode(tmp_path / "b.tar.gz"))


def test_runs_that_the_manifest_does_not_tell_of(tmp_path: Path) -> None:
    forge(tmp_path / "a.tar.gz", a_run("a", folder()))
    whole = (tmp_path / "a.tar.gz").read_bytes()
    text = json.dumps({"format": "fx-runs", "version": 1, "created": "", "by": "", "runs": []})
    forge(tmp_path / "b.tar.gz", text=text.encode())
    rest = (tmp_path / "b.tar.gz").read_bytes()
    codec = sections.codec_for("a.tar.gz")
    footer = codec.footer(len(whole))
    codec.close()
    (tmp_path / "c.tar.gz").write_bytes(whole + rest[: -len(footer)] + footer)
    with pytest.raises(FatalError, match="has more in it than its manifest lists"):
        Archive(os.fsencode(tmp_path / "c.tar.gz"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("a.tar.gz", b"", "is cut off, or was not written by", id="empty"),
        pytest.param("a.tar.zst", b"x" * 1000, "is cut off, or was not", id="rubbish"),
        pytest.param("a.zip", b"", "is called NAME.tar.gz or", id="name"),
        pytest.param("b.tar.gz", None, "cannot be read: No such file", id="missing"),
    ],
)
def test_a_file_that_is_no_archive(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FatalError, match=message):
        Archive(os.fsencode(tmp_path / name))


def test_a_plain_tar_archive(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x"), io.BytesIO())
    with pytest.raises(FatalError, match="was not written by fx-archive-runs"):
        Archive(os.fsencode(tmp_path / "a.tar.gz"))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and archives of it."""
    top = tmp_path_factory.mktemp("real")
    write(top / "root/outputs/a/model.pt", random.Random(1).randbytes(20_000))
    write(top / "root/outputs/a/train.log", "step\n" * 1000)
    write(top / "root/outputs/b/train.log", "step\n" * 10)
    for name in KINDS:
        pack(top / "root", top / name, "outputs/a", "outputs/b")
    return top


def refused_or_whole(real: Path, archive: Path) -> bool:
    """Whether an archive is refused; if not, it restores all that was packed."""
    there = archive.parent / "there"
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir()
    message = ""
    try:
        restore(archive, there)
    except FatalError as exc:
        message = str(exc)
    if message:
        assert "\n" not in message
        assert os.listdir(there) == []
        return True
    for run in ("outputs/a", "outputs/b"):
        assert seen(there / run) == seen(real / "root" / run)
    return False


@pytest.mark.parametrize("name", KINDS)
def test_a_cut_archive_is_refused(real: Path, tmp_path: Path, name: str) -> None:
    whole = (real / name).read_bytes()
    cuts = {*range(0, len(whole), 499), *range(len(whole) - 70, len(whole))}
    for cut in sorted(cuts):
        (tmp_path / name).write_bytes(whole[:cut])
        assert refused_or_whole(real, tmp_path / name)
    (tmp_path / name).write_bytes(whole + b"\0")
    assert refused_or_whole(real, tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_bit_is_noticed(real: Path, tmp_path: Path, name: str) -> None:
    whole = (real / name).read_bytes()
    choose = random.Random(name)
    places = {*range(20), *(choose.randrange(len(whole)) for _ in range(150))}
    places |= set(range(len(whole) - 60, len(whole)))
    harmless = []
    for place in sorted(places):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << choose.randrange(8)
        (tmp_path / name).write_bytes(bytes(flipped))
        if not refused_or_whole(real, tmp_path / name):
            harmless.append(place)
    # Some say the same: gzip's header names a time, and a match can be copied from elsewhere.
    assert len(harmless) < len(places) / 10


@pytest.fixture(scope="module")
def unpacked(real: Path) -> dict[str, Any]:
    """What the sections of the archive hold, and what its manifest says."""
    manifest = json.loads((real / "a.tar.gz.manifest.json").read_bytes())
    codec = sections.codec_for("a.tar.gz")
    with open(real / "a.tar.gz", "rb") as opened:
        contents = []
        for run in manifest["runs"]:
            start, end = run["section"]
            opened.seek(start)
            contents.append(b"".join(codec.chunks(opened, end - start)))
    codec.close()
    return {"runs": manifest["runs"], "contents": contents}


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    flips=st.lists(
        st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4
    )
)
def test_any_damage_below_the_compression_is_noticed(
    real: Path, unpacked: dict[str, Any], flips: list[tuple[int, bytes]]
) -> None:
    content = bytearray(unpacked["contents"][0])
    for place, data in flips:
        content[place : place + len(data)] = data
    forge(
        real / "forged.tar.gz",
        *unpacked["runs"],
        contents=[bytes(content), unpacked["contents"][1]],
    )
    refused_or_whole(real, real / "forged.tar.gz")


@pytest.mark.parametrize("name", KINDS)
def test_only_what_is_needed_is_read(real: Path, tmp_path: Path, name: str) -> None:
    damaged = bytearray((real / name).read_bytes())
    damaged[3000:3100] = bytes(100)  # in the first run
    (tmp_path / name).write_bytes(bytes(damaged))
    with Archive(os.fsencode(tmp_path / name)) as opened:
        assert len(opened.manifest.runs) == 2
    restore(tmp_path / name, tmp_path / "there", "outputs/b")
    assert seen(tmp_path / "there/outputs/b") == seen(real / "root/outputs/b")
    with pytest.raises(FatalError, match="cannot be trusted"):
        restore(tmp_path / name, tmp_path / "there", "outputs/a")
    assert os.listdir(tmp_path / "there/outputs") == ["b"]


# --- what is there already ---------------------------------------------------------------


@pytest.fixture
def archive(real: Path, tmp_path: Path) -> Path:
    shutil.copy(real / "a.tar.gz", tmp_path)
    return tmp_path / "a.tar.gz"


def test_nothing_is_overwritten_without_being_told(
    real: Path, archive: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    write(there / "outputs/b/mine.log")
    before = seen(there)
    with pytest.raises(FatalError, match=r"^outputs/b: is there already: restore somewhere else"):
        restore(archive, there)
    assert seen(there) == before
    restore(archive, there, "outputs/a")
    with pytest.raises(FatalError, match=r"^outputs/a: is there already \(and 1 more\)"):
        restore(archive, there)
    assert restore(archive, there, "outputs/a", force=True).kept == ()  # there is no difference
    (kept,) = restore(archive, there, force=True).kept
    for run in ("outputs/a", "outputs/b"):
        assert seen(there / run) == seen(real / "root" / run)
    assert os.listdir(there) == ["outputs"]
    # What somebody has made by hand is kept.
    assert (kept.path, kept.own) == (b"outputs/b", "mine.log")
    assert os.fsdecode(kept.place).startswith("outputs/b.replaced-20")
    name = os.fsdecode(os.path.basename(kept.place))
    assert sorted(os.listdir(there / "outputs")) == ["a", "b", name]
    assert list(seen(there / "outputs" / name)) == [b"mine.log"]


def test_what_is_replaced_is_kept_under_a_name_of_its_own(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: ".replaced-now")
    there = tmp_path / "there"
    for number in range(3):
        restore(archive, there, "outputs/a", force=True)
        write(there / "outputs/a/notes.txt", f"{number}")
    (there / "outputs/a/notes.txt").unlink()
    first = next(path for path in (there / "outputs/a").rglob("*") if path.is_file())
    times = (first.stat().st_atime, first.stat().st_mtime - 1)
    os.utime(first, times)
    (kept,) = restore(archive, there, "outputs/a", force=True).kept
    assert kept.own == str(first.relative_to(there / "outputs/a"))
    assert sorted(os.listdir(there / "outputs")) == [
        "a", "a.replaced-now", "a.replaced-now-2", "a.replaced-now-3",
    ]  # fmt: skip
    # What cannot be compared is kept, too.
    monkeypatch.setattr(run_tree, "scan", lambda _: _unfit())
    (kept,) = restore(archive, there, "outputs/a", force=True).kept
    assert kept == (b"outputs/a", b"outputs/a.replaced-now-4", "it cannot be read")


def _unfit() -> NoReturn:
    raise Unfit("it cannot be read")


@posix
def test_what_is_in_use_is_not_replaced(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    restore(archive, there)
    write(there / "outputs/a/new.log", "x", mtime=time.time_ns())
    before = seen(there)
    message = "outputs/a: is not replaced: it was written to within the last hour: restore"
    for hidden in (False, True):
        with monkeypatch.context() as patch:
            if hidden:
                patch.setitem(sys.modules, "psutil", None)
            with pytest.raises(FatalError, match=message):
                restore(archive, there, force=True)
    assert seen(there) == before
    (there / "outputs/a/new.log").unlink()
    code = "import sys; f = open('outputs/b/x.log', 'w+'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        (sys.executable, "-c", code), cwd=there, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.utime(there / "outputs/b/x.log", (1e9, 1e9))
        before = seen(there)
        with pytest.raises(FatalError, match=rf"\(process {process.pid}\) uses it"):
            restore(archive, there, force=True)
        assert seen(there) == before
    assert restore(archive, there, force=True).kept[0].own == "x.log"


@posix
@posix
def test_a_closed_folder_is_moved_all_the_same(tmp_path: Path) -> None:
    """What changes its parent has to be writable, and is as closed as before in the end."""
    write(tmp_path / "root/outputs/a/file", "x")
    (tmp_path / "root/outputs/a").chmod(0o555)
    pack(tmp_path / "root", tmp_path / "a.tar.gz", "outputs/a")
    for force in (False, True):
        restore(tmp_path / "a.tar.gz", tmp_path / "there", force=force)
        assert seen(tmp_path / "there").keys() == seen(tmp_path / "root").keys()
        assert seen(tmp_path / "there")[b"outputs/a"] == seen(tmp_path / "root")[b"outputs/a"]


def test_it_tells_how_far_it_has_come(archive: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    (tmp_path / "there").mkdir()
    with Archive(os.fsencode(archive)) as opened:
        runs = opened.manifest.runs
        run_restore.restore(
            opened,
            os.fsencode(tmp_path / "there"),
            runs,
            progress=lambda phase, done, total: told.append((phase, done, total)),
        )
    assert {phase for phase, _, _ in told} == {"restoring"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1] == told[-1][2] == sum(run.size for run in runs)


def test_an_archive_that_goes_away(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that does not answer is not a forged archive."""
    with Archive(os.fsencode(archive)) as opened:

        def read(*_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(type(sections.codec_for("a.tar.gz")), "chunks", read)
        with pytest.raises(FatalError, match=r"a\.tar\.gz: cannot be read: Input/output error"):
            run_restore.restore(opened, os.fsencode(tmp_path), opened.manifest.runs)


def test_a_link_is_never_written_through(archive: Path, tmp_path: Path) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    elsewhere.mkdir()
    there.mkdir()
    (there / "outputs").symlink_to(elsewhere)
    for force in (False, True):
        with pytest.raises(FatalError, match=r"^outputs: is a symbolic link, which is not follow"):
            restore(archive, there, force=force)
    (there / "outputs").unlink()
    (there / "outputs").mkdir()
    (there / "outputs/a").symlink_to(elsewhere)
    for force in (False, True):
        with pytest.raises(FatalError, match=r"^outputs/a: is a symbolic link"):
            restore(archive, there, force=force)
    (there / "outputs/a").unlink()
    (there / "outputs").rmdir()
    (there / "outputs").write_text("a file")
    with pytest.raises(FatalError, match=r"^outputs: is not a directory"):
        restore(archive, there)
    assert os.listdir(elsewhere) == []


@posix
def test_a_link_that_appears_meanwhile(archive: Path, tmp_path: Path) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    elsewhere.mkdir()
    appears = at_the_end_of("restoring", lambda: (there / "outputs").symlink_to(elsewhere))
    with pytest.raises(FatalError, match=r"^outputs/a: cannot be restored: "):
        restore(archive, there, progress=appears)
    assert os.listdir(elsewhere) == []
    assert os.listdir(there) == ["outputs"]


def test_a_run_that_appears_meanwhile(archive: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    appears = at_the_end_of("restoring", lambda: write(there / "outputs/a/mine.log"))
    with pytest.raises(FatalError, match="another process has just put it there"):
        restore(archive, there, progress=appears)
    assert seen(there).keys() == {b"outputs", b"outputs/a", b"outputs/a/mine.log"}


def test_a_place_that_is_no_folder(archive: Path, tmp_path: Path) -> None:
    with Archive(os.fsencode(archive)) as opened, pytest.raises(FatalError, match="nowhere"):
        run_restore.restore(opened, os.fsencode(tmp_path / "nowhere"), opened.manifest.runs)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        pytest.param([], ["a", "b"], id="all"),
        pytest.param(["outputs/b"], ["b"], id="path"),
        pytest.param(["./outputs/b/"], ["b"], id="path as completed"),
        pytest.param(["outputs"], ["a", "b"], id="folder"),
        pytest.param(["*/a"], ["a"], id="glob"),
        pytest.param(["out*s"], ["a", "b"], id="glob of a folder"),
        pytest.param(["outputs/b", "outputs/[ab]"], ["a", "b"], id="both"),
    ],
)
def test_choosing(archive: Path, tmp_path: Path, patterns: list[str], names: list[str]) -> None:
    done = restore(archive, tmp_path / "there", *patterns)
    assert [run.path.decode() for run in done.runs] == [f"outputs/{name}" for name in names]
    assert sorted(os.listdir(tmp_path / "there/outputs")) == names


def test_a_pattern_that_names_nothing(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"^outputs/c: names no run of the archive$"):
        restore(archive, tmp_path / "there", "outputs/a", "outputs/c")
    assert os.listdir(tmp_path / "there") == []


def test_names_that_windows_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_restore, "WINDOWS", True)
    for number, name in enumerate(("c:x", "a\\..\\x", "end.", "a b")):
        path = tmp_path / f"{number}.tar.gz"
        forge(path, a_run("outputs/a", folder(), file(name)))
        if name == "a b":
            with Archive(os.fsencode(path)) as opened:
                run_restore.check_places(b".", opened.manifest.runs, force=False)
            continue
        with pytest.raises(FatalError, match="has names that Windows does not have"):
            restore(path, tmp_path / "there")


def test_where_a_system_has_no_such_calls(
    archive: Path, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_restore, "BY_DESCRIPTOR", False)
    restore(archive, tmp_path / "there")
    restore(archive, tmp_path / "there", force=True)
    assert seen(tmp_path / "there/outputs/a") == seen(real / "root/outputs/a")


@posix
@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[["../escaped", 493]]', id="outside"),
        pytest.param('[["/tmp/escaped-from-there", 493]]', id="absolute"),
        pytest.param('[[".git/hooks", 493]]', id="git"),
        pytest.param('[["link/escaped", 493]]', id="through a link"),
        pytest.param('[["\\ud800", 493]]', id="no name"),
        pytest.param('[["a"]]', id="no mode"),
        pytest.param('[["a", "x"]]', id="no number"),
        pytest.param("[1]", id="no list"),
        pytest.param("{", id="no JSON"),
        pytest.param("[" * 100_000, id="deep JSON"),
        pytest.param('[["a", 1e400]]', id="a number that is too large"),
        pytest.param(None, id="a pipe"),
    ],
)
def test_what_lies_there_as_if_it_were_ours(
    archive: Path, tmp_path: Path, text: str | None
) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(there / ".fx-restore.01234567/old-0/file")
    record = there / ".fx-restore.01234567/replaced.json"
    if text is None:
        os.mkfifo(record)
    else:
        record.write_text(text)
    (there / "link").symlink_to(elsewhere)
    (note,) = restore(archive, there).notes
    # It may be all that is left of a run.
    assert ".fx-restore.01234567" in note
    assert (there / ".fx-restore.01234567/old-0/file").exists()
    assert os.listdir(elsewhere) == []
    assert not (tmp_path / "escaped").exists()
    assert not Path("/tmp/escaped-from-there").exists()
    assert {"outputs", "link"} <= set(os.listdir(there)) <= {"outputs", "link",
                                                            ".fx-restore.01234567"}  # fmt: skip


# What other programs would run is not put back.


@pytest.mark.parametrize(
    "name",
    [
        ".git", ".GIT", ".git.", "git~1", ".git::$INDEX_ALLOCATION", ".g\u200cit", ".ssh",
        ".\uff53sh", ".husky", ".vscode", ".idea", ".envrc", ".bashrc", "sitecustomize",
        "sitecustomize.py", "UserCustomize.cpython-312-x86_64-linux-gnu.so", "site-packages",
        "conftest.py", "x.code-workspace", ".pylintrc", "latexmkrc", ".eslintrc.js", "_vimrc",
        "prek.toml",
    ],
)  # fmt: skip
def test_what_programs_would_run_is_not_put_back(tmp_path: Path, name: str) -> None:
    there = tmp_path / "there"
    forge(tmp_path / "run.tar.gz", a_run(f"{name}/a", folder(), file("x")))
    with pytest.raises(FatalError, match="leads elsewhere"):
        restore(tmp_path / "run.tar.gz", there)
    entries = (folder(), folder("a"), folder(f"a/{name}"), file(f"a/{name}/x"), file("z"))
    forge(tmp_path / "a.tar.gz", a_run("outputs/a", *entries))
    restored = restore(tmp_path / "a.tar.gz", there)
    assert [note.partition(": left out")[1] for note in restored.notes] == [": left out"]
    assert {*seen(there)} == {b"outputs", b"outputs/a", b"outputs/a/a", b"outputs/a/z"}


@pytest.mark.parametrize(
    "name", ["git", ".gitignore", "site", "model.pth", ".hydra", "code", "environment", ".metadata"]
)
def test_names_that_nothing_runs(tmp_path: Path, name: str) -> None:
    forge(tmp_path / "a.tar.gz", a_run("outputs/a", folder(), file(name)))
    assert restore(tmp_path / "a.tar.gz", tmp_path / "there").notes == ()
    assert (tmp_path / "there/outputs/a" / name).read_bytes() == CONTENT


def test_a_repository_of_any_name_is_not_put_back(tmp_path: Path) -> None:
    bare = (folder("r"), file("r/HEAD"), folder("r/objects"), folder("r/refs"), file("r/config"))
    forge(tmp_path / "a.tar.gz", a_run("outputs/a", folder(), *bare))
    restore(tmp_path / "a.tar.gz", tmp_path / "there")
    assert {*seen(tmp_path / "there")} == {b"outputs", b"outputs/a"}
    forge(tmp_path / "b.tar.gz", a_run("b", folder(), file("HEAD"), folder("objects")))
    with pytest.raises(FatalError, match="is a repository, not a run"):
        restore(tmp_path / "b.tar.gz", tmp_path / "there")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("numpy", "__init__.py"), ("numpy", "__init__.so"), ("src", "train.py")),
        *(("scripts", "deploy.sh"), ("tools", "Makefile"), ("web", "index.js")),
    ],
)
def test_source_is_no_run(tmp_path: Path, path: str, name: str) -> None:
    forge(tmp_path / "a.tar.gz", a_run(path, folder(), file(name), file("train.log")))
    with pytest.raises(FatalError, match=f"{path}: holds source files, so it is not a run"):
        restore(tmp_path / "a.tar.gz", tmp_path / "there")
    assert not (tmp_path / "there" / path).exists()


@pytest.mark.parametrize("path", ["outputs/2026-01-01/00-00-00", "sweep/12", "sweep/lr=0.1"])
def test_a_job_may_have_copied_its_source(tmp_path: Path, path: str) -> None:
    forge(tmp_path / "b.tar.gz", a_run(path, folder(), file("__init__.py")))
    restore(tmp_path / "b.tar.gz", tmp_path / "there")
    assert (tmp_path / "there" / path / "__init__.py").read_bytes() == CONTENT


@posix
def test_a_hard_link_to_what_is_not_put_back(tmp_path: Path) -> None:
    runs = (
        a_run("outputs/a", folder(), file(".envrc"), file(".bashrc")),
        a_run("outputs/b", folder(), hard_link("x", "outputs/a/.envrc")),
    )
    forge(tmp_path / "a.tar.gz", *runs)
    restore(tmp_path / "a.tar.gz", tmp_path / "there")
    assert (tmp_path / "there/outputs/b/x").read_bytes() == CONTENT
    assert not (tmp_path / "there/outputs/a/.envrc").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": 9}, "more data than it is long"),
        ({"data": -1}, "has a data that is none"),
        ({"data": "4"}, "has no data where it has to"),
        ({"data": 4}, "does not have the digest that the manifest gives"),
        ({"data": 0}, "does not have the digest that the manifest gives"),
        ({"data": 0, "size": 1 << 60}, "is not what its manifest says"),
        ({"data": 1 << 59, "size": 1 << 60}, "is said to hold more than it can"),
    ],
    ids=str,
)
def test_what_is_said_of_holes_is_not_believed(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    forge(tmp_path / "a.tar.gz", a_run("outputs/a", folder(), file("x", **fields)))
    with pytest.raises(FatalError, match=message):
        restore(tmp_path / "a.tar.gz", tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []
