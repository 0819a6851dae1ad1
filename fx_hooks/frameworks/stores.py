"""Stores and archives of runs, logs and profiles under any name, by their content: their rule.

How a new one begins has to be in :mod:`fx_hooks.fastpath.unnamed_weights`, too.
"""

import re
import zlib
from collections.abc import Iterator

_SQLITE = b"SQLite format 3\0"
_TABLE = rb"(?i)CREATE TABLE [\"`\[]?(\w+)"
_TABLES = {
    # optuna/storages/_rdb/models.py
    "optuna": {b"studies", b"trials", b"trial_params"},
    # mlflow/store/tracking/dbmodels/models.py
    "mlflow": {b"runs", b"latest_metrics", b"params"},
}
# stable_baselines3/common/monitor.py: ResultsWriter
_MONITOR = b'#{"t_start":'
# Modules/_lsprof.c and Lib/cProfile.py: the marshalled dictionary of (file, line, function) to
# (calls, calls, time, time, callers), where no tuple of these has a reference of its own.
_PROFILE = re.compile(rb"[{\xfb][)\xa9]\x03[zZ\xda\xfa].*?[)\xa9]\x05", re.DOTALL)
# Hydra's and W&B's runs, as the members of a tar archive are called.
_PACKED = re.compile(
    rb"(?:\A|/)(?:\.hydra/(?:config|hydra|overrides)\.yaml\Z|(?:offline-)?run-\d{8}_\d{6}-)"
)
_GZIP, _GZIP_BITS = b"\x1f\x8b\x08", 31
_MOST = 1 << 17


def store_rule(head: bytes) -> tuple[str, str]:
    """Return the rule for a file that begins with *head*, and what it is; empty for any other."""
    if head.startswith(_MONITOR):
        return "stable-baselines3", "a log of Monitor"
    if _PROFILE.match(head[:512]):
        return "profiles", "a profile of cProfile"
    if head.startswith(_GZIP) and any(map(_PACKED.search, _members(head))):
        return "run-archives", "an archive of runs"
    if head.startswith(_SQLITE):
        tables = {name.lower() for name in re.findall(_TABLE, head)}
        for rule, needed in _TABLES.items():
            if needed <= tables:
                return rule, "an SQLite store"
    return "", ""


def _members(head: bytes) -> Iterator[bytes]:
    """Yield the names of the first members of a packed tar archive, as far as *head* goes."""
    try:
        inner = zlib.decompressobj(_GZIP_BITS).decompress(head, _MOST)
    except zlib.error:
        return
    for place in range(0, len(inner), 512):
        header = inner[place : place + 512]
        # POSIX, pax(1): ustar interchange format.
        if header[257:262] == b"ustar":
            name, prefix = (part.partition(b"\0")[0] for part in (header[:100], header[345:500]))
            yield prefix + b"/" + name if prefix else name
