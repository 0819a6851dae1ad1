"""Enums whose members are texts, as :class:`enum.StrEnum` of Python 3.11 has them."""

from __future__ import annotations

from enum import Enum


class StrEnum(str, Enum):
    """The base of states and kinds that stand in JSON, in files and in messages."""

    def __str__(self) -> str:
        """Return the text: as a part of messages, in every version of Python."""
        return str.__str__(self)
