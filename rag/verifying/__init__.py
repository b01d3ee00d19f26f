"""Whether the sentences of an answer stand in the passages that it was given."""

from rag.verifying.judging import Check
from rag.verifying.verifying import UNSUPPORTED, Verdict, Verifying

__all__ = ["UNSUPPORTED", "Check", "Verdict", "Verifying"]
