"""Inputs that are made to cost, for every reader of foreign bytes: a function of their size.

Each puts its input into a repository and names the command that reads it. A shape is asked
for at two sizes below 4 MB, so that what grows faster than its input shows.

    python -m tests.input_costs                     # all of them, in half an hour
    python -m tests.input_costs 'patterns/*'
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract_support import LISTING, META, MODEL, entry, listing
from tests.hostile_files import as_zip, legacy, torch_zip
from tests.support import Repo
from tests.wandb_records import field, item, log

Words = tuple[str, ...]
Maker = Callable[[Repo, int], Words]
LARGEST = 3_900_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The price of one command: CPU seconds of it and what it starts, and the most MiB at once.

    *unit* is what a million additions cost there and then, in CPU seconds.
    """

    code: int
    seconds: float
    unit: float
    mebibytes: float
    text: str


# getrusage hands the largest size on from parent to child; so a small one starts the command.
_LAUNCHER = """
import json, os, resource, subprocess, sys, time

def unit():
    start = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number
    return time.process_time() - start

resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
before = unit()
code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
unit = (before + unit()) / 2
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print("\\n" + json.dumps([code, used.ru_utime + used.ru_stime, unit, used.ru_maxrss]))
"""


def run(repo: Repo, words: Words) -> Cost:
    """Start one command as users do."""
    if words[0].startswith("cli."):
        words = ("fx_hooks", words[0].removeprefix("cli.").replace("_", "-"), *words[1:])
    else:
        words = (f"fx_hooks.{words[0]}", *words[1:])
    command = (sys.executable, "-m", *words)
    result = subprocess.run(
        (sys.executable, "-c", _LAUNCHER, *command), cwd=repo.root, capture_output=True, check=True
    )
    text, _, used = result.stdout.rstrip().rpartition(b"\n")
    code, seconds, unit, size = json.loads(used)
    return Cost(
        code=code,
        seconds=seconds,
        unit=unit,
        mebibytes=size / (1 << (20 if sys.platform == "darwin" else 10)),
        text=text.decode("utf-8", "replace"),
    )


# Texts of a length


def part(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """A quarter of the size: what is read of such a file."""
    return lambda size: make(size // 4)


def repeated(text: str) -> Callable[[int], bytes]:
    """Return *text* again and again."""
    return lambda size: (text * (size // len(text) + 1)).encode()[:size]


def numbered(form: str) -> Callable[[int], bytes]:
    """Return *form* with the numbers from 0, one behind the other."""
    return lambda size: b"".join(
        (form % number).encode() for number in range(size // len(form % 100_000))
    )


def around(start: str, middle: Callable[[int], bytes], end: str) -> Callable[[int], bytes]:
    return lambda size: start.encode() + middle(size - len(start) - len(end)) + end.encode()


def nested(opening: str, closing: str, core: str = "") -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        count = size // len(opening + closing)
        return (opening * count + core + closing * count).encode()

    return made


TEXTS: dict[str, Callable[[int], bytes]] = {
    "letters": repeated("a"),
    "line-breaks": repeated("\n"),
    "returns": repeated("\r"),
    "blanks": repeated(" "),
    "tabs": repeated("\t"),
    "colons": repeated(": "),
    "dashes": repeated("- "),
    "questions": repeated("? "),
    "comments": repeated("# x\n"),
    "quotes": repeated("'"),
    "double-quotes": repeated('"\\'),
    "brackets": repeated("["),
    "braces": repeated("{a: "),
    "stars": repeated("*a\n"),
    "anchors": numbered("a%d: &a x\n"),
    "words": numbered("word%d another\n"),
}

JSONS: dict[str, Callable[[int], bytes]] = {
    "keys": around('{"a":0', numbered(',"k%d":0'), "}"),
    "deep-lists": nested("[", "]"),
    "deep-objects": nested('{"a":', "}", "0"),
    "flat-lists": around("[0", repeated(",[]"), "]"),
    "numbers": around("[0", repeated(",1"), "]"),
    "one-number": repeated("7"),
    "numbers-of-4000-digits": around("[0", repeated("," + "7" * 4_000), "]"),
    "exponents": around("[0", repeated(",1e308"), "]"),
    "escapes": around('{"a":"', lambda n: b"\\u0041" * (n // 6), '"}'),
    "surrogates": around('{"a":"', lambda n: b"\\ud83d" * (n // 6), '"}'),
    "backslashes": around('{"a":"', lambda n: b"\\\\" * (n // 2), '"}'),
    "one-string": around('{"a":"', repeated("a"), '"}'),
    "one-key": around('{"', repeated("a"), '":0}'),
    "slashes": around('{"a":"', repeated("/"), '"}'),
    "blanks": repeated(" "),
    "open-quotes": repeated('"'),
    "addresses": around('{"a":"', repeated("://a:b@c "), '"}'),
    "tokens": around('{"apikey":"', repeated("eyJ-."), '"}'),
    "mails": around('{"a":"', repeated("a@"), '"}'),
    "hex": around('{"a":"', repeated("0123456789abcdef"), '"}'),
    "strings": around('["a"', numbered(',"value %d"'), "]"),
    "secrets": around('{"a":0', numbered(',"api_key_%d":"abcdefghij"'), "}"),
    "escaped-keys": around('{"a":0', numbered(',"\\u001b%d":0'), "}"),
}


# Weights


def model(repo: Repo, content: bytes, path: str = MODEL, **more: str) -> Words:
    repo.stage(path, content)
    repo.stage(os.path.splitext(path)[0] + "_meta.json", META)
    repo.stage(LISTING, listing(entry(content, path, **more)))
    return ("check_best_models",)


def weights(make: Callable[[int], bytes], path: str = MODEL, **more: str) -> Maker:
    return lambda repo, size: model(repo, make(size), path, **more)


def operations(text: bytes, start: bytes = b"", end: bytes = b"") -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        return b"\x80\x02" + start + text * ((size - len(start)) // len(text)) + end + b"."

    return made


def imports(size: int) -> bytes:
    text = b"".join(b"cm%d\nn\n0" % number for number in range(size // 11))
    return b"\x80\x02" + text + b"}."


def memos(size: int) -> bytes:
    text = b"".join(b"r" + struct.pack("<I", number) for number in range((size - 4) // 5))
    return b"\x80\x02}" + text + b"."


def keys(form: bytes) -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        return (
            b"\x80\x02}("
            + b"".join(
                form % struct.pack("<I", number) + b"N" for number in range(size // (len(form) + 3))
            )
            + b"u."
        )

    return made


def persistent(size: int) -> bytes:
    out = bytearray(b"\x80\x02}(")
    number = 0
    while len(out) < size:
        name = b"%d" % number
        out += b"(X\x07\0\0\0storagectorch\nByteStorage\nX" + struct.pack("<I", len(name)) + name
        out += b"X\x03\0\0\0cpuK\x00tQN"
        number += 1
    return bytes(out) + b"u."


def doubled(size: int) -> bytes:
    """A tuple of itself twice, over and over, as a key."""
    return b"\x80\x02}N" + b"2\x86" * (size // 4) + b"2\x86Ns" * (size // 8) + b"."


def doubled_list(size: int) -> bytes:
    """A list that gets its own items twice."""
    return b"\x80\x02]q\0(" + b"NN" * 50 + b"e" + b"(h\0h\0h\0e" * (size // 8) + b"."


def stored(size: int) -> list[tuple[str, bytes]]:
    return [(f"m/data/{number}", b"") for number in range(size // 130)]


def many_storages(size: int) -> bytes:
    members = [("m/data.pkl", persistent(size // 2)), ("m/version", b"3\n")]
    return as_zip([*members, *stored(size // 2)])


def shaped(shape: str) -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        header = b"".join(
            b',"%d":{"dtype":"U8","shape":%s,"data_offsets":[0,0]}' % (number, shape.encode())
            for number in range(size // (52 + len(shape)))
        )
        header = b"{" + header[1:] + b"}"
        return struct.pack("<Q", len(header)) + header

    return made


def header_of(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        header = make(size)
        return struct.pack("<Q", len(header)) + header

    return made


def script(size: int, *, fill: bytes, one: bool, end: bytes = b"") -> bytes:
    """TorchScript whose source is *fill*, in one member or many; compressed as torch does."""
    members = [("m/data.pkl", b"\x80\x02}."), ("m/constants.pkl", b"\x80\x02).")]
    names = ["m/code/__torch__.py"] if one else [f"m/code/__torch__/a{n}.py" for n in range(500)]
    content = fill * (size // len(fill) // len(names)) + end
    members += [(name, content) for name in names] + [("m/version", b"3\n")]
    return as_zip(members, zipfile.ZIP_DEFLATED)


def exported(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        text = make(size)
        return as_zip(
            [("m/archive_format", b"pt2"), ("m/models/model.json", text), ("m/version", b"0")]
        )

    return made


def zips(depth: int) -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        inner = as_zip([(f"m/{n}", b"") for n in range(size // 110 // depth)])
        for _ in range(depth - 1):
            inner = as_zip([("m/data.pkl", b"\x80\x02}."), ("m/data/0", inner)])
        return inner

    return made


def bomb(size: int) -> bytes:
    """Zeros that pack to *size*, in a zip that is one torch file."""
    return as_zip([("m/data.pkl", bytes(1000 * size))], zipfile.ZIP_DEFLATED)


WEIGHTS: dict[str, Maker] = {
    "pickle-pops": weights(operations(b"N0", end=b"}")),
    "pickle-marks": weights(operations(b"(", end=b"}")),
    "pickle-stack": weights(operations(b"N")),
    "pickle-lists": weights(operations(b"]")),
    "pickle-dicts": weights(operations(b"}")),
    "pickle-tuples": weights(operations(b"\x85", b")")),
    "pickle-tuple-of-all": weights(operations(b"N", b"(", b"t")),
    "pickle-doubled": weights(doubled),
    "pickle-doubled-list": weights(doubled_list),
    "pickle-imports": weights(imports),
    "pickle-memos": weights(memos),
    "pickle-keys": weights(keys(b"J%b")),
    "pickle-tuple-keys": weights(keys(b"J%b\x85")),
    "pickle-text-keys": weights(keys(b"U\x04%b")),
    "pickle-long-lines": weights(operations(b"V" + b"a" * 60_000 + b"\n0", end=b"}")),
    "pickle-numbers": weights(operations(b"L" + b"7" * 4_000 + b"L\n0", end=b"}")),
    "pickle-one-number": weights(operations(b"7", b"L", b"L\n")),
    "pickle-escapes": weights(operations(b"V" + b"\\u0041" * 9_000 + b"\n0", end=b"}")),
    "pickle-strings": weights(operations(b"S'" + b"\\x41" * 9_000 + b"'\n0", end=b"}")),
    "pickle-floats": weights(operations(b"F1e5\n0", end=b"}")),
    "pickle-sets": weights(operations(b"cbuiltins\nset\n)R0", end=b"}")),
    "pickle-set-of-lists": weights(operations(b"2", b"cbuiltins\nset\n]", b"\x85R")),
    "pickle-ordered": weights(operations(b"ccollections\nOrderedDict\n)R0", end=b"}")),
    "pickle-counters": weights(operations(b"ccollections\nCounter\n}\x85R0", end=b"}")),
    "pickle-builds": weights(operations(b"}b", b"ccollections\nOrderedDict\n)R")),
    "pickle-calls": weights(operations(b"cx\ny\n)R0", end=b"}")),
    "pickle-copies": weights(
        operations(b"h\0\x85R", b"](" + b"N" * 1000 + b"eq\0cbuiltins\nset\nq\1h\0\x85R0h\1", b"")
    ),
    "pickle-many": weights(operations(b"\x80\x02N.")),
    "pickle-text": weights(operations(b"X\x04\0\0\0abcd0", end=b"}")),
    "pickle-extensions": weights(operations(b"\x82\x010", end=b"}")),
    "legacy-storages": weights(lambda size: legacy(persistent(size), pickle.dumps([], 2))),
    "legacy-keys": weights(
        lambda size: legacy(
            persistent(size // 2), pickle.dumps([str(n) for n in range(size // 100)], 2)
        )
    ),
    "torch-pickle": weights(lambda size: torch_zip(persistent(size))),
    "torch-storages": weights(many_storages),
    "torch-members": weights(lambda size: as_zip([("m/data.pkl", b"\x80\x02}."), *stored(size)])),
    "torch-bomb": weights(bomb),
    "zip-nested": weights(zips(3)),
    "zip-names": weights(
        lambda size: as_zip([("m/" + "a" * 30_000 + str(n), b"") for n in range(size // 61_000)])
    ),
    "zip-end-records": weights(lambda size: b"PK\x03\x04" + b"PK\x05\x06" * (size // 4)),
    "tensors": weights(shaped("[0]"), "best_models/m.safetensors"),
    "tensors-of-64-numbers": weights(
        shaped("[0" + ",4611686018427387904" * 63 + "]"), "best_models/m.safetensors"
    ),
    "tensors-overlap": weights(shaped("[1]"), "best_models/m.safetensors"),
    **{
        f"safetensors-{key}": weights(header_of(make), "best_models/m.safetensors")
        for key, make in JSONS.items()
    },
    "safetensors-metadata": weights(
        header_of(around('{"__metadata__":{"a":""', numbered(',"k%d":""'), "}}")),
        "best_models/m.safetensors",
    ),
    "script-source": weights(
        lambda n: script(n, fill=b"  def f(self) -> int:\n    return 1\n", one=True),
        format="torchscript",
    ),
    "script-sources": weights(
        lambda n: script(n, fill=b"  def f(self) -> int:\n    return 1\n", one=False),
        format="torchscript",
    ),
    "script-parentheses": weights(lambda n: script(n, fill=b"(", one=True), format="torchscript"),
    "script-dots": weights(lambda n: script(n, fill=b"aten.", one=True), format="torchscript"),
    "script-getattr": weights(
        lambda n: script(n, fill=b"getattr(", one=True, end=b'a, "b")'), format="torchscript"
    ),
    "script-blanks": weights(
        lambda n: script(4 * n, fill=b"ops" + b" " * 50, one=True), format="torchscript"
    ),
    "script-quotes": weights(
        lambda n: script(4 * n, fill=b'"\\"#', one=True), format="torchscript"
    ),
    "script-names": weights(
        lambda n: script(n, fill=b"#" * n, one=True, end=numbered("ops.a%d ")(n)),
        format="torchscript",
    ),
    "script-bomb": weights(
        lambda n: script(900 * n // 50, fill=b"\n", one=True), format="torchscript"
    ),
    **{
        f"pt2-{key}": weights(exported(make), "best_models/m.pt2", format="pt2")
        for key, make in JSONS.items()
    },
    "pt2-expressions": weights(
        exported(around('[{"expr_str":"1"}', numbered(',{"expr_str":"s%d+1"}'), "]")),
        "best_models/m.pt2",
        format="pt2",
    ),
    "pt2-long-expressions": weights(
        exported(
            around("[0", repeated(',{"expr_str":"' + "(" * 1000 + "1" + ")" * 1000 + '"}'), "]")
        ),
        "best_models/m.pt2",
        format="pt2",
    ),
    "pt2-unary": weights(
        exported(around("[0", repeated(',{"expr_str":"' + "-" * 3900 + '1"}'), "]")),
        "best_models/m.pt2",
        format="pt2",
    ),
    "pt2-powers": weights(
        exported(around("[0", repeated(',{"expr_str":"' + "9**9**" * 60 + '9"}'), "]")),
        "best_models/m.pt2",
        format="pt2",
    ),
    "pt2-targets": weights(
        exported(around('[{"target":"a"}', numbered(',{"target":"torch.ops.aten.add%d.x"}'), "]")),
        "best_models/m.pt2",
        format="pt2",
    ),
    "text-words": weights(repeated("c word\n")),
    "text-imports": weights(repeated("cword\nword\n")),
    "text-marks": weights(repeated("(")),
    "text-lines": weights(repeated("Sx\n")),
    "text-numbers": weights(around("", repeated("I1\n"), "")),
    "text-pointers": weights(repeated("version https://git-lfs.github.com/spec/v1\n")),
    "gzip": weights(lambda size: gzip.compress(bytes(1000 * size), 9)),
}


def texts_as_weights(make: Callable[[int], bytes]) -> Maker:
    def made(repo: Repo, size: int) -> Words:
        repo.stage("model.pt", make(size))
        return ("check_artifacts", "model.pt")

    return made


def small_texts(repo: Repo, size: int) -> Words:
    """Pointers, nearly, under weights' names: many small files."""
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 1%s\n"
    for number in range(size // 2000):
        extra = "".join(f"ext-{n}-x sha256:{'0' * 64}\n" for n in range(10))
        repo.write(f"m{number}.pt", text % ("0" * 64, "\n" + extra))
    repo.stage_all()
    return ("check_artifacts", "--all-files")


CONTENTS: dict[str, Maker] = {
    "pointers": small_texts,
    **{
        f"text-{key}": texts_as_weights(make)
        for key, make in {
            **TEXTS,
            "imports": repeated("cword\nword\n"),
            "marks": repeated("("),
            "protocol-0": repeated("(lp0\nI1\na."),
            "strings": repeated("S'a'\n"),
            "pointer": repeated("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            "digits": repeated("1"),
            "dots": repeated("."),
        }.items()
    },
}


# JSON and YAML


def metadata(make: Callable[[int], bytes]) -> Maker:
    def made(repo: Repo, size: int) -> Words:
        model(repo, b"x" * 10)
        # One file holds at most a million bytes.
        for number in range(4):
            repo.write(f"best_models/a{number}_meta.json", make(size // 4))
        repo.stage_all()
        return ("check_best_models",)

    return made


def policy(make: Callable[[int], bytes]) -> Maker:
    def made(repo: Repo, size: int) -> Words:
        repo.stage(".fx-hooks.yaml", make(size // 4))
        repo.stage("x.py", "")
        return ("check_artifacts", "x.py")

    return made


def milestones(make: Callable[[int], bytes]) -> Maker:
    def made(repo: Repo, size: int) -> Words:
        model(repo, b"x" * 10)
        repo.stage(LISTING, make(size // 4))
        return ("check_best_models",)

    return made


def runner(make: Callable[[int], bytes]) -> Maker:
    def made(repo: Repo, size: int) -> Words:
        repo.stage(".pre-commit-config.yaml", make(size))
        return ("cli.init",)

    return made


def configs(make: Callable[[int], bytes], name: str = "conf/a%d.yaml") -> Maker:
    def made(repo: Repo, size: int) -> Words:
        count = -(-size // 99_000)
        for number in range(count):
            repo.write(name % number, make(size // count))
        repo.stage_all()
        return ("cli.init", "--dry-run")

    return made


YAMLS: dict[str, Callable[[int], bytes]] = {
    **TEXTS,
    **{f"json-{key}": make for key, make in JSONS.items()},
    "keys": numbered("key%d: value\n"),
    "items": repeated("- a\n"),
    "flow": around("a: [b", repeated(", b"), "]\n"),
    "deep": lambda size: b"".join(b" " * n + b"a:\n" for n in range(int((2 * size) ** 0.5))),
    "deep-items": repeated("- "),
    "aliases": lambda size: b"a: &a [b,b,b,b,b,b,b,b,b,b]\nb: [*a" + b",*a" * (size // 3) + b"]\n",
    "laughs": lambda size: (
        b"a0: &a0 [x,x,x,x]\n"
        + b"".join(
            b"a%d: &a%d [*a%d,*a%d,*a%d,*a%d]\n" % ((n, n) + (n - 1,) * 4)
            for n in range(1, size // 40)
        )
    ),
    "merges": lambda size: (
        b"a0: &a0 {x: 1}\n"
        + b"".join(b"a%d: &a%d {<<: *a%d}\n" % (n, n, n - 1) for n in range(1, size // 24))
    ),
    "literal": around("a: |\n", repeated("  line\n"), ""),
    "folded": around("a: >\n", repeated("  line\n\n"), ""),
    "plain-lines": around("a: b\n", repeated("  line\n"), ""),
    "quoted-lines": around("a: 'b\n", repeated("\n"), "'\n"),
    "escapes": around('a: "', lambda n: b"\\x41" * (n // 4), '"\n'),
    "one-key": around("", repeated("k"), ": v\n"),
    "one-value": around("a: ", repeated("v"), "\n"),
    "one-quoted-key": around('"', repeated("k"), '": v\n'),
    "complex-keys": repeated("? a\n: b\n"),
    "tags": repeated("- !!str a\n"),
    "directives": repeated("%TAG ! tag:x,2000:\n"),
    "documents": repeated("---\na: b\n"),
    "interpolations": around("a: ", repeated("${a}"), "\n"),
    "open-interpolations": around("a: ", repeated("${"), "\n"),
    "dates": repeated("- 2001-01-01\n"),
    "sexagesimal": repeated("- 1:1:1:1:1:1:1:1:1\n"),
    "numbers": repeated("- 0x" + "f" * 900 + "\n"),
    "nulls": repeated("- ~\n"),
}

HYDRA = {
    "run-dirs": numbered("hydra.run.dir%d: ${a%d}\n".replace("${a%d}", "${a.b}")),
    "groups": around("hydra:\n  run:\n    dir: ${a.b}\n", numbered("k%d: ${hydra.run.dir}\n"), ""),
    "dollars": around("hydra:\n  run:\n    dir: ", repeated("${a}"), "\n"),
    "dollar-lines": numbered("hydra.run.dir%d: " + "${a.b}" * 600 + "\n"),
    "packages": repeated("# @package _global_\n"),
    "near-packages": repeated("#\t \t \t@packag"),
    "assignments": repeated("WANDB_DIR"),
    "overrides": repeated("hydra.run.dir='"),
    "override-blanks": repeated("WANDB_DIR \t"),
    "comments": repeated(" # "),
    "targets": numbered("l%d:\n  _target_: a.WandbLogger\n  save_dir: x\n"),
}

PYTHON = {
    "calls": repeated('wandb.init(dir="x")\n'),
    "parentheses": around("# wandb dir=\n", nested("(", ")", "1"), "\n"),
    "lists": around("# wandb dir=\n", nested("[", "]"), "\n"),
    "unary": around("# wandb dir=\n", repeated("-"), "1\n"),
    "strings": around("# wandb dir=\n", repeated("'a' "), "\n"),
    "f-strings": around("# wandb dir=\nx=f'", repeated("{a}"), "'\n"),
    "continuations": around("# wandb dir=\n", repeated("\\\n"), "1\n"),
    "attributes": around("# wandb dir=\nwandb", repeated(".a"), "\n"),
    "indents": around(
        "# wandb dir=\n",
        lambda n: b"".join(b" " * i + b"if 1:\n" for i in range(int((2 * n) ** 0.5))),
        "",
    ),
    "numbers": around("# wandb dir=\nx=", repeated("7"), "\n"),
    "underscores": around("# wandb dir=\nx=", repeated("1_"), "1\n"),
    "hex": around("# wandb dir=\nx=0x", repeated("f"), "\n"),
    "names": around("# wandb dir=\n", repeated("é"), "\n"),
    "joins": around("# wandb dir=\nx=1", repeated("+1"), "\n"),
    "compares": around("# wandb dir=\nx=1", repeated("<1"), "\n"),
    "dict": around("# wandb dir=\nx={", repeated("'WANDB_DIR':'a',"), "}\n"),
    "coding": around("# coding: utf-7\n# wandb\n", repeated("+AGE-"), ""),
    "lambda": around("# wandb dir=\nx=", repeated("lambda:"), "1\n"),
}


# Names and patterns


def patterns(form: Callable[[int], str], command: Words, *, rules: int = 1) -> Maker:
    """As many patterns as a policy may have at the larger size, half as many at the smaller."""

    def made(repo: Repo, size: int) -> Words:
        count = 4_900 * size // LARGEST
        text = "ignore:\n"
        for rule in range(rules):
            numbers = range(rule * count // rules, (rule + 1) * count // rules)
            text += (
                f"- rule: r{rule}\n  paths: [{', '.join(json.dumps(form(n)) for n in numbers)}]\n"
            )
        repo.stage(".fx-hooks.yaml", text)
        repo.stage("x.py", "")
        return command

    return made


PATTERNS: dict[str, Callable[[int], str]] = {
    "names": lambda n: f"name{n}",
    "anchored": lambda n: f"/a/b/name{n}",
    "suffixes": lambda n: f"*.x{n}",
    "prefixes": lambda n: f"x{n}*",
    "middle": lambda n: f"a{n}*b*c",
    "words": lambda n: f"*a{n}b*",
    "sets": lambda n: f"[a-z]{n}[0-9]",
    "many-sets": lambda n: f"[{n % 7}-9{chr(97 + n % 26)}]" * 25 + str(n),
    "stars": lambda n: f"a/**/b{n}/**/c",
    "folders": lambda n: f"d{n}/",
    "deep": lambda n: "/".join(f"d{n % 7}" for _ in range(10)) + f"/f{n}",
    "questions": lambda n: f"??{n}??",
    "long": lambda n: f"{'ab' * 60}{n}",
    "floating": lambda n: f"**/a{n}/b",
    "within": lambda n: f"/a{n}/**/x*y",
}


def keeps(form: Callable[[int], str], command: Words) -> Maker:
    def made(repo: Repo, size: int) -> Words:
        count = 4_900 * size // LARGEST
        text = "keep: [" + ", ".join(json.dumps(form(n)) for n in range(count)) + "]\n"
        repo.stage(".fx-hooks.yaml", text)
        repo.stage("x.py", "")
        return command

    return made


def index_of(name: Callable[[int], bytes], words: Words, version: int = 2) -> Maker:
    """An index with as many names as have that many bytes."""

    def made(repo: Repo, size: int) -> Words:
        blob = repo.git("hash-object", "-w", "--stdin", stdin=b"").strip().encode()
        lines, number, left = [], 0, size
        while left > 0:
            path = name(number)
            left -= len(path) + 62
            lines.append(b"100644 " + blob + b"\t" + path + b"\0")
            number += 1
        repo.git("update-index", "-z", "--index-info", stdin=b"".join(lines))
        if version != 2:
            repo.git("update-index", "--index-version", str(version))
        return words

    return made


NAMES: dict[str, Callable[[int], bytes]] = {
    "plain": lambda n: b"f%d" % n,
    "weights": lambda n: b"m%d.pt" % n,
    "deep": lambda n: b"/".join(b"d%d" % (n >> k & 1) for k in range(16)) + b"/f%d" % n,
    "deeper": lambda n: b"a/" * 1_900 + b"f%d" % n,
    "folders": lambda n: b"d%d/f" % n,
    "hydra": lambda n: b"d%d/.hydra/config.yaml" % n,
    "in-hydra": lambda n: b"outputs/d%d/.hydra/config.yaml" % n,
    "wandb": lambda n: b"wandb/run-20240101_000000-a%d/files/config.yaml" % n,
    "odd": lambda n: b"a\n\x1b[31m%d\xff.pt" % n,
    "best-models": lambda n: b"best_models/m%d.pt" % n,
    "best-models-metadata": lambda n: b"best_models/m%d_meta.json" % n,
    "long": lambda n: b"%d" % n + b"a" * 240 + b".ckpt",
    "stars": lambda n: b"a*" * 100 + b"%d.pt" % n,
    "policies": lambda n: b"d%d/.fx-hooks.yaml" % n,
    "ignores": lambda n: b"d%d/.gitignore" % n,
    "near-marks": lambda n: b"d%d/x.hydra/config.yaml" % n,
}


def ignore_file(make: Callable[[int], bytes], words: Words) -> Maker:
    def made(repo: Repo, size: int) -> Words:
        repo.stage(".gitignore", make(size))
        repo.stage("x.py", "")
        return words

    return made


IGNORES: dict[str, Callable[[int], bytes]] = {
    **TEXTS,
    "names": numbered("name%d\n"),
    "negations": numbered("!name%d\n"),
    "suffixes": numbered("*.x%d\n"),
    "stars": repeated("*a" * 100 + "\n"),
    "folders": numbered("d%d/\n"),
    "paths": numbered("/a/b/c%d/d\n"),
    "sets": repeated("[" * 100 + "\n"),
    "backslashes": repeated("\\" * 99 + "\n"),
    "begins": repeated("# >>> fx-hooks >>>\n"),
    "conflicts": repeated("<<<<<<< a\n=======\n>>>>>>> b\n"),
    "half-conflicts": repeated("<<<<<<< a\n"),
    "same": repeated("*.pt\n"),
    "same-negated": repeated("!*.pt\n"),
    "outputs": numbered("outputs/a%d\n"),
    "opened-outputs": numbered("!outputs/a%d\n"),
}


# Runs

ONLINE = "wandb/run-20240101_000000-abc"
OFFLINE = "wandb/offline-run-20240101_000000-abc"


def run_of(name: str, make: Callable[[int], bytes], words: Words, folder: str = ONLINE) -> Maker:
    """A W&B run of which the file *name* is made to cost."""

    def made(repo: Repo, size: int) -> Words:
        repo.write(f"{folder}/run-abc.wandb", log(field(17, field(1, "abc") + field(3, "p"))))
        repo.write(f"{folder}/files/config.yaml", "a: {value: 1}\n")
        repo.write(f"{folder}/files/wandb-summary.json", "{}")
        repo.write(f"{folder}/logs/debug-internal.log", "")
        repo.write(f"{folder}/files/m.pt", torch_zip(b"\x80\x02}."))
        repo.write(f"{folder}/{name}", make(size))
        age(repo)
        return words

    return made


def age(repo: Repo) -> None:
    """Make all files look as if nobody had written to them for long."""
    for place, folders, files in os.walk(repo.root):
        for each in (*folders, *files):
            os.utime(os.path.join(place, each), (1_700_000_000, 1_700_000_000))


def pieces(kind: Callable[[int], int], length: int) -> Callable[[int], bytes]:
    """A log of small pieces of records."""

    def made(size: int) -> bytes:
        out = bytearray(b":W&B\xe1\xbe\x00")
        number = 0
        while len(out) < size:
            left = (1 << 15) - len(out) % (1 << 15)
            if left < 7 + length:
                if left >= 7:
                    out += bytes(4) + (left - 7).to_bytes(2, "little") + b"\x03" + bytes(left - 7)
                else:
                    out += bytes(left)
                continue
            out += bytes(4) + length.to_bytes(2, "little") + bytes([kind(number)]) + bytes(length)
            number += 1
        return bytes(out)

    return made


def records(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        out, number, length = [], 0, 0
        while length < size:
            out.append(make(number))
            length += len(out[-1]) + 7
            number += 1
        return log(*out)

    return made


RECORDS: dict[str, Callable[[int], bytes]] = {
    "one-record": pieces(lambda n: 3 if n else 2, 0),
    "small-pieces": pieces(lambda n: 3 if n else 2, 1),
    "first-pieces": pieces(lambda _: 2, 0),
    "last-pieces": pieces(lambda _: 4, 0),
    "whole-pieces": pieces(lambda _: 1, 0),
    "history": records(lambda n: field(2, item("loss", n))),
    "many-keys": records(lambda n: field(2, item(f"k{n}", n))),
    "nested-keys": lambda size: log(
        field(2, field(1, b"".join([field(2, "k")] * (size // 3)) + field(16, "1")))
    ),
    "one-value": lambda size: log(field(2, item("k", "x" * size))),
    "deep-value": lambda size: log(field(2, field(1, field(1, "k") + field(16, "[" * size)))),
    "long-number": lambda size: log(field(2, field(1, field(1, "k") + field(16, "7" * size)))),
    "values": lambda size: log(field(2, field(1, field(1, "k") + field(16, "[]") * (size // 4)))),
    "varints": lambda size: log(field(2, b"\xff" * size)),
    "removals": records(lambda n: field(3, field(2, field(1, f"k{n}")))),
    "heads": records(lambda _: field(17, field(1, "abc") + field(3, "p"))),
    "config": lambda size: log(
        field(17, field(1, "abc") + field(4, b"".join(item(f"k{n}", n) for n in range(size // 20))))
    ),
    "exits": records(lambda _: field(18, b"\x08\x01")),
    "files": records(lambda n: field(15, field(1, field(1, f"file{n}")))),
}

LOGS: dict[str, Callable[[int], bytes]] = {
    **TEXTS,
    "errors": repeated('{"level":"ERROR","msg":"upload"}\n'),
    "near-errors": repeated('"level":"ERROR","msg":"api: HTTP error"'),
    "near-answers": repeated('"filestream: request sent"'),
    "near-messages": repeated('"level": "ERROR", "msg": "'),
    "complete": repeated('{"complete":true}\n'),
    "near-complete": repeated('"complete": '),
    "plain-errors": repeated("ERROR "),
    "dropped": repeated("ERROR dropped chunk 400\n"),
    "times": repeated(
        '{"time":"2024-01-01T00:00:00.123456789Z","msg":"filestream: request sent"}\n'
    ),
    "blanks-in-json": repeated('"level":' + " " * 1000),
    "finish": repeated("file stream finish called\n"),
}


def sync_log(make: Callable[[int], bytes], name: str) -> Maker:
    def made(repo: Repo, size: int) -> Words:
        words = run_of("x", lambda _: b"", ("cli.clean_runs", "."), OFFLINE)(repo, 0)
        repo.write(f"{OFFLINE}/run-abc.wandb.synced", "")
        repo.write(f"wandb/{name}", make(size))
        age(repo)
        return words

    return made


def run_cases() -> Iterator[tuple[str, Maker]]:
    plan = ("cli.clean_runs", ".")
    best = ("cli.clean_runs", ".", "--keep-best", "loss")
    from_run = ("cli.add_milestone", f"{ONLINE}/files/m.pt", "--why", "x", "--dry-run")
    for key, make in RECORDS.items():
        yield f"log-{key}", run_of("run-abc.wandb", make, plan)
        yield f"shown-log-{key}", run_of("run-abc.wandb", make, best, OFFLINE)
    for key, make in LOGS.items():
        yield f"internal-{key}", run_of("logs/debug-internal.log", make, plan)
        yield f"sync-{key}", sync_log(make, "logs/debug-sync.20240101.log")
        yield f"cli-{key}", sync_log(make, "debug-cli.user.log")
    for key, make in JSONS.items():
        yield (
            f"summary-{key}",
            run_of("files/wandb-summary.json", part(make), best),
        )
        yield (
            f"about-{key}",
            run_of("files/wandb-metadata.json", part(make), from_run),
        )
    for key, make in YAMLS.items():
        yield f"config-{key}", run_of("files/config.yaml", part(make), from_run)


# Archives


def archive(make: Callable[[int], bytes], words: Words, suffix: str = ".tar.gz") -> Maker:
    def made(repo: Repo, size: int) -> Words:
        repo.write(f"a{suffix}", make(size))
        return words

    return made


def forged(
    *,
    text: Callable[[int], bytes] | None = None,
    runs: Callable[[int], list[dict[str, Any]]] | None = None,
    suffix: str = ".tar.gz",
) -> Maker:
    """An archive of ours, whose manifest or runs are made to cost when unpacked."""
    from tests.test_run_restore import forge, members

    def made(repo: Repo, size: int) -> Words:
        place = repo.root / f"a{suffix}"
        if text is not None:
            forge(place, text=text(size))
        if runs is not None:
            made = runs(size)
            # One after the other: what grows by each piece is slow itself.
            contents = [
                b"".join(members({**run, "files": [entry]}) for entry in run["files"])
                for run in made
            ]
            forge(place, *made, contents=contents)
        return ("cli.archive_runs", "--restore", place.name)

    return made


def many_files(size: int) -> list[dict[str, Any]]:
    from tests.test_run_restore import a_run, file, folder

    return [a_run("outputs/a", folder(), *(file(f"f{n}") for n in range(size // 300)))]


def many_runs(size: int) -> list[dict[str, Any]]:
    from tests.test_run_restore import a_run, file, folder

    return [a_run(f"outputs/a{n}", folder(), file("f")) for n in range(size // 800)]


def deep_folders(size: int) -> list[dict[str, Any]]:
    from tests.test_run_restore import a_run, folder

    count = min(int(size**0.5), 400)
    return [a_run("outputs/a", folder(), *(folder("/".join(["d"] * n)) for n in range(1, count)))]


def zeros(size: int) -> bytes:
    """gzip of a thousand times as many zeros."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9, mtime=0) as file:
        block = bytes(1 << 20)
        while out.tell() < size:
            file.write(block)
    return out.getvalue()


def zstd_zeros(size: int) -> bytes:
    import zstandard

    frame = zstandard.ZstdCompressor(level=19).compress(bytes(64 << 20))
    return frame * (size // len(frame) // 40)


def tar_of(form: int, name: Callable[[int], str]) -> Callable[[int], bytes]:
    def made(size: int) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", format=form) as tar:
            for number in range(size // 60):
                tar.addfile(tarfile.TarInfo(name(number)))
        return out.getvalue()[:LARGEST]

    return made


ARCHIVES: dict[str, Maker] = {
    "zeros": archive(zeros, ("cli.archive_runs", "--restore", "a.tar.gz")),
    "zeros-listed": archive(zeros, ("cli.archive_runs", "--list", "a.tar.gz")),
    "noise": archive(
        lambda n: random.Random(0).randbytes(n), ("cli.archive_runs", "--restore", "a.tar.gz")
    ),
    "members": archive(
        lambda n: gzip.compress(b"", mtime=0) * (n // 20),
        ("cli.archive_runs", "--restore", "a.tar.gz"),
    ),
    "tar": archive(
        tar_of(tarfile.PAX_FORMAT, lambda n: f"f{n}"), ("cli.archive_runs", "--restore", "a.tar.gz")
    ),
    "zst-zeros": archive(zstd_zeros, ("cli.archive_runs", "--restore", "a.tar.zst"), ".tar.zst"),
    "zst-noise": archive(
        lambda n: random.Random(0).randbytes(n),
        ("cli.archive_runs", "--restore", "a.tar.zst"),
        ".tar.zst",
    ),
    "files": forged(runs=many_files),
    "runs": forged(runs=many_runs),
    "deep": forged(runs=deep_folders),
    **{f"manifest-{key}": forged(text=make) for key, make in JSONS.items()},
}


def cases() -> dict[str, Maker]:
    """All of them, by name: the reader, then the shape."""
    found: dict[str, Maker] = {f"weights/{key}": make for key, make in WEIGHTS.items()}
    found |= {f"content/{key}": make for key, make in CONTENTS.items()}
    found |= {f"metadata/{key}": metadata(make) for key, make in JSONS.items()}
    found |= {f"policy/{key}": policy(make) for key, make in YAMLS.items()}
    found |= {f"milestones/{key}": milestones(make) for key, make in YAMLS.items()}
    found["milestones/entries"] = milestones(
        lambda n: listing(*(entry(b"x", f"best_models/m{k}.pt") for k in range(n // 190))).encode()
    )
    found |= {f"runner/{key}": runner(make) for key, make in YAMLS.items()}
    found["runner/repos"] = runner(
        around("repos:\n", numbered("- repo: https://a/b%d\n  rev: v1\n  hooks:\n  - id: x\n"), "")
    )
    found |= {f"configs/{key}": configs(make) for key, make in {**YAMLS, **HYDRA}.items()}
    found |= {f"shell/{key}": configs(make, "a%d.sh") for key, make in {**TEXTS, **HYDRA}.items()}
    found |= {f"python/{key}": configs(make, "a%d.py") for key, make in {**PYTHON, **TEXTS}.items()}
    for words in (("check_artifacts", "x.py"), ("sync_gitignore",), ("cli.explain", "a/b/c.pt")):
        for key, form in PATTERNS.items():
            found[f"patterns/{words[0]}-{key}"] = patterns(form, words)
        found[f"patterns/{words[0]}-rules"] = patterns(PATTERNS["names"], words, rules=400)
        for key, form in PATTERNS.items():
            found[f"keeps/{words[0]}-{key}"] = keeps(form, words)
    for key, name in NAMES.items():
        found[f"index/all-{key}"] = index_of(name, ("check_artifacts", "--all-files"))
        found[f"index/one-{key}"] = index_of(name, ("check_artifacts", "x.py"))
        found[f"index/models-{key}"] = index_of(name, ("check_best_models",))
        found[f"index/v4-{key}"] = index_of(name, ("check_artifacts", "--all-files"), 4)
    for key, make in IGNORES.items():
        found[f"ignore/sync-{key}"] = ignore_file(make, ("sync_gitignore",))
        found[f"ignore/findings-{key}"] = ignore_file(make, ("sync_gitignore", "--findings"))
        found[f"ignore/init-{key}"] = ignore_file(make, ("cli.init", "--dry-run"))
    found |= {f"runs/{key}": make for key, make in run_cases()}
    found |= {f"archives/{key}": make for key, make in ARCHIVES.items()}
    return found


# The bounds

# Of a million additions each: about five seconds where nothing else runs. Seconds alone say little,
# since a busy machine takes twice as many for the same work.
UNITS, MEBIBYTES, TIMES = 160, 300.0, 2.5
_SURE = 2.0  # below so many seconds a ratio says nothing


def measured(make: Maker, folder: Path, size: int) -> Cost:
    """Return the cost of one input of *size*, in a new repository in *folder*."""
    shutil.rmtree(folder, ignore_errors=True)
    repo = Repo.init(folder)
    return run(repo, make(repo, size))


def _times(make: Maker, folder: Path, cost: Cost) -> float:
    """Return how many times as long twice the size takes, without what any size takes."""
    least, half = measured(make, folder, 400), measured(make, folder, LARGEST // 2)
    return (cost.seconds - least.seconds) / max(half.seconds - least.seconds, 0.05)


def faults(make: Maker, folder: Path) -> tuple[Cost, list[str]]:
    """Return the cost at the larger size, and each bound that is broken."""
    cost = measured(make, folder, LARGEST)
    if cost.seconds > UNITS * cost.unit:  # so may a busy machine have made it
        cost = measured(make, folder, LARGEST)
    found = []
    if cost.seconds > UNITS * cost.unit:
        found.append(f"takes {cost.seconds:.1f} s, as {cost.seconds / cost.unit:.0f} M additions")
    if cost.mebibytes > MEBIBYTES:
        found.append(f"takes {cost.mebibytes:.0f} MiB")
    if "Traceback" in cost.text or cost.code not in (0, 1, 2):
        found.append(f"ends with {cost.code}: {cost.text[-200:]!r}")
    if cost.seconds > _SURE:
        times = _times(make, folder, cost)
        if times > TIMES:  # a busy machine may have had its part in that
            times = min(times, _times(make, folder, measured(make, folder, LARGEST)))
        if times > TIMES:
            found.append(f"takes {times:.1f} times as long for twice the size")
    return cost, found


def main(argv: Sequence[str]) -> int:
    """Measure the cases whose names match a pattern, all without any; 1 if a bound is broken."""
    broken = 0
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"HOME": name, "GIT_CONFIG_GLOBAL": os.devnull}
        for case, make in cases().items():
            if not argv or any(fnmatch.fnmatch(case, pattern) for pattern in argv):
                cost, found = faults(make, Path(name) / "repository")
                broken += bool(found)
                said = "; ".join(found)
                print(
                    f"{case:50} {cost.seconds:6.2f} s {cost.seconds / cost.unit:4.0f} M additions "
                    f"{cost.mebibytes:5.0f} MiB  {said}",
                    flush=True,
                )
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
