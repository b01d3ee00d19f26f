"""The model server as a service: a unit for systemd, and a file for Docker Compose."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from indexes.errors import UsageError
from indexes.i18n import t
from rag.serving.plan import SERVER_MODULE, ServePlan, lora_module
from rag.serving.shell import by_flag

UNIT_NAME = "waggle-vllm.service"
COMPOSE_NAME = "compose.yaml"

_IMAGE = "vllm/vllm-openai"
_HUB_CACHE = "/root/.cache/huggingface"
# Fetching and loading a large model takes that long; until then its silence is no failure.
_START_SECONDS = 3600
_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def systemd_unit(plan: ServePlan, python: Path, user: str) -> str:
    """A unit that runs the server of ``plan`` as ``user``, with the ``python`` of vLLM's
    environment, and starts it again when it fails."""
    lines = by_flag([str(python), "-P", "-m", SERVER_MODULE, *plan.arguments])
    command = " \\\n    ".join(" ".join(map(_systemd_word, words)) for words in lines)
    variables = {"PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin", **plan.environment}
    environment = "\n".join(
        f"Environment={_systemd_word(f'{name}={value}', program=False)}"
        for name, value in variables.items()
    )
    return f"""\
[Unit]
Description=vLLM for Waggle: {plan.model.name.replace("%", "%%")}
Documentation=https://docs.vllm.ai
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
User={user}
{environment}
ExecStart={command}
Restart=on-failure
RestartSec=10
TimeoutStopSec=60
KillMode=mixed
NoNewPrivileges=yes
ProtectSystem=full
PrivateTmp=yes
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def _systemd_word(word: str, *, program: bool = True) -> str:
    """One word as systemd reads it back: it expands % and, in a command line, $."""
    if any(character in word for character in "\0\n\r"):
        raise UsageError(t("{name} cannot stand in a unit of systemd.", name=ascii(word)))
    word = word.replace("%", "%%")
    if program:
        word = word.replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def check_compose(gpus: Sequence[object]) -> None:
    """Raises `UsageError` where there is no GPU."""
    if not gpus:
        raise UsageError(
            t("The Compose file is for machines with a GPU: vLLM's image needs one. Use --print.")
        )


def compose_file(plan: ServePlan, version: str) -> str:
    """A Compose file that runs the server of ``plan`` from vLLM's image of ``version``, reached
    from this machine alone. The plan is one with a GPU: see `check_compose`."""
    import yaml

    arguments, folders = _inside(plan)
    health = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{plan.port}/health')"
    service = {
        "image": f"{_IMAGE}:v{version}",
        "entrypoint": ["vllm", "serve"],
        "command": arguments,
        "environment": _environment(plan),
        # The server listens on all of the container's addresses, and Docker on this machine's own.
        "ports": [f"127.0.0.1:{plan.port}:{plan.port}"],
        "volumes": [f"huggingface:{_HUB_CACHE}", *(f"{a}:{b}:ro" for a, b in folders.items())],
        "ipc": "host",
        "restart": "unless-stopped",
        "deploy": {"resources": {"reservations": {"devices": [_device(plan)]}}},
        "healthcheck": {
            "test": ["CMD", "python3", "-c", health],
            "interval": "30s",
            "timeout": "10s",
            "retries": 3,
            "start_period": f"{_START_SECONDS}s",
        },
    }
    content = {"services": {"vllm": service}, "volumes": {"huggingface": {}}}
    return yaml.safe_dump(_escaped(content), sort_keys=False, allow_unicode=True, width=1000)


def _inside(plan: ServePlan) -> tuple[list[str], dict[str, str]]:
    """The arguments as they hold in the container, the model in front as ``vllm serve`` wants it,
    and the folders of this machine that are mounted for them."""
    _, model, *arguments = plan.arguments
    folders: dict[str, str] = {}
    model = _mounted(model, "/models", folders)
    arguments[arguments.index("--host") + 1] = "0.0.0.0"
    if plan.loras:
        arguments[arguments.index("--lora-modules") + 1 :] = [
            lora_module(name, _mounted(path, f"/adapters/{name}", folders))
            for name, path in plan.loras
        ]
    return [model, *arguments], folders


def _mounted(path: str, place: str, folders: dict[str, str]) -> str:
    if not Path(path).is_absolute():
        return path
    inside = f"{place}/{Path(path).name}"
    folders[path] = inside
    return inside


def _environment(plan: ServePlan) -> dict[str, str]:
    """Docker hands over the GPUs chosen, which are then all that the container has."""
    left_out = {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"}
    return {name: value for name, value in plan.environment.items() if name not in left_out}


def _device(plan: ServePlan) -> dict[str, Any]:
    chosen = plan.environment.get("CUDA_VISIBLE_DEVICES")
    which = {"device_ids": chosen.split(",")} if chosen else {"count": "all"}
    return {"driver": "nvidia", **which, "capabilities": ["gpu"]}


def _escaped(value: Any) -> Any:
    """Compose puts variables in the place of what follows a dollar sign."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return value
