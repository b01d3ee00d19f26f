"""What the tests of runs share."""

from tests.faults.conftest import folder, ground

__all__ = ["folder", "ground"]
