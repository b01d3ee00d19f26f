"""The tools of the server: what is said of each, and how it is called."""

import logging
import traceback
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp.types import CallToolResult, TextContent, Tool, ToolAnnotations
from pydantic import ValidationError

from agents.mcp_door import asking, indexing, reading
from agents.mcp_door.access import Access
from agents.mcp_door.progress import Progress
from agents.mcp_door.shapes import (
    AnsweredShape,
    Arguments,
    AskArguments,
    FetchArguments,
    FetchedShape,
    FoundsShape,
    IndexArguments,
    IndexedShape,
    SearchArguments,
    TextArguments,
)
from agents.shapes import Shape
from indexes.errors import AccessError, UsageError, WaggleError
from indexes.i18n import t

_MOST_NAMED: Final = 50
_FRAMES: Final = 12
_log = logging.getLogger("waggle.mcp")

Call = Callable[[Access, Any, Progress], Awaitable[tuple[Shape, str]]]
"""What a tool does: the result as an object, and as text."""


@dataclass(frozen=True, slots=True)
class _Spec:
    description: str
    title: str
    arguments: type[Arguments]
    result: type[Shape]
    call: Call
    changes: bool = False


async def _search(access: Access, asked: Any, _: Progress) -> tuple[Shape, str]:
    found = await to_thread(reading.search, access, asked)
    return found, found.model_dump_json()


async def _fetch(access: Access, asked: Any, _: Progress) -> tuple[Shape, str]:
    fetched = await to_thread(reading.fetch, access, asked)
    return fetched, fetched.model_dump_json()


async def _ask(access: Access, asked: Any, progress: Progress) -> tuple[Shape, str]:
    answer = await asking.ask(access, asked, progress)
    return answer, asking.told(answer)


async def _index(access: Access, asked: Any, progress: Progress) -> tuple[Shape, str]:
    indexed = await to_thread(indexing.index, access, asked, progress)
    access.audit.write(access.caller.key, "mcp index", "done", indexed.collection)
    return indexed, indexing.told(indexed)


_SPECS: Final[Mapping[str, _Spec]] = {
    "search": _Spec(
        "Finds the passages of the user's documents that fit a question, the best first. Each has "
        "an id, by which «fetch» gets more of its document.",
        "Search the documents", SearchArguments, FoundsShape, _search,
    ),
    "fetch": _Spec(
        "Gets the text of a document by the id of a search result. Of a long document it gets the "
        "part around the passage; metadata.next and metadata.previous are the ids of the others.",
        "Read a document", FetchArguments, FetchedShape, _fetch,
    ),
    "ask": _Spec(
        "Answers a question from the user's documents in a few sentences, each with the passage "
        "it leans on, and says so when the documents do not know.",
        "Ask the documents", AskArguments, AnsweredShape, _ask,
    ),
    "index": _Spec(
        "Adds a text to the user's documents, so that it is found from now on. Use it only when "
        "the user wants something kept.",
        "Add to the documents", TextArguments, IndexedShape, _index, changes=True,
    ),
}  # fmt: skip


def offered(access: Access) -> list[Tool]:
    """The tools that the caller may use."""
    names = access.names()
    return [
        Tool(
            name=name,
            title=spec.title,
            description=spec.description,
            inputSchema=_schema(access, spec, names),
            outputSchema=spec.result.model_json_schema(mode="serialization"),
            annotations=ToolAnnotations(
                readOnlyHint=not spec.changes,
                destructiveHint=False,
                idempotentHint=True,
                openWorldHint=False,
            ),
        )
        for name, spec in _SPECS.items()
        if access.writes or not spec.changes
    ]


async def called(
    access: Access, name: str, arguments: Mapping[str, Any], progress: Progress
) -> CallToolResult:
    """The result of a call; what went wrong is told in it, in one sentence."""
    try:
        spec = _SPECS.get(name)
        if spec is None:
            raise UsageError(
                t("There is no tool «{name}». There is: {known}.",
                  name=name, known=", ".join(tool.name for tool in offered(access)))
            )  # fmt: skip
        access.caller.check("read")
        asked = _read(_arguments(access, spec), arguments)
        async with access.turn(), progress.told():
            shape, text = await spec.call(access, asked, progress)
    except AccessError as error:
        access.audit.write(access.caller.key, f"mcp {name}"[:80], type(error).__name__)
        return _failed(str(error))
    except WaggleError as error:
        return _failed(str(error))
    except Exception as error:  # noqa: BLE001 - the session goes on
        return _failed(mistake(error))
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structuredContent=shape.model_dump(mode="json"),
    )


def mistake(error: Exception) -> str:
    """The sentence for what is our own fault. The log says where it happened, and not what was in
    its message, which may be somebody's text."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("mistake", extra={"fields": {"kind": type(error).__name__, "at": places}})
    return t("Waggle made a mistake. The log of the service says where.")


def _failed(sentence: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=sentence)], isError=True)


def _arguments(access: Access, spec: _Spec) -> type[Arguments]:
    """Files are read for those only who were given folders."""
    files = spec.arguments is TextArguments and access.folders
    return IndexArguments if files else spec.arguments


def _read(model: type[Arguments], arguments: Mapping[str, Any]) -> Arguments:
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        named = ".".join(map(str, first["loc"]))
        raise UsageError(
            t("The argument «{name}» is not usable: {reason}.", name=named, reason=reason)
            if named
            else t("The arguments are not usable: {reason}.", reason=reason)
        ) from error


def _schema(access: Access, spec: _Spec, names: list[str]) -> dict[str, Any]:
    """What the tool is called with. The collection is left out where there is no choice, and must
    be named where one is meant and there are several."""
    schema = _arguments(access, spec).model_json_schema()
    properties = schema["properties"]
    if "collection" not in properties:
        return schema
    if access.bound or (len(names) == 1 and not spec.changes):
        del properties["collection"]
    elif len(names) > 1 and not spec.changes:
        properties["collection"]["enum"] = names[:_MOST_NAMED]
        if spec.arguments is AskArguments:
            schema.setdefault("required", []).append("collection")
    return schema
