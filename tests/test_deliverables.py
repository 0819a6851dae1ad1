"""What was perhaps meant to be in Git gets advice that fits; the verdict stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.trees import content_of

if TYPE_CHECKING:
    from tests.support import Repo


def test_weights_that_tracked_code_names(repo: Repo) -> None:
    repo.stage("demo.py", "model = load('nets/a b.pt')\n")
    repo.stage("README.md", "Get net.onnx, or train it.\n")
    repo.stage("data.csv", "c.pt\n")
    repo.commit()
    for name in ("nets/a b.pt", "net.onnx", "c.pt"):
        repo.stage(name, content_of("torch.pt"))
    found = repo.check()
    assert found.code == 1
    assert (
        "nets/a b.pt is named in demo.py. Add it as a milestone (TEXT says why), or keep it by"
        ' adding "/nets/a b.pt" to `keep` in .fx-hooks.yaml:\n'
        "    fx-add-milestone 'nets/a b.pt' --why TEXT\n"
    ) in found.out
    assert (
        "net.onnx is named in README.md. If others need it from Git, keep it by adding"
        ' "/net.onnx" to `keep` in .fx-hooks.yaml.\n'
    ) in found.out
    assert "c.pt is named" not in found.out
    # What it says is so.
    repo.stage(".fx-hooks.yaml", 'keep: ["/nets/a b.pt", "/net.onnx"]\n')
    assert "named" not in repo.check().out
    repo.git("rm", "-q", "--cached", "c.pt")
    assert repo.check().code == 0


def test_one_name_in_many_places(repo: Repo) -> None:
    repo.stage("sub/a.py", "'best.pt', 'x[1].pt'\n")
    for folder in ("a", "b", "c", "d"):
        repo.stage(f"{folder}/best.pt", content_of("torch.pt"))
    repo.stage("e/x[1].pt", content_of("torch.pt"))
    repo.write("sub/x", "")
    found = repo.check()
    assert found.out.count("best.pt is named in sub/a.py") == 3
    assert "2 more of them are named in tracked files." in found.out
    for folder in ("a", "b", "c", "d"):
        repo.git("rm", "-q", "--cached", f"{folder}/best.pt")
    assert r'"/e/x\\[1].pt"' in repo.check().out
    repo.stage(".fx-hooks.yaml", 'keep: ["/e/x\\\\[1].pt"]\n')
    assert repo.check().code == 0


def test_many_files_of_one_kind_in_one_folder(repo: Repo) -> None:
    for number in range(6):
        repo.stage(f"data/Gaussian/{number}.log", "a line\n")
        repo.stage(f"few/{number % 3}.log", "a line\n")
    found = repo.check()
    assert (
        '6 of them lie together. If they are data, keep all by adding "/data/Gaussian/*.log" to'
        " `keep` in .fx-hooks.yaml.\n"
    ) in found.out
    assert "few/*" not in found.out
    repo.stage(".fx-hooks.yaml", 'keep: ["/data/Gaussian/*.log", "/few/*.log"]\n')
    assert repo.check().code == 0


def test_a_run_is_no_deliverable(repo: Repo) -> None:
    repo.stage("train.py", "open('checkpoints/last.ckpt')\n")
    for number in range(6):
        repo.stage(f"lightning_logs/version_0/checkpoints/{number}.ckpt", content_of("torch.pt"))
    found = repo.check()
    assert found.code == 1
    assert "named in" not in found.out
    assert "lie together" not in found.out


@pytest.mark.slow
def test_names_that_nobody_can_be_told(repo: Repo) -> None:
    """No pattern can say a line break, and of very many names git is not asked."""
    repo.stage("demo.py", "'a\\nb.pt', '0.pt', 'b.pt'\n")
    repo.stage("x/a\nb.pt", content_of("torch.pt"))
    assert "named in" not in repo.check().out
    for number in range(60):
        repo.stage(f"x/{number}/{number}.pt", content_of("torch.pt"))
    assert "named in" not in repo.check().out
