"""The commands that spread a model over several machines, each as it is typed there.

Sources: vLLM's pages "Parallelism and Scaling" and "Data Parallel Deployment" and, for the flags,
``vllm/engine/arg_utils.py`` of 0.32. Only ``vllm serve`` knows ``--headless``, so that here the
command stands and not its module; the machines of a cluster have GPUs, where the command works.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from indexes.errors import ModelError, UsageError
from indexes.i18n import t
from rag.serving.hardware import Gpu
from rag.serving.layout import Layout, Wish, lay_out
from rag.serving.models import ServedModel, bytes_per_number
from rag.serving.plan import (
    ServeOptions,
    check,
    check_dtype,
    common_notes,
    features,
    identity,
    lora_ranks,
    sizes,
    variables,
)
from rag.serving.shell import command_text

Join = Literal["mp", "ray", "nginx"]
"""How the machines work together: vLLM's own processes, or Ray, make one server of them; nginx
balances the load of one server on each."""

RPC_PORT = 29_550
RAY_PORT = 6379
NGINX_PORT = 8080

_NODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Step:
    """What is typed or written on one machine; ``node`` is "" for the one where Waggle runs, and
    ``file`` the name under which ``text`` is saved, "" for a command."""

    node: str
    text: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A model on several machines: ``steps`` in the order in which they are taken. ``replicas``
    counts the copies of the model on all machines, ``port`` is where Waggle finds them."""

    model: ServedModel
    steps: tuple[Step, ...]
    context: int
    tensor_parallel: int
    pipeline_parallel: int
    replicas: int
    port: int
    notes: tuple[str, ...]


def plan_cluster(
    model: ServedModel,
    nodes: Sequence[str],
    gpus: Sequence[Gpu],
    options: ServeOptions,
    join: Join = "mp",
) -> ClusterPlan:
    """The commands for ``nodes``, each of which has ``gpus``. A model that fits on one machine
    stands on each of them as often as it fits (or ``options.replicas`` times); a larger one is cut
    into as many stages as there are machines.

    Raises `ModelError` when it does not fit, `UsageError` for what cannot be.
    """
    check(options)
    check_nodes(nodes)
    check_dtype(model, options)
    ranks = lora_ranks(model, options)
    wish = Wish(
        context=options.context, lora_rank=max(ranks, default=0), loras=len(ranks),
        width=bytes_per_number(options.dtype),
    )  # fmt: skip
    layout = _on_each(model, gpus, options, wish)
    if layout is None or (layout.context < (options.context or model.context) and join != "nginx"):
        layout = _across(model, gpus, nodes, options, wish, layout)
    if layout.pipeline_parallel > 1 and join == "nginx":
        raise ModelError(
            t("{name} does not fit on one machine: join them with mp or ray.", name=model.name)
        )
    serve = _Serve(model, nodes, options, layout, tuple(features(model, options, ranks)))
    steps = {"mp": _by_processes, "ray": _by_ray, "nginx": _by_nginx}[join](serve)
    return ClusterPlan(
        model=model, steps=tuple(steps), context=layout.context,
        tensor_parallel=layout.tensor_parallel, pipeline_parallel=layout.pipeline_parallel,
        replicas=serve.replicas, port=NGINX_PORT if join == "nginx" else options.port,
        notes=tuple(_notes(serve, gpus, join)),
    )  # fmt: skip


def check_nodes(nodes: Sequence[str]) -> None:
    """Raises `UsageError` for names that are no addresses, or that stand twice."""
    for node in nodes:
        if not _NODE.fullmatch(node):
            raise UsageError(t("«{node}» is not the address of a machine.", node=node))
    if len(set(nodes)) < len(nodes) or len(nodes) < 2:
        raise UsageError(t("--nodes names two machines or more, each once, such as a,b."))


# -- where it fits -----------------------------------------------------------------------------


def _on_each(
    model: ServedModel, gpus: Sequence[Gpu], options: ServeOptions, wish: Wish
) -> Layout | None:
    """The layout on every machine by itself, or ``None`` where the model does not fit on one."""
    if options.replicas is not None:
        wish = replace(wish, replicas=options.replicas, gpus=len(gpus))
    try:
        layout = lay_out(model, gpus, wish)
    except ModelError:
        return None
    if options.replicas is None:
        layout = replace(layout, replicas=len(gpus) // layout.tensor_parallel)
    return layout


def _across(
    model: ServedModel, gpus: Sequence[Gpu], nodes: Sequence[str], options: ServeOptions,
    wish: Wish, single: Layout | None,
) -> Layout:  # fmt: skip
    """The layout as stages over all machines, where that leaves room for more context."""
    if options.replicas is not None and single is not None:
        return single
    try:
        staged = lay_out(model, gpus, replace(wish, gpus=len(gpus), pipeline=len(nodes)))
    except ModelError:
        if single is None:
            raise
        return single
    return staged if single is None or staged.context > single.context else single


# -- how it is started -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Serve:
    model: ServedModel
    nodes: Sequence[str]
    options: ServeOptions
    layout: Layout
    features: tuple[str, ...]

    @property
    def head(self) -> str:
        return self.nodes[0]

    @property
    def replicas(self) -> int:
        stages = self.layout.pipeline_parallel > 1
        return 1 if stages else self.layout.replicas * len(self.nodes)

    def command(self, node: str, *more: str) -> str:
        """``vllm serve`` on ``node``: the flags that all share, and ``more``."""
        _, repository, *named = identity(self.model, self.options)
        flags = [*named, *sizes(self.layout, self.options), *more, *self.features]
        environment = {**variables(self.model), **_address(node)}
        return command_text(["vllm", "serve", repository, *flags], environment)


def _address(node: str) -> Mapping[str, str]:
    """Which of a machine's addresses the others reach, where it is known."""
    try:
        return {"VLLM_HOST_IP": str(ipaddress.ip_address(node))}
    except ValueError:
        return {}


def _by_processes(serve: _Serve) -> list[Step]:
    steps = []
    for rank, node in enumerate(serve.nodes):
        headless = ["--headless"] if rank else []
        if serve.layout.pipeline_parallel > 1:
            more = ["--nnodes", str(len(serve.nodes)), "--node-rank", str(rank)]
            more += ["--master-addr", serve.head]
        else:
            local = serve.layout.replicas
            more = ["--data-parallel-size", str(serve.replicas)]
            more += ["--data-parallel-size-local", str(local)]
            more += ["--data-parallel-start-rank", str(rank * local)] if rank else []
            more += ["--data-parallel-address", serve.head]
            more += ["--data-parallel-rpc-port", str(RPC_PORT)]
        steps.append(Step(node, serve.command(node, *more, *headless)))
    return steps


def _by_ray(serve: _Serve) -> list[Step]:
    steps = []
    for rank, node in enumerate(serve.nodes):
        join = ["--address", f"{serve.head}:{RAY_PORT}"] if rank else ["--head"]
        port = [] if rank else ["--port", str(RAY_PORT)]
        start = ["ray", "start", *join, "--node-ip-address", node, *port]
        steps.append(Step(node, command_text(start, _address(node))))
    if serve.layout.pipeline_parallel > 1:
        more = ["--distributed-executor-backend", "ray"]
    else:
        more = ["--data-parallel-size", str(serve.replicas), "--data-parallel-backend", "ray"]
        more += ["--data-parallel-size-local", str(serve.layout.replicas)]
    return [*steps, Step(serve.head, serve.command(serve.head, *more))]


def _by_nginx(serve: _Serve) -> list[Step]:
    """A server on each machine, to its loopback; tunnels from where Waggle runs; nginx there."""
    local = serve.layout.replicas
    more = ["--data-parallel-size", str(local)] if local > 1 else []
    steps = [Step(node, serve.command(node, *more)) for node in serve.nodes]
    port = serve.options.port
    ports = [port + number for number in range(1, len(serve.nodes) + 1)]
    for node, near in zip(serve.nodes, ports, strict=True):
        tunnel = ["ssh", "-N", "-L", f"127.0.0.1:{near}:127.0.0.1:{port}", node]
        steps.append(Step("", command_text(tunnel, {})))
    return [*steps, Step("", nginx(ports), "/etc/nginx/conf.d/waggle-vllm.conf")]


def nginx(ports: Sequence[int]) -> str:
    """A server that passes requests for models, and nothing else, to the least busy of ``ports``;
    streams pass as they come, and a machine that is away is left out for a while."""
    servers = "\n".join(
        f"    server 127.0.0.1:{port} max_fails=2 fail_timeout=10s;" for port in ports
    )
    return f"""\
upstream waggle_vllm {{
    least_conn;
{servers}
    keepalive 32;
}}

server {{
    listen 127.0.0.1:{NGINX_PORT};
    client_max_body_size 32m;

    location /v1/ {{
        proxy_pass http://waggle_vllm;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_buffering off;
        proxy_connect_timeout 5s;
        proxy_read_timeout 600s;
    }}

    location / {{
        return 404;
    }}
}}
"""


def _notes(serve: _Serve, gpus: Sequence[Gpu], join: Join) -> list[str]:
    notes = []
    layout, model = serve.layout, serve.model
    if serve.options.context is None and layout.context < model.context:
        notes.append(
            t("The context is {context} tokens, of the model's {whole}.",
              context=f"{layout.context:,}", whole=f"{model.context:,}")
        )  # fmt: skip
    copies = 1 if layout.pipeline_parallel > 1 else layout.replicas
    idle = len(gpus) - layout.tensor_parallel * copies
    if idle > 0:
        notes.append(t("GPUs left free on each machine: {count}.", count=idle))
    if join != "nginx":
        notes.append(
            t(
                "The machines talk to each other without encryption or keys: let nobody else into "
                "their network."
            )
        )
    return notes + common_notes(model, serve.options)
