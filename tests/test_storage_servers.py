"""Archives on a real S3 server (moto's) and by real SFTP (OpenSSH's); `pytest -m storage`."""

from __future__ import annotations

import contextlib
import getpass
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.run_trees import seen
from tests.test_kept_runs import JOB
from tests.test_kept_runs import job as make_job

if TYPE_CHECKING:
    from tests.support import Repo

pytestmark = pytest.mark.storage
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
SECRET = "secret-of-the-test"
# It completes an upload after more than the 15 seconds that s3fs waits for an answer; asked again
# meanwhile, it finds no such upload any more.
SLOW = """\
import time
from moto.s3.models import S3Backend
complete = S3Backend.complete_multipart_upload
seconds = [6, 20]
def slow(*arguments):
    time.sleep(seconds.pop() if seconds else 0)
    return complete(*arguments)
S3Backend.complete_multipart_upload = slow
"""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the server does not answer")


@pytest.fixture
def s3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of moto's server; its parameter is what the server's program does first."""
    for module in ("moto", "s3fs"):
        pytest.importorskip(module)
    boto3 = pytest.importorskip("boto3")
    port = free_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_MAX_ATTEMPTS", "2"),
    ):
        monkeypatch.setenv(name, value)
    program = getattr(request, "param", "") + "from moto.server import main; main()"
    command = (sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(port))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        wait_for(port)
        client = boto3.client("s3")
        client.create_bucket(Bucket="bucket")
        yield client
        server.kill()


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("paramiko")
    if SSHD is None or os.name == "nt":
        pytest.skip("there is no sshd")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    for key in (home / ".ssh" / "id_ed25519", tmp_path / "host"):
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key), check=True)
    shutil.copy(home / ".ssh" / "id_ed25519.pub", tmp_path / "authorized")
    monkeypatch.setenv("HOME", str(home))
    port = free_port()
    settings = tmp_path / "sshd_config"
    settings.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/authorized\nPidFile none\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\n"
    )
    os.makedirs("/run/sshd", exist_ok=True)
    with subprocess.Popen((SSHD, "-D", "-e", "-f", settings), stderr=subprocess.DEVNULL) as server:
        wait_for(port)
        (tmp_path / "there").mkdir()
        yield f"sftp://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/there"
        server.kill()


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    if request.param == "s3":
        request.getfixturevalue("s3")
        return "s3://bucket"
    return str(request.getfixturevalue("sftp"))


def start(repo: Repo, module: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (sys.executable, "-m", f"fx_hooks.cli.{module}", *arguments),
        cwd=repo.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def command(repo: Repo, module: str, *arguments: str) -> tuple[int, str]:
    process = start(repo, module, *arguments)
    output, _ = process.communicate(timeout=300)
    assert SECRET not in output
    assert "Traceback" not in output
    return process.returncode, output


def objects(s3: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket="bucket").get("Contents", ())]


@pytest.mark.parametrize("place", ["s3", "sftp"], indirect=True)
def test_there_and_back(repo: Repo, place: str) -> None:
    folder = make_job(repo.root)
    (folder / "large.bin").write_bytes(os.urandom(70 << 20))
    subprocess.run(("touch", "-d", "40 days ago", folder / "large.bin"), check=True)
    before = seen(folder)
    address = f"{place}/a.tar.gz"
    code, output = command(repo, "archive_runs", JOB, address)
    assert code == 0, output
    code, output = command(repo, "clean_runs", "--yes", "--force", "--archive", address, ".")
    assert (code, folder.exists()) == (0, False), output
    assert JOB in command(repo, "archive_runs", "--list", address)[1]
    for found in (place, address):
        code, output = command(repo, "archive_runs", "--find", "loss < 1", found)
        assert (code, output) == (
            0,
            "0 runs of 1 in 1 archive\nnote: 1 run without loss: not decided\n",
        )
    assert f"in the archive {address}\n" in command(repo, "show_run", JOB)[1]
    code, output = command(repo, "archive_runs", "--restore", address)
    assert code == 0, output
    assert seen(folder) == before


def far_away(port: int, seconds: float) -> int:
    """Return a port from which the way to *port*, and back, takes so long, at any rate."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            client, _ = server.accept()
            other = socket.create_connection(("127.0.0.1", port))
            for source, target in ((client, other), (other, client)):
                waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
                for work, arguments in ((read, (source, waiting)), (write, (target, waiting))):
                    threading.Thread(target=work, args=arguments, daemon=True).start()

    def read(source: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                waiting.put((time.monotonic() + seconds, data))
        waiting.put((time.monotonic() + seconds, b""))

    def write(target: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while True:
                then, data = waiting.get()
                time.sleep(max(then - time.monotonic(), 0))
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return int(server.getsockname()[1])


def test_sftp_from_far_away(repo: Repo, sftp: str) -> None:
    """24 MiB are 768 answers to 32 KiB; one by one, at 40 ms each, they take 30 seconds."""
    folder = make_job(repo.root)
    (folder / "large.bin").write_bytes(os.urandom(24 << 20))
    subprocess.run(("touch", "-d", "40 days ago", folder / "large.bin"), check=True)
    before = seen(folder)
    code, output = command(repo, "archive_runs", JOB, f"{sftp}/a.tar.gz")
    assert code == 0, output
    shutil.rmtree(folder)
    host, _, rest = sftp.partition("@")[2].partition(":")
    port = rest.partition("/")[0]
    far = far_away(int(port), 0.02)
    address = sftp.replace(f"@{host}:{port}", f"@{host}:{far}") + "/a.tar.gz"
    start = time.monotonic()
    assert command(repo, "archive_runs", "--restore", address)[0] == 0
    assert time.monotonic() - start < 15
    assert seen(folder) == before


@pytest.mark.parametrize("after", [0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("place", ["s3", "sftp"], indirect=True)
def test_killed(repo: Repo, place: str, after: float) -> None:
    """What was killed leaves nothing that passes for an archive, and the next one is whole."""
    folder = make_job(repo.root)
    (folder / "large.bin").write_bytes(os.urandom(100 << 20))
    subprocess.run(("touch", "-d", "40 days ago", folder / "large.bin"), check=True)
    before = seen(folder)
    address = f"{place}/a.tar.gz"
    process = start(repo, "clean_runs", "--yes", "--archive", address, ".")
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    is_listed = command(repo, "archive_runs", "--list", address)[0] == 0
    assert folder.exists() or is_listed
    assert seen(folder) == before
    if not is_listed:
        code, output = command(repo, "clean_runs", "--yes", "--archive", address, ".")
        assert code == 0, output
        assert not folder.exists()
        if place.startswith("sftp"):
            names = {"a.tar.gz", "a.tar.gz.manifest.json"}
            assert set(os.listdir(place[place.index("/", len("sftp://")) :])) == names
    shutil.rmtree(folder, ignore_errors=True)
    assert command(repo, "archive_runs", "--restore", address)[0] == 0
    assert seen(folder) == before


@pytest.mark.parametrize("s3", [SLOW], indirect=True)
def test_a_server_that_takes_long(repo: Repo, s3: Any) -> None:
    folder = make_job(repo.root)
    (folder / "large.bin").write_bytes(os.urandom(70 << 20))
    subprocess.run(("touch", "-d", "40 days ago", folder / "large.bin"), check=True)
    code, output = command(repo, "clean_runs", "--yes", "--archive", "s3://bucket/a.tar.gz", ".")
    assert (code, folder.exists()) == (0, False), output
    assert objects(s3) == ["a.tar.gz", "a.tar.gz.manifest.json"]


def test_no_bucket_and_no_server(repo: Repo, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_job(repo.root)
    code, output = command(repo, "clean_runs", "--yes", "--archive", "s3://none/a.tar.gz", ".")
    assert (code, folder.exists()) == (2, True)
    assert "s3://none/a.tar.gz: " in output
    assert objects(s3) == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    code, output = command(repo, "clean_runs", "--yes", "--archive", "s3://bucket/a.tar.gz", ".")
    assert (code, folder.exists()) == (2, True)
    assert "s3://bucket/a.tar.gz: " in output


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such measure")
@pytest.mark.parametrize("end", ["tar.gz", "tar.zst"])
def test_memory(repo: Repo, s3: Any, end: str) -> None:
    """At most 200 MB, for 20 GB of holes and for what does not compress."""
    folder = make_job(repo.root)
    with open(folder / "sparse.bin", "wb") as file:
        file.truncate(20 << 30)
    block = os.urandom(1 << 20)
    with open(folder / "noise.bin", "wb") as file:
        for number in range(700):
            file.write(block[number:] + block[:number])
    subprocess.run(("touch", "-d", "40 days ago", *folder.glob("*.bin")), check=True)
    script = (
        "import sys; from fx_hooks.cli.archive_runs import main;"
        "code = main(sys.argv[1:]);"
        # Not what getrusage says, which counts what it was started from, too.
        "lines = [line.split() for line in open('/proc/self/status')];"
        "print(code, *(line[1] for line in lines if line[0] == 'VmHWM:'))"
    )
    done = subprocess.run(
        (sys.executable, "-c", script, JOB, f"s3://bucket/a.{end}"),
        cwd=repo.root,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    code, kilobytes = map(int, done.stdout.splitlines()[-1].split())
    assert code == 0
    assert kilobytes < 200_000, kilobytes
    assert objects(s3) == [f"a.{end}", f"a.{end}.manifest.json"]
