"""Stores of runs, logs and profiles under any name, by their content: the rule that refuses them.

How a new one begins has to be in :mod:`fx_hooks.fastpath.unnamed_weights`, too.
"""

import re

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


def store_rule(head: bytes) -> tuple[str, str]:
    """Return the rule for a file that begins with *head*, and what it is; empty for any other."""
    if head.startswith(_MONITOR):
        return "stable-baselines3", "a log of Monitor"
    if _PROFILE.match(head[:512]):
        return "profiles", "a profile of cProfile"
    if head.startswith(_SQLITE):
        tables = {name.lower() for name in re.findall(_TABLE, head)}
        for rule, needed in _TABLES.items():
            if needed <= tables:
                return rule, "an SQLite store"
    return "", ""
