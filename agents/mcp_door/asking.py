"""The tool `ask`: a cited answer, of which it is told how far it is."""

from asyncio import to_thread
from contextlib import aclosing
from typing import TYPE_CHECKING

from agents.mcp_door.access import Access
from agents.mcp_door.places import Place
from agents.mcp_door.progress import Progress
from agents.mcp_door.reading import title_of, url_of
from agents.mcp_door.shapes import AnsweredShape, AskArguments, CitedShape
from indexes.errors import ModelError
from indexes.i18n import t
from rag.types import Answer, Citation, Finished, Retrieved, Token

if TYPE_CHECKING:
    from rag.answering import RAG


async def ask(access: Access, asked: AskArguments, progress: Progress) -> AnsweredShape:
    """The answer. Cancelled, it closes the model's stream at once. Raises `WaggleError`, of which
    `ModelError` where there is no chat model."""
    name = await to_thread(access.single, asked.collection)
    rag = await to_thread(access.shelf.rag, access.caller, name)
    progress.say(t("Searching…"))
    answer = await _answer(rag, asked, progress)
    if access.metrics is not None:
        access.metrics.answered(answer)
    if answer.status == "no_model":
        raise ModelError(
            t(
                "There is no chat model that could answer. Use «search» and «fetch», or see: "
                "waggle models status"
            )
        )
    return AnsweredShape(
        question=answer.question,
        answer=answer.text,
        status=answer.status,
        collection=name,
        model=answer.model,
        citations=tuple(_cited(access, name, one) for one in answer.citations),
        notices=answer.notices,
    )


async def _answer(rag: "RAG", asked: AskArguments, progress: Progress) -> Answer:
    written = ""
    async with aclosing(rag.astream(asked.question, where=asked.where or None)) as events:
        async for event in events:
            match event:
                case Retrieved(contexts):
                    titles = dict.fromkeys(title_of(one.title, one.source) for one in contexts)
                    progress.say(t("Reading: {titles}", titles=", ".join(titles)))
                case Token(text):
                    written += text
                    progress.say(written)
                case Finished(answer):
                    return answer
    raise AssertionError("an answer ends with Finished")


def told(answer: AnsweredShape) -> str:
    """The answer with its sources, as text."""
    lines = [answer.answer]
    if answer.citations:
        lines += ["", t("Sources")]
    for one in answer.citations:
        page = f", {t('p. {page}', page=one.page)}" if one.page is not None else ""
        lines.append(f"[{one.number}] {one.title}{page} ({t(one.support)}): “{one.quote}”")
        lines.append(f"    {one.id}")
    return "\n".join([*lines, *answer.notices])


def _cited(access: Access, name: str, one: Citation) -> CitedShape:
    place = Place(name, one.source, (one.start, one.end))
    return CitedShape(
        number=one.number, claim=one.claim, id=place.id, title=title_of(one.title, one.source),
        url=url_of(access, place), page=one.page, start=one.start, end=one.end, quote=one.quote,
        support=one.support,
    )  # fmt: skip
