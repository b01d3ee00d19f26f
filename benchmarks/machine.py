"""Which machine measures, and whether it does other things meanwhile."""

import os
import platform
import resource
import time
from pathlib import Path


def machine() -> str:
    """Processor, cores, memory, system and Python, as far as they are known."""
    parts = [_processor(), f"{os.cpu_count()} cores"]
    if "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        parts.append(f"{memory / 2**30:.0f} GiB of memory")
    parts += [f"{platform.system()} {platform.release()}", f"Python {platform.python_version()}"]
    return ", ".join(parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class Load:
    """How busy other programs keep the processors, from now on."""

    def __init__(self) -> None:
        self._begun = time.monotonic(), _busy(), _own()

    def others(self) -> float:
        """Their share of all processor time so far: 0 to 1; 0 where the system does not tell."""
        begun, busy, own = self._begun
        seconds = (time.monotonic() - begun) * (os.cpu_count() or 1)
        return min(max((_busy() - busy) - (_own() - own), 0.0) / seconds, 1.0) if _busy() else 0.0


def _busy() -> float:
    """Seconds that all processors together were not idle since the system started (proc(5))."""
    try:
        fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, interrupt, soft, stolen = map(int, fields)
    return sum((user, nice, system, interrupt, soft, stolen)) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    """Seconds of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
