"""The JSON that ``waggle eval agent`` writes. These shapes are a promise to other programs."""

from agents.evaluation_shapes import MeasureShape
from agents.shapes import Shape


class MeasuresShape(Shape):
    measured: tuple[MeasureShape, ...]
