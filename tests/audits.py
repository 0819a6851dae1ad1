"""Histories as the audit takes them in, and the audits that come of them."""

from __future__ import annotations

from fx_hooks.history.audit.figures import Audit, Brought, Rest, measure_history
from fx_hooks.reporting.finding import Commit

JANUARY = 1_704_067_200  # 2024-01-01
DAY = 86_400
# Each would do harm where it is not escaped, or has no way to be shown as it is.
ODD_NAMES = (
    b"<script>window.hurt = 1",
    b"<img src=x onerror=window.hurt=1>",
    b"\"quoted\" & 'quoted' &amp;",
    b"new\nline",
    b"caf\xe9",
    "モデル".encode(),
    b"{{style}}",
    b"x" * 120,
    "\u202ereversed".encode(),
)
ODD_SUBJECT = "Add <img src=x onerror='window.hurt = 1'> & \"more\"\n\x1b[31m"


def described(audit: Audit, subject: str = "Add runs") -> Audit:
    """*audit* with something said of each of its commits."""
    return audit.with_commits(
        {
            number: Commit(f"{number:08x}" * 5, subject, "2024-03-01T12:00:00+01:00")
            for number in audit.numbers()
        }
    )


def brought(
    path: bytes, rule: str, commit: int, packed: int | None = 1000, **further: bool
) -> Brought:
    """One artifact, twice as large when unpacked, in the group of its first two directories."""
    group = b"/".join(path.split(b"/")[:2]) if b"/" in path else path
    size = None if packed is None else 2 * packed
    return Brought(path, rule, group, commit, size, packed, further.pop("there", False), **further)


def two_years(commits: int = 600) -> Audit:
    """Runs, checkpoints and logs, most of them deleted again; odd names among them."""
    times = [JANUARY + number * 730 * DAY // commits for number in range(commits)]
    artifacts = []
    for number in range(0, commits, 3):
        there = number > commits * 0.8
        run = b"wandb/run-%08d/files/" % number
        artifacts += [
            brought(run + name, "wandb-runs", number, int(400 * 1.01**number), there=there)
            for name in (b"config.yaml", b"output.log")
        ]
        if number % 30 == 0:
            folder = (b"resnet", b"vit")[number // 30 % 2]
            path = b"checkpoints/" + folder + b"/%d.ckpt" % number
            artifacts.append(brought(path, "lightning-runs", number, 200_000 + number))
    for number, name in enumerate(ODD_NAMES):
        artifacts.append(brought(b"logs/" + name + b"/x.log", "logs", number, 30_000, there=True))
    artifacts.append(brought(b"nohup.out", "job-output", 5, 60_000, there=True, elsewhere=True))
    rest = [Rest(number, 2, 5_000, 1_500) for number in range(commits)]
    return described(measure_history(times, artifacts, rest, refs=3), ODD_SUBJECT)


def clean() -> Audit:
    """No artifact."""
    times = [JANUARY + number * DAY for number in range(90)]
    return measure_history(times, [], [Rest(n, 1, 900, 400) for n in range(90)], refs=1)


def single() -> Audit:
    """One commit with one artifact."""
    artifacts = [brought(b"model.pt", "weights", 0, there=True)]
    return described(measure_history([JANUARY], artifacts, [Rest(0, 1, 900, 400)], refs=1))


def empty() -> Audit:
    """Before the first commit."""
    return measure_history([], [], [], refs=0)


def unmeasured() -> Audit:
    """A clone without blobs."""
    artifacts = [brought(b"wandb/r/%d" % number, "wandb-runs", 0, None) for number in range(9)]
    artifacts += [brought(b"a/b/x.pt", "weights", 0, None, there=True)]
    return described(measure_history([JANUARY], artifacts, [Rest(0, 3, 0, 0, 3)], refs=1))
