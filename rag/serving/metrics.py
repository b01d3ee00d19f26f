"""The few figures of a model server's ``/metrics`` that tell how it is doing."""

import math
import re
from dataclasses import dataclass

# Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/
_SAMPLE = re.compile(r"(?P<name>[A-Za-z_:][\w:]*)(?:\{.*\})?\s+(?P<value>[^\s#]+)(?:\s+-?\d+)?\s*$")

# vLLM's names in several versions, then llama.cpp's. Counters end in _total since vLLM 0.8.
_RUNNING = ("vllm:num_requests_running", "llamacpp:requests_processing")
_WAITING = ("vllm:num_requests_waiting", "llamacpp:requests_deferred")
_CACHE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "llamacpp:kv_cache_usage_ratio")
_QUERIES = ("vllm:prefix_cache_queries", "vllm:gpu_prefix_cache_queries")
_HITS = ("vllm:prefix_cache_hits", "vllm:gpu_prefix_cache_hits")
_PREEMPTIONS = ("vllm:num_preemptions",)


@dataclass(frozen=True, slots=True)
class Metrics:
    """``None`` is what the server does not tell. ``cache`` is the fullest engine's share of its KV
    cache in use, ``hits`` the share of prompt tokens found in the prefix cache since the start,
    both from 0 to 1; ``preemptions`` counts requests thrown out of a full cache since the start."""

    running: int | None = None
    waiting: int | None = None
    cache: float | None = None
    hits: float | None = None
    preemptions: int | None = None


def read_metrics(text: str) -> Metrics:
    """Read Prometheus' text; what is not understood is passed over. Counts of several engines (one
    for each replica) are added up."""
    samples: dict[str, list[float]] = {}
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found:
            samples.setdefault(found["name"].removesuffix("_total"), []).extend(
                _number(found["value"])
            )
    return Metrics(
        running=_count(_sum(samples, _RUNNING)),
        waiting=_count(_sum(samples, _WAITING)),
        cache=max(_values(samples, _CACHE), default=None),
        hits=_share(_sum(samples, _HITS), _sum(samples, _QUERIES)),
        preemptions=_count(_sum(samples, _PREEMPTIONS)),
    )


def _number(text: str) -> list[float]:
    try:
        value = float(text)
    except ValueError:
        return []
    return [value] if math.isfinite(value) and value >= 0 else []


def _values(samples: dict[str, list[float]], names: tuple[str, ...]) -> list[float]:
    return next((samples[name] for name in names if samples.get(name)), [])


def _sum(samples: dict[str, list[float]], names: tuple[str, ...]) -> float | None:
    values = _values(samples, names)
    total = sum(values)
    return total if values and math.isfinite(total) else None


def _share(part: float | None, whole: float | None) -> float | None:
    """From 0 to 1; ``None`` where the two cannot belong together."""
    return part / whole if part is not None and whole and part <= whole else None


def _count(value: float | None) -> int | None:
    return None if value is None else round(value)
