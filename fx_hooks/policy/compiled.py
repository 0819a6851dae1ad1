"""The whole policy, compiled: its entries and its tables, as bytes that load in no time.

They lie in the file of the tables (:mod:`fx_hooks.fastpath.table_cache`), which is as strict
about them. So a refusal, a merge or an explanation needs neither YAML nor pathspec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fx_hooks.fastpath import table_cache
from fx_hooks.policy.model import BestModels, Entry, Policy, RunMark

if TYPE_CHECKING:
    from fx_hooks.fastpath.matcher import Tables

_KNOWN: dict[tuple[Entry, ...], Tables] = {}
_KNOWN_NAMES: dict[tuple[str, ...], Tables] = {}


def tables_of(policy: Policy) -> Tables:
    """Return the tables of *policy*, compiled once."""
    return _tables(policy.entries)


def tables_alone(policy: Policy) -> Tables:
    """Return the tables of the entries of *policy* that need no other file, compiled once."""
    return _tables(tuple(policy.alone()))


def _tables(entries: tuple[Entry, ...]) -> Tables:
    tables = _KNOWN.get(entries)
    if tables is None:
        from fx_hooks.policy.compiler import compile_tables

        patterns = [(entry.pattern, entry.blocks) for entry in entries]
        tables = _KNOWN[entries] = compile_tables(patterns)
    return tables


def tables_of_names(patterns: tuple[str, ...]) -> Tables:
    """Return the tables of some *patterns* for the names of files, compiled once."""
    tables = _KNOWN_NAMES.get(patterns)
    if tables is None:
        from fx_hooks.policy.compiler import compile_tables

        tables = compile_tables([(pattern, True) for pattern in patterns])
        _KNOWN_NAMES[patterns] = tables
    return tables


def packed(policy: Policy) -> bytes:
    """Return *policy*, which has no projects, and its tables, as bytes."""
    entries = tuple(tuple(entry) for entry in policy.entries)
    marks = tuple(tuple(mark) for mark in policy.run_marks)
    best_models = policy.best_models
    names = {
        patterns: tables_of_names(patterns)
        for patterns in (best_models.metadata, best_models.documents, best_models.weights)
    }
    return table_cache.packed(
        (entries, marks, tuple(best_models), policy.admitted_from, tables_of(policy),
         tables_alone(policy), names)
    )  # fmt: skip


def unpacked(data: bytes) -> Policy:
    """Return the policy that :func:`packed` was given.

    *data* comes from a file that this user alone can have written, and whose checksum was right.
    """
    entries, marks, best_models, admitted_from, tables, alone, names = table_cache.unpacked(data)
    policy = Policy(
        tuple(Entry(*entry) for entry in entries),
        tuple(RunMark(*mark) for mark in marks),
        BestModels(*best_models),
        admitted_from,
    )
    _KNOWN_NAMES.update(names)
    _KNOWN[policy.entries] = tables
    _KNOWN[tuple(policy.alone())] = alone
    return policy
