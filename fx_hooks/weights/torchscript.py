"""TorchScript (``torch.jit.save``): code that runs when it is loaded, in torch's own language.

No Python runs, but ``__setstate__`` and what it calls do, and torch has operators that write
and read files. The members are those of ``torch/csrc/jit/serialization/export_module.cpp``.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from fx_hooks.weights.inspection import Format, Inspection, Stored
from fx_hooks.weights.pickles import BrokenPickle, Budget, Reader, Report
from fx_hooks.weights.polyglots import foreign_start
from fx_hooks.weights.torch_files import (
    NOTES,
    check_note,
    persistent_faults,
    read_storages,
    read_whole,
    unsafe,
)

if TYPE_CHECKING:
    from fx_hooks.weights.archives import Archive, Member

# Not Python's: TorchScript has names of its own, and C++ looks them up.
_OWN = ("__torch__.", "torch.jit._pickle.")
# Operators of torch 2.14 (torch._C._jit_get_all_schemas) that touch files or other machines.
TOUCHING = frozenset({"save", "from_file", "load_tensor", "rpc_async", "rpc_sync", "rpc_remote"})
# Namespaces of operators that compute, and do nothing else.
_COMPUTING_NAMES = """
    prim aten prims quantized _quantized quantization sparse mkldnn mkldnn_prepacked mkl onednn
    prepacked torchvision torch_scatter torch_sparse profiler rngprims static_runtime
"""
_COMPUTING = frozenset(_COMPUTING_NAMES.split())
_TOUCH = re.compile(rf"\b(?:{'|'.join(sorted(TOUCHING))})\b", re.ASCII)
# Classes of C++ that hold numbers; others open stores and connections.
_CLASSES = frozenset({"quantized", "rnn", "sparse", "xnnpack", "mkldnn"})
_CLASS = re.compile(r"\btorch\s*\.\s*classes\s*\.\s*(\w+)")
_OPS = re.compile(r"\bops\s*\.\s*(\w+)")
_GETATTR = re.compile(r"\bgetattr\s*\((?!\s{0,9}[\w.() ]{1,400},\s{0,9}\"[\w.]{0,200}\"\s{0,9}\))")
# Texts, so that what is left of comments and continued lines is neither: torch writes none, and
# they may stand anywhere in a name with dots.
_HIDDEN = re.compile(
    r"(?s:\"\"\".*?\"\"\"|\'\'\'.*?\'\'\')"
    r"|\"[^\"\\\n]*(?:\\.[^\"\\\n]*){0,9999}\"|'[^'\\\n]*(?:\\.[^'\\\n]*){0,9999}'|([#\\])"
)
_MAX_CODE = 16 << 20
# Names that are shown.
_MOST = 20
_CODE = re.compile(r"code/[\w./-]+\.py(\.debug_pkl)?\Z")
_DEBUG = re.compile(r"(code/[\w./-]+\.py\.debug_pkl|mobile_debug_handles\.pkl)\Z")
_EXTRA = re.compile(r"extra/[\w./ -]+\Z")
_MAX_EXTRA = 1 << 20
_CONTROL = bytes(code for code in range(32) if chr(code) not in "\t\n\f\r")


def read_torchscript(archive: Archive, stem: str, budget: Budget) -> Inspection:
    """Return what an archive below the folder *stem* is."""
    members = {name.removeprefix(f"{stem}/"): item for name, item in archive.members.items()}
    report, faults = Report(), set[str]()
    stored: list[Stored] = []
    for name in ("data.pkl", "constants.pkl", "traced_inputs.pkl"):
        folder = name.removesuffix(".pkl") + "/"
        member = members.pop(name, None)
        if member is None:
            continue
        report.storages = {}
        try:
            read_whole(archive, member, report, budget, Reader.TORCHSCRIPT)
        except BrokenPickle as exc:
            faults.add(f"has {name}, which {exc}")
        if name == "traced_inputs.pkl":  # of these, only the shapes are kept
            for key in [*report.storages]:
                example = members.get(folder + key)
                if example is not None and not example.size:
                    del members[folder + key], report.storages[key]
        found, missing = read_storages(archive, report.storages, folder, members)
        stored += found
        faults |= missing
    code = 0
    for name in [*members]:
        if name in NOTES:
            faults |= check_note(archive, name, members.pop(name))
        elif _CODE.match(name) and not _DEBUG.match(name):
            member = members.pop(name)
            code += member.size
            if code > _MAX_CODE:
                faults.add(f"has more than {_MAX_CODE >> 20} MiB of code")
                continue
            faults |= _check_code(archive.read(member, _MAX_CODE + 1))
        elif _DEBUG.match(name):
            faults |= _check_pickle(archive, name, members.pop(name), report, budget)
        elif _EXTRA.match(name):
            faults |= _check_extra(archive, name, members.pop(name))
    faults |= {f"has {name!r}, which torch.jit.save does not write" for name in members}
    names = tuple(name for name in unsafe(report) if not name.startswith(_OWN))
    for name in report.globals:
        match = _CLASS.search(name)
        if match and match[1] not in _CLASSES:
            faults.add(f"makes an object of {name}")
    return Inspection(
        Format.TORCHSCRIPT,
        names,
        (*sorted(report.faults | faults), *persistent_faults(report)),
        sum(item.elements for item in stored),
        tuple(stored),
    )


def _check_pickle(
    archive: Archive, name: str, member: Member, report: Report, budget: Budget
) -> set[str]:
    try:
        read_whole(archive, member, report, budget, Reader.TORCHSCRIPT)
    except BrokenPickle as exc:
        return {f"has {name}, which {exc}"}
    return set()


def _check_extra(archive: Archive, name: str, member: Member) -> set[str]:
    """Return a file that the user added: text, so that no reader takes it for anything else."""
    if member.size > _MAX_EXTRA:
        return {f"has {name} with more than {_MAX_EXTRA:,} bytes"}
    content = archive.read(member, _MAX_EXTRA + 1)
    if foreign_start(content[:512]) or content.translate(None, _CONTROL) != content:
        return {f"has {name}, which is not text"}
    return set()


def _check_code(source: bytes) -> set[str]:
    """Return what TorchScript source names that does more than compute."""
    try:
        text = source.decode()
    except UnicodeDecodeError:
        return {"has code that is not UTF-8"}
    faults = {
        f"has code that calls {name}, which touches files or other machines"
        for name in {match[0] for match in _TOUCH.finditer(text)}
    }
    faults |= {
        f"has code that calls operators of {name!r}, which others define"
        for name in _others(_OPS, text, _COMPUTING)
    }
    faults |= {
        f"has code that uses classes of {name!r}" for name in _others(_CLASS, text, _CLASSES)
    }
    if _GETATTR.search(text):
        faults.add("has code that computes the name of what it uses")
    if any(match[1] for match in _HIDDEN.finditer(text)):
        faults.add("has code with comments or continued lines, which torch does not write")
    return faults


def _others(pattern: re.Pattern[str], text: str, known: frozenset[str]) -> set[str]:
    """Return some of the names that *pattern* finds and that are not *known*."""
    found = (match[1] for match in pattern.finditer(text) if match[1] not in known)
    return {name[:80] for name in itertools.islice(found, _MOST)}
