"""What is counted and timed, in the form that Prometheus reads."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

if TYPE_CHECKING:
    from rag.types import Answer

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The figures of one service."""

    def __init__(self) -> None:
        # They would be a second series beside each, of no use here.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "waggle_requests", "Requests, by route and status.", ("route", "status"),
            registry=registry,
        )  # fmt: skip
        self.request_seconds = Histogram(
            "waggle_request_seconds", "Seconds from a request to the end of its response.",
            ("route",), registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self.under_way = 0
        self.watch(
            "waggle_requests_under_way", "Requests whose response has not ended.",
            lambda: self.under_way,
        )  # fmt: skip
        self.stage_seconds = Histogram(
            "waggle_stage_seconds", "Seconds of the stages of an answer.", ("stage",),
            registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self.answers = Counter(
            "waggle_answers", "Answers, by their status.", ("status",), registry=registry
        )
        self.tokens = Counter(
            "waggle_tokens", "Tokens of prompts and of replies.", ("kind",), registry=registry
        )

    @contextmanager
    def counting(self) -> Iterator[None]:
        """While a request is under way; on the event loop only."""
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    def answered(self, answer: "Answer") -> None:
        """Count an answer, its tokens and the time of its stages."""
        self.answers.labels(answer.status).inc()
        self.spent(answer.usage.prompt_tokens, answer.usage.completion_tokens)
        for stage, milliseconds in answer.timings_ms.items():
            self.stage_seconds.labels(stage).observe(milliseconds / 1000)

    def spent(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count tokens."""
        self.tokens.labels("prompt").inc(prompt_tokens)
        self.tokens.labels("completion").inc(completion_tokens)

    def watch(self, name: str, help: str, value: Callable[[], float]) -> None:
        """A figure that is asked for whenever somebody reads the metrics."""
        Gauge(name, help, registry=self.registry).set_function(value)

    def watch_each(
        self, name: str, help: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        """The same of several things, each under its ``label``."""
        from prometheus_client.core import GaugeMetricFamily, Metric
        from prometheus_client.registry import Collector

        class _Each(Collector):
            def collect(self) -> Iterable[Metric]:
                family = GaugeMetricFamily(name, help, labels=(label,))
                for key, value in values().items():
                    family.add_metric((key,), value)
                yield family

        self.registry.register(_Each())

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self.registry)
