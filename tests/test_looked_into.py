"""Weights under any name are found by range, by all files, and by names outside a commit."""

from __future__ import annotations

import cProfile
import fractions
import gzip
import importlib.util
import io
import json
import marshal
import os
import pickle
import struct
import sys
import types
import zipfile
import zlib
from pathlib import Path

import pytest

from fx_hooks.artifacts.unnamed import refused_files
from fx_hooks.fastpath import artifacts, looked_into
from fx_hooks.weights.magic import weights_format
from tests.support import CLEAN, Repo, mostly_slow
from tests.test_check_range import check, commit, fast_path, head, paths
from tests.test_explain import run
from tests.trees import content_of

TORCH = content_of("torch.pt")
SMALL = content_of("small.pt")
ZIP = content_of("csvzip")


def test_a_range_looks_into_files(repo: Repo) -> None:
    start = head(repo)
    commit(repo, "fine", "data/a.zip", content=ZIP)
    assert check(repo) == CLEAN
    # The command has looked into it, and its fast path need not any more.
    assert fast_path(repo)
    commit(repo, "bad", "res/best", "res/other", content=TORCH)
    commit(repo, "gone")
    repo.git("rm", "-q", "res/best")
    commit(repo, "without it")
    repo.git("mv", "res/other", "res/moved")
    commit(repo, "elsewhere")
    assert not fast_path(repo)
    assert paths(repo) == {"res/best", "res/other", "res/moved"}
    result = check(repo, "--format", "json")
    found = json.loads(result.out)["findings"]
    assert {(one["rule"], one["in_tip"]) for one in found} == {
        ("weights", False), ("weights", True),
    }  # fmt: skip
    assert paths(repo, "--all") == {"res/best", "res/other", "res/moved"}
    # What a policy decides is not looked into.
    commit(repo, "kept", ".fx-hooks.yaml", content=b"keep: [/res/]\n")
    assert paths(repo, f"{start}..HEAD") == set()


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_a_range_of_many_files(repo: Repo, packed: bool) -> None:
    """Of more files than are opened one by one git says how large they are."""
    for number in range(60):
        repo.stage(f"src/m{number}.py", f"x = {number}\n")
    commit(repo, "many")
    if packed:
        repo.git("gc", "-q")
    assert check(repo) == CLEAN
    assert fast_path(repo)
    commit(repo, "small", "res/epoch_0.model", content=SMALL)
    assert not fast_path(repo)
    assert paths(repo) == {"res/epoch_0.model"}


@pytest.mark.parametrize("count", [1, 60])
@pytest.mark.parametrize("bad", [False, True], ids=["small", "weights"])
def test_what_git_replace_shows_counts_for_nothing(repo: Repo, count: int, bad: bool) -> None:
    """A push sends what there is, and a clone has it."""
    for number in range(count):
        repo.stage(f"src/m{number}.py", f"x = {number}\n")
    there, shown = (TORCH, SMALL) if bad else (SMALL, TORCH)
    repo.stage("data/thing", there)
    repo.git(
        "replace", ":data/thing", repo.git("hash-object", "-w", "--stdin", stdin=shown).strip()
    )
    listed = repo.git("ls-files", "-s", "-z").encode()
    repo.git("read-tree", "--empty")
    # No size is known, and all are asked of git.
    repo.git("update-index", "-z", "--index-info", stdin=listed)
    result = repo.check("--all-files")
    assert (result.code == 1) is bad
    assert repo.fast_path("--all-files") is not bad


def test_a_policy_that_was_on_disk_alone_is_gone(repo: Repo) -> None:
    """What it kept was not looked into; no tree remembers that it was there."""
    repo.stage(".fx-hooks.yaml", "projects: [a]\n")
    repo.stage("a/best", TORCH)
    repo.write("a/.fx-hooks.yaml", "keep: [best]\n")
    for _ in range(2):
        assert repo.check_once("--all-files") == CLEAN
    (repo.root / "a/.fx-hooks.yaml").unlink()
    for _ in range(3):
        assert repo.check_once("--all-files").code == 1


def test_of_many_whose_sizes_the_index_lacks_git_says_them(repo: Repo) -> None:
    """So it is in a sparse checkout, and where nothing is checked out yet."""
    for number in range(60):
        repo.stage(f"src/m{number}.py", f"x = {number}\n")
    repo.stage("src/link.py", "m1.py")
    link = repo.git("hash-object", "-w", "--stdin", stdin=b"m1.py").strip()

    def without_sizes() -> None:
        listed = repo.git("ls-files", "-s").replace("\tsrc/link.py", "\tsrc/link")
        listed += f"120000 {link} 0\tsrc/link.py\n"
        repo.git("read-tree", "--empty")
        repo.git("update-index", "--index-info", stdin=listed.encode())

    without_sizes()
    assert repo.check("--all-files") == CLEAN
    repo.stage("new.py", "")
    without_sizes()
    # Another tree, so nothing but the sizes lets it in; it is known from then on.
    before = looked_into.read(str(repo.git_directory))[2]
    assert repo.fast_path("--all-files")
    assert len({*looked_into.read(str(repo.git_directory))[2]} - {*before}) == 2
    for path, content in (("res/thing", TORCH), ("res/epoch_0.model", SMALL)):
        repo.stage(path, content)
        without_sizes()
        assert not repo.fast_path("--all-files")
        assert repo.check_once("--all-files").code == 1
        repo.git("rm", "-q", "--cached", path)
    blob = repo.git("rev-parse", ":src/m7.py").strip()
    without_sizes()
    (repo.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    repo.stage("newer.py", "")
    assert not repo.fast_path("--all-files")  # nobody knows


def test_the_first_look_at_all_files_of_a_clone(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes what the fast path lacks, and takes that then; what both say is the same."""
    for place, content, code in (
        ("fine.py", b"x", 0), ("res/thing", TORCH, 1), ("fx_hooks.yaml", b"ignore: []\n", 2),
    ):  # fmt: skip
        repo.stage(place, content)
        repo.commit()
        clone = Repo(tmp_path / str(code))
        repo.git("clone", "-q", ".", str(clone.root))
        clone.forget_tables()
        with monkeypatch.context() as patch:
            if not code:
                patch.delattr("fx_hooks.cli.check_artifacts.IndexCheck")
            first = clone.check_once("--all-files")
        assert first.code == code
        assert clone.fast_path("--all-files") == (code == 0)
        assert clone.check_once("--all-files") == first
        again = Repo(tmp_path / f"again-{code}")
        repo.git("clone", "-q", ".", str(again.root))
        again.forget_tables()
        assert again.check_once("--all-files", "--verbose").code == code
        repo.git("rm", "-q", place)


def test_a_small_file_counts_by_its_name_at_each_place(repo: Repo) -> None:
    commit(repo, "no reason", "res/thing", content=SMALL)
    assert check(repo) == CLEAN
    commit(repo, "a reason", "res/epoch_0.model", content=SMALL)
    assert paths(repo) == {"res/epoch_0.model"}
    assert repo.check("--all-files").out.count("res/thing") == 0


@pytest.mark.parametrize(
    "suffix", ["pkl", "pickle", "joblib", "cache", "sav", "bin", "ubj", "prof"]
)
def test_a_pickle_counts_at_any_size(repo: Repo, suffix: str) -> None:
    commit(repo, "small", f"res/logreg.{suffix}", content=SMALL)
    assert not fast_path(repo)
    assert paths(repo) == {f"res/logreg.{suffix}"}
    assert repo.check("--all-files").code == 1


def test_what_a_partial_clone_lacks_is_no_error(repo: Repo) -> None:
    repo.git("config", "remote.origin.promisor", "true")
    commit(repo, "bad", "res/best", content=TORCH)
    blob = repo.git("rev-parse", ":res/best").strip()
    (repo.git_directory / "objects" / blob[:2] / blob[2:]).unlink()
    assert not fast_path(repo)
    for result in (check(repo), repo.check("--all-files")):
        assert result.code == 0
        assert "this partial clone lacks content of 1 file, so names alone decide" in result.out
    # And nothing is remembered of it.
    assert looked_into.read(str(repo.git_directory)) == (frozenset(), {}, ())
    assert not fast_path(repo)
    assert not repo.fast_path("--all-files")


def trees(repo: Repo) -> int:
    return len(looked_into.read(str(repo.git_directory))[2])


def test_a_tree_is_remembered_if_nothing_in_it_is_refused(repo: Repo) -> None:
    commit(repo, "fine", "data/a.zip", content=ZIP)
    assert repo.check("--all-files") == CLEAN
    assert trees(repo) == 2  # by its content, and at all
    commit(repo, "bad", "res/best", content=TORCH)
    assert repo.check("--all-files").code == 1
    assert trees(repo) == 2
    repo.stage(".fx-hooks.yaml", "keep: [/res/]\n")
    commit(repo, "kept")
    assert repo.check("--all-files") == CLEAN
    assert trees(repo) == 4
    commit(repo, "log", "a.log", content=b"1")
    assert repo.check("--all-files").code == 1
    assert trees(repo) == 5  # by its content alone
    assert not repo.fast_path("--all-files")


def test_nothing_of_a_clean_tree_is_asked_again(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repo, "fine", "src/a.py", content=b"1")
    assert repo.check("--all-files") == CLEAN
    monkeypatch.delattr(artifacts, "_clean")
    assert repo.fast_path("--all-files")
    # What git does not list can be wrong with it all the same.
    for name in (".fx-hooks.yml", "fx-hooks.toml", "setup.cfg"):
        repo.write(name, "ignore: ['*.py']\n")
        assert not repo.fast_path("--all-files")
        (repo.root / name).unlink()
    repo.stage("src/b.py", "2")
    with pytest.raises(NameError):
        repo.fast_path("--all-files")
    repo.git("rm", "-q", "--cached", "src/b.py")
    assert repo.fast_path("--all-files")
    repo.write(".fx-hooks.yaml", "ignore: ['*.py']\n")
    assert not repo.fast_path("--all-files")


def test_a_project_may_have_a_policy_that_git_does_not_list(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "projects: [one]\n")
    commit(repo, "fine", "one/src/a.py", content=b"1")
    assert repo.check("--all-files") == CLEAN
    assert trees(repo) == 0
    repo.write("one/.fx-hooks.yaml", "ignore: ['*.py']\n")
    assert repo.check("--all-files").code == 1


def test_names_outside_a_commit(repo: Repo) -> None:
    """`pre-commit run --all-files` names files while nothing is staged."""
    commit(repo, "bad", "res/best", content=TORCH)
    repo.check("train.py")
    for _ in range(2):
        assert not repo.fast_path("--", "res/best", "train.py")
        assert repo.check("--", "res/best", "train.py").code == 1
    # In a commit what it does not touch stays.
    repo.stage("train.py", "x = 2\n")
    assert repo.check("--", "train.py") == CLEAN


def pickled(module: str, protocol: int, around: bool) -> bytes:
    """Return a pickle whose first class is one of *module*."""
    made = type("Estimator", (), {"__module__": module, "__qualname__": "Estimator"})
    parents = [module.rsplit(".", count)[0] for count in range(module.count("."), -1, -1)]
    with pytest.MonkeyPatch.context() as patch:
        for name in (*parents, module):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules[module].Estimator = made  # type: ignore[attr-defined]
        value: object = made()
        vars(value)["data"] = bytes(1 << 14)
        return pickle.dumps({"classifier": value} if around else value, protocol)


@pytest.mark.parametrize("protocol", mostly_slow([4, 2, 5, 3], 2))
@pytest.mark.parametrize("around", [False, True], ids=["alone", "in-a-dict"])
@pytest.mark.parametrize(
    ("module", "refused"),
    [
        ("sklearn.ensemble._forest", True), ("xgboost.sklearn", True), ("lightgbm.basic", True),
        ("catboost.core", True), ("sklearn.preprocessing._data", False),
        ("sklearn.multioutput", True), ("sklearn.kernel_ridge", True), ("sklearn.pipeline", False),
        ("gensim.models.word2vec", True), ("stable_baselines3.common.buffers", True),
        ("stable_baselines3.common.vec_env.vec_normalize", True),
        ("gensim.corpora.dictionary", False),
        ("sklearn.utils._bunch", False), ("pandas.core.frame", False),
    ],
)  # fmt: skip
def test_pickled_estimators(
    repo: Repo, module: str, protocol: int, around: bool, refused: bool
) -> None:
    repo.stage("src/thing.joblib", pickled(module, protocol, around))
    assert repo.check().code == refused


PACKERS = {
    "zlib": zlib.compress, "fast": lambda content: zlib.compress(content, 1), "gzip": gzip.compress,
}  # fmt: skip


@pytest.mark.parametrize("how", PACKERS)
def test_a_packed_estimator(repo: Repo, how: str) -> None:
    """As joblib.dump(compress=3) writes it."""
    repo.stage("a.joblib", PACKERS[how](pickled("sklearn.ensemble._forest", 4, False)))
    repo.stage("b.pkl.gz", PACKERS[how](pickled("sklearn.preprocessing._data", 4, False)))
    repo.stage("c.gz", PACKERS[how](bytes(1 << 18)))
    repo.stage("d.pkl", PACKERS[how](bytes(1 << 18))[:9] + b"damaged" * 4000)
    report = json.loads(repo.check("--format", "json").out)
    assert [finding["path"] for finding in report["findings"]] == ["a.joblib"]


def test_an_estimator_behind_other_things(repo: Repo) -> None:
    """The last step of a pipeline, or next to a scaler; not where a text speaks of one."""
    repo.stage("a.pkl", pickle.dumps(["sklearn.ensemble", "sklearn.svm.SVC", "x\ncsklearn.svm"], 4))
    assert repo.check() == CLEAN
    behind = b"\x80\x04" + b"\x8c\x01a\x94" * 5000 + pickled("sklearn.svm", 4, False)[2:]
    repo.stage("b.pkl", behind)
    assert repo.check().code == 1


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, bytes(1 << 13))
    return file.getvalue()


def profiled(path: Path) -> bytes:
    with cProfile.Profile() as profile:
        # Not by reload: then an exception of the module would be another one for all later tests.
        spec = importlib.util.find_spec("json.decoder")
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        fractions.Fraction("1/3")
    profile.dump_stats(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(zipped("model_params.json", "network.pt"), "TabNet", id="tabnet"),
        pytest.param(zipped("params.json", "network.txt"), "", id="another-zip"),
        pytest.param(zipped("best/data.pkl", "best/data/0"), "PyTorch", id="torch-packed-anew"),
        pytest.param(zipped("a/version", "a/data.pkl"), "PyTorch", id="torch-in-another-order"),
        pytest.param(zipped("set/data.pkl", "set/labels.csv"), "", id="a-pickle-of-data"),
        pytest.param(zipped("data.pkl", "version"), "", id="at-the-root"),
        pytest.param(struct.pack("<ii", 793712314, 12), "fastText", id="fasttext"),
        pytest.param(struct.pack("<ii", 793712314, 12345), "", id="another-number"),
        pytest.param(b"\x1c\0\0\0TFL3", "TensorFlow Lite", id="tflite"),
        pytest.param(b"\x1c\0\0\0TFLX", "", id="another-buffer"),
        pytest.param(b"\n\x2a\n\6images\x12\x0bPlaceholder*", "TensorFlow", id="frozen-graph"),
        pytest.param(b"\n\xaa\x01\n\1w\x12\5Const*", "TensorFlow", id="a-weight-first"),
        pytest.param(b"\n\x2a\n\6images\x12\4Text*", "", id="another-message"),
        pytest.param(b"\n\x05\n\6images\x12\x0bPlaceholder*", "", id="a-message-too-short"),
        pytest.param(b"\n\n\n\n\n\n", "", id="empty-lines"),
        pytest.param(zipped("MAR-INF/MANIFEST.json", "a.py"), "TorchServe", id="torchserve"),
        pytest.param(b"mmap lm http://kheafield.com/code format version 5\n", "KenLM", id="kenlm"),
        pytest.param(struct.pack("<QQQ", 0x112, 0, 3), "MXNet", id="mxnet"),
        pytest.param(struct.pack("<QQQ", 0x112, 1, 3), "", id="another-list"),
        pytest.param(b"lmgg\x01\0\0\0", "GGML", id="ggml"),
        pytest.param(b'@\0\0\0{"description": "Ultralytics YOLO', "TensorRT", id="tensorrt"),
        pytest.param(b'@\0\0\0{"description": "A table"', "", id="another-head"),
    ],
)
def test_weights_by_content(repo: Repo, content: bytes, what: str) -> None:
    content = content.ljust(1 << 14, b"\1")
    repo.stage("res/thing", content)
    assert repo.check().code == bool(what)
    assert weights_format(content, len(content)) == what


@pytest.mark.slow
def test_profiles_by_content(repo: Repo, tmp_path: Path) -> None:
    """The first entry of a profile is that of any function: each has to be known."""
    parts = marshal.loads(profiled(tmp_path / "stats"))
    for key, value in parts.items():
        repo.stage("res/thing", marshal.dumps({key: value}) + bytes(1 << 14))
        assert repo.check().code == 1, key
    repo.stage("res/thing", marshal.dumps({("a", 1): [*range(5000)]}))
    assert repo.check() == CLEAN


def test_explain_looks_at_the_disk_for_what_is_not_tracked(repo: Repo) -> None:
    repo.write("res/best", TORCH)
    repo.write("res/other", b"PK\x03\x04" + bytes(1 << 15))
    repo.link("res/last", "best")  # with a name that gives a reason to look
    repo.write("res/thing", SMALL)
    names = ("other", "last", "thing", "nothing")
    result = run(repo.root, "res/best", *(f"res/{name}" for name in names))
    first, *others = result.out.splitlines()
    assert first.startswith("res/best: blocked by weights")
    assert "weights of PyTorch" in first
    assert others == [f"res/{name}: allowed: no rule matches it" for name in names]


def test_a_file_that_cannot_be_read_is_not_decided(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("res/best", TORCH)

    def lstat(path: object, **_: object) -> None:
        raise OSError(path)

    with monkeypatch.context() as patch:
        patch.setattr("fx_hooks.artifacts.unnamed.os.lstat", lstat)
        assert refused_files(os.fsencode(repo.root), [b"res/best"]) == {}
    assert set(refused_files(os.fsencode(repo.root), [b"res/best"])) == {b"res/best"}


def test_not_more_is_remembered_than_fits(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked_into, "_MOST", 0)
    looked_into.remember(str(repo.git_directory), (frozenset({b"x" * 20}), {}, ()))
    assert not repo.looks.exists()


def test_the_common_directory_that_git_is_given(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_COMMON_DIR", str(repo.git_directory))
    assert looked_into.common_directory("elsewhere") == str(repo.git_directory)
