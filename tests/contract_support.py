"""A repository with one approved model, and the commands of the contract."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from fx_hooks import check_best_models
from fx_hooks.cli import add_milestone
from tests.support import Repo, Result, run

WEIGHTS = Path(__file__).parent / "data" / "weights"
STATE = (WEIGHTS / "state_dict.pt").read_bytes()
MODULE = (WEIGHTS / "module.pt").read_bytes()
SCRIPTED = (WEIGHTS / "scripted.pt").read_bytes()
META = json.dumps({"performance": {"accuracy": 0.9}, "config": {"seed": 0}})
LISTING = "best_models/milestones.yaml"
MODEL = "best_models/m.pt"
METADATA = "best_models/m_meta.json"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(content: bytes, path: str = MODEL, **more: str | None) -> str:
    """One entry of milestones.yaml; *more* keys are added, or replace those of it."""
    keys: dict[str, object] = {
        "sha256": json.dumps(sha256(content)),
        "size": len(content),
        "why": "a reason",
        "approved": "2026-01-31",
        **more,
    }
    lines = [f"    {key}: {value}\n" for key, value in keys.items() if value is not None]
    return f"  {json.dumps(path)}:\n" + "".join(lines)


def listing(*entries: str) -> str:
    return "milestones:\n" + "".join(entries)


def pointer(content: bytes) -> str:
    """A Git LFS pointer to *content*."""
    return (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{sha256(content)}\nsize {len(content)}\n"
    )


def approve(repo: Repo, content: bytes = STATE, **more: str | None) -> None:
    """Stage a whole triple."""
    repo.stage(MODEL, content)
    repo.stage(METADATA, META)
    repo.stage(LISTING, listing(entry(content, MODEL, **more)))


def check(repo: Repo, *arguments: str, cwd: str = ".") -> Result:
    return run(check_best_models.main, *arguments, cwd=repo.root / cwd)


def add(repo: Repo, *arguments: str, cwd: str = ".") -> Result:
    return run(add_milestone.main, *arguments, cwd=repo.root / cwd)


def facts(result: Result) -> list[str]:
    """The findings of a report, without commands."""
    return [line for line in result.out.splitlines()[1:] if line and not line.startswith("    ")]
