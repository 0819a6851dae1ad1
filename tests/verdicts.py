"""How right the built-in policy is on real repositories: `python -m tests.verdicts`.

Each repository of the corpus goes through `fx-explain --stdin` as one tree, as anybody's
would. The corpus (tests/data/paths.tsv.gz) holds the paths of 48 public repositories, labelled by
hand: repository, `head` or `past` (once tracked), class (W wandb, H Hydra, L logs, C checkpoints,
P caches, `-` fine), mode and path; names of hosts and users are replaced.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).parent / "data" / "paths.tsv.gz"
FINE = "-"
# The W&B client's own test fixtures are runs.
APART = "wandb+wandb"


class Wrong(NamedTuple):
    """A path that is judged otherwise than labelled."""

    repository: str
    path: str
    label: str
    rule: str | None


class Measure(NamedTuple):
    """Paths by class that were refused and missed, and those wrongly refused.

    ``clean`` counts the paths of repositories without artifacts, ``clean_refused`` those of
    them that were refused.
    """

    refused: Counter[str]
    missed: Counter[str]
    wrong: list[Wrong]
    clean: int
    clean_refused: int

    def recall(self, label: str | None = None) -> float:
        labels = self.refused | self.missed if label is None else [label]
        hit = sum(self.refused[name] for name in labels)
        return hit / (hit + sum(self.missed[name] for name in labels))

    def precision(self) -> float:
        right = self.refused.total()
        return right / (right + sum(wrong.label == FINE for wrong in self.wrong))


def read_corpus(where: Sequence[str]) -> dict[str, dict[str, str]]:
    """The label of each path, by repository."""
    trees: dict[str, dict[str, str]] = {}
    with gzip.open(CORPUS, "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        next(file)
        for line in file:
            repository, at, label, _, path = line.rstrip("\n").split("\t")
            if at in where:
                trees.setdefault(repository, {})[path] = label
    return trees


def explain(paths: Sequence[str], folder: Path) -> list[dict[str, object]]:
    """What `fx-explain` says of *paths* as one tree, asked in an empty *folder*."""
    done = subprocess.run(
        (sys.executable, "-m", "fx_hooks.cli.explain", "--stdin", "-z", "--format", "json"),
        input=b"".join(os.fsencode(path) + b"\0" for path in paths),
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(trees: Mapping[str, Mapping[str, str]]) -> Measure:
    """Classifier every tree and compare with the labels."""
    result = Measure(Counter(), Counter(), [], 0, 0)
    clean = clean_refused = 0
    with tempfile.TemporaryDirectory() as name:
        for repository, labels in trees.items():
            without_artifacts = set(labels.values()) == {FINE} and repository != APART
            clean += len(labels) * without_artifacts
            records = explain(list(labels), Path(name))
            for (path, label), record in zip(labels.items(), records, strict=True):
                refused = record["verdict"] == "blocked"
                rule = str(record["rule"]) if refused else None
                if label != FINE:
                    (result.refused if refused else result.missed)[label] += 1
                    if not refused:
                        result.wrong.append(Wrong(repository, path, label, rule))
                elif refused and repository != APART:
                    clean_refused += without_artifacts
                    result.wrong.append(Wrong(repository, path, label, rule))
    return result._replace(clean=clean, clean_refused=clean_refused)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--past", action="store_true", help="with the paths once tracked")
    parser.add_argument("--most", type=int, default=10, help="offenders to list on each side")
    options = parser.parse_args()
    result = measure(read_corpus(("head", "past") if options.past else ("head",)))
    print(f"precision {result.precision():.4f}   recall {result.recall():.4f}")
    for label in sorted(result.refused | result.missed):
        total = result.refused[label] + result.missed[label]
        print(f"  {label}  recall {result.recall(label):.4f}  of {total}")
    share = 10_000 * result.clean_refused / result.clean
    print(f"repositories without artifacts: {share:.2f} in 10,000 of {result.clean} refused")
    for title, is_refusal in (("wrongly refused", True), ("missed", False)):
        members = [wrong for wrong in result.wrong if (wrong.label == FINE) == is_refusal]
        print(f"\n{title}: {len(members)}")
        kinds = Counter((wrong.repository, wrong.rule or wrong.label) for wrong in members)
        for (repository, why), count in kinds.most_common(options.most):
            example = next(
                wrong.path
                for wrong in members
                if (wrong.repository, wrong.rule or wrong.label) == (repository, why)
            )
            print(f"  {count:5} {why:20} {repository}: {example}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
