"""Which run made a model, and what W&B's own log says of it."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path

import pytest

from fx_hooks.best_models.metadata import find_private, without_private
from fx_hooks.best_models.provenance import Provenance, find_provenance
from fx_hooks.frameworks.wandb.record import (
    WandbEnd,
    WandbLog,
    read_wandb_end,
    read_wandb_head,
    read_wandb_log,
)
from tests.wandb_records import ended_with, field, item, log, varint

NOTHING = WandbLog("", "", "", "", {}, {})

RUN = field(17, field(1, "abc") + field(2, "team") + field(3, "toy") + field(4, item("seed", 1))
            + field(21, field(2, "c0ffee")))  # fmt: skip


def read(content: bytes) -> WandbLog:
    return read_wandb_log(io.BytesIO(content))


def test_a_log() -> None:
    records = [RUN, b"\x08\x05\x15abcd\x11abcdefgh" + field(5, item("lr", 0.1))]
    records += [field(2, item("loss", step) + item("_step", step)) for step in range(3000)]
    records += [field(4, "x" * 70_000), field(3, item("best", 1) + field(2, field(1, "loss")))]
    found = read(log(*records))
    assert found == WandbLog(
        "abc", "team", "toy", "c0ffee", {"seed": 1, "lr": 0.1}, {"loss": 2999, "best": 1}
    )
    nested = field(2, field(1, field(2, "a") + field(2, "b") + field(16, "5")))
    assert read(log(nested)).summary == {"a.b": 5}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"something else", id="other"),
        pytest.param(log(RUN)[:-5], id="half-a-record"),
        pytest.param(log(RUN)[:10], id="half-a-header"),
        pytest.param(log(b"\x0f" + RUN), id="odd-field"),
        pytest.param(log(field(2, field(1, field(1, "a") + field(16, "{")))), id="odd-value"),
        pytest.param(log(b"\xff" * 20), id="odd-number"),
        pytest.param(log(field(3, field(2, field(1, "gone")))), id="removed"),
        pytest.param(log(b"x" * (17 << 20)), id="endless"),
    ],
)
def test_odd_logs(content: bytes) -> None:
    assert read(content) == NOTHING


def test_what_other_versions_write_is_passed_over() -> None:
    info = field(200, "stream")
    newer = field(1, field(1, "lr") + field(9, "new") + field(16, "0.1"))
    assert read(log(field(2, item("loss", 1) + info), field(5, newer))) == NOTHING._replace(
        config={"lr": 0.1}, summary={"loss": 1}
    )


@pytest.mark.parametrize("left", range(8))
def test_the_end_of_a_block(left: int) -> None:
    """Where a header does not fit any more, a block is filled up."""
    first = field(3, item("best", 1))
    used = len(log(first)) + 7
    filler = b"\xfa\x01" + varint((1 << 15) - used - left - 5) + b"x" * (1 << 15)
    content = log(first, filler[: (1 << 15) - used - left], RUN)
    assert content[(1 << 15) - left : 1 << 15].count(0) == (left if left < 7 else 6)
    assert read(content).summary == {"best": 1}
    assert read(content).run_id == "abc"
    # Cut within the filling, nothing follows.
    assert read(content[: (1 << 15) - left + left // 2]) == NOTHING._replace(summary={"best": 1})


def test_no_more_than_the_beginning() -> None:
    content = log(RUN, *(field(2, item("loss", step)) for step in range(100)))
    found = read_wandb_log(io.BytesIO(content), limit=100)
    assert (found.run_id, found.summary) == ("abc", {"loss": 1})


def test_how_a_run_ended() -> None:
    def end(*records: bytes) -> WandbEnd:
        return read_wandb_end(io.BytesIO(log(*records)))

    long = field(4, "x" * 200_000)
    assert end() == WandbEnd(None)
    assert end(RUN, long) == WandbEnd(None)
    assert end(RUN, long, field(18, b"")) == WandbEnd(0)
    assert end(RUN, long, field(18, b"\x08\x03"), RUN) == WandbEnd(3)
    for code in (0, 3, -1, -9, (1 << 31) - 1, -(1 << 31)):
        assert end(RUN, ended_with(code)) == WandbEnd(code)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / ".git").mkdir(parents=True)
    return root


def model(root: Path, folder: str) -> Path:
    path = root / folder / "m.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def wandb_run(root: Path, folder: str, content: bytes | None) -> Path:
    path = root / folder
    (path / "files").mkdir(parents=True)
    if content is not None:
        (path / f"run-{path.name.rpartition('-')[2]}.wandb").write_bytes(content)
    return path


def find(path: Path, root: Path) -> Provenance:
    return find_provenance(str(path), str(root))


def test_no_run(root: Path, tmp_path: Path) -> None:
    assert find(model(root, "x"), root) == Provenance()
    assert find(model(tmp_path, "a/b/c/d/e/f/g/h/i/j"), root) == Provenance()


def test_a_file_of_a_wandb_run(root: Path) -> None:
    path = model(root, "wandb/run-20240131_235959-abc/files")
    folder = wandb_run(root, "wandb/run-20240131_235959-abc/x", None).parent
    (folder / "run-abc.wandb").write_bytes(log(RUN))
    summary = {"loss": 1, "_step": 5, "ok": True, "far": float("inf"), "media": {"a": 1}}
    (folder / "files/wandb-summary.json").write_text(json.dumps(summary))
    (folder / "files/wandb-metadata.json").write_text('{"git": {"commit": "beef"}}')
    found = find(path, root)
    assert found.directory == str(folder)
    assert (found.config, found.commit) == ({"seed": 1}, "beef")
    assert dict(found.performance) == {"loss": 1}
    assert found.wandb["url"] == "https://wandb.ai/team/toy/runs/abc"


def test_a_run_without_a_log(root: Path) -> None:
    path = model(root, "wandb/offline-run-20240131_235959-abc/files")
    (path.parent / "wandb-metadata.json").write_text("[")
    found = find(path, root)
    assert (found.wandb, found.config) == ({"id": "abc"}, None)


def test_the_id_in_the_path(root: Path) -> None:
    wandb_run(root, "wandb/run-20240131_235959-abc", log(RUN))
    wandb_run(root, "wandb/run-20249931_235959-bad", log(RUN))
    wandb_run(root, "wandb/strange-run-1", None)
    assert find(model(root, "toy/abc/checkpoints"), root).wandb["id"] == "abc"
    assert find(model(root, "toy/other/checkpoints"), root).wandb == {}


def hydra(root: Path, folder: str, config: str) -> Path:
    (root / folder / ".hydra").mkdir(parents=True)
    (root / folder / ".hydra/config.yaml").write_text(config)
    return model(root, folder)


def test_a_job_that_configures_nothing_leaves_it_to_wandb(root: Path) -> None:
    path = hydra(root, "outputs/2024-01-31/23-59-00", "{}\n")
    assert find(path, root).config == {}
    wandb_run(root, "outputs/2024-01-31/23-59-00/wandb/run-20240131_235959-abc", log(RUN))
    assert find(path, root).config == {"seed": 1}


def local(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def test_time_and_configuration_tell_runs_apart(root: Path) -> None:
    path = hydra(root, "outputs/2024-01-31/12-00-00", "seed: 2\n")
    os.utime(path, (local("2024-01-31 13:00:00"),) * 2)
    for start, run_id, seed in (
        ("115900", "early", 2), ("120001", "first", 1), ("120002", "second", 2), ("140000", "x", 2)
    ):  # fmt: skip
        record = field(17, field(1, run_id) + field(4, item("seed", seed)))
        wandb_run(root, f"wandb/run-20240131_{start}-{run_id}", log(record))
    assert find(path, root).wandb["id"] == "second"
    record = field(17, field(1, "third") + field(4, item("seed", 2)))
    wandb_run(root, "wandb/run-20240131_120003-third", log(record))
    assert find(path, root).wandb == {}  # two that fit: no guess
    record = field(17, field(1, "inner"))
    wandb_run(root, "outputs/2024-01-31/12-00-00/wandb/run-20240131_120003-inner", log(record))
    assert find(path, root).wandb["id"] == "inner"


def test_a_folder_without_a_time_in_its_name(root: Path) -> None:
    for folder in ("experiments/first", "outputs/2024-99-31/12-00-00"):
        path = hydra(root, folder, "seed: 1\n")
        assert find(path, root).config == {"seed": 1}
    stamp = time.strftime("%Y%m%d_%H%M%S")
    os.utime(root / "experiments/first/m.pt", (time.time() + 60,) * 2)
    wandb_run(root, f"wandb/run-{stamp}-abc", log(RUN))
    assert find(root / "experiments/first/m.pt", root).wandb["id"] == "abc"


PRIVATE = [
    ({"k": "wandb_v1_" + "a" * 30}, "secret under 'k'"),
    ({"a": [{"WANDB_API_KEY": "a1" * 20}]}, "secret under 'a[0].WANDB_API_KEY'"),
    ({"args": ["--api-key=" + "a1" * 20]}, "secret under 'args[0]'"),
    ({"secrets": {"any": "hunter2"}}, "secret under 'secrets.any'"),
    ({"url": "https://me:pw@example.org/"}, "secret under 'url'"),
    ({"x": "hf_" + "a" * 34}, "secret under 'x'"),
    ({"/home/me/x": 1}, "home directory under '...'"),
    ({"p": "C:\\Users\\me\\x"}, "home directory under 'p'"),
    ("file:///Users/me/x", "home directory under 'the top level'"),
    ({"p": "/root"}, "home directory under 'p'"),
    ({"p": "in /root/x"}, "home directory under 'p'"),
    ({"hostname": "gpu17"}, "a host name under 'hostname'"),
]


@pytest.mark.parametrize(("value", "fault"), PRIVATE)
def test_private(value: object, fault: str) -> None:
    (found,) = find_private(value)
    assert fault in found
    assert find_private(without_private(value, "/root/of/it")) == []


@pytest.mark.parametrize(
    "value",
    [
        {"pad_token": "<pad>"},
        {"monitor_key": "val_accuracy_top1_epoch"},
        {"args": ["--key=top1", "--monitor-key=validationAccuracy"]},
        {"tokenizer": "a1" * 20},
        {"commit": "a1" * 20},
        {"max_tokens": 512},
        {"api_key": "${oc.env:KEY}"},
        {"password": None},
        {"host": "localhost"},
        {"host": "https://api.wandb.ai"},
        {"data": "/data/home/x"},
        {"data": "/rooted/x"},
        {"data": "/data/root"},
        {"data": "/Users/Shared/x"},
    ],
)
def test_not_private(value: object) -> None:
    assert find_private(value) == []
    assert without_private(value, "/nowhere") == value


def test_what_json_has_no_form_for() -> None:
    assert without_private([float("nan"), "\ud800", 1.5], "/x") == ["nan", "?", 1.5]


def test_when_a_run_began() -> None:
    def began(content: bytes) -> float | None:
        return read_wandb_head(io.BytesIO(content)).started

    time = varint(1 << 3) + varint(1_700_000_000) + varint(2 << 3) + varint(500_000_000)
    assert began(log(field(5, ""), field(17, field(17, time)), RUN)) == 1_700_000_000.5
    assert began(log(field(17, field(17, varint(1 << 3) + varint(7))))) == 7
    assert began(log(RUN)) is began(log()) is began(b"x") is None
