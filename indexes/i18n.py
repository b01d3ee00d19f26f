"""Messages in the user's language: English source text is the key, as with gettext.

``t("No such path: {path}", path=p)`` looks the English sentence up in the table of the current
language and fills in the values. A sentence without a translation is shown in English, and a test
finds it.
"""

import os
from functools import cache
from typing import Literal

Language = Literal["en", "zh"]


def language() -> Language:
    """The user's language: ``WAGGLE_LANG``, else the POSIX locale variables, else English."""
    for variable in ("WAGGLE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@cache
def _table(lang: Language) -> dict[str, str]:
    if lang == "en":
        return {}
    from indexes.messages_zh import MESSAGES

    return MESSAGES


def t(message: str, /, **values: object) -> str:
    """Translate ``message`` and fill in ``{name}`` fields with ``values``."""
    template = _table(language()).get(message, message)
    return template.format(**values) if values else template
