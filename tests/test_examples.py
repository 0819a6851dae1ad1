"""What README and documentation show in a terminal is what happens.

Each block of ``console`` is run, in the order of its page, in a repository made for it. To write
the output that is shown anew: `EXAMPLES=write python -m pytest tests/test_examples.py`.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path

import pytest
import yaml

from fx_hooks import __version__
from tests.contract_support import STATE, WEIGHTS, approve
from tests.documents import ROOT, Block, address, all_blocks, blocks, read
from tests.run_trees import mark_as_synced
from tests.support import Repo
from tests.terminal_picture import picture
from tests.wandb_records import ended_with, field
from tests.wandb_records import log as wandb_log

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the examples are for a POSIX shell")

SCRIPTS = Path(sys.executable).parent
WRITE = os.environ.get("EXAMPLES") == "write"
PICTURE = ROOT / "docs" / "blocked-commit.svg"
RUN = "outputs/2026-11-23/15-21-46"
DAY = 86_400
# Today's date, and of the block in .gitignore what every change of the built-in policy changes.
DATES_AND_BLOCKS = r"\d{4}-\d\d-\d\d|(?<=>>> fx-hooks )\w+|(?<=and )\d+(?= more)|\d+(?= lines)"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

# The two commands of the README.
((TRY_IT, _), (TEST_IT, _)) = next(
    block.commands for block in blocks("README.md") if block.section == "Try it here"
)
# Commands that are not run here, each with the reason.
EXCEPTIONS = {
    "du -sh wandb/* outputs/* | sort -h": "what people do without fx-hooks",
    "rm -rf outputs/2026-05-*/": "what people do without fx-hooks",
    "wandb clean": "what people do without fx-hooks; it asks, and needs an account",
    "fx-report-space --top 5": "compared in test_report_space_text: it shows 26.9 GiB",
    TRY_IT: "run below, where it takes no time from other tests",
    "python -m pytest tests/test_fuzz_weights.py tests/test_agreement_of_pickles.py"
    " tests/test_fuzz_readers.py": "tests that run with all others",
    "FX_HOOKS_FUZZ_SECONDS=600 python -m pytest tests/test_fuzz_readers.py": "takes ten minutes",
    TEST_IT: "it would start these tests; .ci/run runs it",
}
# What these print depends on the versions of others, and is not shown; they are run on their own.
INSTALLS = ("pipx install ", "pip install ", "pipx uninstall ")
# What the picture shows.
PICTURED = ("git add --force .", 'git commit -m "Train the baseline"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Blocks of one page, each by its first command, that are run one after the other.

    ``codes`` are the exit codes of commands that do not end with 0; ``before`` is what happens
    before a command without being shown; ``varies`` is what differs from time to time.
    """

    page: str
    prepare: Callable[[Repo], None]
    commands: tuple[str, ...]
    codes: dict[str, int] = default(default_factory=dict)
    before: dict[str, str] = default(default_factory=dict)
    varies: str = DATES_AND_BLOCKS


def write(repo: Repo, name: str, content: str | bytes, then: float) -> None:
    repo.write(name, content)
    os.utime(repo.path(name), (then, then))


def trained(repo: Repo, job: str = RUN, *, synced: bool = False) -> None:
    """A repository with a Hydra job, and the W&B run that it started."""
    repo.stage("train.py", "print('training')\n")
    repo.stage("config/config.yaml", "lr: 0.001\nseed: 1\n")
    repo.commit()
    start = time.mktime(time.strptime(job.partition("/")[2], "%Y-%m-%d/%H-%M-%S"))
    files: dict[str, str | bytes] = {
        ".hydra/config.yaml": "lr: 0.001\nseed: 1\n",
        ".hydra/hydra.yaml": "hydra: {job: {name: train}}\n",
        ".hydra/overrides.yaml": "- seed=1\n",
        "train.log": "epoch 1: accuracy 0.91\n",
        "metrics.csv": "epoch,accuracy\n1,0.91\n",
        "model.pt": STATE,
        "checkpoints/last.ckpt": b"PK\3\4" + bytes(24 << 20),
    }
    for name, content in files.items():
        write(repo, f"{job}/{name}", content, start + 60)
    stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(start + 1))
    run = f"wandb/offline-run-{stamp}-232x13kt"
    files = {
        "run-232x13kt.wandb": wandb_log(field(17, field(1, "232x13kt")), ended_with(0)),
        "files/config.yaml": "lr: {value: 0.001}\nseed: {value: 1}\n",
        "files/wandb-summary.json": '{"val/accuracy": 0.91, "val/loss": 0.31}\n',
        "files/output.log": "epoch 1: accuracy 0.91\n",
        "logs/debug.log": "finished\n",
    }
    for name, content in files.items():
        write(repo, f"{run}/{name}", content, start + 60)
    if synced:
        write(repo, f"{run}/run-232x13kt.wandb.synced", b"", start + 90)
    repo.link("wandb/latest-run", run.partition("/")[2])


def staged(repo: Repo) -> None:
    trained(repo)
    repo.stage_all()


def trained_earlier(repo: Repo) -> None:
    trained(repo, "outputs/2026-11-23/15-11-52")


def explained(repo: Repo) -> None:
    policy, *_ = blocks("docs/policy.md", "yaml")
    repo.write(".fx-hooks.yaml", policy.text)
    repo.stage("packages/ml/train.py", "x = 1\n")


def approved_and_changed(repo: Repo) -> None:
    approve(repo)
    repo.commit()
    repo.stage("best_models/m.pt", (WEIGHTS / "checkpoint.pth").read_bytes())


def approved_from_a_run(repo: Repo) -> None:
    trained(repo)
    settings = f"hydra: {{job: {{name: train}}, runtime: {{cwd: {repo.root}}}}}\n"
    repo.write(f"{RUN}/.hydra/hydra.yaml", settings)
    words = (f"{RUN}/model.pt", "--as", "baseline.pt", "--why", "the model of the paper")
    subprocess.run(
        (SCRIPTS / "fx-add-milestone", *words),
        cwd=repo.root, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    then = time.time() - 3 * DAY
    for folder, _, names in os.walk(repo.root / RUN):
        for name in names:
            os.utime(os.path.join(folder, name), (then, then))


def a_rule_more(repo: Repo) -> None:
    subprocess.run((SCRIPTS / "fx-sync-gitignore",), cwd=repo.root, stdout=subprocess.DEVNULL)
    repo.git("add", ".gitignore")
    repo.commit()
    repo.stage(".fx-hooks.yaml", "ignore: [/scratch]\n")


def before_init(repo: Repo) -> None:
    """A repository that has its runs in a folder of its own, and tracks a log."""
    repo.stage("config/config.yaml", "hydra:\n  run:\n    dir: experiments/${now:%Y-%m-%d}\n")
    repo.stage(".gitignore", "wandb/\n")
    repo.stage("train.log", "epoch 1\n")
    repo.commit()


def pushed(repo: Repo) -> None:
    """Two commits that no remote has; the first one brings in a run and a model."""
    noise = random.Random(0)
    repo.git("init", "-q", "--bare", "-b", "main", "../remote.git")
    repo.git("remote", "add", "origin", "../remote.git")
    repo.stage("train.py", "print('training')\n")
    repo.commit()
    repo.git("push", "-q", "--set-upstream", "origin", "main")
    hook = next(block for block in blocks("docs/fx-check-range.md", "sh"))
    (repo.root / ".git" / "hooks" / "pre-push").write_text(hook.text)
    (repo.root / ".git" / "hooks" / "pre-push").chmod(0o755)
    repo.stage("model.pt", b"PK\3\4" + noise.randbytes(300_000))
    repo.stage("wandb/run-20240131_235959-abc/run-abc.wandb", b":W&B" + noise.randbytes(100_000))
    repo.git("commit", "-q", "-m", "Train the baseline")
    repo.stage("train.py", "print('training again')\n")
    repo.git("commit", "-q", "-m", "Train it again")


def old_jobs(repo: Repo) -> None:
    """Two jobs of long ago, and one that is being written."""
    now = time.time()
    for day, then in (("01", now - 60 * DAY), ("02", now - 59 * DAY), ("03", now - 240)):
        job = f"outputs/2025-05-{day}/12-00-00"
        write(repo, f"{job}/.hydra/config.yaml", "lr: 0.001\n", then)
        write(repo, f"{job}/.hydra/overrides.yaml", "- lr=0.001\n", then)
        write(repo, f"{job}/.hydra/hydra.yaml", "hydra: {}\n", then)
        write(repo, f"{job}/model.pt", random.Random(int(day)).randbytes(3 << 20), then)


def runs_to_clean(repo: Repo) -> None:
    """A job that was synced, one that failed, and one that W&B does not have."""
    now = time.time()

    def job(path: str, days: int, log: str = "done\n") -> float:
        then = now - (days + 0.5) * DAY
        for name in ("config", "hydra", "overrides"):
            write(repo, f"{path}/.hydra/{name}.yaml", "{}\n", then)
        write(repo, f"{path}/model.ckpt", b"\1" * (days << 16), then)
        write(repo, f"{path}/train.log", log, then)
        return then

    job("outputs/2026-09-25/11-40-03", 60, "Traceback (most recent call last):\nValueError: x\n")
    for path, days in (("2026-06-01/18-02-11", 176), ("2026-09-14/08-11-52", 71)):
        then = job(f"outputs/{path}", days)
        stamp = path.replace("-", "").replace("/", "_")
        run = f"outputs/{path}/wandb/offline-run-{stamp}-x1p9k2aa"
        started = field(17, field(1, "x1p9k2aa") + field(3, "toy"))
        write(repo, f"{run}/run-x1p9k2aa.wandb", wandb_log(started, ended_with(0)), then)
        if days == 176:
            mark_as_synced(repo.root / run, repo.root, mtime=int((then + 60) * 1e9))


SESSIONS = {
    "check-artifacts": Session(
        page="docs/fx-check-artifacts.md",
        prepare=staged,
        commands=("fx-check-artifacts",),
        codes={"fx-check-artifacts": 1},
    ),
    "check-best-models": Session(
        page="docs/fx-check-best-models.md",
        prepare=approved_and_changed,
        commands=("fx-check-best-models",),
        codes={"fx-check-best-models": 1},
    ),
    "check-range": Session(
        page="docs/fx-check-range.md",
        prepare=pushed,
        commands=(
            "git push",
            "fx-check-range --all --html audit.html",
            "pre-commit install --hook-type pre-push",
        ),
        codes={"git push": 1, "fx-check-range --all --html audit.html": 1},
        before={"pre-commit install --hook-type pre-push": "rm .git/hooks/pre-push"},
        varies=r"\d{4}-\d\d-\d\d| *[\d.]+ (?:[KM]i)?B| *\d+ %",
    ),
    "sync-gitignore": Session(
        page="docs/fx-sync-gitignore.md",
        prepare=a_rule_more,
        commands=("fx-sync-gitignore",),
        codes={"fx-sync-gitignore": 1},
    ),
    "explain": Session(
        page="docs/fx-explain.md",
        prepare=explained,
        commands=("fx-explain wandb/latest-run src/train.py assets/tokenizer.pt",),
    ),
    "fx-hooks": Session(
        page="docs/fx-hooks.md",
        prepare=explained,
        commands=("fx-hooks explain src/train.py", "fx-hooks rules multirun"),
    ),
    "init": Session(
        page="docs/fx-init.md",
        prepare=before_init,
        commands=("fx-init --yes",),
        codes={"fx-init --yes": 1},
    ),
    "add-milestone": Session(
        page="docs/fx-add-milestone.md",
        prepare=trained_earlier,
        commands=(
            "fx-add-milestone outputs/2026-11-23/15-11-52/model.pt --as 2026-11-baseline"
            ' --why "the model of the paper"',
        ),
    ),
    "tar": Session(
        page="docs/fx-archive-runs.md",
        prepare=old_jobs,
        commands=(
            "tar -czf important_runs.tar.gz outputs/2025-05-*/ && rm -rf outputs/2025-05-*/",
        ),
    ),
    "archive-runs": Session(
        page="docs/fx-archive-runs.md",
        prepare=old_jobs,
        commands=(
            "fx-archive-runs 'outputs/2025-05-*/*' important_runs.tar.zst",
            "fx-archive-runs --restore important_runs.tar.zst 'outputs/2025-05-01/*'",
        ),
        codes={"fx-archive-runs 'outputs/2025-05-*/*' important_runs.tar.zst": 1},
        before={
            "fx-archive-runs --restore important_runs.tar.zst 'outputs/2025-05-01/*'": (
                "rm -rf outputs"
            )
        },
        varies=r"\d{4}-\d\d-\d\d|[\d.]+ [KM]iB|\d+ minutes",
    ),
    "show-run": Session(
        page="docs/fx-show-run.md",
        prepare=approved_from_a_run,
        commands=("fx-show-run best_models/baseline.pt",),
        varies=rf"{DATES_AND_BLOCKS}|\b[0-9a-f]{{40}}\b",
    ),
    "clean-runs": Session(
        page="docs/fx-clean-runs.md",
        prepare=runs_to_clean,
        commands=("fx-clean-runs --older-than 30d",),
    ),
}
HOOKS_INSTALLED = "pre-commit install --hook-type pre-commit --hook-type pre-merge-commit"
TREE = "pre-commit run --hook-stage manual fx-check-tree"
# Those that get their hooks from the address that the project is published at.
PUBLISHED = (
    Session(
        page="README.md",
        prepare=trained,
        commands=(
            f"pipx install 'fx-hooks[tools] @ git+{address()}@v{__version__}'",
            "fx-init --yes",
            "git add .gitignore .pre-commit-config.yaml",
            PICTURED[0],
            "git reset -q -- outputs wandb",
            "fx-add-milestone outputs/2026-11-23/15-21-46/model.pt --as baseline"
            ' --why "the model of the paper"',
            "pre-commit uninstall --hook-type pre-commit --hook-type pre-merge-commit",
        ),
        codes={PICTURED[1]: 1},
        # It says that it installs the hooks, once.
        before={PICTURED[0]: "pre-commit install-hooks"},
    ),
    Session(
        page="docs/install.md",
        prepare=lambda repo: hooks_configured(repo, "docs/install.md"),
        commands=(
            HOOKS_INSTALLED,
            "pre-commit install --hook-type pre-push",
            "chmod +x .git/hooks/pre-commit .git/hooks/pre-merge-commit",
            TREE,
            "pre-commit uninstall --hook-type pre-commit --hook-type pre-merge-commit",
        ),
    ),
    Session(
        page="docs/fx-check-tree.md",
        prepare=lambda repo: hooks_configured(repo, "docs/install.md", artifact="train.log"),
        commands=(TREE,),
        codes={TREE: 1},
    ),
)


def hooks_configured(repo: Repo, page: str, artifact: str = "") -> None:
    """A repository with the lines that *page* shows for `.pre-commit-config.yaml`."""
    snippet = next(block for block in blocks(page, "yaml") if "repos:" in block.text)
    repo.stage(".pre-commit-config.yaml", snippet.text)
    if artifact:
        repo.stage(artifact, "epoch 1\n")
    repo.commit()
    subprocess.run(("pre-commit", "install-hooks"), cwd=repo.root, stdout=subprocess.DEVNULL)


def found(session: Session) -> Iterable[Block]:
    """The blocks of a session, in its order."""
    by_command = {block.commands[0][0]: block for block in blocks(session.page, "console")}
    return [by_command[command] for command in session.commands]


def play(session: Session, repo: Repo) -> dict[str, str]:
    """Run a session; return what its commands printed, with colours."""
    printed = {}
    session.prepare(repo)
    codes = dict(session.codes)
    for block in found(session):
        shown = ""
        for command, expected in block.commands:
            if command in session.before:
                shell(repo, session.before[command], code=0)
            if command.startswith(INSTALLS):
                assert expected == ""
                shown += f"$ {command}\n"
                continue
            output = shell(repo, command, code=codes.pop(command, 0))
            printed[command] = output
            plain = "" if command in PICTURED else _COLOURS.sub("", output)
            if not matches(expected, plain, session.varies):
                assert WRITE, f"{block.page}:{block.line}: {command} prints\n{plain}"
                expected = plain
            shown += f"$ {command}\n{expected}"
        if shown != block.text:
            path = ROOT / block.page
            before, after = f"```console\n{block.text}```", f"```console\n{shown}```"
            path.write_text(path.read_text("utf-8").replace(before, after, 1), "utf-8")
    assert codes == {}, "commands of these codes are not there"
    return printed


# A newer pip is not a fault of ours; and the certificates of a mirror are in the system's store,
# which uv, with which pipx may install, does not read unless told to.
INSTALLERS = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}


def shell(repo: Repo, command: str, *, code: int) -> str:
    done = subprocess.run(
        ("bash", "-c", command),
        cwd=repo.root,
        env=os.environ | INSTALLERS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def matches(expected: str, output: str, varies: str) -> bool:
    """Whether the output is what is shown; a line ``...`` stands for any lines."""
    kept = re.sub(varies, "~", expected)
    pattern = "".join(
        "(?:.*\n)*?" if line == "...\n" else re.escape(line)
        for line in kept.splitlines(keepends=True)
    )
    return re.fullmatch(pattern, re.sub(varies, "~", output)) is not None


def test_lines_left_out_and_what_varies() -> None:
    assert matches("a\n...\nd\n", "a\nb\nc\nd\n", "x")
    assert not matches("a\n...\nd\n", "a\nb\nc\n", "x")
    assert matches("on 2024-01-01\n", "on 2026-11-28\n", r"\d{4}-\d\d-\d\d")
    assert not matches("a\n", "", "x")


def test_every_command_is_run_or_an_exception() -> None:
    played = [block for session in (*SESSIONS.values(), *PUBLISHED) for block in found(session)]
    rest = [block for block in all_blocks("console") if block not in played]
    left = {command for block in rest for command, _ in block.commands}
    tried = {command for command in left if command.startswith(INSTALLS)}
    assert left - tried == set(EXCEPTIONS)
    # A block is run as a whole, or not at all.
    assert {command for block in rest for command, shown in block.commands if shown} == {
        "fx-report-space --top 5"
    }


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("name", SESSIONS)
def test_commands_print_what_is_shown(empty: Repo, name: str) -> None:
    play(SESSIONS[name], empty)


@pytest.fixture
def published(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This project as it is on disk, tagged; git finds it at the published address."""
    target = tmp_path / "published"
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in listed.stdout.decode().split("\0")[:-1]:
        if (ROOT / name).exists() and (name.startswith("fx_hooks/") or "/" not in name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    clone = Repo.init(target)
    clone.git("add", "-A")
    clone.git("commit", "-q", "-m", "published")
    clone.git("tag", f"v{__version__}")
    # pre-commit takes most variables of git away.
    (home / ".gitconfig").write_text(
        f'[url "file://{target}"]\n\tinsteadOf = {address()}\n'
        '[protocol "file"]\n\tallow = always\n[uploadpack]\n\tallowFilter = true\n'
    )
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    monkeypatch.setenv("PATH", f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PRE_COMMIT_COLOR", "always")
    return target


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_the_readme_from_top_to_bottom(tmp_path: Path) -> None:
    """And the pages that need the hooks where the readme's run has installed them."""
    for number, session in enumerate(PUBLISHED):
        printed = play(session, Repo.init(tmp_path / f"repo-{number}"))
        if session.page == "README.md":
            drawn = picture(
                [(command, printed[command]) for command in PICTURED],
                label="A commit with two runs in it is refused",
            )
            if WRITE:
                PICTURE.write_text(drawn, "utf-8")
            assert PICTURE.read_text("utf-8") == drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    sorted(
        {
            command
            for block in all_blocks("console")
            for command, _ in block.commands
            if command.startswith(INSTALLS) and " install " in command
        }
    ),
)
def test_what_is_installed_works_and_goes(published: Path, home: Path, command: str) -> None:
    assert published.exists()
    place, tool = Repo(home), command.partition(" ")[0]
    folder = home / ".local" / "bin"
    if tool == "pip":
        shell(place, f"{shlex.quote(sys.executable)} -m venv .local", code=0)
        command = f"{folder}/{command}"
        tool = f"{folder}/pip"
    shell(place, command, code=0)
    assert "blocked by weights" in shell(place, f"{folder}/fx-explain model.pt", code=0)
    shell(place, f"{tool} uninstall fx-hooks{' --yes' if tool != 'pipx' else ''}", code=0)
    assert not (folder / "fx-explain").exists()


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["pipx install", "uv tool install", "pip install"])
def test_what_installs_the_tools_works_where_they_are_missing(
    published: Path, home: Path, installer: str
) -> None:
    assert published.exists()
    place, folder = Repo.init(home / "work"), home / ".local" / "bin"
    where = f"git+{address()}@v{__version__}"
    installed = installer
    if installer == "pip install":
        shell(place, f"{shlex.quote(sys.executable)} -m venv {home}/.local", code=0)
        installed = f"{folder}/{installer}"
    shell(place, f"{installed} 'fx-hooks[completion] @ {where}'", code=0)
    place.write("outputs/2024-01-31/12-00-00/.hydra/config.yaml", "a: 1\n")
    said = shell(place, f"{folder}/fx-clean-runs --yes outputs", code=2).splitlines()[0]
    command = said.partition("processes have open: ")[2]
    assert command.startswith(installer + " "), said
    shell(place, f"PATH={folder}:$PATH {command}", code=0)
    assert "psutil" not in shell(place, f"{folder}/fx-clean-runs --yes outputs", code=1)
    # What was there before stays.
    shell(place, f"{folder}/fx-hooks completion bash", code=0)


@pytest.mark.slow
def test_the_first_of_the_two_commands(published: Path) -> None:
    assert shell(Repo(published), TRY_IT, code=0) == ""


def keys(value: object) -> set[str]:
    """All keys in a JSON value, but those that people chose."""
    if isinstance(value, list):
        return set[str]().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    free = {"config", "metrics"}
    return set(value).union(*(keys(inner) for key, inner in value.items() if key not in free))


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("fx-explain", "fx-explain --format json model.pt src/a.py outputs/x"),
        ("fx-report-space", "fx-report-space --format json"),
        ("fx-archive-runs", "fx-archive-runs --list a.tar.gz --format json"),
        ("fx-hooks", "fx-hooks rules --format json"),
    ],
)
def test_keys_of_json_are_on_the_page(empty: Repo, name: str, command: str) -> None:
    trained(empty)
    old_jobs(empty)
    shell(empty, "fx-archive-runs outputs a.tar.gz", code=1)
    printed = shell(empty, command, code=0)
    # One object, or one a line.
    texts = printed.splitlines() if name == "fx-explain" else [printed]
    found = keys([json.loads(text) for text in texts])
    assert len(found) > 5
    page = read(f"docs/{name}.md")
    assert {key for key in found if f"`{key}`" not in page} == set()


def test_keys_of_reports_are_on_the_page() -> None:
    lists = re.findall(r'"required": \[([^]]+)\]', read("docs/report.schema.json"))
    named = set(re.findall(r'"(\w+)"', "".join(lists)))
    assert {"path_bytes", "occurrences", "steps", "commands", "meaning"} <= named
    assert {key for key in named if f"`{key}`" not in read("docs/reports.md")} == set()


HOOK_LINES = {
    "a plain hook": next(iter(blocks("docs/install.md", "sh"))).text,
    "husky": blocks("docs/install.md", "sh")[1].text,
    **{
        f"lefthook, {stage}": f"{command['run']}\n"
        for block in blocks("docs/install.md", "yaml")
        if "repos:" not in block.text
        for stage, value in yaml.safe_load(block.text).items()
        for command in value["commands"].values()
    },
    **{
        f"simple-git-hooks, {stage}": f"{command}\n"
        for block in blocks("docs/install.md", "json")
        for stage, command in json.loads(block.text).get("simple-git-hooks", {}).items()
    },
}


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("name", HOOK_LINES)
def test_lines_without_a_runner(repo: Repo, name: str) -> None:
    hook = repo.root / ".git" / "hooks" / "pre-commit"
    text = HOOK_LINES[name]
    hook.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}")
    repo.stage("src/a.py")
    shell(repo, "chmod +x .git/hooks/pre-commit && git commit -q -m fine", code=0)
    repo.stage("model.pt")
    assert "model.pt" in shell(repo, "git commit -q -m bad", code=1)


@pytest.mark.usefixtures("path")
def test_lint_staged(repo: Repo) -> None:
    (tasks,) = (json.loads(block.text)["lint-staged"] for block in all_blocks("json")
                if "lint-staged" in block.text)  # fmt: skip
    (command,) = tasks.values()
    repo.stage("model.pt")
    repo.stage("src/a.py")
    for name, code in (("model.pt", 1), ("src/a.py", 0)):
        shell(repo, f"{command} {shlex.quote(str(repo.root / name))}", code=code)


def test_scripts_are_those_that_are_tested() -> None:
    recipes = [block.text for block in blocks("docs/ci.md", "sh")]
    for block in all_blocks("sh"):
        if block.page == "docs/fx-hooks.md":
            assert "fx-hooks completion bash" in block.text  # tried in test_fx_hooks
            continue
        assert block.text in recipes or block.text in HOOK_LINES.values()
        if block.text.startswith("#!"):
            # Git starts no hook that is not executable, and a newcomer cannot know.
            (section,) = re.findall(
                rf"^#+ {re.escape(block.section)}\n(.*?)(?=^#|\Z)",
                re.sub(r"^#!", "!!", read(block.page), flags=re.MULTILINE),
                re.DOTALL | re.MULTILINE,
            )
            assert "chmod +x" in section, block


@pytest.fixture
def with_acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package with the tool that docs/frameworks.md adds."""
    package = tmp_path / "changed" / "fx_hooks"
    shutil.copytree(ROOT / "fx_hooks", package, ignore=shutil.ignore_patterns("__pycache__"))
    (rules,) = blocks("docs/frameworks.md", "yaml")
    runs, entry = (block.text for block in blocks("docs/frameworks.md", "python"))
    frameworks = package / "frameworks"
    (frameworks / "acme").mkdir()
    (frameworks / "acme" / "__init__.py").touch()
    (frameworks / "acme" / "rules.yaml").write_text(rules.text)
    (frameworks / "acme" / "runs.py").write_text(runs)
    for path, before, after in (
        (frameworks / "__init__.py", '"torch",\n', '"torch",\n"acme",\n'),
        (frameworks / "registry.py", "FRAMEWORKS = (", f"{entry}\nFRAMEWORKS = (ACME, "),
    ):
        text = path.read_text()
        assert text.count(before) == 1
        path.write_text(text.replace(before, after))
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return package


@pytest.mark.usefixtures("with_acme")
def test_a_tool_adds_few_lines_to_the_block(
    empty: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell(empty, f"{shlex.quote(sys.executable)} -m fx_hooks sync-gitignore", code=1)
    with_tool = (empty.root / ".gitignore").read_text().splitlines()
    assert {"*.acme", "acme_runs"} <= {*with_tool}
    monkeypatch.delenv("PYTHONPATH")
    before = Repo.init(tmp_path / "before")
    shell(before, f"{shlex.quote(sys.executable)} -m fx_hooks sync-gitignore", code=1)
    assert len(with_tool) <= len((before.root / ".gitignore").read_text().splitlines()) + 4


@pytest.mark.usefixtures("path")
def test_a_model_that_no_run_made(empty: Repo) -> None:
    (block,) = (each for each in blocks("docs/fx-add-milestone.md", "json"))
    empty.write("models/final.pth", STATE)
    command = "fx-add-milestone models/final.pth --why why --as final --metric acc=0.9"
    assert "config" in shell(empty, command, code=2)
    empty.write("best_models/final_meta.json", block.text)
    shell(empty, command, code=0)
    meta = json.loads((empty.root / "best_models/final_meta.json").read_text())
    assert meta["config"] == json.loads(block.text)["config"]
    assert meta["performance"] == {"acc": 0.9}


@pytest.mark.usefixtures("with_acme")
def test_the_page_on_frameworks_adds_one(empty: Repo) -> None:
    def command(words: str, code: int = 0) -> str:
        return shell(empty, f"{shlex.quote(sys.executable)} -m fx_hooks {words}", code=code)

    said = command("explain model.acme acme_runs/one/x tests/data/model.acme acme_runs.py")
    verdicts = [line.partition(": ")[2] for line in said.splitlines()]
    assert verdicts[0].startswith("blocked by weights (")
    assert verdicts[1].startswith("blocked by acme-runs (")
    assert [verdict.startswith("allowed") for verdict in verdicts[2:]] == [True, True]
    assert "acme/run.py: DEFAULT_FOLDER" in command("rules acme-runs")
    then = time.time() - 30 * DAY
    for name, status in (("one", "done"), ("two", "failed")):
        text = json.dumps({"status": status, "config": {"lr": 1}, "metrics": {"loss": 0.5}})
        write(empty, f"acme_runs/{name}/acme.json", text, then)
        write(empty, f"acme_runs/{name}/model.acme", b"\0", then)
    assert "Acme runs (2)" in command("report-space")
    assert "nowhere else: add --archive FILE" in command("clean-runs .")
    command("archive-runs acme_runs a.tar.gz")
    listed = command("archive-runs --list a.tar.gz")
    assert "Acme run, finished" in listed
    assert "Acme run, failed" in listed
    assert "loss 0.5" in listed
