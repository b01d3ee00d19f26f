"""An id or a URI that goes out comes back as the place it stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl

from agents.mcp_door.places import Place
from indexes.errors import UsageError

NAMES = st.from_regex(r"[a-zA-Z0-9蜜][\w.-]{0,20}", fullmatch=True)
SOURCES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.from_regex(r"/\w+/[^\x00]{1,20}(#\d{0,3}-\d{0,3})?", fullmatch=True),
)
SPANS = st.one_of(st.none(), st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)))


@given(NAMES, SOURCES, SPANS)
def test_an_id_comes_back(name: str, source: str, span: tuple[int, int] | None) -> None:
    place = Place(name, source, span)
    assert Place.parse(place.id) == place


@given(NAMES, SOURCES.filter(lambda source: source not in (".", "..")))
def test_a_uri_comes_back_from_a_client(name: str, source: str) -> None:
    place = Place(name, source)
    assert Place.parse(str(AnyUrl(place.uri))) == place


@pytest.mark.parametrize("name", ["", "notes", "notes/", "/a.md", "waggle://notes", "#1-2"])
def test_what_is_no_id_is_told(name: str) -> None:
    with pytest.raises(UsageError, match="is not an id"):
        Place.parse(name)
