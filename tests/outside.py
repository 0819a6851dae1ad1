"""How right the built-in policy is on repositories that no rule was made with.

`python -m tests.outside` measures; `--update` records what it finds. The sample
(tests/data/outside/paths.tsv.gz) has the paths of 67 public repositories, chosen and labelled
before any verdict: repository, class, mode and path. The classes are W wandb, H Hydra, L logs, C
weights, P caches, T runs and stores of other tools, `-` fine, `?` what can be read either way and
does not count; names of hosts and users are replaced. docs/accuracy.md says how they were chosen.

content.tsv has what is refused for its content, and what passes because it is text; empty files do
not count. `--content FOLDER` finds it anew in bare repositories FOLDER/OWNER+NAME/repo, which may
lack contents (of 4 MiB and more, say), and keeps what is known of those that FOLDER has not.

Of each sample figures.json has the figures of the first measurement, before any rule was mended for
what it showed, and those of now. The second sample is 24 later repositories (later.tsv.gz), which
were chosen and labelled when the rules had been mended for the first one. Five of these had more
artifacts once: peak.tsv.gz has the commit with the most, as REPOSITORY@COMMIT, and was labelled in
the same way. So were the third sample, 41 repositories (latest.tsv.gz), and those of it that had
more artifacts once (latest_peak.tsv.gz), and the fourth, 44 repositories (fourth.tsv.gz and
fourth_peak.tsv.gz), the fifth, 40 repositories (fifth.tsv.gz and fifth_peak.tsv.gz), and the sixth,
43 repositories (sixth.tsv.gz and sixth_peak.tsv.gz).

before.json has the counts of the third sample to the sixth before any rule was mended for them.
Those together are a table of their own: one small sample says little of a class.

templates.tsv.gz has the official examples and templates of frameworks, where next to nothing is an
artifact. Their labels were given by eye to what is refused, after the verdicts; the rest is fine.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from fx_hooks.artifacts.classifier import Classifier, Contents, Verdict
from fx_hooks.artifacts.unnamed import judged
from fx_hooks.fastpath.unnamed_weights import least_size
from fx_hooks.policy.loader import load_policy
from fx_hooks.weights.magic import HEAD_BYTES
from fx_hooks.weights.plain_text import is_text
from tests import together
from tests.verdicts import APART, read_corpus

FOLDER = Path(__file__).parent / "data" / "outside"
FINE, EITHER = "-", "?"
SUBMODULE = "160000"
TEXT, EMPTY = "text", "empty"
# What one tool writes in thousands decides a figure per path: it is given with and without these.
MASSES = {
    ("apcarrik+kaggle", "T"),  # ChefBoost's outputs/rules
    ("qbit-glitch+unsupervised_panoptic_segmentation", "P"),  # graphify-out/cache
    ("Ryo-2023+kaggle", "P"),  # the same
    ("007kakashi+Marks_Pred_End2End", "P"),  # an environment of conda
    ("0HARMAR+0HARMAR", "P"),  # an environment of venv
    ("00divyanshu+ML-Project@3e466b529040", "P"),  # an environment of conda
    ("2099anik+nifty-vol-surface-tft@3172ea723ed5", "P"),  # an environment of venv
    ("agosalvez+tfm-lora-specialized-adapter@0dd84390fdeb", "P"),  # the same
    ("Yang-Tan-id+Trajectory-TracIn-for-Diffusion-Model-Data-Attribution", "C"),  # pointers of LFS
}
NAMES = {
    "W": "Weights & Biases", "H": "Hydra", "L": "logs", "C": "weights", "P": "caches",
    "T": "runs and stores of other tools",
}  # fmt: skip
AT_HEAD = {
    "peak": "later", "latest_peak": "latest", "fourth_peak": "fourth", "fifth_peak": "fifth",
    "sixth_peak": "sixth",
}  # fmt: skip
SAMPLES = (
    "paths",
    "later",
    "peak",
    "latest",
    "latest_peak",
    "fourth",
    "fourth_peak",
    "fifth",
    "fifth_peak",
    "sixth",
    "sixth_peak",
)
PAGE = Path(__file__).parent.parent / "docs" / "accuracy.md"
Rules = Mapping[bytes, tuple[str, str]]


class Labelled(NamedTuple):
    """One path of the sample."""

    label: str
    mode: str
    path: bytes


class Judged(NamedTuple):
    """A path and what the policy says of it."""

    repository: str
    label: str
    verdict: Verdict

    @property
    def exempted(self) -> bool:
        """True for what passes as test data alone."""
        entry = self.verdict.entry
        return self.verdict.excepted is not None and entry is not None and entry.test_data


def read_sample(name: str = "paths") -> dict[str, list[Labelled]]:
    """Return the labelled paths by repository."""
    sample: dict[str, list[Labelled]] = {}
    with gzip.open(FOLDER / f"{name}.tsv.gz", "rb") as file:
        next(file)
        for line in file:
            repository, label, mode, path = line.rstrip(b"\n").split(b"\t")
            one = Labelled(label.decode(), mode.decode(), path)
            sample.setdefault(repository.decode(), []).append(one)
    return sample


def read_content() -> dict[str, dict[bytes, tuple[str, str]]]:
    """Return what content says, by repository: the rule that refuses it and what it is, or text."""
    found: dict[str, dict[bytes, tuple[str, str]]] = {}
    for line in (FOLDER / "content.tsv").read_text("utf-8").splitlines()[1:]:
        repository, rule, what, path = line.split("\t")
        found.setdefault(repository, {})[os.fsencode(path)] = (rule, what)
    return found


def judge(
    sample: Mapping[str, list[Labelled]], content: Mapping[str, Rules] | None = None
) -> Iterator[Judged]:
    """Yield the verdict on each path, every repository as one tree."""
    classifier = Classifier(load_policy())
    for repository, paths in sample.items():
        asked = [one.path + b"/" * (one.mode == SUBMODULE) for one in paths]
        known = (content or {}).get(repository, {})
        text = {path for path, (_, what) in known.items() if what in (TEXT, EMPTY)}
        refused = {path: found for path, found in known.items() if path not in text}
        contents = Contents(text, refused=refused)
        verdicts = classifier.classify(asked, classifier.trees.read(asked), contents)
        for one, verdict in zip(paths, verdicts, strict=True):
            if one.label != EITHER and known.get(one.path, ("", ""))[1] != EMPTY:
                yield Judged(repository, one.label, verdict)


def figures(judgements: list[Judged]) -> dict[str, object]:
    """Return the figures: what passes as test data is counted apart."""
    exempted = [one for one in judgements if one.label != FINE and one.exempted]
    artifacts = [one for one in judgements if one.label != FINE and not one.exempted]
    few = [one for one in artifacts if (one.repository, one.label) not in MASSES]
    hit = Counter(one.label for one in few if one.verdict.blocked)
    of = Counter(one.label for one in few)
    right = sum(one.verdict.blocked for one in artifacts)
    per: dict[str, list[bool]] = {}
    for one in artifacts:
        per.setdefault(one.repository, []).append(one.verdict.blocked)
    wrong = [one for one in judgements if one.label == FINE and one.verdict.blocked]
    with_artifacts = {one.repository for one in judgements if one.label != FINE}
    clean = {one.repository for one in judgements} - with_artifacts
    return {
        "recall per path": _share(right, len(artifacts)),
        "recall per path without masses": _share(hit.total(), of.total()),
        "recall per repository": round(fmean(fmean(found) for found in per.values()), 4),
        "recall by class": {
            label: [_share(hit[label], of[label]), of[label]] for label in sorted(of)
        },
        "repositories with artifacts": len(with_artifacts),
        "repositories with less": {
            repository: _share(sum(found), len(found))
            for repository, found in sorted(per.items())
            if not all(found)
        },
        "precision": _share(right, right + len(wrong)),
        "wrongly refused": len(wrong),
        "clean repositories": len(clean),
        "clean repositories flagged": len({one.repository for one in wrong} & clean),
        "passes as test data": len(exempted),
        "paths": len(judgements),
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0


def find_content(folder: Path, sample: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield what is refused for its content: the repository, the rule, what it is, the path."""
    classifier = Classifier(load_policy())
    for repository in sample:
        git = ("git", "-C", str(_git_folder(folder, repository)))
        commit = repository.partition("@")[2] or "HEAD"
        listing = subprocess.check_output((*git, "ls-tree", "-r", "-l", "-z", commit))
        blobs = {}
        for record in listing.split(b"\0")[:-1]:
            head, path = record.split(b"\t", 1)
            _, _, blob, size = head.split()
            if head.startswith(b"100"):
                blobs[path] = blob.decode(), int(size) if size.isdigit() else None
        verdicts = classifier.classify(blobs, classifier.trees.read(blobs))
        for verdict in verdicts:
            if verdict.undecided or verdict.binary_only:
                rule = _content_rule(git, verdict, *blobs[verdict.path])
                if rule is not None:
                    yield repository, *rule, os.fsdecode(verdict.path)


def _git_folder(folder: Path, repository: str) -> Path:
    place = folder / repository.partition("@")[0] / "repo"
    return place / ".git" if (place / ".git").is_dir() else place


def _content_rule(
    git: tuple[str, ...], verdict: Verdict, blob: str, size: int | None
) -> tuple[str, str] | None:
    if size is None:  # the blob is missing
        return None
    if verdict.binary_only:
        if not size:
            return "", EMPTY
        content = subprocess.check_output((*git, "cat-file", "blob", blob))
        return ("", TEXT) if is_text(io.BytesIO(content)) else None
    if size < least_size(verdict.path):
        return None
    with subprocess.Popen((*git, "cat-file", "blob", blob), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        return judged(process.stdout.read(HEAD_BYTES), size)


def measured(name: str = "paths") -> dict[str, object]:
    """Return the figures of now."""
    sample = at_peak(AT_HEAD[name], name) if name in AT_HEAD else read_sample(name)
    return figures([*judge(sample, read_content())])


def at_peak(head: str, name: str) -> dict[str, list[Labelled]]:
    """Return the sample *head*, each repository at the commit with the most artifacts (*name*)."""
    peak = read_sample(name)
    dirtier = {repository.partition("@")[0] for repository in peak}
    at_head = read_sample(head).items()
    return {name: paths for name, paths in at_head if name not in dirtier} | peak


def recorded() -> dict[str, dict[str, object]]:
    """Return the recorded figures: the ``first`` ones, and those of ``now``."""
    found: dict[str, dict[str, object]] = json.loads((FOLDER / "figures.json").read_text("utf-8"))
    return found


def in_sample() -> dict[str, object]:
    """Return the same figures of the repositories that the rules were made with, by names alone."""
    sample = {
        repository: [Labelled(label, "", os.fsencode(path)) for path, label in labels.items()]
        for repository, labels in read_corpus(("head",)).items()
        if repository != APART
    }
    return figures([*judge(sample)])


def page(text: str, known: Mapping[str, Mapping[str, object]]) -> str:
    """Return the page *text* with the tables of *known* figures in place of those it has."""
    for name, table in (
        ("figures", _table(known)), ("together", _together()),
        ("repositories", _repositories(known)), ("templates", _templates()),
    ):  # fmt: skip
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(start)
        text = before + start + table + end + rest.partition(end)[2]
    return text


_SAMPLES = {
    "in sample": "made with", "first": "first measured", "now": "the same, now",
    "later": "later ones", "later now": "the same, now",
    "peak": "later ones at their peak", "peak now": "the same, now",
    "latest": "latest ones", "latest now": "the same, now",
    "latest_peak": "latest ones at their peak", "latest_peak now": "the same, now",
    "fourth": "fourth ones", "fourth now": "the same, now",
    "fourth_peak": "fourth ones at their peak", "fourth_peak now": "the same, now",
    "fifth": "fifth ones", "fifth now": "the same, now",
    "fifth_peak": "fifth ones at their peak", "fifth_peak now": "the same, now",
    "sixth": "sixth ones", "sixth now": "the same, now",
    "sixth_peak": "sixth ones at their peak", "sixth_peak now": "the same, now",
}  # fmt: skip


def _table(known: Mapping[str, Mapping[str, object]]) -> str:
    """Return a table of all samples, and one of what is recalled of each class."""
    keys = (
        "recall per path", "recall per path without masses", "recall per repository", "precision",
        "wrongly refused", "clean repositories", "clean repositories flagged",
        "passes as test data", "paths",
    )  # fmt: skip
    rows = [["sample", *keys], ["---"] * (len(keys) + 1)]
    classes = [["recall of", *NAMES.values()], ["---"] * (len(NAMES) + 1)]
    for column, sample in _SAMPLES.items():
        rows.append([sample, *(_said(known[column][key]) for key in keys)])
        found = known[column]["recall by class"]
        assert isinstance(found, Mapping)
        counts = [found.get(label, (None, 0)) for label in NAMES]
        classes.append([sample, *(f"{_said(s)} of {n:,}" if n else "" for s, n in counts)])
    tables = ["".join(f"| {' | '.join(row)} |\n" for row in table) for table in (rows, classes)]
    return "\n".join(tables)


def before() -> dict[str, dict[str, together.Counts]]:
    """Return the counts of each sample, as it was judged before any rule was mended for it."""
    found: dict[str, dict[str, together.Counts]] = json.loads(
        (FOLDER / "before.json").read_text("utf-8")
    )
    return found


def _together() -> str:
    known = before()
    head: dict[str, together.Counts] = {}
    peak: dict[str, together.Counts] = {}
    for name in known:
        if name in AT_HEAD:
            peak |= together.at_peak(known[AT_HEAD[name]], known[name])
        else:
            head |= known[name]
    columns = [together.rows(found, MASSES, NAMES) for found in (head, peak)]
    rows = [["", "at head", "at their peak"], ["---"] * 3]
    rows += [[key, *(column[key] for column in columns)] for key in columns[0]]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _repositories(known: Mapping[str, Mapping[str, object]]) -> str:
    rows = ["| repository | first measured | now |", "|---|---|---|"]
    for kind, before, after in (
        ("", "first", "now"), (", a later one", "later", "later now"),
        (", at its peak", "peak", "peak now"), (", one of the latest", "latest", "latest now"),
        (", one of the latest, at its peak", "latest_peak", "latest_peak now"),
        (", one of the fourth", "fourth", "fourth now"),
        (", one of the fourth, at its peak", "fourth_peak", "fourth_peak now"),
        (", one of the fifth", "fifth", "fifth now"),
        (", one of the fifth, at its peak", "fifth_peak", "fifth_peak now"),
        (", one of the sixth", "sixth", "sixth now"),
        (", one of the sixth, at its peak", "sixth_peak", "sixth_peak now"),
    ):  # fmt: skip
        first, now = (known[name]["repositories with less"] for name in (before, after))
        assert isinstance(first, Mapping)
        assert isinstance(now, Mapping)
        for name in sorted({*first, *now}):
            if kind.endswith("at its peak") and "@" not in name:
                continue  # as it is now
            said = " | ".join(_said(found.get(name, 1.0)) for found in (first, now))
            shown = name.partition("@")[0].replace("+", "/", 1)
            rows.append(f"| {shown}{kind} | {said} |")
    return "".join(f"{row}\n" for row in rows)


def _templates() -> str:
    """Return the table of the examples and templates in which something is refused."""
    counts: dict[str, Counter[str]] = {}
    for one in judge(read_sample("templates"), read_content()):
        counts.setdefault(one.repository, Counter())["paths"] += 1
        if one.verdict.blocked:
            counts[one.repository]["wrong" if one.label == FINE else "right"] += 1
    rows = ["| repository | paths | artifacts refused | wrongly refused |", "|---|---|---|---|"]
    clean = [count for count in counts.values() if count.keys() == {"paths"}]
    paths = sum(count["paths"] for count in clean)
    rows.append(f"| {len(clean)} others | {paths:,} | 0 | 0 |")
    for name, count in sorted(counts.items()):
        if count not in clean:
            shown = name.replace("+", "/", 1)
            numbers = (count[key] for key in ("paths", "right", "wrong"))
            rows.append(f"| {shown} | {' | '.join(f'{number:,}' for number in numbers)} |")
    return "".join(f"{row}\n" for row in rows)


def _said(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def offenders(most: int) -> Iterator[str]:
    """Yield what is wrong, the largest groups first."""
    wrong = [
        one
        for one in judge(_all_samples(), read_content())
        if one.verdict.blocked == (one.label == FINE) and not one.exempted
    ]
    kinds = Counter(_kind(one) for one in wrong)
    for kind, count in kinds.most_common(most):
        example = next(one for one in wrong if _kind(one) == kind)
        yield f"{count:6} {' '.join(kind)}: {os.fsdecode(example.verdict.path)}"


def _all_samples() -> dict[str, list[Labelled]]:
    samples = [read_sample(name) for name in (*SAMPLES, "templates")]
    return {repository: paths for sample in samples for repository, paths in sample.items()}


def _kind(one: Judged) -> tuple[str, str, str]:
    decider = one.verdict.decider
    rule = decider.rule if one.verdict.blocked and decider is not None else "missed"
    return one.label, rule, one.repository


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="record the figures")
    parser.add_argument("--content", type=Path, metavar="FOLDER", help="look into the files anew")
    parser.add_argument("--most", type=int, default=30, help="groups of wrong verdicts to list")
    options = parser.parse_args()
    if options.content:
        there = [name for name in _all_samples() if _git_folder(options.content, name).is_dir()]
        first, *before = (FOLDER / "content.tsv").read_text("utf-8").splitlines()
        kept = [line for line in before if line.partition("\t")[0] not in there]
        lines = ["\t".join(line) for line in find_content(options.content, there)]
        text = "\n".join([first, *kept, *lines, ""])
        (FOLDER / "content.tsv").write_text(text, "utf-8")
    now = measured()
    print(json.dumps(now, indent=1), *offenders(options.most), sep="\n")
    if options.update:
        later = {f"{name} now": measured(name) for name in SAMPLES[1:]}
        known = {**recorded(), "now": now, "in sample": in_sample(), **later}
        (FOLDER / "figures.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")
        PAGE.write_text(page(PAGE.read_text("utf-8"), known), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
