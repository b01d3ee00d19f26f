"""The doors to people and to other apps, and the agent."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.loop.acting import RagAgent

__all__ = ["RagAgent"]


def __getattr__(name: str) -> object:
    """Imports on first use, so that ``import agents`` costs nothing."""
    if name == "RagAgent":
        from agents.loop.acting import RagAgent

        return RagAgent
    raise AttributeError(f"module 'agents' has no attribute {name!r}")
