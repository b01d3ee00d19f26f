"""Citations as OpenAI's clients know them: annotations of the text."""

from collections.abc import Sequence
from typing import Literal

from agents.answer_shapes import CitationShape
from agents.doors.upload_names import file_id_of
from indexes.shown import filename_of
from rag.marks import placed
from rag.types import Citation


class AnnotationShape(CitationShape):
    """A claim that a passage holds. ``index`` is where its mark stands in the text, ``start`` and
    ``end`` where its quote stands in the document's text; all count characters."""

    type: Literal["file_citation"] = "file_citation"
    index: int
    file_id: str
    filename: str


def annotations(text: str, citations: Sequence[Citation]) -> tuple[AnnotationShape, ...]:
    """What ``text`` leans on, in the order of its marks. A claim that nothing supports has no
    annotation, for there is nothing to look up."""
    return tuple(
        _annotation(index, citation)
        for index, citation in placed(text, citations)
        if citation.support != "unsupported"
    )


def _annotation(index: int, citation: Citation) -> AnnotationShape:
    source = citation.source
    return AnnotationShape(
        index=index,
        file_id=file_id_of(source),
        filename=filename_of(source),
        **CitationShape.model_validate(citation).model_dump(),
    )
