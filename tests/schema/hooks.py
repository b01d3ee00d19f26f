"""What Schemathesis sends is mostly about the collection that is there."""

from typing import Any

import schemathesis  # type: ignore[import-not-found, unused-ignore]

_KNOWN = {"model": "waggle/default", "collection": "default"}


@schemathesis.hook  # type: ignore[untyped-decorator, unused-ignore]
def map_body(_: Any, body: Any) -> Any:
    """Put the names that are known in the place of words that nothing is called by."""
    if not isinstance(body, dict):
        return body
    known = {name: value for name, value in _KNOWN.items() if _is_word(body.get(name))}
    return {**body, **known}


def _is_word(given: object) -> bool:
    """One that may be replaced: not one that is too long on purpose; and some are left."""
    return isinstance(given, str) and len(given) <= 64 and len(given) % 4 != 0
