"""What nvidia-smi and the system tell, in health and in sickness."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.serving.hardware import (
    GIB,
    MIB,
    Gpu,
    Instructions,
    find_gpus,
    find_hardware,
    find_instructions,
    free_memory,
    gigabytes,
    parse_nvidia_smi,
    visible,
)

TWO = "0, NVIDIA GeForce RTX 4090, 24564, 312, 8.9\n1, NVIDIA GeForce RTX 4090, 24564, 1, 8.9\n"
OLD = "0, Tesla T4, 15360, 3\n"
SICK = """\
0, NVIDIA A100-SXM4-80GB, 81920, [N/A], 8.0
Unable to determine the device handle for GPU 0000:41:00.0: Unknown Error
1, NVIDIA A100-SXM4-80GB, [Insufficient Permissions], 0, 8.0
2, NVIDIA A100-SXM4-80GB, 81920, 0, [N/A]
"""

Tool = Callable[[str], dict[str, str]]


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> Tool:
    """Puts a program of that name, a shell script, where it is looked for."""

    def make(script: str) -> dict[str, str]:
        tool = tmp_path / "bin" / "nvidia-smi"
        tool.parent.mkdir()
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        return {"PATH": str(tool.parent)}

    return make


def test_reads_index_name_memory_and_capability() -> None:
    first, second = parse_nvidia_smi(TWO)
    assert first == Gpu(0, "NVIDIA GeForce RTX 4090", 24564 * MIB, 312 * MIB, 8.9)
    assert (second.index, second.free) == (1, 24563 * MIB)
    assert parse_nvidia_smi(OLD) == (Gpu(0, "Tesla T4", 15360 * MIB, 3 * MIB, None),)


def test_passes_over_gpus_that_tell_nothing() -> None:
    assert parse_nvidia_smi(SICK) == (Gpu(2, "NVIDIA A100-SXM4-80GB", 81920 * MIB, 0, None),)
    assert parse_nvidia_smi("No devices were found\n") == ()
    assert parse_nvidia_smi("0, x, nan, 0\n0, x, inf, 0\n0, x, -5, 0\n0, x, 0, 0\n,,,\n") == ()


@given(st.text() | st.lists(st.text(alphabet="0123456789.,-\n NAa[]"), max_size=9).map(",".join))
def test_garbage_never_fails(output: str) -> None:
    for gpu in parse_nvidia_smi(output):
        assert gpu.memory > 0
        assert gpu.free >= 0


def test_asks_the_tool_on_the_path(nvidia_smi: Tool) -> None:
    environment = nvidia_smi(f"printf '{TWO}'")
    assert [gpu.index for gpu in find_gpus(environment)] == [0, 1]
    assert [gpu.index for gpu in find_gpus({**environment, "CUDA_VISIBLE_DEVICES": "1"})] == [1]


def test_asks_again_where_the_driver_is_old(nvidia_smi: Tool) -> None:
    environment = nvidia_smi(
        'case "$*" in *compute_cap*) echo "Field compute_cap is not valid"; exit 2;; esac\n'
        f"printf '{OLD}'"
    )
    assert [gpu.name for gpu in find_gpus(environment)] == ["Tesla T4"]


@pytest.mark.parametrize(
    "script", ["exit 9", "echo nothing of use", "kill -9 $$", "printf '\\377'"]
)
def test_a_broken_tool_means_no_gpu(nvidia_smi: Tool, script: str) -> None:
    assert find_gpus(nvidia_smi(script)) == ()


def test_no_tool_means_no_gpu(tmp_path: Path) -> None:
    assert find_gpus({"PATH": str(tmp_path)}) == ()


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (None, [0, 1]), ("", []), ("-1", []), ("1", [1]), ("1,0", [1, 0]), (" 0 , 7 ", [0]),
        ("GPU-8932f937", [0, 1]), ("²", [0, 1]),
    ],
)  # fmt: skip
def test_keeps_to_the_visible_devices(devices: str | None, expected: list[int]) -> None:
    assert [gpu.index for gpu in visible(parse_nvidia_smi(TWO), devices)] == expected


def test_free_memory_is_what_linux_and_the_container_leave(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       65845120 kB\nMemAvailable:   33554432 kB\n")
    assert free_memory(meminfo, tmp_path) == 32 * GIB
    (tmp_path / "memory.current").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(meminfo, tmp_path) == 32 * GIB
    (tmp_path / "memory.max").write_text(f"{8 * GIB}\n")
    assert free_memory(meminfo, tmp_path) == 5 * GIB
    (tmp_path / "memory.max").write_text(f"{2 * GIB}\n")
    assert free_memory(meminfo, tmp_path) == 0


def test_free_memory_where_the_system_tells_nothing(tmp_path: Path) -> None:
    assert free_memory(tmp_path / "none", tmp_path) > 0


ZEN3 = "fpu vme sse sse2 ssse3 fma cx16 sse4_1 sse4_2 avx f16c avx2 bmi2 vaes"
SKYLAKE = f"{ZEN3} avx512f avx512dq avx512cd avx512bw avx512vl"
SAPPHIRE = f"{SKYLAKE} avx512_bf16 avx512_fp16 amx_bf16 amx_tile amx_int8"
GRAVITON2 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm"
GRAVITON3 = f"{GRAVITON2} sve bf16 i8mm svebf16"


def listing(heading: str, *flags: str) -> str:
    """What /proc/cpuinfo says of processors with ``flags``."""
    return "\n".join(
        f"processor\t: {number}\nmodel name\t: A processor\n{heading}\t\t: {each}\n"
        "bugs\t\t: sysret_ss_attrs\nvmx flags\t: vnmi avx512f\n"
        for number, each in enumerate(flags)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (listing("flags", ZEN3, ZEN3), "x86"),
        (listing("flags", SKYLAKE, SKYLAKE), "x86-avx512"),
        (listing("flags", SAPPHIRE), "x86-avx512"),
        (listing("flags", SAPPHIRE, ZEN3), "x86"),  # one that has it does not help the other
        (listing("Features", GRAVITON2), "arm"),
        (listing("Features", GRAVITON3, GRAVITON3), "arm-bf16"),
        (listing("Features", GRAVITON3, GRAVITON2), "arm"),
        (listing("Features", "cpucfg lam ual fpu lsx lasx"), ""),  # LoongArch
        (listing("features", "esan3 zarch stfle msa ldisp"), ""),  # z/Architecture
        ("processor\t: 0\ncpu\t\t: POWER10\n", ""),
        (listing("flags", "avx512"), "x86"),
        ("", ""),
    ],
)
def test_instructions_are_those_that_linux_lists(
    tmp_path: Path, text: str, expected: Instructions
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert find_instructions(tmp_path / "cpuinfo") == expected


def test_instructions_are_not_known_where_nothing_lists_them(tmp_path: Path) -> None:
    assert find_instructions(tmp_path / "none") == ""
    (tmp_path / "cpuinfo").write_bytes(b"flags\t: \xff\xfe avx512f\n")
    assert find_instructions(tmp_path / "cpuinfo") == "x86-avx512"


def test_this_machine() -> None:
    here = find_hardware()
    assert here.cpus == os.cpu_count()
    assert here.instructions == find_instructions()
    assert 0 < here.memory < 1 << 50


def test_gigabytes_are_rounded_up() -> None:
    assert gigabytes(24 * GIB) == "24 GB"
    assert gigabytes(16.21 * GIB) == "16.3 GB"
