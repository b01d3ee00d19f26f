"""What lies in deploy/, as far as it can be checked without a daemon or a cluster."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml

import cli
from agents.doors.settings import ServeSettings
from rag.settings import ChatSettings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
CLUSTER: list[dict[str, Any]] = list(
    yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"))
)
UNIT = (DEPLOY / "waggle.service").read_text("utf-8")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
EVERYWHERE = "\n".join(path.read_text("utf-8") for path in DEPLOY.iterdir())


def of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (one for one in CLUSTER if one["kind"] == kind)


def pod(name: str) -> dict[str, Any]:
    (found,) = (d for d in of_kind("Deployment") if d["metadata"]["name"] == name)
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def test_the_image_is_built_from_what_is_copied_into_it(tmp_path: Path) -> None:
    """The first stage's files are enough for a wheel, which holds all that the program is."""
    first = CONTAINERFILE.split("\nFROM ")[1]
    for line in re.findall(r"^COPY (.+)$", first, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target,
                                ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
            else:
                (tmp_path / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / target)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (wheel,) = (tmp_path / "out").glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    assert {"cli.py", "agents/http/app.py", "rag/serving/pyproject.toml"} <= names
    assert (tmp_path / "requirements.lock").is_file()
    assert (tmp_path / "scripts" / "install.py").is_file()


def test_every_command_is_one_of_ours() -> None:
    commands = [
        ["serve", *COMPOSE["services"]["waggle"]["command"][1:]],
        pod("waggle")["containers"][0]["args"],
        *(shlex.split(c) for c in re.findall(r"waggle (serve [^\n\"]*)", EVERYWHERE)),
    ]
    known = set(re.findall(r"--[a-z-]+", str([p.opts for p in options_of("serve")])))
    for command in commands:
        assert command[0] == "serve"
        assert {word for word in command if word.startswith("--")} <= known, command


def options_of(name: str) -> list[Any]:
    import typer.main

    group: Any = typer.main.get_command(cli.app)
    found: list[Any] = group.commands[name].params
    return found


def test_every_variable_is_a_setting() -> None:
    for prefix, settings in (("WAGGLE_SERVE_", ServeSettings), ("WAGGLE_CHAT_", ChatSettings)):
        for name in re.findall(rf"{prefix}([A-Z_]+)", EVERYWHERE):
            assert name.lower() in settings.model_fields, name


def test_vllm_is_the_one_that_the_project_is_tested_with() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    (pin,) = groups["vllm"]
    versions = re.findall(r"vllm/vllm-openai:v(\S+)", EVERYWHERE)
    assert versions == [pin.removeprefix("vllm==")] * 2


def test_what_is_stopped_may_finish() -> None:
    drain = ServeSettings().drain_seconds
    compose = COMPOSE["services"]["waggle"]["stop_grace_period"]
    unit = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert unit
    for seconds in (compose.removesuffix("s"), unit[1],
                    pod("waggle")["terminationGracePeriodSeconds"]):  # fmt: skip
        assert float(seconds) > drain


def test_vllm_is_reached_by_the_service_alone() -> None:
    assert "ports" not in COMPOSE["services"]["vllm"]
    (published,) = COMPOSE["services"]["waggle"]["ports"]
    assert published.startswith("127.0.0.1:")
    (policy,) = of_kind("NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"] == {"app": "vllm"}
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app": "waggle"}}}]


def test_names_in_the_cluster_mean_something() -> None:
    claims = {one["metadata"]["name"] for one in of_kind("PersistentVolumeClaim")}
    labels = [d["spec"]["template"]["metadata"]["labels"] for d in of_kind("Deployment")]
    for deployment in of_kind("Deployment"):
        spec = deployment["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
        inside = spec["template"]["spec"]
        volumes = {volume["name"] for volume in inside["volumes"]}
        for volume in inside["volumes"]:
            claim = volume.get("persistentVolumeClaim")
            assert claim is None or claim["claimName"] in claims
        for container in [*inside["containers"], *inside.get("initContainers", [])]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    assert container[probe]["httpGet"]["port"] in ports
    for service in of_kind("Service"):
        assert service["spec"]["selector"] in labels
    url = re.search(r"http://(\w+):(\d+)/v1", (DEPLOY / "kubernetes.yaml").read_text("utf-8"))
    assert url
    (vllm,) = (s for s in of_kind("Service") if s["metadata"]["name"] == url[1])
    assert vllm["spec"]["ports"][0]["port"] == int(url[2])


def test_load_alone_does_not_restart_the_service() -> None:
    """Under load it answers late; only one that does not answer for minutes is dead."""
    (container,) = pod("waggle")["containers"]
    live = container["livenessProbe"]
    assert live["timeoutSeconds"] >= 30
    assert live["failureThreshold"] * live["periodSeconds"] >= 120


def test_health_is_asked_where_it_answers() -> None:
    from agents.http.health import router

    served = {getattr(route, "path", "") for route in router.routes}
    asked = set(re.findall(r"/(?:healthz|readyz)\b", EVERYWHERE))
    assert asked == served == {"/healthz", "/readyz"}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """The program itself need not be installed; everything else must be right."""
    there = UNIT.replace("/opt/waggle/bin/waggle", sys.executable)
    (tmp_path / "waggle.service").write_text(there)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "waggle.service")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "waggle.service" not in done.stderr
