"""Stores of runs under any name, by their content: the rule that refuses them.

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


def store_rule(head: bytes) -> tuple[str, str]:
    """Return the rule for a file that begins with *head*, and what it is; empty for any other."""
    if head.startswith(_MONITOR):
        return "stable-baselines3", "a log of Monitor"
    if head.startswith(_SQLITE):
        tables = {name.lower() for name in re.findall(_TABLE, head)}
        for rule, needed in _TABLES.items():
            if needed <= tables:
                return rule, "an SQLite store"
    return "", ""
