"""Times of files, of which some are in no calendar."""

from __future__ import annotations

import contextlib
from datetime import datetime, tzinfo


def moment(seconds: float, zone: tzinfo | None = None) -> datetime | None:
    """Return the time in *zone*; None before the year 1 and after 9999, as file systems have it."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, zone)
    return None
