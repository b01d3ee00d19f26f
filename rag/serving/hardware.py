"""What this machine has for a model: GPUs with their memory, main memory, processors."""

import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MIB = 1 << 20
GIB = 1 << 30

_TIMEOUT_SECONDS = 30.0  # a driver that is not kept loaded takes seconds to answer
_FIELDS = "index,name,memory.total,memory.used"
_MEMINFO = Path("/proc/meminfo")
_CPUINFO = Path("/proc/cpuinfo")
_CGROUP = Path("/sys/fs/cgroup")


Instructions = Literal["x86-avx512", "x86", "arm-bf16", "arm", ""]
"""What a processor computes with, as far as vLLM's speed depends on it; "" where that is not
known."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; ``memory`` and ``used`` are in bytes, ``capability`` is CUDA's, such as 8.9, or
    ``None`` where it is not known."""

    index: int
    name: str
    memory: int
    used: int = 0
    capability: float | None = None

    @property
    def free(self) -> int:
        return max(self.memory - self.used, 0)


@dataclass(frozen=True, slots=True)
class Hardware:
    """``memory`` is the main memory that programs may still take, in bytes; ``cpus`` the number of
    processors."""

    gpus: tuple[Gpu, ...]
    memory: int
    cpus: int
    instructions: Instructions = ""


def find_hardware() -> Hardware:
    """What this machine has. A GPU whose driver does not answer is one that is not there."""
    return Hardware(
        gpus=find_gpus(os.environ), memory=free_memory(), cpus=os.cpu_count() or 1,
        instructions=find_instructions(),
    )  # fmt: skip


def find_gpus(environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that ``nvidia-smi`` on the path tells of, those that
    ``CUDA_VISIBLE_DEVICES`` leaves."""
    tool = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if tool is None:
        return ()
    # Drivers before 510 do not know compute_cap and refuse the whole question.
    for fields in (f"{_FIELDS},compute_cap", _FIELDS):
        output = _run([tool, f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
        if output is not None:
            return visible(parse_nvidia_smi(output), environment.get("CUDA_VISIBLE_DEVICES"))
    return ()


def parse_nvidia_smi(output: str) -> tuple[Gpu, ...]:
    """The GPUs of lines such as ``0, NVIDIA L4, 23034, 1, 8.9``: index, name, memory and used
    memory in MiB, and perhaps the CUDA capability. Other lines are passed over, such as those of a
    GPU that has fallen off the bus or is divided by MIG."""
    gpus = (_gpu([field.strip() for field in line.split(",")]) for line in output.splitlines())
    return tuple(gpu for gpu in gpus if gpu is not None)


def _gpu(fields: list[str]) -> Gpu | None:
    if len(fields) not in (4, 5) or not fields[1]:
        return None
    index, memory, used = (_number(fields[n]) for n in (0, 2, 3))
    if index is None or not memory or used is None:
        return None
    return Gpu(
        index=int(index), name=fields[1], memory=int(memory) * MIB, used=int(used) * MIB,
        capability=_number(fields[4]) if len(fields) == 5 else None,
    )  # fmt: skip


def _number(text: str) -> float | None:
    # Not float() alone: it takes "nan", "inf" and numbers of any length.
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text) else None


def visible(gpus: tuple[Gpu, ...], devices: str | None) -> tuple[Gpu, ...]:
    """Those of ``gpus`` that ``CUDA_VISIBLE_DEVICES`` names by index, in its order; all of them
    where it is not set or names them in another way."""
    if devices is None:
        return gpus
    if not devices.strip() or devices.strip() == "-1":
        return ()
    numbers = [part.strip() for part in devices.split(",")]
    if not all(part.isascii() and part.isdigit() for part in numbers):
        return gpus
    by_index = {str(gpu.index): gpu for gpu in gpus}
    return tuple(by_index[number] for number in numbers if number in by_index)


def free_memory(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Main memory that may still be taken, in bytes: what Linux says is available, or what the
    container's limit leaves; elsewhere all there is."""
    available = _available(meminfo)
    limit, current = (_cgroup_number(cgroup / f"memory.{name}") for name in ("max", "current"))
    if limit is not None and current is not None:
        available = min(available, max(limit - current, 0))
    return available


def _available(meminfo: Path) -> int:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text("ascii"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        found = None
    if found:
        return int(found[1]) * 1024
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 8 * GIB  # an ordinary machine, where the system tells nothing


def _cgroup_number(path: Path) -> int | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None


def find_instructions(cpuinfo: Path = _CPUINFO) -> Instructions:
    """What all processors compute with, by what Linux lists of each; other systems list nothing."""
    try:
        text = cpuinfo.read_text("utf-8", errors="replace")
    except OSError:
        return ""
    x86, arm = (
        [set(line.split()) for line in re.findall(rf"^{heading}\s*:(.*)$", text, re.MULTILINE)]
        for heading in ("flags", "Features")
    )
    if x86:
        return "x86-avx512" if all("avx512f" in flags for flags in x86) else "x86"
    if arm and all("asimd" in flags for flags in arm):  # others list "Features" as well
        return "arm-bf16" if all("bf16" in flags for flags in arm) else "arm"
    return ""


def _run(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def gigabytes(count: float) -> str:
    """A number of bytes in GB of 2³⁰, as GPUs are sold, for people; rounded up, so that what is
    said to be needed is enough."""
    return f"{math.ceil(count / GIB * 10) / 10:g} GB"
