"""How much memory a process has had at most."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak() -> float:
    """The most memory this process has held, in MiB. Windows cannot tell it like this.

    Linux hands what getrusage calls the largest resident set on from the process that
    started this one (getrusage(2) keeps it over execve); VmHWM in /proc (proc(5)) begins
    anew with each program.
    """
    import resource

    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10)
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / (1 << 10)
