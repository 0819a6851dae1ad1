"""What users rely on, read off the installed commands: `python -m tests.promises --update`.

Everything here goes through public surfaces (console scripts, ``python -m``, manifests,
schemas, output), so that modules can move. ``tests/data/promises.json`` keeps what has been
promised. The update adds what is new, and refuses to drop anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import yaml

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
RECORD = DATA / "promises.json"
ARCHIVE = DATA / "promises" / "archive.tar.gz"
SCRIPTS = Path(sys.executable).parent
STATE = (DATA / "weights" / "state_dict.pt").read_bytes()
WEIGHTS = b"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl"
RUN = "outputs/2024-01-31/23-59-59"
OLD = "outputs/2024-01-30/00-00-00"
WANDB = "wandb/run-20230131_235959-abc"
# The head of a log of W&B 0.31: run abc of toy, by team, with the commit c0ffee.
WANDB_LOG = (
    b':W&B\xe1\xbe\x00\x00\x00\x00\x00,\x00\x01\x8a\x01)\n\x03abc\x12\x04team\x1a\x03toy"\x0c'
    b"\n\n\n\x04seed\x82\x01\x011\xaa\x01\x08\x12\x06c0ffee"
)
POLICY_SCHEMA = "fx_hooks/policy/schema.json"
MILESTONES_SCHEMA = "fx_hooks/policy/milestones.schema.json"
REPORT_SCHEMA = "docs/report.schema.json"
ADDRESS = "https://raw.githubusercontent.com/fx-hooks/fx-hooks/main/"
CHECKS = ("fx-check-artifacts", "fx-check-best-models", "fx-check-range", "fx-sync-gitignore")


def environment(home: Path) -> dict[str, str]:
    """Return an environment without settings of whoever runs this, but with our commands."""
    home.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("PATH", os.defpath)
    return {
        "PATH": f"{SCRIPTS}{os.pathsep}{path}",
        "HOME": str(home),
        "COLUMNS": "1000",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{role}_NAME": "A Person" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "person@example.org" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_DATE": "2024-01-31T23:59:59+0000" for role in ("AUTHOR", "COMMITTER")},
    }


class Folder:
    """A folder to start commands in, with an environment of its own."""

    def __init__(self, root: Path, home: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.environment = environment(home)

    def run(
        self,
        *command: str,
        code: int = 0,
        stdin: bytes = b"",
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Return what *command* prints; *code* is how it has to end."""
        done = self.ended(*command, stdin=stdin, variables=variables)
        text = done.stdout.decode("utf-8", "surrogateescape")
        assert done.returncode == code, (command, text, done.stderr)
        return text

    def ended(
        self, *command: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Return how *command* ended and what it printed; *variables* are set besides."""
        return subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **(variables or {})},
            input=stdin,
            capture_output=True,
        )

    def write(self, name: str, content: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def commit(self, message: str) -> None:
        self.git("commit", "-q", "--no-verify", "-m", message)


_block: list[bytes] = []  # a .gitignore with the block of the built-in policy


def repository(folder: Path) -> Folder:
    """Return a repository with one clean commit, the block of ``.gitignore`` in it."""
    repo = Folder(folder / "repository", folder / "home")
    repo.git("init", "-q", "-b", "main")
    repo.write("train.py", "print('hello')\n")
    if not _block:
        repo.run("fx-sync-gitignore", code=1)
        _block.append((repo.root / ".gitignore").read_bytes())
    repo.write(".gitignore", _block[0])
    repo.git("add", "-A")
    repo.commit("a clean one")
    return repo


def with_artifacts(folder: Path) -> Folder:
    """Return a repository whose second commit brings in artifacts."""
    repo = repository(folder)
    repo.write("model.pt", WEIGHTS)
    repo.write(f"{WANDB}/run-abc.wandb", WANDB_LOG)
    repo.write(f"{RUN}/.hydra/config.yaml", "seed: 1\n")
    repo.write(f"{RUN}/train.log", "done\n")
    repo.write("best_models/unlisted.pt", WEIGHTS)
    repo.git("add", "-A", "-f")
    repo.commit("artifacts")
    return repo


def with_runs(folder: Path) -> Folder:
    """Return a repository with one finished Hydra job, and a model that a W&B run made."""
    repo = repository(folder)
    repo.write(f"{RUN}/.hydra/config.yaml", "seed: 1\n")
    repo.write(f"{RUN}/.hydra/overrides.yaml", "- seed=1\n")
    repo.write(f"{RUN}/train.log", "done\n")
    repo.write(f"{RUN}/model.pt", STATE)
    repo.write(f"{OLD}/.hydra/config.yaml", "seed: 2\n")
    repo.write(f"{OLD}/train.log", "done\n")
    repo.write(f"{WANDB}/run-abc.wandb", WANDB_LOG)
    repo.write(f"{WANDB}/files/wandb-summary.json", '{"val/loss": 0.5}')
    repo.write(f"{WANDB}/files/model.pt", STATE)
    (repo.root / "outputs" / "latest").symlink_to("2024-01-31")
    for found in (*repo.root.glob("outputs/**/*"), *repo.root.glob("wandb/**/*")):
        os.utime(found, (1_706_745_599, 1_706_745_599), follow_symlinks=False)
    return repo


# What is promised, section by section.


def hooks(_: Path) -> object:
    """Return the manifest: every key that changes when or how a hook runs, by id."""
    texts = ("id", "name", "description")
    return {
        hook["id"]: {
            key: value if key == "stages" else json.dumps(value)
            for key, value in hook.items()
            if key not in texts
        }
        for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    }


def commands(folder: Path) -> object:
    """Return every option of every command, with its choices or the name of its value."""
    place = Folder(folder, folder / "home")
    names = sorted(path.name for path in SCRIPTS.glob("fx-*"))
    return {name: dict(_options(place.run(name, "--help"))) for name in names}


def _options(help_text: str) -> Iterator[tuple[str, object]]:
    for head in re.findall(r"^  (-.*?)(?:  .*)?$", help_text, re.MULTILINE):
        # Some versions of Python repeat the value: `-o FILE, --output FILE`.
        words = [part.split(" ", 1) for part in re.split(r", (?=-)", head)]
        value = next((word[1] for word in words if len(word) > 1), "")
        for word in words:
            yield word[0], value[1:-1].split(",") if value.startswith("{") else value


LIVE = "outputs/2024-02-01/00-00-00"
REASON = ("--why", "a reason")
Situations: TypeAlias = dict[str, dict[str, tuple[Folder, tuple[str, ...]]]]


def exit_codes(folder: Path) -> object:
    """Return how commands end, by situation."""
    clean, dirty = with_runs(folder / "clean"), with_artifacts(folder / "dirty")
    outside = Folder(folder / "outside", folder / "home")
    for repo in (clean, dirty):
        repo.write("invalid.yaml", "no-such-key: 1\n")
    clean.write(f"{LIVE}/.hydra/config.yaml", "seed: 1\n")
    # A git that interrupts whoever starts it. What was started in the background ignores
    # SIGINT, and so would all commands that it starts.
    outside.write("bin/git", "#!/bin/sh\nkill -INT $PPID\nsleep 0.05\nexit 1\n")
    (outside.root / "bin" / "git").chmod(0o755)
    interrupting = f"{outside.root / 'bin'}{os.pathsep}{clean.environment['PATH']}"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    needed = {
        "fx-add-milestone": (f"{RUN}/model.pt", *REASON),
        "fx-archive-runs": ("*", "../c.tar.gz"),
        "fx-clean-runs": (".",),
        "fx-explain": ("x",),
    }

    def in_any_repository(name: str) -> dict[str, int]:
        arguments = needed.get(name, ())
        ends = {
            "unknown option": clean.ended(name, "--no-such-option"),
            "interrupted": clean.ended(name, *arguments, variables={"PATH": interrupting}),
            "outside a repository": outside.ended(name, *arguments),
        }
        # Less than 0: the signal has killed it, which is not a promise.
        return {key: done.returncode for key, done in ends.items() if done.returncode >= 0}

    situations = _situations(clean, dirty)
    with ThreadPoolExecutor() as pool:
        found = dict(zip(situations, pool.map(in_any_repository, situations), strict=True))
    for name, cases in situations.items():
        for case, (repo, arguments) in cases.items():
            found[name][case] = repo.ended(name, *arguments).returncode
    return found


def _situations(clean: Folder, dirty: Folder) -> Situations:
    """Return calls of each command, in the order in which they have to be made."""
    model, metric = f"{RUN}/model.pt", ("--metric", "accuracy=0.9")
    return {
        "fx-check-artifacts": {
            "clean": (clean, ()),
            "all files are clean": (clean, ("--all-files",)),
            "artifacts": (dirty, ("--all-files",)),
            "artifacts, as JSON": (dirty, ("--all-files", "--format", "json")),
            "a named artifact": (clean, ("--", "model.pt")),
            "invalid policy": (clean, ("--policy", "invalid.yaml")),
        },
        "fx-check-best-models": {
            "clean": (clean, ()),
            "findings": (dirty, ("--all-files",)),
            "invalid policy": (clean, ("--policy", "invalid.yaml")),
        },
        "fx-check-range": {
            "clean": (clean, ("HEAD~0..HEAD",)),
            "findings": (dirty, ("HEAD~1..HEAD",)),
            "findings in the history": (dirty, ("--all",)),
            "unknown commit": (dirty, ("no-such-commit..HEAD",)),
        },
        "fx-sync-gitignore": {
            "clean": (clean, ()),
            "findings": (dirty, ("--findings",)),
        },
        "fx-explain": {
            "allowed": (clean, ("train.py",)),
            "blocked": (clean, ("model.pt",)),
            "allowed, --quiet": (clean, ("--quiet", "train.py")),
            "blocked, --quiet": (clean, ("--quiet", "model.pt")),
            "invalid policy": (clean, ("--policy", "invalid.yaml", "x")),
        },
        "fx-init": {
            "something to write, --dry-run": (clean, ("--dry-run",)),
            "nobody to ask": (clean, ()),
            "written": (clean, ("--yes",)),
            "all is in place": (clean, ("--yes",)),
            "tracked files break the policy": (dirty, ("--yes",)),
        },
        "fx-add-milestone": {
            "no reason": (clean, (model,)),
            "no such file": (clean, ("none.pt", *REASON)),
            "approved": (clean, (model, *REASON, *metric)),
            "is listed already": (clean, (model, *REASON, *metric)),
        },
        "fx-report-space": {"done": (clean, ()), "invalid policy": (clean, ("--policy", "none"))},
        "fx-show-run": {
            "a run": (clean, (RUN,)),
            "no such run": (clean, ("none",)),
        },
        "fx-archive-runs": {
            "packed": (clean, (RUN, "../a.tar.gz")),
            "is there already": (clean, (RUN, "../a.tar.gz")),
            "a live run": (clean, (LIVE, RUN, "../b.tar.gz")),
            "listed": (clean, ("--list", "../a.tar.gz")),
            "no archive": (clean, ("--list", "train.py")),
        },
        "fx-clean-runs": {
            "a plan": (clean, (RUN,)),
            "a live run, --yes": (clean, (LIVE, "--yes")),
            "no such run": (clean, ("none",)),
            "deleted": (clean, (OLD, "--yes")),
        },
    }


# Every key of a policy, and every value that is a word.
POLICIES = (
    """
    ignore:
      - "*.h5"
      - {rule: a, paths: [/a], except: [/a/b], why: because, advice: do}
      - {rule: c, paths: [/c], except_files: ["/c/README*"]}
      - {rule: d, beside: [a/run.yaml]}
      - {rule: e, paths: [/e], binary_only: true}
      - {rule: f, paths: [/f], unless_source: true}
    keep: [/assets/tokenizer.pt]
    disable: [python-caches]
    best_models:
      folder: models/best
      metadata: ["*.json"]
      documents: ["*.md"]
      weights: ["*.pt"]
      required_keys: [performance, config]
      lfs: required
      max_size: 2 GiB
    """,
    "best_models: {lfs: allowed, max_size: 1000}",
    "best_models: {lfs: forbidden, max_size: 500 MB}",
    "",
)


def policy_keys(folder: Path) -> object:
    """Return the keys of the policies that the commands and the schema accept."""
    place = Folder(folder, folder / "home")
    keys = set()
    for text in POLICIES:
        place.write("policy.yaml", text)
        place.run("fx-explain", "--paths-only", "--policy", "policy.yaml", "x")
        policy = yaml.safe_load(text)
        jsonschema.validate(policy, _schema(POLICY_SCHEMA))
        keys |= {f"{name}: {', '.join(types)}" for name, types in _keys(json.dumps(policy)).items()}
        keys |= {f"best_models.lfs: {policy['best_models']['lfs']}"} if policy else set()
    return sorted(keys)


FORMATS = ("torch", "torch-legacy", "torchscript", "pt2", "safetensors", "pickle")


def milestone_keys(folder: Path) -> object:
    """Return the keys of a milestone, and the formats, that command and schema accept."""
    repo = repository(folder)
    needed: dict[str, Any] = {
        "sha256": hashlib.sha256(STATE).hexdigest(),
        "size": len(STATE),
        "why": "a reason",
        "approved": "2024-01-31",
    }
    more = {"by": "A Person", "format": "torch", "allow_globals": ["package.Class"]}
    repo.write("best_models/m.pt", STATE)
    repo.write("best_models/m_meta.json", '{"performance": {}, "config": {}}')

    def fits(entry: dict[str, Any]) -> int:
        listing = {"milestones": {"best_models/m.pt": entry}}
        jsonschema.validate(listing, _schema(MILESTONES_SCHEMA))
        repo.write("best_models/milestones.yaml", json.dumps(listing))
        repo.git("add", "-A", "-f")
        return repo.ended("fx-check-best-models").returncode

    assert fits(needed) == fits({**needed, **more}) == 0
    # Of another format it is a finding (1), and no error (2).
    assert {fits({**needed, "format": name}) for name in FORMATS[1:]} == {1}
    return {"required": list(needed), "optional": list(more), "formats": list(FORMATS)}


# One path that each built-in rule decides; with a file next to it where that is needed.
RULES = {
    "autogluon": "AutogluonModels/ag-20240101_000000/models/trainer.pkl",
    "best-models": "best_models/x.pt",
    "caches": ".cache/huggingface/x",
    "catboost": "src/catboost_info/time_left.tsv",
    "experiment-trackers": ".aim/VERSION",
    "gym-recordings": "videos/openaigym.manifest.0.1.manifest.json",
    "hydra-run-directory": "experiments/x/result.csv",
    "hydra-runs": ".hydra/config.yaml",
    "hydra-sweeps": "multirun.yaml",
    "job-output": "nohup.out",
    "run-archives": "old.tar.gz.manifest.json",
    "lightning-runs": "a/lightning_logs/version_3/x",
    "log-files": "train.log",
    "logs": "logs/exp1/result.csv",
    "mlflow": "mlruns/0/meta.yaml",
    "multirun": "multirun/exp1/result.csv",
    "openmmlab": "work_dirs/cfg/x.json",
    "optuna": "optuna_study.db",
    "outputs": "outputs/exp1/result.csv",
    "profiles": "report.nsys-rep",
    "python-caches": "a/__pycache__/x.cpython-311.pyc",
    "ray": "ray_results/x/y",
    "sacred": "my_runs/7/config.json",
    "skorch": "net/history.json",
    "spacy": "nlp/model-best/vocab/strings.json",
    "stable-baselines3": "logs2/rl_model_10000_steps.zip",
    "tagged-caches": "cachedir/x.bin",
    "tensorboard": "m/events.out.tfevents.1614857539.host.1234.0",
    "tensorflow-checkpoints": "m/model.ckpt-1000.data-00000-of-00001",
    "trainer-checkpoints": "m/checkpoint-5/optimizer.bin",
    "training-folders": "checkpoints/checkpoint",
    "training-state": "checkpoint-2/config.json",
    "virtual-environments": "env39/bin/activate",
    "wandb": "wandb/exp1/result.csv",
    "wandb-runs": "wandb/run-20240224_180550-qip51dyv/files/config.yaml",
    "weight-folders": "a/epoch.ckpt/.metadata",
    "weights": "model.pt",
    "yolo-runs": "runs/detect/train2/args.yaml",
}
# By these, the folders of some of them are known.
_SIGNS = (
    "AutogluonModels/ag-20240101_000000/predictor.pkl",
    "AutogluonModels/ag-20240101_000000/learner.pkl",
    "my_runs/7/cout.txt", "my_runs/7/run.json", "net/params.pt", "net/optimizer.pt",
    "nlp/model-best/meta.json", "nlp/model-best/config.cfg", "cachedir/CACHEDIR.TAG",
    "checkpoint-2/trainer_state.json", "env39/pyvenv.cfg", "experiments/x/.hydra/config.yaml",
)  # fmt: skip


def rules(folder: Path) -> object:
    """Return the built-in rules, each with a path that it decides; all can be disabled."""
    place = Folder(folder, folder / "home")
    paths = [*RULES.values(), *_SIGNS]
    text = place.run("fx-explain", "--stdin", "--format", "json", stdin="\n".join(paths).encode())
    told = {found["path"]: found["rule"] for found in map(json.loads, text.splitlines())}
    place.write("policy.yaml", f"disable: [{', '.join(RULES)}]")
    place.run("fx-explain", "--policy", "policy.yaml", *paths)
    return {told[path]: path for path in RULES.values()}


def reports(folder: Path) -> object:
    """Return the keys of every JSON that a command writes, each with its types."""
    dirty, runs = with_artifacts(folder / "dirty"), with_runs(folder / "runs")
    found = {
        "fx-check-artifacts": dirty.run(
            "fx-check-artifacts", "--all-files", "--format", "json", code=1
        ),
        "fx-check-best-models": dirty.run("fx-check-best-models", "--format", "json", code=1),
        "fx-check-range": dirty.run("fx-check-range", "--format", "json", code=1),
        "fx-check-range --all": dirty.run("fx-check-range", "--all", "--format", "json", code=1),
        "fx-sync-gitignore --findings": dirty.run(
            "fx-sync-gitignore", "--findings", "--format", "json", code=1
        ),
        "fx-report-space": runs.run("fx-report-space", "--format", "json"),
        "fx-show-run": runs.run("fx-show-run", RUN, "--format", "json"),
    }
    # A path of each kind: kept, text, in a run, of the contract, and of no rule at all.
    dirty.write("kept.yaml", "keep: [/model.pt]\ndisable: [outputs]\n")
    dirty.write("text.pt", "a line\n")
    paths = ("model.pt", "text.pt", f"{RUN}/x", "best_models/unlisted.pt", "train.py")
    found["fx-explain"] = dirty.run(
        "fx-explain", "--format", "json", "--policy", "kept.yaml", *paths
    )
    marked = "experiments/x/result.csv\nexperiments/x/.hydra/config.yaml\n"
    found["fx-explain"] += dirty.run(
        "fx-explain", "--format", "json", "--stdin", stdin=marked.encode()
    )
    dirty.git("rm", "-q", "--cached", ".gitignore")
    (dirty.root / ".gitignore").unlink()
    found["fx-sync-gitignore --check"] = dirty.run(
        "fx-sync-gitignore", "--check", "--format", "json", code=1
    )
    for check in CHECKS:
        name = f"{check} --findings" if check == "fx-sync-gitignore" else check
        jsonschema.validate(json.loads(found[name]), _schema(REPORT_SCHEMA))
    runs.run("fx-archive-runs", RUN, WANDB, "../a.tar.gz")
    found["fx-archive-runs --list"] = runs.run(
        "fx-archive-runs", "--list", "../a.tar.gz", "--format", "json"
    )
    found["ARCHIVE.manifest.json"] = (folder / "runs" / "a.tar.gz.manifest.json").read_text()
    runs.run("fx-clean-runs", RUN, "--yes")
    found[".git/fx-hooks.deleted.jsonl"] = (
        runs.root / ".git" / "fx-hooks.deleted.jsonl"
    ).read_text()
    runs.run("fx-add-milestone", f"{WANDB}/files/model.pt", "--why", "a reason")
    found["NAME_meta.json, of a W&B run"] = (
        runs.root / "best_models" / "model_meta.json"
    ).read_text()
    return {name: _keys(text) for name, text in found.items()}


def metadata(folder: Path) -> object:
    """Return what fx-add-milestone writes for a model of a Hydra job."""
    runs = with_runs(folder)
    metric = ("--metric", "accuracy=0.9")
    runs.run("fx-add-milestone", f"{RUN}/model.pt", "--why", "a reason", "--as", "m", *metric)
    entry = yaml.safe_load((runs.root / "best_models" / "milestones.yaml").read_text())
    return {
        "best_models/m_meta.json": _keys((runs.root / "best_models" / "m_meta.json").read_text()),
        "best_models/milestones.yaml": list(entry["milestones"]["best_models/m.pt"]),
    }


JSON_TYPES = {
    "bool": "boolean",
    "dict": "object",
    "float": "number",
    "int": "number",
    "list": "array",
    "str": "string",
}


def _keys(text: str) -> dict[str, list[str]]:
    """Return the keys of JSON, one document or one a line, with the types of their values.

    A null only says that a value may be left out, so it is not among the types.
    """
    try:
        documents = [json.loads(text)]
    except ValueError:
        documents = [json.loads(line) for line in text.splitlines()]
    found: dict[str, set[str]] = {}

    def look(value: object, name: str) -> None:
        types = found.setdefault(name or ".", set())
        if value is not None:
            types.add(JSON_TYPES[type(value).__name__])
        if isinstance(value, dict):
            for key, member in value.items():
                look(member, f"{name}.{key}".removeprefix("."))
        elif isinstance(value, list):
            for member in value:
                look(member, f"{name}[]")

    for document in documents:
        look(document, "")
    return {name: sorted(types) for name, types in found.items()}


def rule_ids(folder: Path) -> object:
    """Return the rules of SARIF, from findings of as many kinds as a small repository has."""
    repo = with_artifacts(folder)
    digest = hashlib.sha256(STATE).hexdigest()
    pickled = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."
    models = {
        "changed": (STATE, "0" * 64),
        "large": (STATE + bytes(5000), ""),
        "odd": (b"no known format\x00\xff" * 4, ""),
        "unsafe": (pickled, ""),
        "unpaired": (STATE, digest),
        "raw": (STATE, digest),
        "stale": (None, digest),
    }
    lines = ["milestones:"]
    for name, (content, sha256) in models.items():
        if content is not None:
            repo.write(f"best_models/{name}.pt", content)
            sha256 = sha256 or hashlib.sha256(content).hexdigest()
        if name != "unpaired":
            repo.write(f"best_models/{name}_meta.json", '{"performance": {}, "config": {}}')
        lines += [
            f"  best_models/{name}.pt:",
            f'    {{sha256: "{sha256}", size: {len(content or STATE)}, why: x,'
            " approved: 2024-01-31}",
        ]
    repo.write("best_models/milestones.yaml", "\n".join(lines))
    repo.write("best_models/broken.json", "{")
    repo.write("best_models/foreign.bin", b"\x00")
    (repo.root / "best_models" / "link.json").symlink_to("../train.py")
    repo.write(".gitattributes", "/best_models/raw.pt filter=lfs diff=lfs merge=lfs -text\n")
    repo.write(".fx-hooks.yaml", "best_models: {max_size: 4 kB}\n")
    never = ("-c", "filter.lfs.clean=cat", "-c", "filter.lfs.required=false")
    repo.git(*never, "add", "-A", "-f")
    repo.commit("a broken contract")
    ignored = (repo.root / ".gitignore").read_text()
    repo.write(".gitignore", f"/train.py\n{ignored}!/wandb\n!*.pt\n")
    found: dict[str, set[str]] = {}

    def look(name: str, *arguments: str) -> None:
        (run,) = json.loads(repo.run(name, *arguments, "--format", "sarif", code=1))["runs"]
        ids = {result["ruleId"] for result in run["results"]}
        assert ids == {rule["id"] for rule in run["tool"]["driver"]["rules"]}
        found.setdefault(name, set()).update(ids)

    look("fx-check-artifacts", "--all-files")
    look("fx-check-range")
    look("fx-sync-gitignore", "--findings")
    (repo.root / ".gitignore").unlink()
    look("fx-sync-gitignore", "--check")
    look("fx-check-best-models", "--all-files")
    # The content of a milestone that a partial clone does not have.
    blob = repo.git("rev-parse", ":best_models/large.pt").strip()
    (repo.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    look("fx-check-best-models", "--all-files")
    return {name: sorted(ids) for name, ids in found.items()}


def formats(folder: Path) -> object:
    """Return the fields of the formats for CI, and the fingerprints of known findings.

    The fingerprint of an artifact is made of its rule and of what it is shown with, so it is
    the same for ever: else every alert that somebody has dismissed would come back.
    """
    repo = with_artifacts(folder)
    call = ("fx-check-artifacts", "--all-files", "--format")
    sarif = json.loads(repo.run(*call, "sarif", code=1))
    gitlab = repo.run(*call, "gitlab", code=1)
    (run,) = sarif["runs"]
    annotations = [line for line in repo.run(*call, "github", code=1).splitlines() if "::e" in line]
    prints = {
        f"{result['ruleId']} {_place(result)}": result["partialFingerprints"]
        for result in run["results"]
    }
    return {
        "sarif": _keys(json.dumps(sarif)),
        "sarif version": sarif["version"],
        "sarif category": run["automationDetails"]["id"],
        "sarif driver": run["tool"]["driver"]["name"],
        "sarif fingerprints": prints,
        "gitlab": _keys(gitlab),
        "gitlab fingerprints": {
            f"{entry['check_name']} {entry['location']['path']}": entry["fingerprint"]
            for entry in json.loads(gitlab)
        },
        "gitlab severities": sorted({entry["severity"] for entry in json.loads(gitlab)}),
        "github": sorted(line.split("::")[1] for line in annotations),
    }


def _place(result: Mapping[str, Any]) -> str:
    return str(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])


def schemas(_: Path) -> object:
    """Return the addresses of the schemas that files of users name."""
    found: dict[str, dict[str, object]] = {}
    for name in (POLICY_SCHEMA, MILESTONES_SCHEMA, REPORT_SCHEMA):
        # The address is that of a file in Git, not of one that happens to be on this disk.
        subprocess.run(
            ("git", "ls-files", "--error-unmatch", name), cwd=ROOT, check=True, capture_output=True
        )
        schema = _schema(name)
        jsonschema.validators.validator_for(schema).check_schema(schema)
        found[ADDRESS + name] = {
            "path": name,
            **{key: schema[key] for key in ("$id", "$schema") if key in schema},
        }
    return found


def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((ROOT / name).read_text("utf-8"))
    return schema


def files(folder: Path) -> object:
    """Return what is kept in the git directory and at home, and what archives look like."""
    repo = with_runs(folder)
    repo.run("fx-check-artifacts")
    repo.run("fx-sync-gitignore")
    repo.run("fx-clean-runs", RUN, "--yes")
    tables = repo.root / ".git" / "fx-hooks.tables"
    magic = tables.read_bytes()[:16].decode()
    kept = sorted(path.name for path in (repo.root / ".git").glob("fx-*"))
    modes = {path.name: oct(path.stat().st_mode) for path in (repo.root / ".git").glob("fx-*")}
    # Where the git directory takes no file, the user's cache does.
    tables.unlink()
    tables.mkdir()
    repo.run("fx-check-artifacts")
    home = Path(repo.environment["HOME"])
    (cached,) = (home / ".cache" / "fx-hooks").iterdir()
    assert cached.read_bytes().startswith(magic.encode())
    with tarfile.open(ARCHIVE) as archive:
        (manifest,) = (name for name in archive.getnames() if "manifest" in name)
        content = archive.extractfile(manifest)
        assert content is not None
        document = json.load(content)
    block = [
        line for line in (repo.root / ".gitignore").read_text().splitlines() if "fx-hooks" in line
    ]
    return {
        "git directory": kept,
        "modes": modes,
        "cache magic": magic,
        "cache at home": ".cache/fx-hooks/*" + cached.suffix,
        "archive manifest": manifest,
        "archive format": document["format"],
        "archive version": str(document["version"]),
        "archive keys": _keys(json.dumps(document)),
        "block begin": re.sub("[0-9a-f]{8}", "CRC32", block[0]),
        "block end": block[-1],
    }


# Variables that commands ask for by name, next to those that git itself reads.
VARIABLES = (
    *("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE", "GITHUB_ACTIONS", "NO_COLOR"),
    *("PRE_COMMIT_FROM_REF", "PRE_COMMIT_LOCAL_BRANCH", "PRE_COMMIT_REMOTE_NAME"),
    *("PRE_COMMIT_REMOTE_URL", "PRE_COMMIT_TO_REF", "TERM", "HOME", "LOCALAPPDATA"),
    *("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"),
)


def variables(_: Path) -> object:
    """Return the environment variables that the package names."""
    text = "".join(path.read_text("utf-8") for path in (ROOT / "fx_hooks").rglob("*.py"))
    return [name for name in VARIABLES if re.search(rf"['\"]{name}['\"]", text)]


def modules(folder: Path) -> object:
    """Return the modules that can be started with ``python -m``."""
    place = Folder(folder, folder / "home")
    names = ("check_artifacts", "check_best_models", "check_range", "sync_gitignore")
    found = {}
    for name in names:
        text = place.run(sys.executable, "-m", f"fx_hooks.{name}", "--version")
        found[f"fx_hooks.{name}"] = text.split()[0]
    return found


SECTIONS: dict[str, Callable[[Path], object]] = {
    "commands": commands,
    "environment variables": variables,
    "exit codes": exit_codes,
    "files": files,
    "formats": formats,
    "hooks": hooks,
    "metadata": metadata,
    "milestone keys": milestone_keys,
    "modules": modules,
    "policy keys": policy_keys,
    "reports": reports,
    "rule ids": rule_ids,
    "rules": rules,
    "schemas": schemas,
}


def missing(promised: object, now: object, name: str = "") -> list[str]:
    """Return what of *promised* is not there *now*, or is something else."""
    if isinstance(promised, dict) and isinstance(now, dict):
        lost = []
        for key, value in promised.items():
            where = f"{name} > {key}".removeprefix(" > ")
            lost += missing(value, now[key], where) if key in now else [f"{where}: is gone"]
        return lost
    if isinstance(promised, list) and isinstance(now, list):
        return [f"{name}: {value!r} is gone" for value in promised if value not in now]
    return [] if promised == now else [f"{name}: {promised!r} has become {now!r}"]


def merged(promised: object, now: object) -> object:
    """Return *promised* with what *now* has beyond it."""
    if isinstance(promised, dict) and isinstance(now, dict):
        keys = sorted({*promised, *now})
        return {key: merged(promised.get(key, now.get(key)), now.get(key)) for key in keys}
    if isinstance(promised, list) and isinstance(now, list):
        return sorted({*promised, *now})
    return promised


def recorded() -> dict[str, Any]:
    """Return all that has been promised so far."""
    promised: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return promised


def update() -> int:
    """Add what is new to the record; drop nothing. Exit code 1 if a promise is broken."""
    folder = Path(tempfile.mkdtemp(prefix="promises-"))
    try:
        now = {name: collect(folder / name) for name, collect in SECTIONS.items()}
    finally:
        shutil.rmtree(folder)
    promised = recorded() if RECORD.exists() else {}
    lost = missing(promised, now)
    if lost:
        print("These are promises; nothing was recorded:", *lost, sep="\n  ")
        return 1
    text = json.dumps(merged(promised, now), indent=2, ensure_ascii=False, sort_keys=True)
    # Short lists on one line each: a key with its types is one thing to read.
    text = re.sub(r"\[\n\s+([^\n\[\]{}]*)\n\s+\]", r"[\1]", text)
    RECORD.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        raise SystemExit(__doc__)
    raise SystemExit(update())
