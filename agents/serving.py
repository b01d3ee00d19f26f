"""``waggle models serve``: from a request to a plan, which is run, or shown in one of its forms."""

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agents.shapes import ModelShape, ServeShape, ServeStepShape
from indexes.errors import ModelError, ModelFileError, UsageError
from indexes.i18n import t
from rag.serving.cluster import ClusterPlan, Join, plan_cluster
from rag.serving.environment import environment_folder, environment_python, requirement
from rag.serving.folder import read_folder
from rag.serving.hardware import Gpu, Hardware, find_hardware
from rag.serving.models import DEFAULT_SERVED_MODEL, SERVED, ServedModel, find_served
from rag.serving.plan import SERVER_MODULE, ServeOptions, ServePlan, plan
from rag.serving.running import log_file, server_url
from rag.serving.shell import command_text
from rag.serving.units import COMPOSE_NAME, UNIT_NAME, check_compose, compose_file, systemd_unit

if TYPE_CHECKING:
    from agents.terminal import Terminal

Form = Literal["run", "print", "systemd", "compose"]

_GB = 10**9
_USUAL_MEMORY = 24 * _GB
_MOST_GB = 1024


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What the user typed. ``gpu_memory`` is in GB of 10⁹ bytes, ``nodes`` are separated by commas,
    ``loras`` are written NAME=PATH. ``gpus`` and ``replicas`` count per machine."""

    name: str | None = None
    form: Form = "run"
    options: ServeOptions = field(default_factory=ServeOptions)
    loras: tuple[str, ...] = ()
    gpu_memory: float | None = None
    nodes: str | None = None
    join: Join = "mp"


def served_catalogue() -> tuple[ModelShape, ...]:
    """The models that vLLM serves, and whether the hub's cache of this machine holds them."""
    return tuple(
        ModelShape(
            name=model.name, kind=model.kind, description=t(model.description),
            size=model.weight_bytes, licence=model.licence, languages=model.languages,
            context=model.context, present=(path := _cached(model)) is not None,
            path=str(path) if path else None, engines=("vllm",),
        )
        for model in SERVED.values()
    )  # fmt: skip


def chosen_form(*, printed: bool, systemd: bool, compose: bool) -> Form:
    """Which form the options ask for. Raises `UsageError` for more than one."""
    asked: dict[Form, bool] = {"print": printed, "systemd": systemd, "compose": compose}
    forms = [form for form, wanted in asked.items() if wanted]
    if len(forms) > 1:
        raise UsageError(t("Give one of --print, --systemd and --compose."))
    return forms[0] if forms else "run"


def run_serve(terminal: "Terminal", home: Path, request: ServeRequest) -> int:
    """Serve the model until it is asked to end, or show how; the exit code. Raises `ModelError` and
    `UsageError`."""
    _check(terminal, request)
    model = find_model(request.name or DEFAULT_SERVED_MODEL)
    options = replace(request.options, loras=tuple(map(_lora, request.loras)))
    hardware, notes = _hardware(request)
    if request.form == "compose":
        check_compose(hardware.gpus)
    planned: ServePlan | ClusterPlan
    if request.nodes is not None:
        planned = plan_cluster(
            model, request.nodes.split(","), hardware.gpus, options, request.join
        )
    else:
        planned = plan(model, hardware, options)
    for note in notes:
        terminal.notice(note)
    if isinstance(planned, ClusterPlan) or request.form == "print":
        _show(terminal, home, planned)
        return 0
    for note in planned.notes:
        terminal.notice(note)
    if request.form == "run":
        return _run(terminal, home, planned)
    _show_unit(terminal, home, planned, request.form)
    return 0


def find_model(name: str) -> ServedModel:
    """The model of the catalogue that is called so, else the one in the folder of that name."""
    folder = Path(name).expanduser()
    looks_like_path = name.startswith((".", "~", "/")) or folder.is_dir()
    try:
        return find_served(name)
    except ModelError:
        if looks_like_path:
            return read_folder(folder)
        raise


def _check(terminal: "Terminal", request: ServeRequest) -> None:
    if terminal.as_json and request.form != "print":
        raise UsageError(t("--json goes with --print here."))
    if request.nodes is not None and request.form != "print":
        raise UsageError(
            t("Several machines are started on each of them: --nodes goes with --print.")
        )
    if request.gpu_memory is None:
        return
    if request.form == "run":
        raise UsageError(
            t("--gpu-memory plans for other GPUs than those here: it goes with --print.")
        )
    if not 1 <= request.gpu_memory <= _MOST_GB:
        raise UsageError(t("--gpu-memory is a number of GB, from 1 to {most}.", most=_MOST_GB))


def _lora(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (equals and name.strip() and path.strip()):
        raise UsageError(t("«{text}» is no adapter: write NAME=PATH.", text=text))
    folder = Path(path).expanduser()
    return name.strip(), str(folder.resolve()) if folder.exists() else path.strip()


def _hardware(request: ServeRequest) -> tuple[Hardware, tuple[str, ...]]:
    """What is planned for: this machine, or the GPUs that the options describe."""
    here = find_hardware()
    count = request.options.gpus or 0
    elsewhere = request.gpu_memory is not None or count > len(here.gpus)
    if request.nodes is not None and not (count or here.gpus):
        raise UsageError(t("Say with --gpus how many GPUs each machine has."))
    if request.form == "run" or not elsewhere:
        return here, ()
    largest = max((gpu.memory for gpu in here.gpus), default=_USUAL_MEMORY)
    memory = largest if request.gpu_memory is None else int(request.gpu_memory * _GB)
    size = f"{memory / _GB:.0f}"
    name = t("a GPU of {size} GB", size=size)
    gpus = tuple(Gpu(index, name, memory) for index in range(count or 1))
    note = t("Planned for GPUs of {size} GB; --gpu-memory names another size.", size=size)
    return replace(here, gpus=gpus), (note,) if request.gpu_memory is None else ()


# -- shown -------------------------------------------------------------------------------------


def _show(terminal: "Terminal", home: Path, planned: ServePlan | ClusterPlan) -> None:
    shape = _cluster_shape(planned) if isinstance(planned, ClusterPlan) else _shape(home, planned)
    for note in shape.notes:
        terminal.notice(note)
    if terminal.as_json:
        terminal.json(shape)
        return
    if len(shape.steps) == 1:
        terminal.write(shape.steps[0].text + "\n")
        return
    terminal.write(steps_text(shape.steps))


def steps_text(steps: Sequence[ServeStepShape]) -> str:
    """The steps one after the other, each under a comment that says where it is taken."""
    return "\n".join(f"# {_where(step)}\n{step.text.rstrip()}\n" for step in steps)


def _where(step: ServeStepShape) -> str:
    place = t("on {node}", node=step.node) if step.node else t("where Waggle runs")
    return f"{place}: {step.file}" if step.file else place


def _shape(home: Path, planned: ServePlan) -> ServeShape:
    known = environment_python(environment_folder(home, gpu=planned.gpu))
    command = (str(known or "python"), "-m", SERVER_MODULE, *planned.arguments)
    notes = planned.notes
    if known is None:
        wanted = requirement(gpu=planned.gpu)
        notes += (t("«python» is that of an environment with {requirement}.", requirement=wanted),)
    text = command_text(command, planned.environment)
    return ServeShape(
        model=planned.model.name, repository=planned.model.repository,
        url=server_url(planned), context=planned.context,
        tensor_parallel=planned.tensor_parallel, pipeline_parallel=1, replicas=planned.replicas,
        command=command, environment=planned.environment,
        steps=(ServeStepShape(node="", file="", text=text),), notes=notes,
    )  # fmt: skip


def _cluster_shape(planned: ClusterPlan) -> ServeShape:
    return ServeShape(
        model=planned.model.name, repository=planned.model.repository,
        url=f"http://127.0.0.1:{planned.port}/v1", context=planned.context,
        tensor_parallel=planned.tensor_parallel, pipeline_parallel=planned.pipeline_parallel,
        replicas=planned.replicas, command=(), environment={},
        steps=tuple(ServeStepShape.model_validate(step) for step in planned.steps),
        notes=planned.notes,
    )  # fmt: skip


def _show_unit(terminal: "Terminal", home: Path, planned: ServePlan, form: Form) -> None:
    if form == "compose":
        version = requirement(gpu=True).partition("==")[2]
        terminal.write(compose_file(planned, version))
        terminal.notice(t("Save it as {file}, then: docker compose up -d", file=COMPOSE_NAME))
        return
    folder = environment_folder(home, gpu=planned.gpu)
    python = environment_python(folder)
    if python is None:
        python = folder / "bin" / "python"
        terminal.notice(t("{python} is made by the first `waggle models serve`.", python=python))
    terminal.write(systemd_unit(planned, python, getpass.getuser()))
    terminal.notice(
        t("Save it as {file}, then: systemctl enable --now {unit}",
          file=f"/etc/systemd/system/{UNIT_NAME}", unit=UNIT_NAME)
    )  # fmt: skip


# -- run ---------------------------------------------------------------------------------------


def _run(terminal: "Terminal", home: Path, planned: ServePlan) -> int:
    from rag.serving.environment import ensure_environment
    from rag.serving.launch import serve

    for name, path in planned.loras:
        if not Path(path).is_dir():
            raise ModelFileError(
                t("The adapter {name} is no folder on this machine: {path}.", name=name, path=path)
            )
    with terminal.working(t("Preparing vLLM's environment…")) as progress:
        python = ensure_environment(home, progress=progress, gpu=planned.gpu)
    title = t("Starting {model}…", model=planned.model.name)
    with terminal.working(title) as progress:
        return serve(
            planned, python, log=log_file(home, planned.port),
            tell=terminal.notice, progress=progress,
        )  # fmt: skip


def _cached(model: ServedModel) -> Path | None:
    """Where the hub's client keeps the model, if it has been fetched."""
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    snapshots = hub / f"models--{model.repository.replace('/', '--')}" / "snapshots"
    try:
        found = sorted(
            folder for folder in snapshots.iterdir() if any(folder.glob("*.safetensors"))
        )
    except OSError:
        return None
    return found[-1] if found else None
