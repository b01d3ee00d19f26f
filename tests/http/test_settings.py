"""The settings of the service."""

import pytest

from agents.doors.settings import load_serve_settings
from indexes.errors import UsageError


@pytest.mark.parametrize("given", ["*", "https://a.example/page", "a.example", "https://*.example"])
def test_what_is_no_origin_is_refused_with_a_sentence(given: str) -> None:
    with pytest.raises(UsageError, match="is no origin of a web page"):
        load_serve_settings(origins=f"https://b.example,{given}")


def test_origins_are_as_browsers_write_them() -> None:
    settings = load_serve_settings(origins="HTTPS://B.example:443/, http://localhost:3000")
    assert settings.origins == ("https://b.example", "http://localhost:3000")
