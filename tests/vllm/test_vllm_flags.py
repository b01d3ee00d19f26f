"""Every command that Waggle makes for vLLM is one that this version of vLLM understands."""

import json
import shlex
import subprocess
from pathlib import Path

from rag.serving.cluster import Join, plan_cluster
from rag.serving.hardware import GIB, Gpu, Hardware
from rag.serving.models import DEFAULT_SERVED_MODEL, SERVED, find_served
from rag.serving.plan import ServeOptions, plan

_PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
for arguments in json.load(sys.stdin):
    parser.parse_args(arguments)
"""


JOINS: tuple[Join, ...] = ("mp", "ray", "nginx")


def vllm_arguments(command: str) -> list[str]:
    """What follows ``vllm serve``; nothing in another command."""
    return shlex.split(command.partition("vllm serve ")[2].replace("\\\n", ""))


def test_every_flag_is_known_to_vllm(vllm_python: Path) -> None:
    commands = []
    for cards in ((), tuple(Gpu(number, "NVIDIA H100", 80 * GIB, 0, 9.0) for number in range(8))):
        hardware = Hardware(cards, 512 * GIB, 64)
        commands += [list(plan(m, hardware, ServeOptions()).arguments) for m in SERVED.values()]
    nodes = ["one", "two"]
    for join in JOINS:
        steps = plan_cluster(find_served(DEFAULT_SERVED_MODEL), nodes, cards, ServeOptions(), join)
        commands += [found for step in steps.steps if (found := vllm_arguments(step.text))]
    assert len(commands) > 2 * len(SERVED) + len(JOINS)
    done = subprocess.run(
        [vllm_python, "-c", _PARSE], input=json.dumps(commands), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
