"""The JSON that ``waggle eval`` writes. These shapes are a promise to other programs."""

from collections.abc import Mapping

from agents.shapes import Shape


class FigureShape(Shape):
    name: str
    value: float
    low: float
    high: float
    count: int


class ScoresShape(Shape):
    pipeline: str
    group: str
    questions: int
    figures: tuple[FigureShape, ...]


class DifferenceShape(Shape):
    mean: float
    low: float
    high: float
    p: float | None


class ChangeShape(Shape):
    group: str
    name: str
    first: float
    second: float
    difference: DifferenceShape
    count: int


class ComparisonShape(Shape):
    first: str
    second: str
    changed: tuple[str, ...]
    changes: tuple[ChangeShape, ...]


class FitShape(Shape):
    threshold: float
    wrong: float
    given: float
    balanced: float | None
    questions: int


class MeasureShape(Shape):
    run: str
    file: str
    dataset: str
    half: str
    model: str
    outcomes: int
    wanted: int
    complete: bool
    scores: tuple[ScoresShape, ...]
    comparisons: tuple[ComparisonShape, ...]


class EvalShape(MeasureShape):
    calibration: Mapping[str, FitShape]


class DivergenceShape(Shape):
    question: str
    text: str
    pipeline: str
    step: str
    call: int


class ReplayShape(Shape):
    run: str
    replay: str
    changed: tuple[str, ...]
    questions: int
    diverged: tuple[DivergenceShape, ...]


class RunShape(Shape):
    run: str
    dataset: str
    model: str
    started: str
    outcomes: int
    wanted: int


class RunsShape(Shape):
    runs: tuple[RunShape, ...]
