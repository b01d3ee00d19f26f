"""The limits of a run, shared between its tasks."""

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from agents.loop.limits import checked, reached
from agents.loop.sharing import less, share
from agents.loop.types import Limits
from rag.types import Usage
from tests.agents.scripted_agent import say


def test_an_equal_part_of_what_is_left() -> None:
    limits = Limits(steps=12, tokens=2110, seconds=40.0, cost=8.0, prices=(1_000_000.0, 0.0))
    said = say("Done.")  # 100 tokens read, 10 written
    found = share(replace_cost(limits, 200.0), [said], 2)
    assert found.steps == 5
    assert found.tokens == 750
    assert found.seconds == 15.0
    assert found.cost == 37.5


def replace_cost(limits: Limits, cost: float) -> Limits:
    return Limits(limits.steps, limits.tokens, limits.seconds, cost, limits.prices, limits.idle)


def test_what_has_no_limit_has_none_in_a_task() -> None:
    found = share(Limits(tokens=None), [], 3)
    assert (found.tokens, found.seconds, found.cost) == (None, None, None)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 30), st.integers(1, 2000), st.integers(1, 6), st.integers(0, 40),
    st.floats(0.001, 100), st.integers(0, 3000), st.floats(0, 200),
)  # fmt: skip
def test_no_share_is_beyond_the_whole(
    steps: int, tokens: int, tasks: int, done: int, seconds: float, used: int, spent: float
) -> None:
    """Each share can be a limit, and is reached at once where nothing is left of the tokens."""
    whole = Limits(steps=steps, tokens=tokens, seconds=seconds)
    found = checked(share(less(whole, Usage(used, 0), spent), [say("x")] * done, tasks))
    assert found.steps <= steps
    assert found.tokens is not None
    assert found.tokens <= tokens
    if used + done * 110 >= tokens:
        assert reached(found, [AIMessage("x", usage_metadata=say("x").usage_metadata)])
