"""The projects that are found in public monorepos: `python -m tests.monorepos CLONE...`.

For each clone it records what the names of files say, the projects that are found, and the tracked
files that are refused once these are projects and were not before. They were looked at by eye: each
is a project, and nothing that belongs in Git is refused.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from fx_hooks.artifacts.classifier import Classifier
from fx_hooks.artifacts.found_projects import as_globs, find_projects, is_sign
from fx_hooks.artifacts.index_check import IndexCheck
from fx_hooks.git.repository import Repository
from fx_hooks.policy.in_force import policy_of_text
from fx_hooks.policy.loader import load_policy
from tests.support import working_directory

RECORD = Path(__file__).parent / "data" / "monorepos.json"


def refused(repository: Repository, text: bytes) -> set[bytes]:
    index = repository.index_by_path()
    check = IndexCheck(repository, index, {}, Classifier(policy_of_text(repository, index, text)))
    return {one.path for one in check.verdicts(index, ask_disk=False) if one.blocked}


def look(clone: str) -> dict[str, object]:
    with working_directory(clone):
        repository = Repository()
        index = repository.index_by_path()
        base = Classifier(load_policy())
        found = find_projects(index, lambda folder: base.blocks(folder + b"/x"))
        written = [*as_globs(found, index)]
        new = refused(repository, json.dumps({"projects": written}).encode())
        return {
            "commit": repository.head(),
            "files": len(index),
            "signs": sorted(
                os.fsdecode(path)
                for path in index
                if is_sign(path) and not path.endswith(b"__init__.py")
            ),
            "projects": {os.fsdecode(folder): reason for folder, reason in found.items()},
            "written": written,
            "refused": sorted(os.fsdecode(path) for path in new - refused(repository, b"")),
        }


def main() -> None:
    record = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    for clone in sys.argv[1:]:
        name = os.path.basename(os.path.normpath(clone)).replace("+", "/")
        record[name] = look(clone)
    text = json.dumps(dict(sorted(record.items())), indent=1, ensure_ascii=False) + "\n"
    RECORD.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
