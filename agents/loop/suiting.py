"""Whether the tool that was chosen first suits the request at all.

A weak model that is shown tools and held to the form of a call makes one, whatever it was asked.
What it says when it is asked whether the tool suits is worth little as well; how probable it finds
its «yes», shown cases like it, tells more. A tool that does not suit is taken away, and the step
asked for again. Tools that may be of use for anything (documents, a calculator) are never judged.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from agents.loop.arguments import signature
from agents.loop.schemas import arguments_of
from agents.loop.turns import is_first_step
from agents.toolbox.effects import is_general
from indexes.errors import ContextOverflowError, EndpointError
from rag.models.chat import server_of, within
from rag.models.failures import is_refused
from rag.models.logprobs import token_logprobs, yes_probability
from rag.prompting.fencing import as_data
from rag.prompts import NO, YES
from rag.steps import Steps, ask
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

LEAST: Final = 0.85
"""The probability of «yes» below which a tool does not suit. With Qwen2.5-Coder-1.5B, on the halves
``tune`` of bfcl and acebench-zh, all of 48 cases with a right call are above .9; of 32 in which no
tool suits, 18 are below."""
_TOLD: Final[dict[str, Any]] = {"logprobs": True, "top_logprobs": 20}
_TOKENS: Final = 3
"""Some models begin with a blank."""
_MAX_REQUEST: Final = 2000
_MAX_DESCRIPTION: Final = 300

_ASKED: Final = {
    "en": "You are given a request and the tools that there are. Say whether one of the tools does "
    "what the request asks for. Reply with one word: yes or no.",
    "zh": "给你一个请求和现有的工具。判断其中是否有工具能做请求所要求的事。只回答一个字：是或否。",
}
_CASE: Final = {
    "en": "Request: {request}\nTool: {tool}",
    "zh": "请求：{request}\n工具：{tool}",
}
_CASES: Final = {
    "en": (
        ("What is the weather in Oslo tomorrow?",
         "get_forecast(city: string, day: string): Weather forecast for a city.", True),
        ("Who wrote the novel Emma?",
         "convert_currency(amount: number, from: string, to: string): Converts money between "
         "currencies.", False),
        ("When was the town of Bergen founded?",
         "search_library(query: string): Searches a library of documents.", True),
        ("What is the shortest way from Bonn to Lyon by train?",
         "book_hotel(city: string, nights: integer): Books a hotel room.", False),
        ("How many moons has Jupiter?",
         "moon_phase(date: string): The phase of the moon on a date.", False),
        ("Find me a vegan cake recipe.",
         "search_recipes(dish: string, diet: string): Finds recipes.", True),
        ("What is the area of a circle of radius 4?",
         "triangle_area(base: number, height: number): Area of a triangle.", False),
        ("Look up the rent of flat 12 and tell me what a year of it is in dollars.",
         "convert_currency(amount: number, from: string, to: string): Converts money between "
         "currencies.", True),
    ),
    "zh": (
        ("明天杭州的天气怎么样？",
         "get_forecast(city: string, day: string): 查询城市的天气预报。", True),
        ("《红楼梦》是谁写的？",
         "convert_currency(amount: number, from: string, to: string): 换算货币。", False),
        ("扬州城是什么时候建的？", "search_library(query: string): 在资料库里搜索文档。", True),
        ("从北京到上海坐火车最快怎么走？",
         "book_hotel(city: string, nights: integer): 预订酒店房间。", False),
        ("木星有几颗卫星？", "moon_phase(date: string): 查询某天的月相。", False),
        ("帮我找一个素食蛋糕的做法。",
         "search_recipes(dish: string, diet: string): 搜索菜谱。", True),
        ("半径为 4 的圆面积是多少？",
         "triangle_area(base: number, height: number): 计算三角形面积。", False),
        ("查一下 12 号房的租金，并换算成美元告诉我一年要多少。",
         "convert_currency(amount: number, from: string, to: string): 换算货币。", True),
    ),
}  # fmt: skip
"""Requests with a tool each. Two belong to a library, and to a part of what is asked."""


class Suiting:
    """Asks ``chat`` whether a tool suits. A server that gives no log-probabilities is not asked
    again."""

    def __init__(self, chat: "BaseChatModel") -> None:
        self._chat = chat
        self._tells = server_of(chat) is not None

    def is_open(self, messages: Sequence[BaseMessage], tools: "Sequence[BaseTool]") -> bool:
        """Whether that is a question: nothing has been done yet, and each tool is for something."""
        return self._tells and is_first_step(messages) and not any(map(is_general, tools))

    def judge(
        self, request: str, tool: "BaseTool", lang: str, deadline: float | None
    ) -> Steps[tuple[bool, Usage]]:
        """Whether the tool may suit the ``request``, and what it cost to know. Raises
        ``EndpointError`` where the server fails."""
        turns = _turns(request, tool, lang)
        options = {**_TOLD, **within(self._chat, deadline)}
        try:
            reply = yield from ask(self._chat, turns, max_tokens=_TOKENS, **options)
        except ContextOverflowError:
            return True, Usage()
        except EndpointError as error:
            if not is_refused(error):
                raise
            self._tells = False
            return True, Usage()
        self._tells = token_logprobs(reply) is not None
        probability = yes_probability(reply, YES[lang], NO[lang])
        return probability is None or probability >= LEAST, Usage.of(reply)


def _turns(request: str, tool: "BaseTool", lang: str) -> list[BaseMessage]:
    """The cases first: the server has them in its cache."""
    turns: list[BaseMessage] = [SystemMessage(_ASKED[lang])]
    for asked, offered, suits in _CASES[lang]:
        turns.append(HumanMessage(_CASE[lang].format(request=asked, tool=offered)))
        turns.append(AIMessage((YES if suits else NO)[lang][0]))
    told = " ".join(tool.description.split())[:_MAX_DESCRIPTION]
    offered = as_data(f"{signature(tool.name, arguments_of(tool))}: {told}")
    said = as_data(" ".join(request.split())[-_MAX_REQUEST:])
    return [*turns, HumanMessage(_CASE[lang].format(request=said, tool=offered))]
