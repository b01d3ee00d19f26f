"""Named places in which a test may stop the process, as a crash would.

``WAGGLE_FAILPOINTS="store.committed=kill@2"`` kills the process (SIGKILL) when it comes to that
place for the second time; ``=full`` makes the place raise "no space left on device" from then on.
Several are separated by commas. ``WAGGLE_FAILPOINTS_LOG=FILE`` writes each name that is reached to
FILE, so that a sweep knows which places a run passes, and how often. Where neither variable is
set, a fail point costs one comparison.
"""

import errno
import os
import signal
from collections import Counter
from pathlib import Path

_Plan = dict[str, tuple[str, int]]


def _parse(text: str) -> _Plan:
    return {
        name: (action, int(hit or 1))
        for name, _, what in (entry.partition("=") for entry in text.split(","))
        for action, _, hit in [what.partition("@")]
        if name
    }


_plan = _parse(os.environ.get("WAGGLE_FAILPOINTS", ""))
_LOG = os.environ.get("WAGGLE_FAILPOINTS_LOG", "")
_active = bool(_plan or _LOG)
_hits: Counter[str] = Counter()


def plan(text: str) -> None:
    """From now on do what ``text``, in the form of ``WAGGLE_FAILPOINTS``, says, and count anew."""
    global _plan, _active
    _plan, _active = _parse(text), True
    _hits.clear()


def hits() -> Counter[str]:
    """How often each place was reached, since there is a plan."""
    return Counter(_hits)


def reach(name: str) -> None:
    """Say that the process has come to the place called ``name``."""
    if _active:
        _reached(name)


def _reached(name: str) -> None:
    _hits[name] += 1
    if _LOG:
        with Path(_LOG).open("a", encoding="utf-8") as log:
            log.write(f"{name}\n")
    action, hit = _plan.get(name, ("", 0))
    if action == "kill" and _hits[name] == hit:
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "full" and _hits[name] >= hit:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
