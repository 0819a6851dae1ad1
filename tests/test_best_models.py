"""What the contract lets pass and what it refuses, through real git."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from fx_hooks.cli import explain
from fx_hooks.fastpath.best_models import proven_untouched, staged_names
from tests.contract_support import (
    LISTING,
    META,
    METADATA,
    MODEL,
    MODULE,
    SCRIPTED,
    STATE,
    add,
    approve,
    check,
    entry,
    facts,
    listing,
    pointer,
    sha256,
)
from tests.support import CLEAN, Repo, run, working_directory
from tests.weight_files import malicious, torch_zip

LFS = "*.pt filter=lfs diff=lfs merge=lfs -text\n"


@pytest.fixture
def approved(repo: Repo) -> Repo:
    approve(repo)
    assert check(repo) == CLEAN
    return repo


@pytest.fixture
def committed(approved: Repo) -> Repo:
    approved.commit()
    return approved


def refused(repo: Repo, path: str, fact: str, *arguments: str) -> None:
    """Exactly one finding, about *path*, that says *fact*."""
    result = check(repo, *arguments)
    (found,) = facts(result)
    assert found.startswith(f"{path}: ")
    assert fact in found
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith("1 breach of the contract for chosen models:\n")


def test_nothing_is_clean(empty: Repo) -> None:
    assert check(empty) == CLEAN
    empty.commit()
    assert check(empty) == CLEAN
    assert check(empty, "--all-files") == CLEAN


def test_what_may_stand_beside_milestones(approved: Repo) -> None:
    for name in ("README.md", ".gitkeep", "sub/.gitignore", "sub/old_meta.json", "table.json"):
        approved.stage(f"best_models/{name}", META if name.endswith("json") else "text\n")
    approved.link("best_models/latest_meta.json", "m_meta.json")
    approved.git("add", "-f", "best_models/latest_meta.json")
    assert check(approved) == CLEAN
    assert check(approved, "--all-files") == CLEAN


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("x.pt", "best_models/x.pt"),
        ("sub/x.ckpt", "best_models/sub/x.ckpt"),
        ("modèle.safetensors", "'best_models/modèle.safetensors'"),
    ],
)
def test_unlisted_weights(approved: Repo, name: str, word: str) -> None:
    approved.stage(f"best_models/{name}", STATE)
    refused(approved, f"best_models/{name}", "is not listed in best_models/milestones.yaml")
    out = f"git rm -q -f --cached --ignore-unmatch -- {word}"
    assert check(approved).commands == [f"fx-add-milestone {word} --why TEXT", out]
    meta = os.path.splitext(f"best_models/{name}")[0] + "_meta.json"
    refused(approved, f"best_models/{name}", "TEXT says why you chose it")
    example = ', such as {"performance": {"accuracy": 0.9}, "config": {"lr": 0.1}}'
    assert f"_meta.json{example}" in check(approved).out.replace("'", "")
    for here in (approved.write, approved.stage):
        here(meta, META)
        assert "has no metadata" not in check(approved).out


@pytest.mark.parametrize(
    ("content", "fact", "option"),
    [
        (malicious()["zip-os-system"], "runs code when it is loaded (imports os.system)", None),
        (MODULE, "needs torch.nn.modules.linear.Linear, which torch.load(weights_only=True)",
         " --allow-global torch.nn.modules.linear.Linear"),
        (SCRIPTED, "is torchscript, which holds code", " --format torchscript"),
        (STATE, "is not listed", ""),
        (b"text", "and is in none of the formats that can be checked", None),
    ],
    ids=["os-system", "module", "torchscript", "state", "text"],
)  # fmt: skip
def test_what_unlisted_weights_are(
    approved: Repo, content: bytes, fact: str, option: str | None
) -> None:
    approved.stage("best_models/x.pt", content)
    approved.stage("best_models/x_meta.json", META)
    refused(approved, "best_models/x.pt", fact)
    out = "git rm -q -f --cached --ignore-unmatch -- best_models/x.pt"
    approve = [] if option is None else [f"fx-add-milestone best_models/x.pt --why TEXT{option}"]
    assert check(approved).commands == [*approve, out]


@pytest.mark.parametrize("name", ["x.py", "x.bin", "sub/Makefile", "x_meta.json/x"])
def test_foreign_files(approved: Repo, name: str) -> None:
    approved.stage(f"best_models/{name}", "text\n")
    refused(approved, f"best_models/{name}", "is neither metadata nor a document")
    approved.git("rm", "-q", "--cached", f"best_models/{name}")
    approved.stage(f"best_models/{name}", "text\n")
    approved.stage(".fx-hooks.yaml", f"keep: [/best_models/{name}]\n")
    assert check(approved) == CLEAN


def test_one_byte_changed(committed: Repo) -> None:
    changed = STATE[:700] + bytes([STATE[700] ^ 1]) + STATE[701:]
    committed.stage(MODEL, changed)
    result = check(committed)
    assert result.code == 1
    assert "was changed after it was approved" in result.out
    assert f"sha256 {sha256(changed)[:8]}... with {len(changed):,} bytes" in result.out
    assert f"{LISTING}:2 has {sha256(STATE)[:8]}... with" in result.out
    assert result.commands == [
        "git checkout HEAD -- best_models/m.pt",
        "fx-add-milestone --replace best_models/m.pt --metric NAME=VALUE",
    ]
    (found,) = json.loads(check(committed, "--format=json").out)["findings"]
    assert sha256(changed) in found["why"]
    assert sha256(STATE) in found["why"]
    committed.commit()  # now HEAD has it, too
    assert check(committed, "--all-files").commands == result.commands[1:]


def test_the_index_counts_and_not_the_disk(committed: Repo) -> None:
    committed.write(MODEL, b"changed on disk")
    committed.remove(METADATA)
    assert check(committed) == CLEAN


def test_a_stale_entry(committed: Repo) -> None:
    committed.git("rm", "-q", "--cached", MODEL)
    refused(committed, MODEL, f"is listed in {LISTING}:2 and not tracked: add it, or delete")
    assert check(committed).commands == [f"git add -f -- {MODEL}"]
    committed.git("rm", "-q", "--cached", LISTING)
    assert check(committed) == CLEAN  # metadata without weights
    committed.git("rm", "-q", "--cached", METADATA)
    assert check(committed) == CLEAN


def test_a_stale_entry_of_a_file_that_is_gone(committed: Repo) -> None:
    committed.git("rm", "-q", MODEL)
    refused(committed, MODEL, "bring it back, or delete its entry, lines 1 to 6")
    (command,) = check(committed).commands
    assert command == f"git checkout HEAD -- {MODEL}"
    subprocess.run(("sh", "-c", command), cwd=committed.root, check=True)
    assert check(committed, "--all-files") == CLEAN
    committed.git("rm", "-q", MODEL)
    committed.commit()
    refused(committed, MODEL, "nor on disk: delete its entry, lines 1 to 6")
    assert check(committed).commands == []
    other = entry(STATE, "best_models/n.pt")
    committed.stage("best_models/n.pt", STATE)
    committed.stage("best_models/n_meta.json", META)
    committed.stage(LISTING, listing("  # a comment\n", entry(STATE), other))
    refused(committed, MODEL, "nor on disk: delete its entry, lines 3 to 7")
    committed.stage(LISTING, listing("  # a comment\n", other))
    assert check(committed, "--all-files") == CLEAN
    for path in ("best_models/n.pt", "best_models/n_meta.json"):
        committed.git("rm", "-q", "-f", path)
    committed.stage(LISTING, "")
    assert check(committed, "--all-files") == CLEAN


def test_deleted_metadata(committed: Repo) -> None:
    committed.git("rm", "-q", METADATA)
    refused(committed, MODEL, f"has no metadata {METADATA}")
    assert check(committed).commands == [f"git checkout HEAD -- {METADATA}"]
    committed.write(METADATA, META)
    assert check(committed).commands == [f"git add -f -- {METADATA}"]
    committed.remove(METADATA)
    committed.commit()
    assert check(committed).commands == [f"fx-add-milestone --replace {MODEL}"]


def test_a_deleted_list(committed: Repo) -> None:
    committed.git("rm", "-q", LISTING)
    refused(committed, MODEL, "is not listed")


METADATA_FAULTS = [
    pytest.param(b"", "is not JSON: line 1", id="empty"),
    pytest.param(b"{}", "lacks the key 'performance'", id="no-keys"),
    pytest.param(b"[]", "is not a JSON object", id="list"),
    pytest.param(
        b'{"performance": 1}',
        'lacks the key \'config\': add it, such as "config": {"lr": 0.1}',
        id="one-key",
    ),
    pytest.param(b'{"performance": NaN, "config": 1}', "has NaN", id="nan"),
    pytest.param(b'{"performance": -Infinity, "config": 1}', "has -Infinity", id="infinity"),
    pytest.param(b'{"config": 1, "config": 2}', 'has the key "config" twice', id="twice"),
    pytest.param(b'{"performance": "\xff"}', "is not UTF-8", id="latin-1"),
    pytest.param(META.encode("utf-8-sig"), "begins with a byte order mark", id="bom"),
    *(
        pytest.param(META.encode(encoding), f"is {encoding[:6].upper()}, not UTF-8", id=encoding)
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
    ),
    pytest.param(b"[" * 100_000, "is nested too deeply", id="deep"),
    pytest.param(b'{"a":' + b"9" * 5000 + b"}", "has a number that is too long", id="digits"),
    pytest.param(b" " * 1_000_001, "has 1,000,001 bytes", id="large"),
    pytest.param(STATE, "is a zip archive or a pickle", id="zip"),
    pytest.param(malicious()["pickle-protocol-4"], "is a zip archive or a pickle", id="pickle"),
    pytest.param(b'{"performance":1,"config":1,"sha256":"0"}', "has another sha256", id="digest"),
    pytest.param(
        b'{"performance":1,"config":{"wandb":{"api_key":"' + b"a1" * 20 + b'"}}}',
        "what looks like a secret under 'config.wandb.api_key'",
        id="key",
    ),
    pytest.param(
        b'{"performance":1,"config":{"data":"/home/somebody/data"}}',
        "a path in a home directory under 'config.data'",
        id="home",
    ),
    pytest.param(
        b'{"performance":1,"config":{},"host":"gpu17"}', "a host name under 'host'", id="host"
    ),
]


@pytest.mark.parametrize(("content", "fact"), METADATA_FAULTS)
def test_metadata(committed: Repo, content: bytes, fact: str) -> None:
    committed.stage(METADATA, content)
    found = [line for line in facts(check(committed)) if fact in line]
    assert [line.partition(": ")[0] for line in found] == [METADATA]
    for secret in ("a1a1", "somebody/data", "gpu17"):
        assert secret not in check(committed).out


def test_commit_ids_and_placeholders_are_no_secrets(committed: Repo) -> None:
    value = {
        "performance": {"accuracy": 0.9},
        "config": {"api_key": "${oc.env:WANDB_API_KEY}", "tokenizer": "a1" * 20, "host": None},
        "git": {"commit": "a1" * 20},
        "sha256": sha256(STATE),
    }
    committed.stage(METADATA, json.dumps(value))
    assert check(committed) == CLEAN


def test_other_json_is_judged_less(committed: Repo) -> None:
    committed.stage("best_models/table.json", "[1, 2]")
    assert check(committed) == CLEAN
    committed.stage("best_models/table.json", '{"password": "hunter2"}')
    refused(committed, "best_models/table.json", "under 'password'")


def test_weights_under_other_names(committed: Repo) -> None:
    committed.stage("best_models/README.md", MODULE)
    refused(committed, "best_models/README.md", "is torch under the name of a document")
    committed.stage("best_models/README.md", b"PK\x03\x04")
    refused(committed, "best_models/README.md", "is a zip archive under the name of a document")


@pytest.mark.parametrize(
    ("content", "more", "fact"),
    [
        pytest.param(MODULE, {}, "needs torch.nn.modules.linear.Linear, which", id="module"),
        pytest.param(b"\0" * 50, {}, "is in none of the formats", id="rubbish"),
        pytest.param(b"text\n", {}, "is in none of the formats", id="text"),
        pytest.param(SCRIPTED, {}, "'format: torchscript'", id="torchscript"),
        pytest.param(SCRIPTED, {"format": "torch"}, "is torchscript, not torch", id="other-format"),
        pytest.param(
            malicious()["zip-os-system"], {}, "(imports os.system), which no option", id="os-system"
        ),
    ],
)
def test_unsafe_models(repo: Repo, content: bytes, more: dict[str, str], fact: str) -> None:
    approve(repo, content, **more)
    refused(repo, MODEL, fact)


def test_what_an_entry_may_allow(repo: Repo) -> None:
    approve(repo, MODULE, allow_globals="[torch.nn.modules.linear.Linear]")
    assert check(repo) == CLEAN
    approve(repo, SCRIPTED, format="torchscript")
    assert check(repo) == CLEAN


def test_one_bad_file_does_not_hide_another(repo: Repo) -> None:
    entries = []
    for name, content in malicious().items():
        repo.write(f"best_models/{name}.pt", content)
        repo.write(f"best_models/{name}_meta.json", META)
        entries.append(entry(content, f"best_models/{name}.pt"))
    repo.stage(LISTING, listing(*entries))
    repo.stage_all()
    result = check(repo)
    assert (result.code, result.err) == (1, "")
    assert int(result.out.split(" ", 1)[0]) >= len(entries)


def test_max_size(approved: Repo) -> None:
    approved.stage(".fx-hooks.yaml", "best_models: {max_size: 1 KiB}\n")
    refused(approved, MODEL, "has 1.9 KiB: best_models.max_size is 1.0 KiB")
    size = (approved.root / MODEL).stat().st_size
    approved.stage(".fx-hooks.yaml", f"best_models: {{max_size: {size}}}\n")
    assert check(approved) == CLEAN
    approved.stage(".fx-hooks.yaml", f"best_models: {{max_size: {size - 1}}}\n")
    assert check(approved).code == 1


def test_lfs_pointers(repo: Repo) -> None:
    approve(repo)
    repo.git("rm", "-q", "--cached", MODEL)
    repo.stage(MODEL, pointer(STATE))
    refused(repo, MODEL, "is a Git LFS pointer, but .gitattributes does not send it there")
    repo.stage(".gitattributes", LFS)
    repo.git("config", "filter.lfs.clean", "cat")
    repo.stage(MODEL, pointer(STATE))
    assert check(repo) == CLEAN
    repo.stage(".fx-hooks.yaml", "best_models: {lfs: forbidden}\n")
    refused(repo, MODEL, "best_models.lfs is forbidden")
    repo.stage(".fx-hooks.yaml", "best_models: {lfs: required}\n")
    assert check(repo) == CLEAN
    repo.stage(MODEL, pointer(STATE + b"x"))
    refused(repo, MODEL, "was changed after it was approved")


def test_raw_bytes_where_lfs_is_meant(approved: Repo) -> None:
    approved.stage(".fx-hooks.yaml", "best_models: {lfs: required}\n")
    refused(approved, MODEL, "best_models.lfs is required")
    approved.stage(".gitattributes", LFS)
    refused(approved, MODEL, "is staged as raw bytes")
    approved.stage(".fx-hooks.yaml", "best_models: {lfs: forbidden}\n")
    assert check(approved) == CLEAN


def test_what_a_pointer_stands_for_is_read(repo: Repo) -> None:
    bad = malicious()["zip-os-system"]
    repo.stage(".gitattributes", LFS)
    repo.git("config", "filter.lfs.clean", "cat")
    approve(repo, bad)
    repo.stage(MODEL, pointer(bad))
    assert check(repo) == CLEAN  # nobody has it here
    stored = f".git/lfs/objects/{sha256(bad)[:2]}/{sha256(bad)[2:4]}/{sha256(bad)}"
    repo.write(stored, b"something else")
    assert check(repo) == CLEAN
    repo.write(stored, bad)
    refused(repo, MODEL, "imports os.system")


@pytest.mark.parametrize(
    ("target", "fact"),
    [("../elsewhere.json", "points out of"), ("/etc/passwd", "points out of"), (".", "points out")],
)
def test_links_that_point_out(approved: Repo, target: str, fact: str) -> None:
    approved.link("best_models/x_meta.json", target)
    approved.git("add", "-f", "best_models/x_meta.json")
    refused(approved, "best_models/x_meta.json", fact)


@pytest.mark.parametrize("path", [MODEL, METADATA])
def test_links_in_a_milestones_place(approved: Repo, path: str) -> None:
    approved.remove(path)
    approved.link(path, "README.md")
    approved.git("add", "-A", "-f", ".")
    assert any(f"{path}: is a symbolic link: " in line for line in facts(check(approved)))


def test_a_link_to_weights_is_foreign(approved: Repo) -> None:
    approved.link("best_models/latest.pt", "m.pt")
    approved.git("add", "-f", "best_models/latest.pt")
    refused(approved, "best_models/latest.pt", "is neither metadata nor a document")


def test_the_folder_as_a_link(repo: Repo, tmp_path: Path) -> None:
    repo.link("best_models", tmp_path)
    repo.git("add", "best_models")
    refused(repo, "best_models", "is not a directory")
    repo.stage(".fx-hooks.yaml", "best_models: {folder: best_models/deeper}\n")
    refused(repo, "best_models", "is not a directory")


def test_submodules(approved: Repo) -> None:
    approved.gitlink("best_models/sub")
    refused(approved, "best_models/sub", "is a submodule")


def test_a_name_that_is_no_models(approved: Repo) -> None:
    approved.stage("best_models/x.bin", STATE)
    approved.stage("best_models/x_meta.json", META)
    approved.stage(LISTING, listing(entry(STATE), entry(STATE, "best_models/x.bin")))
    refused(approved, "best_models/x.bin", "no model has such a name")


def test_only_what_is_touched_is_read(committed: Repo) -> None:
    bad = listing(entry(STATE), entry(STATE, "best_models/n.pt"))
    committed.stage("best_models/n.pt", MODULE)
    committed.stage("best_models/n_meta.json", META)
    committed.stage(LISTING, bad)
    committed.commit()
    assert check(committed).code == 1  # nothing is staged: everything
    committed.stage("best_models/README.md", "text\n")
    assert check(committed) == CLEAN
    assert check(committed, "--all-files").code == 1
    committed.stage("best_models/n_meta.json", META + " ")
    assert check(committed).code == 1
    committed.git("reset", "-q", "--hard")
    committed.stage(LISTING, bad.replace("a reason", "another", 1))
    assert check(committed) == CLEAN
    committed.stage(LISTING, bad.replace("a reason", "another"))
    assert check(committed).code == 1
    committed.stage(LISTING, "broken: [\n")
    assert check(committed).code == 2


def test_a_broken_list_in_head_is_no_reason_to_look_away(committed: Repo) -> None:
    committed.stage(LISTING, "broken: 1\n")
    committed.commit()
    committed.stage(LISTING, listing(entry(STATE + b"x")))
    refused(committed, MODEL, "was changed after it was approved")


def test_a_changed_policy_reads_everything(committed: Repo) -> None:
    committed.stage(".fx-hooks.yaml", "best_models: {required_keys: [performance, data]}\n")
    refused(committed, METADATA, "lacks the key 'data'")
    committed.stage(".fx-hooks.yaml", "best_models: {required_keys: []}\n")
    committed.stage(METADATA, "{}")
    assert check(committed) == CLEAN


def test_the_folder_and_the_names_are_the_policys(repo: Repo) -> None:
    repo.stage(
        ".fx-hooks.yaml",
        'best_models: {folder: a/chosen, metadata: ["*_meta.json"], weights: ["*.bin"]}\n',
    )
    repo.stage("a/chosen/m.bin", STATE)
    repo.stage("a/chosen/m_meta.json", META)
    repo.stage("a/chosen/milestones.yaml", listing(entry(STATE, "a/chosen/m.bin")))
    repo.stage("best_models/x.pt", STATE)
    assert check(repo) == CLEAN
    repo.stage("a/chosen/table.json", "{}")
    refused(repo, "a/chosen/table.json", "is neither metadata nor")


@pytest.mark.parametrize("what", [MODEL, METADATA, "best_models/README.md"])
def test_a_missing_object_is_not_clean(approved: Repo, what: str) -> None:
    approved.stage(what, STATE if what == MODEL else META + what)
    blob = approved.git("rev-parse", f":{what}").strip()
    (approved.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    refused(approved, what, "is not in this clone")


@pytest.fixture
def unread(committed: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A model that was read before, other metadata, and readers that fail."""

    def fail(file: object) -> NoReturn:
        raise AssertionError(file)

    committed.stage(METADATA, META + " ")
    monkeypatch.setattr("fx_hooks.weights.content.inspect", fail)
    assert check(committed) == CLEAN
    return committed


KEPT = ".git/fx-hooks.milestones"


def test_a_model_is_read_once(unread: Repo) -> None:
    unread.git("gc", "-q", "--prune=now")
    assert check(unread) == CLEAN
    for arguments in (["--all-files"], ["--policy", "/dev/null", "--all-files"]):
        with pytest.raises(AssertionError):
            check(unread, *arguments)


def reads(repo: Repo) -> bool:
    try:
        return check(repo) != CLEAN
    except AssertionError:
        return True


def test_what_makes_a_model_be_read_again(unread: Repo) -> None:
    kept = (unread.root / KEPT).read_bytes()
    for path, content in (
        (MODEL, MODULE),
        (LISTING, listing(entry(STATE)) + "\n# a comment\n"),
        (".gitattributes", "# text\n"),
        (".fx-hooks.yaml", "best_models: {max_size: 1GB}\n"),
    ):
        unread.stage(path, content)
        assert reads(unread), path
        unread.git("reset", "-q", "--hard")
        unread.stage(METADATA, META + " ")
        (unread.root / KEPT).write_bytes(kept)
        assert not reads(unread)
    # Where it goes is asked each time.
    (unread.root / ".git/info").mkdir(exist_ok=True)
    unread.write(".git/info/attributes", "*.pt filter=lfs\n")
    assert reads(unread)


def test_a_model_that_is_gone_is_missed(unread: Repo) -> None:
    blob = unread.git("rev-parse", f":{MODEL}").strip()
    (unread.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    refused(unread, MODEL, "is not in this clone")


def test_what_is_kept_is_not_believed(unread: Repo) -> None:
    kept = unread.root / KEPT
    good = kept.read_bytes()
    for place in range(0, len(good), 97):
        kept.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        kept.chmod(0o600)
        assert reads(unread), place
    for damaged in (b"", good[:-1], good + b"x"):
        kept.write_bytes(damaged)
        assert reads(unread)
    kept.write_bytes(good)
    kept.chmod(0o666)
    assert reads(unread)
    kept.chmod(0o600)
    assert not reads(unread)
    kept.rename(unread.root / "moved")
    kept.symlink_to(unread.root / "moved")
    assert reads(unread)


def test_a_conflict(committed: Repo) -> None:
    committed.git("checkout", "-q", "-b", "side")
    committed.stage(METADATA, '{"performance": 1, "config": 1}')
    committed.commit()
    committed.git("checkout", "-q", "main")
    committed.stage(METADATA, '{"performance": 2, "config": 2}')
    committed.commit()
    committed.git("merge", "side", fails=True)
    assert any("has an unresolved conflict" in line for line in facts(check(committed)))


def test_an_exotic_subfolder(approved: Repo) -> None:
    approved.write("sub/x", b"")
    assert check(approved, cwd="sub") == CLEAN
    approved.git("rm", "-q", "--cached", METADATA)
    assert check(approved, cwd="sub").code == 1


def test_a_long_report_is_cut(repo: Repo) -> None:
    for number in range(60):
        repo.write(f"best_models/{number}.pt", b"x")
    repo.stage_all()
    lines = check(repo).out.splitlines()
    assert lines[0].startswith("60 breaches")
    assert lines[-1].endswith(" more")
    assert len(lines) < 90


def test_steering_characters_are_escaped(repo: Repo) -> None:
    approve(repo, torch_zip(b"\x80\x02ca\nb\x1b[31m\n."))
    result = check(repo)
    assert "a.b\\x1b[31m" in result.out
    assert "\x1b" not in result.out


def test_a_link_whose_target_is_missing(approved: Repo) -> None:
    approved.link("best_models/x_meta.json", "m_meta.json")
    approved.git("add", "-f", "best_models/x_meta.json")
    blob = approved.git("rev-parse", ":best_models/x_meta.json").strip()
    (approved.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    refused(approved, "best_models/x_meta.json", "whose target is not in this clone")


def test_a_note_about_a_list_that_is_not_staged(repo: Repo) -> None:
    repo.stage(MODEL, STATE)
    repo.write(LISTING, listing(entry(STATE)))
    result = check(repo)
    assert "is not staged and does not count: git add" in result.out.splitlines()[-1]


def explained(repo: Repo, *arguments: str) -> list[str]:
    result = run(explain.main, *arguments, cwd=repo.root)
    assert result.err == ""
    return [line[14:] for line in result.out.splitlines() if line.startswith("    contract: ")]


def test_explain_says_what_the_contract_says(approved: Repo) -> None:
    assert explained(approved, MODEL) == ["approved 2026-01-31: a reason"]
    assert explained(approved, METADATA) == [f"the metadata of {MODEL}, approved 2026-01-31"]
    assert explained(approved, LISTING) == ["nothing against it"]
    assert explained(approved, "best_models/x.pt") == ["neither tracked nor listed"]
    assert explained(approved, "train.py", "best_models/") == []
    approved.stage(LISTING, listing(entry(STATE + b"x", by="somebody")))
    said, fault = explained(approved, MODEL)
    assert said == "approved 2026-01-31 by somebody: a reason"
    assert fault.startswith("was changed after it was approved")
    record = json.loads(run(explain.main, "--format=json", MODEL, cwd=approved.root).out)
    assert record["contract"] == [said, fault]
    approved.stage(LISTING, listing(entry(STATE, why=None)))
    assert explained(approved, MODEL) == [
        f"{LISTING}:2: milestones.{MODEL}: has no 'why': fx-add-milestone --replace writes it"
    ]


def test_an_entry_that_lacks_a_key_is_mended_by_what_is_printed(approved: Repo) -> None:
    approved.stage(LISTING, listing(entry(STATE, sha256=None)))
    approved.write("src/a", b"")
    for folder, place in (("src", "(cd .. && {})"), (".", "{}")):
        result = check(approved, cwd=folder)
        command = f"fx-add-milestone --replace {MODEL} --why TEXT"
        assert result.err.splitlines()[1:] == ["    " + place.format(command)]
    add(approved, *command.split()[1:])
    approved.git("add", "-A", "-f")
    assert check(approved, "--all-files") == CLEAN


def test_usage(repo: Repo) -> None:
    assert check(repo, "--nonsense").code == 2
    assert check(repo, "FILE").code == 2
    assert check(repo, "--version").out.startswith("fx-check-best-models ")


def test_no_repository(home: Path, tmp_path: Path) -> None:  # noqa: ARG001
    result = check(Repo(tmp_path))
    assert result.code == 2
    assert result.err.startswith("fx-check-best-models: error: not in a git repository")


def fast_path(repo: Repo) -> bool:
    with working_directory(repo.root):
        return proven_untouched(staged_names())


def test_the_fast_path(committed: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not fast_path(committed)  # nothing is staged
    committed.stage("src/best_models/x.pt", b"x")
    assert fast_path(committed)
    assert check(committed) == CLEAN
    for path in (METADATA, ".gitattributes", ".fx-hooks.yaml"):
        committed.stage(path, META + " " if path == METADATA else "# text\n")
        assert not fast_path(committed)
        committed.git("reset", "-q", "--", path)
        committed.git("checkout-index", "-q", "-f", "-a")
    committed.write(".fx-hooks.yaml", "best_models:\n  folder: chosen\n")
    assert not fast_path(committed)
    # YAML reads the same key.
    committed.write(".fx-hooks.yaml", 'best_models: {"f\\x6flder": chosen}\n')
    assert not fast_path(committed)
    committed.remove(".fx-hooks.yaml")
    committed.link(".fx-hooks.yaml", "nowhere")
    assert not fast_path(committed)
    committed.remove(".fx-hooks.yaml")
    monkeypatch.setenv("PATH", str(committed.root))
    assert not fast_path(committed)


def test_the_fast_path_imports_next_to_nothing(committed: Repo) -> None:
    committed.stage("src/x.py", b"x")
    code = (
        "import sys; before = set(sys.modules); from fx_hooks.check_best_models import main;"
        " code = main([]); print(code, sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=committed.root, capture_output=True, text=True, check=True
    )
    names = ("best_models", "fast_git", "index_bytes", "interpreter", "matcher", "table_cache")
    ours = ["check_best_models", "fastpath", *(f"fastpath.{name}" for name in names)]
    ours += ["fastpath.work_tree"]
    assert done.stdout == f"0 {['binascii', 'fx_hooks', *(f'fx_hooks.{name}' for name in ours)]}\n"


ODD_NAMES = ["m.pt", "a*b.pt", "a [b].pt", "a?.pt", "a\\b.pt", 'a"b.pt', "#a.pt", "!a.pt", "é.pt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", [*ODD_NAMES, "a\nb.pt", "a\tb c.pt"])
@pytest.mark.parametrize("there", [False, True], ids=["to-lfs", "from-lfs"])
def test_printed_commands_take_a_name_by_the_letter(repo: Repo, name: str, there: bool) -> None:
    path = f"best_models/{name}"
    like = "best_models/aXb.pt"  # what `a*b.pt` and `a?b.pt` match
    lfs = "forbidden" if there else "required"
    repo.stage(".fx-hooks.yaml", f"best_models: {{lfs: {lfs}}}\n")
    repo.git("config", "filter.lfs.clean", "cat")
    repo.git("config", "filter.lfs.process", "")
    content = pointer(STATE).encode() if there else STATE
    repo.stage(".gitattributes", LFS if there else "")
    for each in (path, like):
        repo.stage(each, content)
        repo.stage(os.path.splitext(each)[0] + "_meta.json", META)
    repo.stage(LISTING, listing(entry(STATE, path)))
    (command,) = (
        line
        for block in check(repo).out.split("\n\n")
        if f"best_models.lfs is {lfs}" in block
        for line in block.splitlines()[1:]
    )
    command = command.replace("git lfs install --local && ", "")
    subprocess.run(("sh", "-e"), cwd=repo.root, input=command.encode(), check=True)
    kinds = repo.git("check-attr", "-z", "filter", "--", path, like).split("\0")[2::3]
    assert kinds == (["unspecified", "lfs"] if there else ["lfs", "unspecified"])
    assert {os.fsencode(path), os.fsencode(like)} <= repo.tracked()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_untracking_takes_one_file_alone(repo: Repo) -> None:
    for name in ("a*b.zip", "aXb.zip"):
        repo.stage(f"best_models/{name}")
    commands = [line for line in check(repo).commands if "a*b" in line]
    subprocess.run(("sh", "-e"), cwd=repo.root, input=commands[0].encode(), check=True)
    assert repo.tracked() == {b"best_models/aXb.zip", b"train.py"}
