"""Lists in pages, as OpenAI's clients turn them."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from agents.shapes import Shape
from indexes.errors import UsageError
from indexes.i18n import t

ItemT = TypeVar("ItemT")
ShapeT = TypeVar("ShapeT", bound=Shape)


class PageQuery(BaseModel):
    """Which part of a list is wanted: at most ``limit`` after, or before, the one with that id."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    after: str | None = None
    before: str | None = None
    limit: int = Field(default=20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"


PageOf = Annotated[PageQuery, Query()]


class PageShape(Shape, Generic[ShapeT]):
    object: Literal["list"] = "list"
    data: tuple[ShapeT, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


def page(
    items: Sequence[ItemT],
    wanted: PageQuery,
    name: Callable[[ItemT], str],
    shape: Callable[[ItemT], ShapeT | None],
) -> PageShape[ShapeT]:
    """The wanted part of ``items``, which are in the order in which they were made, but those that
    have no shape. Raises `UsageError` for a cursor that is none of them."""
    listed = items if wanted.order == "asc" else items[::-1]
    names = [name(item) for item in listed]
    start = _place(names, wanted.after) + 1 if wanted.after else 0
    end = _place(names, wanted.before) if wanted.before else len(names)
    if wanted.before and not wanted.after:
        start = max(start, end - wanted.limit)
    until = min(end, start + wanted.limit)
    return PageShape(
        data=tuple(one for one in map(shape, listed[start:until]) if one is not None),
        first_id=names[start] if start < until else None,
        last_id=names[until - 1] if start < until else None,
        has_more=until < end or (bool(wanted.before) and start > 0 and not wanted.after),
    )


def _place(names: Sequence[str], cursor: str) -> int:
    try:
        return names.index(cursor)
    except ValueError:
        raise UsageError(
            t("The list holds no «{name}» to go on from.", name=cursor[:100])
        ) from None
