"""The JSON that ``waggle eval agent`` writes. These shapes are a promise to other programs."""

from agents.evaluation_shapes import ComparisonShape, ScoresShape
from agents.shapes import Shape


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


class MeasuresShape(Shape):
    measured: tuple[MeasureShape, ...]
