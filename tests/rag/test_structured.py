"""Objects from servers that enforce a schema, refuse to, ignore it, or write anything at all."""

import asyncio
import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema

from indexes.errors import ContextOverflowError, EndpointError, StructuredOutputError
from rag.models.catalogue import find
from rag.models.chat import chat_model
from rag.models.download import pull
from rag.models.engine import ensure_engine, stop_engine
from rag.models.structured import Structured, ask_object, object_of
from rag.models.structured_json import Unfit, json_schema, parse_object, structure
from rag.models.thinking import without_thoughts
from rag.steps import arun
from rag.types import Usage


class Bee(BaseModel):
    name: str
    kind: Literal["worker", "drone", "queen"]
    age: int = Field(ge=0, le=40, description="年龄，单位为天")


class Hive(BaseModel):
    """A hive with its bees."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(pattern=r"^[A-Z]")
    bees: list[Bee] = Field(min_length=1, max_length=3)
    note: str | None = None


class Node(BaseModel):
    value: str
    children: list["Node"] = []


GOOD = {"title": "Home", "bees": [{"name": "Maja", "kind": "worker", "age": 3}], "note": None}
HIVE = Hive.model_validate(GOOD)
TEXT = json.dumps(GOOD)
BAD = json.dumps({"title": "home", "bees": [{"name": "Maja", "kind": "wasp", "age": 41}]})
ASKED = [SystemMessage("You keep bees."), HumanMessage("Describe a hive.")]

Reply = tuple[int, Any]
Answer = Callable[[dict[str, Any]], Reply]


def says(content: str, finish: str = "stop", **message: Any) -> Reply:
    whole = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": whole, "finish_reason": finish}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return 200, {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}


def refuses(status: int = 400, reason: str = "response_format: unknown field") -> Reply:
    return status, {"error": {"message": reason, "type": "invalid_request_error"}}


class _Listener(ThreadingHTTPServer):
    request_queue_size = 64  # many ask at once


@dataclass
class Server:
    """How the server answers each request, and what it was asked."""

    url: str = ""
    answer: Answer = field(default=lambda body: says(TEXT))
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def replies(self, *replies: Reply) -> None:
        """One after the other, the last one for ever."""
        left = list(replies)
        self.answer = lambda body: left.pop(0) if len(left) > 1 else left[0]

    def ways(self) -> list[str | None]:
        """What each request wanted the server to enforce."""
        formats = [body.get("response_format") for body in self.bodies]
        return [wanted and wanted["type"] for wanted in formats]


@pytest.fixture
def server() -> Iterator[Server]:
    script = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            script.bodies.append(body)
            status, reply = script.answer(body)
            data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            pass

    with _Listener(("127.0.0.1", 0), Handler) as httpd:
        script.url = f"http://127.0.0.1:{httpd.server_port}/v1"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield script
        httpd.shutdown()
        thread.join()


_names = (f"model-{number}" for number in itertools.count())


def endpoint(server: Server, **options: Any) -> Any:
    """A client under a name of its own: what was learned of a server outlives the test."""
    return chat_model(server.url, next(_names), "key", max_retries=0, **options)


Ask = Callable[..., Structured[Any]]


def ask_in_a_loop(*arguments: Any, **options: Any) -> Structured[Any]:
    async def run() -> Structured[Any]:
        return await arun(object_of(*arguments, **options))

    return asyncio.run(run())


@pytest.fixture(params=[ask_object, ask_in_a_loop], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_server_that_obeys_gets_the_schema(server: Server, ask: Ask) -> None:
    got = ask(endpoint(server), ASKED, Hive)
    assert got == Structured(HIVE, Usage(10, 5), "json_schema", 1)
    [body] = server.bodies
    wanted = body["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["name"] == "Hive"
    assert wanted["json_schema"]["strict"] is True
    assert wanted["json_schema"]["schema"] == json_schema(Hive)
    assert not body.get("stream")


def test_the_schema_follows_the_question_and_leaves_the_beginning_alone(server: Server) -> None:
    ask_object(endpoint(server), ASKED, Hive)
    system, question = server.bodies[0]["messages"]
    assert system["content"] == "You keep bees."
    assert question["content"].startswith("Describe a hive.\n\nReply with one JSON object")
    assert "年龄，单位为天" in question["content"]
    assert ASKED[-1].content == "Describe a hive."


def test_a_chinese_question_gets_a_chinese_instruction(server: Server) -> None:
    ask_object(endpoint(server), [HumanMessage("请描述一个蜂巢。")], Hive)
    assert "JSON 对象" in server.bodies[0]["messages"][0]["content"]


def test_the_question_may_come_in_parts_or_not_last(server: Server) -> None:
    parts: list[str | dict[str, Any]] = [{"type": "text", "text": "Describe a hive."}]
    ask_object(endpoint(server), [HumanMessage(parts)], Hive)
    [first, second] = server.bodies[0]["messages"][0]["content"]
    assert first == parts[0]
    assert "JSON schema" in second["text"]
    ask_object(endpoint(server), [*ASKED, AIMessage("A hive…")], Hive)
    assert [m["role"] for m in server.bodies[1]["messages"]][-2:] == ["assistant", "user"]


def test_the_schema_may_stay_out_of_the_prompt_where_it_is_enforced(server: Server) -> None:
    server.answer = lambda body: says(TEXT) if "schema" in str(body["messages"]) else says(BAD)
    got = ask_object(endpoint(server), ASKED, Hive, explain=False)
    assert [m["content"] for m in server.bodies[0]["messages"]] == [m.content for m in ASKED]
    assert "Reply with one JSON object" in server.bodies[1]["messages"][1]["content"]
    assert got.attempts == 2
    server.answer = lambda body: refuses() if "response_format" in body else says(TEXT)
    ask_object(endpoint(server), ASKED, Hive, explain=False)
    assert "Reply with one JSON object" in server.bodies[-1]["messages"][1]["content"]


def test_what_else_the_client_sends_is_kept(server: Server, ask: Ask) -> None:
    chat = endpoint(server).model_copy(
        update={"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}
    )
    ask(chat, ASKED, Hive, max_tokens=77)
    assert server.bodies[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert server.bodies[0]["response_format"]["type"] == "json_schema"
    assert server.bodies[0]["max_tokens"] == 77


@pytest.mark.parametrize("status", [400, 422, 501])
def test_a_server_that_refuses_is_asked_for_less_and_remembered(
    server: Server, status: int, ask: Ask
) -> None:
    server.answer = lambda body: refuses(status) if "response_format" in body else says(TEXT)
    chat = endpoint(server)
    got = ask(chat, ASKED, Hive)
    assert server.ways() == ["json_schema", "json_schema", "json_object", None]
    assert got == Structured(HIVE, Usage(10, 5), "prompt", 1)
    server.bodies.clear()
    assert ask(chat, ASKED, Hive).value == HIVE
    assert server.ways() == [None]
    server.bodies.clear()
    ask(endpoint(server), ASKED, Hive)
    assert server.ways()[0] == "json_schema"


def test_a_server_that_refuses_patterns_still_enforces_the_structure(server: Server) -> None:
    server.answer = lambda body: (
        refuses() if "pattern" in str(body["response_format"]) else says(TEXT)
    )
    chat = endpoint(server)
    assert ask_object(chat, ASKED, Hive).way == "json_schema"
    assert ask_object(chat, ASKED, Hive).way == "json_schema"
    assert len(server.bodies) == 3
    sent = server.bodies[-1]["response_format"]["json_schema"]["schema"]
    assert sent["required"] == ["title", "bees"]
    assert sent["properties"]["bees"]["maxItems"] == 3
    server.replies(says(BAD), says(TEXT))
    assert ask_object(chat, ASKED, Hive).attempts == 2


def test_the_same_request_is_not_sent_twice(server: Server) -> None:
    server.answer = lambda body: (
        refuses() if "response_format" in body else says('{"kind": "honey"}')
    )
    ask_object(endpoint(server), ASKED, Honey)
    assert server.ways() == ["json_schema", "json_object", None]


def test_a_server_that_knows_json_only(server: Server, ask: Ask) -> None:
    server.answer = lambda body: (
        refuses() if body["response_format"]["type"] == "json_schema" else says(TEXT)
    )
    chat = endpoint(server)
    assert ask(chat, ASKED, Hive).way == "json_object"
    assert ask(chat, ASKED, Hive).way == "json_object"
    assert server.ways() == ["json_schema", "json_schema", "json_object", "json_object"]


FENCED = f"Sure! Here is your hive {{as asked}}:\n\n```json\n{TEXT}\n```\nAnything else?"


def test_a_server_that_ignores_it_is_understood_and_found_out(server: Server, ask: Ask) -> None:
    server.replies(says(FENCED))
    chat = endpoint(server)
    for _ in range(4):
        got = ask(chat, ASKED, Hive)
        assert got == Structured(HIVE, Usage(10, 5), "prompt", 1)
    assert server.ways() == ["json_schema", "json_schema", "json_object", None]


def test_wrong_replies_are_sent_back_with_what_is_wrong(server: Server, ask: Ask) -> None:
    server.replies(says(BAD), says("I would rather talk about honey."), says(TEXT))
    got = ask(endpoint(server), ASKED, Hive)
    assert got.value == HIVE
    assert got.attempts == 3
    assert got.usage == Usage(30, 15)
    second, third = (body["messages"] for body in server.bodies[1:])
    assert [m["role"] for m in second] == ["system", "user", "assistant", "user"]
    assert second[2]["content"] == BAD
    for told in ("bees.0.kind: Input should be 'worker', 'drone' or 'queen'", "bees.0.age",
                 "title: String should match pattern"):  # fmt: skip
        assert told in second[3]["content"]
    assert [m["role"] for m in third] == ["system", "user", "assistant", "user"]
    assert third[2]["content"] == "I would rather talk about honey."
    assert "there is no JSON object" in third[3]["content"]


def test_after_two_retries_the_error_holds_what_the_model_wrote(server: Server, ask: Ask) -> None:
    server.replies(says("First."), says("Second."), says(BAD), says(TEXT))
    with pytest.raises(StructuredOutputError) as raised:
        ask(endpoint(server), ASKED, Hive)
    assert re.fullmatch(
        r"The model model-\d+ did not write what was asked of it, in 3 attempts: title: String "
        r"should match pattern '\^\[A-Z\]'\. Try another model, best a larger one\.",
        str(raised.value),
    )
    assert raised.value.written == BAD
    assert not isinstance(raised.value, EndpointError)
    assert len(server.bodies) == 3


def test_there_may_be_no_retry(server: Server) -> None:
    server.replies(says(BAD), says(TEXT))
    with pytest.raises(StructuredOutputError, match="in 1 attempts"):
        ask_object(endpoint(server), ASKED, Hive, max_retries=0)
    assert len(server.bodies) == 1


def test_a_ramble_is_not_shown_again_in_full(server: Server) -> None:
    server.replies(says("word " * 20_000), says(TEXT))
    ask_object(endpoint(server), ASKED, Hive)
    assert len(server.bodies[1]["messages"][2]["content"]) <= 4000


def test_an_empty_reply_makes_no_empty_turn(server: Server, ask: Ask) -> None:
    server.replies(says(" \n"), says(TEXT))
    assert ask(endpoint(server), ASKED, Hive).way == "json_schema"
    assert server.bodies[1]["response_format"] == server.bodies[0]["response_format"]
    roles = [message["role"] for message in server.bodies[1]["messages"]]
    assert roles == ["system", "user"]
    assert "there is no JSON object" in server.bodies[1]["messages"][1]["content"]


def test_a_reply_that_is_cut_off_is_not_repeated(server: Server, ask: Ask) -> None:
    server.replies(says(TEXT[:-9], "length"), says(TEXT))
    chat = endpoint(server)
    with pytest.raises(StructuredOutputError, match=r"limit of tokens .* max_tokens") as raised:
        ask(chat, ASKED, Hive)
    assert raised.value.written == TEXT[:-9]
    assert len(server.bodies) == 1
    ask(chat, ASKED, Hive)
    assert server.bodies[1]["response_format"] == server.bodies[0]["response_format"]


def test_a_reply_cut_off_after_the_object_is_taken(server: Server) -> None:
    server.replies(says(f"{TEXT}\nAs you can see, this hi", "length"))
    assert ask_object(endpoint(server), ASKED, Hive).value == HIVE


def test_thoughts_are_not_the_answer(server: Server, ask: Ask) -> None:
    other = TEXT.replace("Home", "Draft")
    server.replies(says(TEXT, reasoning_content=f"Perhaps {other}"))
    assert ask(endpoint(server), ASKED, Hive).value == HIVE
    server.replies(says("", "length", reasoning_content=TEXT))
    with pytest.raises(StructuredOutputError, match="limit of tokens"):
        ask(endpoint(server), ASKED, Hive)
    server.replies(says(f"<think>Perhaps {other}</think>\n{TEXT}"))
    assert ask(endpoint(server), ASKED, Hive).way == "json_schema"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((200, b"<html>hello</html>"), "does not speak"),
        ((200, {"choices": []}), "does not speak"),
        ((401, {"error": "no"}), "refuses the key"),
        ((404, {"error": "no"}), "does not know that model"),
        ((500, {"error": {"message": "CUDA error"}}), "CUDA error"),
    ],
)
def test_the_servers_own_failures_stay_what_they_are(
    server: Server, reply: Reply, expected: Any, ask: Ask
) -> None:
    server.replies(reply)
    with pytest.raises(EndpointError, match=expected):
        ask(endpoint(server), ASKED, Hive)
    assert len(server.bodies) == 1


def test_nothing_is_learned_from_a_server_that_refuses_everything(server: Server) -> None:
    chat = endpoint(server)
    server.replies(refuses(400, "temperature must be positive"))
    with pytest.raises(EndpointError, match="temperature must be positive"):
        ask_object(chat, ASKED, Hive)
    server.bodies.clear()
    server.replies(says(TEXT))
    assert ask_object(chat, ASKED, Hive).way == "json_schema"


def test_a_prompt_too_long_is_not_a_refusal(server: Server, ask: Ask) -> None:
    server.replies(refuses(400, "This model's maximum context length is 4096 tokens."))
    with pytest.raises(ContextOverflowError):
        ask(endpoint(server), ASKED, Hive)
    assert len(server.bodies) == 1


def test_many_ask_at_once(server: Server) -> None:
    server.answer = lambda body: refuses() if "response_format" in body else says(FENCED)
    chat = endpoint(server)
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda _: ask_object(chat, ASKED, Hive), range(32)))
    assert {result.value.title for result in got} == {"Home"}
    assert all(result.attempts == 1 for result in got)


class OtherChat(BaseChatModel):
    """A chat model of another make: says what the test wrote, keeps what it was asked and told."""

    said: list[AIMessage] = Field(default_factory=list)
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    options: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "other"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.asked.append(messages)
        self.options.append(kwargs)
        return ChatResult(generations=[ChatGeneration(message=self.said.pop(0))])


def test_another_chat_model_is_asked_in_words_alone(ask: Ask) -> None:
    chat = OtherChat(said=[AIMessage(FENCED)])
    assert ask(chat, ASKED, Hive, explain=False) == Structured(HIVE, Usage(), "prompt", 1)
    assert "JSON schema" in chat.asked[0][-1].text
    assert not chat.options[0]


def test_another_chat_model_may_think_aloud(ask: Ask) -> None:
    thought = f"<think>{TEXT.replace('Home', 'Draft')}</think>{TEXT}"
    blocks: list[str | dict[str, Any]] = [
        {"type": "reasoning", "reasoning": "{}"}, {"type": "text", "text": TEXT}
    ]  # fmt: skip
    unfinished = AIMessage("<think>Well…", response_metadata={"finish_reason": "length"})
    chat = OtherChat(said=[AIMessage(thought), AIMessage(blocks), unfinished])
    assert ask(chat, ASKED, Hive).value == HIVE
    assert ask(chat, ASKED, Hive).value == HIVE
    with pytest.raises(StructuredOutputError, match="other reached its limit") as raised:
        ask(chat, ASKED, Hive)
    assert raised.value.written == "<think>Well…"


def test_a_mistake_of_our_own_surfaces(ask: Ask) -> None:
    with pytest.raises(IndexError):
        ask(OtherChat(), ASKED, Hive)
    with pytest.raises(TypeError, match="Numbers does not describe a JSON object"):
        ask(OtherChat(), ASKED, Numbers)


class Numbers(RootModel[list[int]]):
    pass


class Honey(BaseModel):
    kind: Literal["honey"]


class Wax(BaseModel):
    kind: Literal["wax"]
    title: str


class Harvest(BaseModel):
    """What was taken."""

    model_config = ConfigDict(extra="allow")

    what: Annotated[Honey | Wax, Field(discriminator="kind")]
    grams: dict[str, int]
    title: str = "none"
    properties: str | None = None


def test_a_schema_is_closed_and_plain() -> None:
    schema = json_schema(Harvest)
    assert schema["additionalProperties"] is True
    assert schema["description"] == "What was taken."
    assert schema["properties"]["title"] == {"default": "none", "type": "string"}
    assert schema["properties"]["grams"]["additionalProperties"] == {"type": "integer"}
    assert schema["properties"]["properties"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert schema["properties"]["what"] == {
        "anyOf": [{"$ref": "#/$defs/Honey"}, {"$ref": "#/$defs/Wax"}]
    }
    assert schema["$defs"]["Wax"] == {
        "type": "object",
        "properties": {"kind": {"type": "string", "const": "wax"}, "title": {"type": "string"}},
        "required": ["kind", "title"],
        "additionalProperties": False,
    }


def test_a_recursive_schema_shows_an_object_at_its_root() -> None:
    schema = json_schema(Node)
    assert schema["type"] == "object"
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert schema["$defs"]["Node"]["properties"] == schema["properties"]


class Limits(BaseModel):
    names: list[Annotated[str, Field(pattern="^a")]] = Field(max_length=2)
    counts: dict[str, Annotated[int, Field(le=3)]]


def test_the_structure_keeps_what_every_server_knows() -> None:
    bees = structure(json_schema(Hive))["$defs"]["Bee"]["properties"]
    assert bees["kind"]["enum"] == ["worker", "drone", "queen"]
    assert bees["age"] == {"type": "integer", "description": "年龄，单位为天"}
    inner = structure(json_schema(Limits))["properties"]
    assert inner["names"] == {"type": "array", "items": {"type": "string"}, "maxItems": 2}
    assert inner["counts"]["additionalProperties"] == {"type": "integer"}


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"  {TEXT}\n",
        f"[{TEXT}]",
        f"{TEXT} and once more {TEXT}",
        f"The set {{a, b}} and {{}}: {TEXT}",
        json.dumps(GOOD, indent=2).replace("\n  ]", ",\n  ]").replace('"age": 3', '"age": 3,'),
        TEXT.replace("Home", "Ho\\nme").replace("\\n", "\n"),
    ],
)
def test_the_object_is_found(text: str) -> None:
    assert parse_object(text, Hive).bees == HIVE.bees


def test_a_comma_within_a_string_is_no_trailing_comma() -> None:
    text = '{"value": "a,] \\",}", "children": [{"value": "b,}"},],}'
    assert parse_object(text, Node) == Node(value='a,] ",}', children=[Node(value="b,}")])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no JSON object"),
        ("null", "no JSON object"),
        ('{"value": "a"} or {"value": "b"}', "several different"),
        ('{"value": "a", "children": [{"value": "b"}, {"value": "c"}', "not valid JSON"),
        ('{"value": "a" "children": [{"value": "b", "children": []}]}', "not valid JSON"),
        ("{'value': 'a', 'children': [{\"value\": \"b\"}]}", "not valid JSON"),
        ('{"value": NaN}', "not valid JSON"),
        ('{"value": "a", "children": ' + "[" * 100_000, "not valid JSON"),
        ('{"value": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"value": ' * 100_000, "not valid JSON"),
        ('{"value": 1e999}', "not JSON compliant"),
        ('{"value": "\\ud800"}', "surrogate|Invalid JSON|unicode"),
        ('{"wrong": 1}', "value: Field required"),
        ("{}", "value: Field required"),
    ],
)
def test_what_is_not_the_object_is_told(text: str, told: str) -> None:
    with pytest.raises(Unfit, match=told):
        parse_object(text, Node)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("\n<thinking>a</thinking>\nb", "b"),
        ("<think>a", ""),
        ("plain", "plain"),
        ('{"value": "</think>"}', '{"value": "</think>"}'),
        ('```json\n{"value": "</think>"}\n```', '```json\n{"value": "</think>"}\n```'),
    ],
)
def test_thoughts_are_cut_off(text: str, rest: str) -> None:
    assert without_thoughts(text) == rest


LEAVES = st.text(max_size=12)
NODES: st.SearchStrategy[Node] = st.recursive(
    LEAVES.map(lambda value: Node(value=value)),
    lambda inner: st.builds(Node, value=LEAVES, children=st.lists(inner, max_size=3)),
    max_leaves=8,
)
PROSE = st.text(max_size=40).filter(lambda text: not re.search(r"\{\s*[\"'“}]|\{\s*$", text))
FENCES = st.sampled_from([("", ""), ("```json\n", "\n```"), ("```\n", "```"), ("`", "`")])


@given(
    node=NODES,
    before=PROSE,
    after=PROSE,
    fence=FENCES,
    indent=st.none() | st.integers(0, 4),
    ascii_only=st.booleans(),
    thought=st.none() | PROSE.filter(lambda text: "</think" not in text),
)
def test_any_object_is_found_in_any_prose(
    node: Node,
    before: str,
    after: str,
    fence: tuple[str, str],
    indent: int | None,
    ascii_only: bool,
    thought: str | None,
) -> None:
    written = json.dumps(node.model_dump(), indent=indent, ensure_ascii=ascii_only)
    text = f"{before}{fence[0]}{written}{fence[1]}{after}"
    if thought is not None:
        text = f"<think>{thought}</think>{text}"
        text = without_thoughts(text)
    assert parse_object(text, Node) == node


@given(node=NODES, spaces=st.sampled_from(["", " ", "\n  "]))
def test_trailing_commas_are_forgiven(node: Node, spaces: str) -> None:
    def written(node: Node) -> str:
        children = "".join(f"{written(child)},{spaces}" for child in node.children)
        return f'{{"value": {json.dumps(node.value)}, "children": [{children}],{spaces}}}'

    assert parse_object(f"{'So: ' * 50}{written(node)}", Node) == node


@given(st.text(alphabet='{}[]",:\\ aévalue</think>`\n0123NI-', max_size=60) | st.text(max_size=60))
def test_any_text_gives_an_object_or_what_is_wrong_with_it(text: str) -> None:
    with suppress(Unfit):
        assert isinstance(parse_object(without_thoughts(text), Node), Node)


@given(st.text(alphabet='{}",: a', max_size=40), NODES)
def test_an_object_within_a_broken_one_is_never_taken(rest: str, node: Node) -> None:
    inner = json.dumps(node.model_dump())
    with pytest.raises(Unfit):
        parse_object(f'{{"value": "a" "children": [{inner}], {rest}', Node)


@pytest.fixture(scope="module")
def engine_chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    cache = Path(os.environ.get("WAGGLE_TEST_MODELS", "~/.cache/waggle-tests/models")).expanduser()
    state = tmp_path_factory.mktemp("engine")
    weights = pull(find("smollm2-135m-instruct"), cache)
    engine = ensure_engine(weights, state, context=2048, threads=1, slots=1, timeout=120)
    yield chat_model(engine.url, engine.model, engine.api_key, max_tokens=400)
    stop_engine(state)


class Place(BaseModel):
    city: str = Field(max_length=20)
    side: Literal["north", "south"]


class Beekeeper(BaseModel):
    name: str = Field(max_length=20)
    places: list[Place] = Field(min_length=1, max_length=2)
    颜色: Literal["黄", "黑"] = Field(description="蜜蜂的颜色")
    email: str | None = Field(default=None, max_length=20)


@pytest.mark.model
def test_the_real_engine_obeys_a_nested_schema(engine_chat: Any, ask: Ask) -> None:
    question = [HumanMessage("Anna keeps yellow bees in the north of Basel. Who is she?")]
    for explain in (True, False):
        got = ask(engine_chat, question, Beekeeper, max_retries=0, explain=explain)
        assert got.way == "json_schema"
        assert got.usage.prompt_tokens > 10
        assert got.usage.completion_tokens > 10


class Odd(BaseModel):
    name: Annotated[str, Field(max_length=20), WithJsonSchema({"type": "nonsense"})] = ""


@pytest.mark.model
def test_the_real_engine_refuses_a_schema_it_does_not_know(engine_chat: Any) -> None:
    chat = engine_chat.model_copy(update={"model_name": "under-another-name"})
    question = [HumanMessage('Reply with {"name": "Anna"} and nothing else.')]
    assert ask_object(chat, question, Odd).way == "json_object"
