"""The whole policy, compiled: its entries and its tables, as bytes that load in no time.

They lie in the file of the tables (:mod:`fx_hooks.fastpath.table_cache`), which is as strict
about them. So a refusal, a merge or an explanation needs neither YAML nor pathspec.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fx_hooks.fastpath import table_cache
from fx_hooks.policy.model import POLICY_NAME, BestModels, Entry, Policy, RunMark
from fx_hooks.policy.source_names import is_source

if TYPE_CHECKING:
    from typing import TypeVar

    from fx_hooks.fastpath.matcher import Tables

    T = TypeVar("T", Entry, RunMark)

_KNOWN: dict[tuple[Entry, ...], Tables] = {}
_KNOWN_NAMES: dict[tuple[str, ...], Tables] = {}


def tables_of(policy: Policy) -> Tables:
    """Return the tables of *policy*, compiled once."""
    return _tables(_every(policy))


def tables_alone(policy: Policy) -> Tables:
    """Return the tables of the entries of *policy* that need no other file, compiled once."""
    return _tables(_alone(policy))


def tables_loose(policy: Policy) -> Tables:
    """Return the tables of what is refused unless it holds source files, compiled once."""
    return _tables(_loose(policy))


def tables_generated(policy: Policy) -> Tables:
    """Return the tables of the names of sources that are refused for that, compiled once."""
    return _tables(_generated(policy))


def _every(policy: Policy) -> tuple[Entry, ...]:
    return policy.entries


def _alone(policy: Policy) -> tuple[Entry, ...]:
    return tuple(policy.alone())


def _generated(policy: Policy) -> tuple[Entry, ...]:
    return tuple(
        entry
        for entry in policy.entries
        if entry.blocks
        and not entry.unless_source
        and is_source(os.fsencode(entry.pattern.rpartition("/")[2]))
    )


def _loose(policy: Policy) -> tuple[Entry, ...]:
    return tuple(entry._replace(blocks=True) for entry in policy.entries if entry.unless_source)


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
         tables_alone(policy), tables_loose(policy), tables_generated(policy), names)
    )  # fmt: skip


def unpacked(data: bytes, source: str = POLICY_NAME) -> Policy:
    """Return the policy that :func:`packed` was given; *source* is what its file is called.

    *data* comes from a file that this user alone can have written, and whose checksum was right.
    """
    entries, marks, best_models, admitted_from, *compiled, names = table_cache.unpacked(data)
    policy = Policy(
        tuple(_from(source, Entry(*entry)) for entry in entries),
        tuple(_from(source, RunMark(*mark)) for mark in marks),
        BestModels(*best_models),
        admitted_from,
    )
    _KNOWN_NAMES.update(names)
    for which, tables in zip((_every, _alone, _loose, _generated), compiled, strict=True):
        _KNOWN[which(policy)] = tables
    return policy


def _from(source: str, item: T) -> T:
    return item._replace(source=source) if item.source == POLICY_NAME != source else item
