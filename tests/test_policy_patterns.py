"""Patterns: what is refused, and that the tables agree with pathspec and with git."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.policy.compiler import compile_tables
from fx_hooks.policy.loader import load_policy
from fx_hooks.policy.patterns import problem, regex_source

QUIET = settings(
    database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

EMPTY = "is empty"
BLANK = "ends in a blank, which git drops: write '[ ]' for a blank at the end"
SLASHES = "has '//', which matches nothing: write one '/'"
STARS = "has '***': write '*' within one path part, '**' for any number of parts"
UNCLOSED = r"has a '[' that no ']' in the same path part closes: write '\[' for a literal one"
BACKSLASH = r"has a backslash before '/' or at its end: write '\\' for a literal one"
NEGATION = (
    "begins with '!': say what is allowed under 'keep' or in a rule's 'except'"
    r" (a literal '!' is written '\!')"
)


def beneath(instead: str) -> str:
    return (
        "ends in '/**/', which is read in more than one way: write"
        f" '{instead}' for everything beneath"
    )


def dots(part: str) -> str:
    return f"has '{part}' as a path part, which git never matches: write it from the root"


def negated(shown: str) -> str:
    return (
        f"has the negated set '{shown}', which could match '/': write '*' or '?' and"
        " name what it must not match under 'keep' or 'except'"
    )


def posix_class(shown: str) -> str:
    return f"has a POSIX class in '{shown}': write the characters, such as [a-z] or [0-9]"


def backwards(shown: str) -> str:
    return f"has a range that runs backwards in '{shown}': write the smaller end first"


def slash_range(shown: str) -> str:
    return f"has a range in '{shown}' that holds '/': write two ranges around it"


def set_backslash(shown: str) -> str:
    return f"has a backslash in the set '{shown}': write the characters without it"


REFUSED = {
    "empty": ("", EMPTY),
    "only-blanks": (" \t ", EMPTY),
    "only-newline": ("\n", EMPTY),
    "nul": ("a\0b", "has a NUL character, which no path can have"),
    "newline": ("a\nb", "has a line break: write one pattern an entry"),
    "newline-at-the-end": ("a\n", "has a line break: write one pattern an entry"),
    "negation": ("!a", NEGATION),
    "only-negation": ("!", NEGATION),
    "comment": ("#a", r"begins with '#', which git reads as a comment: write '\#'"),
    "slash-alone": ("/", "is only '/': write '*' for everything"),
    "blank": ("a ", BLANK),
    "tab": ("a\t", BLANK),
    "carriage-return": ("a\r", BLANK),
    "no-break-space": ("a\u00a0", BLANK),
    "escaped-blank": ("a\\ ", BLANK),
    "slashes": ("a//b", SLASHES),
    "slashes-first": ("//", SLASHES),
    "slashes-last": ("a//", SLASHES),
    "three-stars": ("***", STARS),
    "three-stars-in-a-part": ("a/b***", STARS),
    "beneath": ("a/**/", beneath("a/**")),
    "beneath-deeper": ("/a/b*/**/", beneath("/a/b*/**")),
    "dot": ("./a", dots(".")),
    "dot-alone": (".", dots(".")),
    "dot-inside": ("a/./b", dots(".")),
    "dot-dot": ("../a", dots("..")),
    "dot-dot-last": ("a/..", dots("..")),
    "dot-dot-inside-a-set": ("a[/../]", dots("..")),
    "backslash-last": ("a\\", BACKSLASH),
    "backslash-before-slash": ("a\\/b", BACKSLASH),
    "backslash-odd": ("a\\\\\\", BACKSLASH),
    "unclosed": ("a[b", UNCLOSED),
    "unclosed-bare": ("a[", UNCLOSED),
    "unclosed-first-bracket": ("[]", UNCLOSED),
    "unclosed-by-slash": ("[a/b]", UNCLOSED),
    "unclosed-negated": ("[!]", UNCLOSED),
    "negated": ("[!a]", negated("[!a]")),
    "negated-caret": ("b[^a]*", negated("[^a]")),
    "negated-bracket": ("[!]]", negated("[!]]")),
    "negated-in-a-later-part": ("a/b/[^0-9]", negated("[^0-9]")),
    "posix-class": ("[[:alpha:]]", posix_class("[[:alpha:]")),
    "posix-collation": ("[[.a.]]", posix_class("[[.a.]")),
    "posix-equivalence": ("[[=a=]]", posix_class("[[=a=]")),
    "set-backslash": ("[a\\]", set_backslash("[a\\]")),
    "set-escaped-bracket": ("[\\]]", set_backslash("[\\]")),
    "backwards": ("[z-a]", backwards("[z-a]")),
    "backwards-second": ("[a-cz-x]", backwards("[a-cz-x]")),
    "backwards-in-bytes": ("[é-a]", backwards("[é-a]")),
    "range-with-slash": ("[+-9]", slash_range("[+-9]")),
    "range-from-control": ("[\x01-~]", slash_range("[\x01-~]")),
}

ACCEPTED = (
    "*", "**", "**/", "*/", "/*", "/**", "/**/a", "a/**", "a/**/b", "**/a/**", "**/**/a",
    " a", "a b", "[ ]", "a[ ]", r"\!a", r"\#a", "a!", "a#", r"\[", r"\*", r"a\\", r"\ a",
    "]", "a]", "[]]", "[]a]", "[[]", "[[a]", "[a-]", "[-a]", "[--.]", "[0-9]", "[.-]", "[a^!]",
    "...", "..a", ".a", "a..", "é", "à", "[à]", "{a,b}", "~", "$HOME", "-a", "--", "a:b",
    "/outputs", "outputs/", "*.ckpt.data-[0-9]*-of-[0-9]*", "\udcff", "[\udcff]", "a\rb",
)  # fmt: skip


@pytest.mark.parametrize(("pattern", "message"), REFUSED.values(), ids=list(REFUSED))
def test_refused(pattern: str, message: str) -> None:
    assert problem(pattern) == message


@pytest.mark.parametrize("pattern", ACCEPTED, ids=ascii)
def test_accepted(pattern: str) -> None:
    assert problem(pattern) is None
    compile_tables([(pattern, True)])


def test_a_surrogate_that_stands_for_no_byte() -> None:
    for pattern in ("\ud800", "[\ud800]", "a/\ud800*"):
        assert problem(pattern) is not None


@pytest.mark.parametrize(
    ("patterns", "path", "number"),
    [
        pytest.param(("*.pt",), b"a.pt", 0, id="suffix"),
        pytest.param(("*.pt",), b"a.pt\n", -1, id="newline-behind-the-suffix"),
        pytest.param(("*.pt",), b"a\n.pt", 0, id="newline-before-the-suffix"),
        pytest.param(("a*b",), b"a\nb", 0, id="newline-under-a-star"),
        pytest.param(("a?b",), b"a\nb", 0, id="newline-under-a-question-mark"),
        pytest.param(("a",), b"a\n", -1, id="newline-behind-a-name"),
        pytest.param(("a",), b"a\n/b", -1, id="newline-behind-a-folder"),
        pytest.param(("**/[ab]?/c",), b"x\n/a\n/c", 0, id="newlines-above-an-expression"),
        pytest.param(("[ab]",), b"a\n", -1, id="newline-behind-a-set"),
        pytest.param(("[0-9]",), b"7\n", -1, id="newline-behind-a-digit"),
        pytest.param(("?",), "ü".encode(), -1, id="question-mark-is-one-byte"),
        pytest.param(("??",), "ü".encode(), 0, id="two-question-marks-two-bytes"),
        pytest.param(("à",), "à".encode(), 0, id="last-byte-like-a-blank"),
        pytest.param(("*[ab]à",), "xaà".encode(), 0, id="expression-with-last-byte-like-a-blank"),
        pytest.param(("*p[m-z]*q*",), b"xpqx", -1, id="no-byte-counts-twice"),
        pytest.param(("*p[m-z]*q*",), b"xpqqx", 0, id="one-run-right-behind-another"),
        pytest.param(("\udcff*",), b"\xff1", 0, id="not-utf-8"),
        pytest.param(("A",), b"a", -1, id="case"),
        pytest.param(("*", "a", "*"), b"a", 2, id="the-last-one-decides"),
        pytest.param(("outputs", "outputs/a"), b"outputs/a/b", 1, id="below-a-later-folder"),
        pytest.param(("outputs/a", "outputs"), b"outputs/a/b", 1, id="below-an-earlier-folder"),
        pytest.param(("a/",), b"a", -1, id="slash-means-a-folder"),
        pytest.param(("a/",), b"a/b", 0, id="slash-means-what-is-below"),
        pytest.param(("a/**",), b"a", -1, id="beneath-is-not-itself"),
        pytest.param(("a/**/b",), b"a/b", 0, id="no-part-between"),
        pytest.param(("/a",), b"b/a", -1, id="anchored"),
        pytest.param(("a/b",), b"c/a/b", -1, id="anchored-by-an-inner-slash"),
    ],
)  # fmt: skip
def test_decides(patterns: Sequence[str], path: bytes, number: int) -> None:
    matcher = Matcher(compile_tables([(pattern, True) for pattern in patterns]))
    assert matcher.decide([path]) == [number]


# The reference: pathspec's expressions, one after the other, the last match decides.

# pathspec strips these bytes, which end UTF-8 characters, as blanks of latin-1. A byte
# that no drawn path has stands in for each of them.
STAND_INS = bytes.maketrans(b"\xa0\x85", b"\x01\x02")


@functools.cache
def expression(pattern: str) -> re.Pattern[bytes]:
    source, include = GitIgnoreSpecPattern.pattern_to_regex(
        os.fsencode(pattern).translate(STAND_INS)
    )
    assert source is not None, pattern
    assert include is True, pattern
    if source.endswith(b"$)"):
        source = source[:-2] + rb"\Z)"
    assert b"$" not in source.replace(rb"\$", b""), source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(source, re.DOTALL)


def verdict(patterns: Sequence[str], path: bytes) -> int:
    path = path.translate(STAND_INS)
    for number in reversed(range(len(patterns))):
        if expression(patterns[number]).search(path):
            return number
    return -1


PARTS = (
    "a", "b", "ab", "a.b", ".b", "a b", "é", "à", "\udcff",  # names
    "*.b", "*b", "*.a.b", "*à",  # suffixes
    "a*", ".*", "é*", "a.*",  # prefixes
    "*a*", "*.*", "*.b.*", "a*b", "*a*b*",  # in between
    "?", "a?", "?b", "??", "*?",  # single bytes
    "[ab]", "[-_.]", "*[-_.]b", "a[-_.]*", "[ab][-_.]b", "[]a]", "[à]",  # sets that expand
    "[0-9]", "b[0-9]", "a[0-9]*", "*[0-9]", "[a-b0-9]*b", "[-.0-9]", "*[0-9]*[ab]",  # ranges
    r"\a", r"\*", r"\[a]", r"a\?", r"\\", r"\!a", r"\#", "a!", "[*]", "[?]",  # escapes
    "*", "**", "$", "a$", "(a|b)", "a+", "^a", "{a,b}",
)  # fmt: skip

NAMES = (
    b"a", b"b", b"ab", b"a.b", b".b", b"a b", "é".encode(), "à".encode(), b"\xff", b"\xc3",
    b"aab", b"bab.a", b".b1", b"a1", b"a1b", b"b7", b"1", b"b.a.b", b"a-b", b"a_b", b"-", b".",
    b"*", b"?", b"\\", b"[a]", b"!a", b"#", b"]", b"a?", b"a!", b"A", b"$", b"a$", b"(a|b)",
    b"a\n", b"\n", b"b\na", b".b\n", b"a.b\n", b"1\n", b"aaa", b"+", b"^a", b"{a,b}",
    "aà".encode(), "é1".encode(), b"a\xff", b"c",
)  # fmt: skip

# One kind of pattern for each kind of table, so that none is left to chance.
SHAPES = (
    "{0}", "{0}/", "/{0}", "/{0}/", "**/{0}", "**/{0}/", "{0}/**", "**/{0}/**", "/{0}/**",
    "{0}/{1}", "/{0}/{1}", "{0}/{1}/", "**/{0}/{1}", "**/{0}/{1}/", "**/{0}/{1}/**",
    "{0}/**/{1}", "/{0}/**/{1}/", "{0}/**/{1}/{2}", "{0}/{1}/**/{2}", "**/{0}/**/{1}",
    "{0}/{1}/{2}", "**/{0}/{1}/{2}", "{0}/*", "{0}/*/{1}", "**/**/{0}", "{0}/**/**/{1}",
    "**/*/{0}", "*/{0}", "{0}/**/*", "{0}/*/**",
)  # fmt: skip


def valid_patterns() -> st.SearchStrategy[str]:
    part = st.sampled_from(PARTS)
    shaped = st.builds(str.format, st.sampled_from(SHAPES), part, part, part)
    free = st.lists(part, min_size=1, max_size=4).map("/".join)
    return st.one_of(shaped, shaped, free).filter(lambda pattern: problem(pattern) is None)


def runs_of(names: Sequence[bytes]) -> list[bytes]:
    """All paths that are made of *names* that follow each other."""
    return [
        b"/".join(names[start:end])
        for start in range(len(names))
        for end in range(start + 1, len(names) + 1)
    ]


def paths_below(names: Sequence[bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.sampled_from(names), min_size=4, max_size=7).map(runs_of)


def disagreements(patterns: Sequence[str], paths: Sequence[bytes]) -> Iterator[object]:
    matcher = Matcher(compile_tables([(pattern, True) for pattern in patterns]))
    for path, number in zip(paths, matcher.decide(paths), strict=True):
        expected = verdict(patterns, path)
        if number != expected:
            yield patterns, path, number, expected


@pytest.mark.parametrize("pattern", ["**/r/*/b*/", "r/*/b*/", "**/r/c*/b*", "**/r/**/b*/"])
def test_what_one_list_of_paths_lacks_the_next_may_have(pattern: str) -> None:
    matcher = Matcher(compile_tables([(pattern, True)]))
    first = [b"q/c%d/b1/f" % number for number in range(20)]
    assert set(matcher.decide(first)) == {-1}
    then = [b"r/c%d/b1/f" % number for number in range(20)]
    assert set(matcher.decide(then)) == {0}
    assert matcher.decide([b"r/c/b1/f"]) == [0]


@pytest.mark.slow
def test_agrees_with_pathspec() -> None:
    count: Counter[str] = Counter()
    policies = st.lists(st.tuples(valid_patterns(), st.booleans()), min_size=1, max_size=6)

    @settings(QUIET, max_examples=1500)
    @given(policies, paths_below(NAMES))
    def agrees(policy: list[tuple[str, bool]], paths: list[bytes]) -> None:
        patterns = [pattern for pattern, _ in policy]
        assert not list(disagreements(patterns, paths))
        tables = compile_tables(policy)
        matcher = Matcher(tables)
        expected = [verdict(patterns, path) for path in paths]
        assert [matcher.blocks(number) for number in matcher.decide(paths)] == [
            number >= 0 and policy[number][1] for number in expected
        ]
        # Directories met before change nothing, and neither does the order of paths.
        assert matcher.decide(paths[::-1]) == expected[::-1]
        # What is in none of some paths is not looked for, and may be in the next.
        apart = Matcher(tables)
        half = len(paths) // 2
        assert apart.decide(paths[:half]) + apart.decide(paths[half:]) == expected
        count["cases"] += len(paths)
        count["matches"] += sum(number >= 0 for number in expected)
        count.update(f"table {place}" for place, table in enumerate(tables[1:]) if table)

    agrees()
    assert count["cases"] >= 20_000
    assert count["matches"] >= 5_000
    assert all(count[f"table {place}"] >= 20 for place in range(10)), count


# Paths as they are in repositories, and parts to change them with.
REAL_PATHS = (
    b".gitignore", b".github/workflows/test.yml", b".hydra/config.yaml", b"README.md",
    b"best_models/best.pt", b"best_models/v1/best_meta.json", b"best_models/milestones.yaml",
    b"best_models/README.md", b"catboost_info/learn/events.out.tfevents", b"checkpoints/last.ckpt",
    b"config/logger/wandb.yaml", b"configs/wandb/default.yaml", b"configs/hydra/multirun.yaml",
    b"configs/wandb/sweep-qip51dyv/config-01qr6ffw.yaml", b"data/model.safetensors",
    b"distutils-precedence.pth", b"docs/_static/logo.png",
    b"examples/model/checkpoint-500/config.json",
    b"lightning_logs/version_0/checkpoints/epoch=3-step=40.ckpt", b"logs/.gitkeep", b"nohup.out",
    b"logs/train/runs/2024-02-24_18-05-50/train.log", b"logs/README.md",
    b"libs/core/outputs/result.py", b"mlruns/0/meta.yaml",
    b"multirun/2024-01-31/23-59-59/0/.hydra/overrides.yaml", b"slurm-123.out",
    b"notebooks/.ipynb_checkpoints/a-checkpoint.ipynb", b"outputs/.gitkeep",
    b"outputs/metrics.json", b"outputs/2024-01-31/23-59-59/.hydra/config.yaml",
    b"outputs/2024-01-31/23-59-59/train.log", b"plugins/outputs/execd/execd.go",
    b"runs/detect/train/weights/best.pt", b"runs/Jan01/args.yaml",
    b"saved/variables/variables.data-00000-of-00001", b"src/pkg/__pycache__/a.cpython-311.pyc",
    b"src/pkg/logs/models.py", b"templates/main_template.pt", b"tests/assets/expected_flow.pt",
    b"tests/data/4.0.0.dev.log", b"tb_logs/x/version_0/hparams.yaml", b"wandb/latest-run",
    b"train/events.out.tfevents.1700000000.host.1.0", b"wandb/debug-internal.log",
    b"weights/model.pth.tar", b"wandb/offline-run-20240131_235959-abc123/files/config.yaml",
    b"wandb/wandb-resume.json", b"wandb/run-20240131_235959-abc123/run-abc123.wandb",
    b"wandb/settings", b"x.weights.h5",
)  # fmt: skip
REAL_PARTS = (
    *sorted({part for path in REAL_PATHS for part in path.split(b"/")}),
    b"test", b"tests", b"my-tests", b"test_data", b"fixtures", b"a\n", b"model.pt\n", b"\xff.pt",
    "modèle.pt".encode(), b"*.pt", b"best.pt ", b"WANDB", b"best.PT", b"[0-9]", b"2024-01-31",
)  # fmt: skip


@st.composite
def changed_paths(draw: st.DrawFn) -> list[bytes]:
    parts = draw(st.sampled_from(REAL_PATHS)).split(b"/")
    place = draw(st.integers(0, len(parts)))
    other = draw(st.sampled_from(REAL_PARTS))
    digit = draw(st.sampled_from(b"0 9 aZ.-_\n".split(b" ")))
    return [
        b"/".join(parts),
        b"/".join([*parts[:place], other, *parts[place:]]),
        b"/".join([*parts[:place], other, *parts[place + 1 :]]),
        b"/".join(parts[:place] + parts[place + 1 :]) or other,
        re.sub(rb"\d", digit, b"/".join(parts), count=draw(st.integers(1, 20))),
        b"/".join([*parts, other]),
        b"/".join(parts) + other,
        other + b"/".join(parts),
        b"/".join(reversed(parts)),
    ]


def many_paths(least: int, most: int) -> st.SearchStrategy[list[bytes]]:
    lists = st.lists(changed_paths(), min_size=least, max_size=most)
    return lists.map(lambda found: [path for paths in found for path in paths])


def test_agrees_with_pathspec_on_the_built_in_policy() -> None:
    policy = load_policy()
    everything = [entry.pattern for entry in policy.entries]
    count: Counter[str] = Counter()

    @settings(QUIET, max_examples=80)
    @given(many_paths(6, 12))
    def agrees_as_a_whole(paths: list[bytes]) -> None:
        assert not list(disagreements(everything, paths))
        count["whole"] += len(paths)

    some = st.lists(st.sampled_from(everything), min_size=1, max_size=12, unique=True)

    @settings(QUIET, max_examples=150)
    @given(some, many_paths(4, 8))
    def agrees_in_parts(patterns: list[str], paths: list[bytes]) -> None:
        assert not list(disagreements(patterns, paths))
        count["parts"] += len(paths)

    agrees_as_a_whole()
    agrees_in_parts()
    assert count["whole"] >= 3_000
    assert count["parts"] >= 4_000


# git itself.


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for arguments in (("init", "-q"), ("config", "core.ignorecase", "false")):
        subprocess.run(("git", *arguments), cwd=tmp_path, check=True)
    return tmp_path


def ignored_by_git(repository: Path, pattern: str, paths: Sequence[bytes]) -> list[bool]:
    (repository / ".gitignore").write_bytes(os.fsencode(pattern) + b"\n")
    result = subprocess.run(
        ("git", "check-ignore", "--no-index", "-z", "--stdin", "-v", "-n"),
        cwd=repository,
        input=b"".join(path + b"\0" for path in paths),
        stdout=subprocess.PIPE,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
    )
    assert result.returncode in (0, 1)
    fields = result.stdout.split(b"\0")[:-1]
    assert fields[3::4] == list(paths)
    return [source != b"" for source in fields[0::4]]


# git reads a part '.' as the folder itself, a leading ':' as pathspec magic.
GIT_NAMES = tuple(name for name in NAMES if name != b".")


def test_agrees_with_git(repository: Path) -> None:
    count: Counter[str] = Counter()

    @settings(QUIET, max_examples=300)
    @given(valid_patterns(), paths_below(GIT_NAMES))
    def agrees(pattern: str, paths: list[bytes]) -> None:
        matcher = Matcher(compile_tables([(pattern, True)]))
        ours = [number == 0 for number in matcher.decide(paths)]
        theirs = ignored_by_git(repository, pattern, paths)
        assert not [
            (pattern, path, git)
            for path, mine, git in zip(paths, ours, theirs, strict=True)
            if mine != git
        ]
        count["cases"] += len(paths)
        count["matches"] += sum(theirs)

    agrees()
    assert count["cases"] >= 3_000
    assert count["matches"] >= 300


def test_agrees_with_git_on_the_built_in_patterns(repository: Path) -> None:
    patterns = sorted({entry.pattern for entry in load_policy().entries})
    paths = [path for path in REAL_PATHS if b"\n" not in path]
    paths += [b"tests/" + path for path in paths] + [b"a/wandb/" + path for path in paths]
    wrong = []
    for pattern in patterns:
        matcher = Matcher(compile_tables([(pattern, True)]))
        ours = [number == 0 for number in matcher.decide(paths)]
        theirs = ignored_by_git(repository, pattern, paths)
        wrong += [
            (pattern, path, git)
            for path, mine, git in zip(paths, ours, theirs, strict=True)
            if mine != git
        ]
    assert not wrong


def test_python_does_not_warn_of_odd_sets() -> None:
    for part in ODD_SETS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(regex_source(part), re.DOTALL)


ODD_SETS = ("[[a]", "[a-]", "[--.]", "[a^!]", "[[]", "[&&a]", "[a||b]", "[~~]", "[a-b-c]")


@pytest.mark.parametrize("part", [*PARTS, *ODD_SETS], ids=ascii)
def test_every_part_agrees_with_git(repository: Path, part: str) -> None:
    names = (*GIT_NAMES, b"&", b"|", b"~", b"[", b"^")
    paths = [*names, *(b"a/" + name for name in names), *(b"b/c/" + name for name in names)]
    paths += [b"a/" + name + b"/a" for name in names]
    for pattern in (part, f"{part}/", f"a/{part}", f"a/**/{part}", f"**/{part}/*"):
        if problem(pattern) is None:
            matcher = Matcher(compile_tables([(pattern, True)]))
            ours = [number == 0 for number in matcher.decide(paths)]
            assert ours == ignored_by_git(repository, pattern, paths)


@pytest.mark.parametrize(
    "pattern",
    [
        "a**",
        "**a",
        "a**b",
        "**.b",
        "a**/",
        "x/a**",
        "a**/*",
        "a**/b",
        "/a**/**",
        "x/a**/b",
        "a**/b/",
    ],
)
def test_stars_joined_to_other_characters(repository: Path, pattern: str) -> None:
    # Behind a literal beginning git takes such stars for '**/': a**/* matches the file ab.
    if problem(pattern) is None:
        paths = [b"a", b"ab", b"b", b"a.b", b"a/b", b"ab/b", b"ac/d/b", b"ac/d/b/e", b"ab/c/d"]
        paths += [b"x/" + path for path in paths]
        matcher = Matcher(compile_tables([(pattern, True)]))
        ours = {
            path for path, number in zip(paths, matcher.decide(paths), strict=True) if not number
        }
        theirs = ignored_by_git(repository, pattern, paths)
        assert ours == {path for path, hit in zip(paths, theirs, strict=True) if hit}
