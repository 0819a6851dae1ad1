"""Compare what fx-hooks says of hostile and honest model files with what others say.

    python -m benchmarks.model_scanners [--scanners PYTHON]

It needs torch (2.14), and, under the interpreter PYTHON or its own, picklescan, modelscan and
fickling. The table goes into docs/model-safety.md, between its two marks.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fx_hooks.weights.content import inspect
from tests.honest_files import made
from tests.hostile_files import payloads

PAGE = Path(__file__).parent.parent / "docs" / "model-safety.md"
BEGIN, END = "<!-- scanners: begin -->\n", "<!-- scanners: end -->\n"
KINDS = {
    "call": "a call of an imported function",
    "chain": "a call by way of harmless names",
    "op": "other pickle operations",
    "pickle": "plain pickles",
    "legacy": "torch files before 1.6",
    "build": "a harmless class or function changed",
    "tar": "a tar archive as well",
    "zip": "a zip archive as well",
    "member": "members that torch does not read",
    "storage": "tensors that are files",
    "npz": "NumPy archives",
    "code": "code of TorchScript and .pt2",
    "hdf5": "an HDF5 file as well",
    "instantiator": "names of code in hyperparameters",
}
HONEST = "honest files that weights_only loads"
# What follows runs under the other interpreter.
_SCAN = """
import json, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from fickling.analysis import Severity
from fickling.loader import scan_file, scan_zip_archive
from importlib.metadata import version
from modelscan.modelscan import ModelScan
from picklescan.scanner import scan_file_path

def picklescan(path):
    found = scan_file_path(path)
    return bool(found.issues_count or found.scan_err)

def modelscan(path):
    scan = ModelScan()
    scan.scan(path)
    return bool(scan.issues.all_issues or scan.errors)

def fickling(path):
    if Path(path).read_bytes()[:4] == b"PK" + bytes([3, 4]):
        results = scan_zip_archive(path, graceful=True).values()
    else:
        results = [scan_file(path, graceful=True)]
    return any(item.severity > Severity.LIKELY_SAFE or item.errors for item in results)

found = {}
for tool in (picklescan, modelscan, fickling):
    refused = []
    for path in sorted(Path(sys.argv[1]).iterdir()):
        try:
            bad = tool(str(path))
        except Exception:
            bad = True
        refused += [path.name] * bad
    found[f"{tool.__name__} {version(tool.__name__)}"] = refused
Path(sys.argv[2]).write_text(json.dumps(found))
"""


def refused_by_torch(torch: Any, path: Path) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(path, weights_only=True, map_location="cpu")
    except Exception:
        return True
    return False


def refused_here(path: Path) -> bool:
    with path.open("rb") as file:
        found = inspect(file)
    return found.format is None or bool(found.globals or found.faults)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the table; return 0."""
    parser = argparse.ArgumentParser(prog="model_scanners", description=__doc__)
    parser.add_argument("--scanners", metavar="PYTHON", default=sys.executable)
    options = parser.parse_args(argv)
    torch = importlib.import_module("torch")
    kinds: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        files, out = Path(folder) / "files", Path(folder) / "found.json"
        files.mkdir()
        for name, payload in payloads().items():
            path = files / f"bad-{name}{payload.suffix}"
            path.write_bytes(payload.content)
            kinds[path.name] = KINDS[name.partition("-")[0]]
        for name, file in made(torch, Path(folder)).items():
            if not file.needs:
                path = files / f"good-{name.replace('.', '-')}.pt"
                path.write_bytes(file.content)
                kinds[path.name] = HONEST
        command = (options.scanners, "-c", _SCAN, files, out)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        refused = {
            "fx-hooks": [path.name for path in files.iterdir() if refused_here(path)],
            f"torch {torch.__version__.partition('+')[0]}, weights_only": [
                path.name for path in files.iterdir() if refused_by_torch(torch, path)
            ],
            **json.loads(out.read_text()),
        }
    PAGE.write_text(_with_table(PAGE.read_text("utf-8"), kinds, refused), "utf-8")
    return 0


def _with_table(page: str, kinds: dict[str, str], refused: dict[str, list[str]]) -> str:
    members = defaultdict(set)
    for name, kind in kinds.items():
        members[kind].add(name)
    lines = [
        f"| refused of | files | {' | '.join(refused)} |",
        f"|---|---|{'---|' * len(refused)}",
    ]
    for kind, names in members.items():
        counts = [str(len(names & set(found))) for found in refused.values()]
        lines.append(f"| {kind} | {len(names)} | {' | '.join(counts)} |")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + "\n".join(lines) + "\n" + END + after


if __name__ == "__main__":
    raise SystemExit(main())
