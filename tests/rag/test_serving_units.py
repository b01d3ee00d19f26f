"""The unit and the Compose file, read back by what will read them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from indexes.errors import UsageError
from rag.serving.hardware import GIB, Gpu, Hardware
from rag.serving.models import SERVED
from rag.serving.plan import SERVER_MODULE, ServeOptions, ServePlan, plan
from rag.serving.units import check_compose, compose_file, systemd_unit

QWEN = SERVED["qwen2.5-7b-instruct"]
GPUS = tuple(Gpu(n, "GPU of 24 GB", 24 * GIB) for n in range(2))
ODD = "/models/50% off/a \"b\" 'c' $HOME \\ d"


def planned(*, present: tuple[Gpu, ...] = GPUS, **options: Any) -> ServePlan:
    return plan(QWEN, Hardware(gpus=present, memory=64 * GIB, cpus=8), ServeOptions(**options))


def exec_start(unit: str) -> str:
    found = re.search(r"^ExecStart=(.*?[^\\])$", unit, re.DOTALL | re.MULTILINE)
    assert found
    return found[1].replace("\\\n", " ")


def test_the_unit_starts_the_server_of_the_plan() -> None:
    server = planned()
    unit = systemd_unit(server, Path("/srv/waggle/vllm/bin/python"), "waggle")
    words = exec_start(unit).split()
    assert words[:4] == ["/srv/waggle/vllm/bin/python", "-P", "-m", SERVER_MODULE]
    assert tuple(words[4:]) == server.arguments
    assert "User=waggle" in unit
    assert "Environment=CUDA_VISIBLE_DEVICES=0" in unit
    assert "Environment=VLLM_NO_USAGE_STATS=1" in unit
    assert "Restart=on-failure" in unit


def test_the_unit_quotes_what_systemd_would_expand() -> None:
    unit = systemd_unit(planned(loras=(("odd", ODD),)), Path("/usr/bin/python3"), "waggle")
    assert r'''"odd=/models/50%% off/a \"b\" 'c' $$HOME \\ d"''' in exec_start(unit)
    with pytest.raises(UsageError, match="cannot stand in a unit"):
        systemd_unit(planned(loras=(("a", "/x\nExecStart=/bin/sh"),)), Path("/p"), "waggle")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    file = tmp_path / "waggle-vllm.service"
    file.write_text(systemd_unit(planned(loras=(("odd", ODD),)), Path("/bin/sh"), "root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert file.name not in done.stderr


def service(server: ServePlan) -> dict[str, Any]:
    content = yaml.safe_load(compose_file(server, "1.2.3"))
    assert content["volumes"] == {"huggingface": {}}
    return dict(content["services"]["vllm"])


def test_the_compose_file_is_reached_from_this_machine_alone() -> None:
    vllm = service(planned(port=8123, gpus=2))
    assert vllm["image"] == "vllm/vllm-openai:v1.2.3"
    assert vllm["ports"] == ["127.0.0.1:8123:8123"]
    assert vllm["command"][0] == "Qwen/Qwen2.5-7B-Instruct"
    assert vllm["command"][vllm["command"].index("--host") + 1] == "0.0.0.0"
    assert tuple(vllm["command"][-3:]) == planned().arguments[-3:]
    [device] = vllm["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert "http://127.0.0.1:8123/health" in vllm["healthcheck"]["test"][-1]


def test_docker_hands_over_the_gpus_chosen() -> None:
    vllm = service(planned())
    [device] = vllm["deploy"]["resources"]["reservations"]["devices"]
    assert device["device_ids"] == ["0"]
    assert vllm["environment"] == {"VLLM_NO_USAGE_STATS": "1"}


def test_folders_are_mounted_where_the_arguments_look_for_them() -> None:
    vllm = service(planned(loras=(("law", "/data/law$1"), ("hub", "someone/adapter"))))
    assert "/data/law$$1:/adapters/law/law$$1:ro" in vllm["volumes"]
    assert vllm["command"][-2:] == ["law=/adapters/law/law$$1", "hub=someone/adapter"]


def test_the_compose_file_needs_a_gpu() -> None:
    with pytest.raises(UsageError, match="needs one"):
        check_compose(())
