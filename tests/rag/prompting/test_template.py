"""What is put into a template is data: it comes out as it went in, and nothing of it is read."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from indexes.errors import UsageError
from rag.prompting.template import BadTemplate, Template
from tests.rag.prompting.passages import names, texts

literals = st.lists(texts, min_size=1, max_size=5)


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


@given(literals, st.data())
def test_any_data_comes_out_as_it_went_in(pieces: list[str], data: st.DataObject) -> None:
    places = [data.draw(names) for _ in pieces[1:]]
    values = {name: data.draw(texts | names.map("{{{}}}".format)) for name in places}
    source = escaped(pieces[0])
    wanted = pieces[0]
    for name, literal in zip(places, pieces[1:], strict=True):
        source += f"{{{name}}}{escaped(literal)}"
        wanted += values[name] + literal
    assert Template.parse(source).render(values) == wanted


@pytest.mark.parametrize(
    "value", ["{question}", "{{question}}", "{question.__class__}", "{{ 1 + 1 }}", "%s", "${x}"]
)
def test_what_stands_in_the_data_is_not_expanded(value: str) -> None:
    template = Template.parse("Q: {question} S: {draft}")
    assert template.render({"question": "A", "draft": value}) == f"Q: A S: {value}"
    assert template.render({"question": value, "draft": "B"}) == f"Q: {value} S: B"


@given(st.sets(names, max_size=4), st.sets(names, max_size=4))
def test_each_variable_needs_a_value_and_each_value_a_place(
    places: set[str], given_names: set[str]
) -> None:
    assume(places != given_names)
    template = Template.parse("".join(f"{{{name}}}" for name in sorted(places)))
    with pytest.raises(UsageError, match=r"needs a value|has no place"):
        template.render(dict.fromkeys(given_names, ""))


@pytest.mark.parametrize(
    ("text", "offset"),
    [("a {b", 2), ("a }", 2), ("{B}", 0), ("{a b}", 0), ("{}", 0), ("{{}", 2), ("{a.b}", 0),
     ("{a!r}", 0), ("{0}", 0), ("ok {a} {a:>9}", 7)],
)  # fmt: skip
def test_a_brace_that_means_nothing_is_refused(text: str, offset: int) -> None:
    with pytest.raises(BadTemplate) as refused:
        Template.parse(text)
    assert refused.value.offset == offset


@given(texts)
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = Template.parse(text)
    except BadTemplate as bad:
        assert text[bad.offset] in "{}"  # noqa: PT017 - most texts are templates, some are refused
    else:
        template.render(dict.fromkeys(template.names, "x"))
