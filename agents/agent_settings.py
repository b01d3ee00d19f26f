"""The ``[agent]`` table of the settings: how far a run may go, and what it may do unasked."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from agents.loop.types import Approval, Limits, Mode
from indexes.settings import Listed, Names, load_settings

Prices = Annotated[tuple[NonNegativeFloat, NonNegativeFloat], Listed]


class AgentSettings(BaseModel):
    """What a run may spend and do. Variables are ``WAGGLE_AGENT_STEPS`` and so on; lists are
    written ``a,b`` there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=Limits().steps, ge=1)
    tokens: int | None = Field(default=Limits().tokens, ge=0, description="0 for no limit")
    seconds: float | None = Field(default=None, ge=0, description="0 for no limit")
    cost: float | None = Field(default=None, ge=0, description="0 for no limit")
    prices: Prices = Field(
        default=(0.0, 0.0), description="of a million tokens of prompts, and of replies"
    )
    idle: int = Field(default=Limits().idle, ge=1, description="steps that bring nothing new")
    approve: Approval = "ask"
    mode: Mode = "loop"
    calls: Literal["auto", "native", "json"] = Field(
        default="auto", description="how the model calls tools; auto tries it once"
    )
    tools: Names | None = Field(default=None, description="only these; by default all")
    web: bool = Field(default=False, description="whether pages may be fetched")

    @property
    def limits(self) -> Limits:
        """What ends a run."""
        return Limits(
            self.steps, self.tokens or None, self.seconds or None, self.cost or None, self.prices,
            self.idle,
        )  # fmt: skip


def load_agent_settings(**options: object) -> AgentSettings:
    """The agent's settings; ``options`` that are not ``None`` win."""
    return load_settings(AgentSettings, "agent", "AGENT_", **options)
