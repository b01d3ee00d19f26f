"""What a call has taken over from a text, word for word or in another spelling of it.

A person who decides about a call is shown it. Nothing depends on it alone: a model can say anything
in words of its own.
"""

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from indexes.cleaning import clean

_RUN: Final = 24
"""Letters on end, without spaces, that are the same by no chance; of Chinese, `_RUN_CJK`."""
_RUN_CJK: Final = 10
_SHORT: Final = 6
"""A value with fewer letters counts only where it stands as a word of its own."""
_ROUNDS: Final = 3
"""Codes within codes that are undone."""

_SPACE: Final = re.compile(r"\s+")
_GROUPED: Final = re.compile(r"(?<=\d)[,，'](?=\d{3}(?!\d))")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}[ :]?){6,}")
_ESCAPE: Final = re.compile(r"\\(?:u\{?([0-9A-Fa-f]{4,6})\}?|x([0-9A-Fa-f]{2}))")
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]+")
_TOKEN: Final = re.compile(r"""[^\s,:;?&=#|/<>"'“”‘’«»()（）\[\]{}《》「」，。；、：！？]{5,}""")
_TELLING: Final = re.compile(r"[\d@._-]")
_CJK: Final = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_ALL_CJK: Final = re.compile(f"[{_CJK}]+")
_BEFORE: Final = re.compile(rf"""(?:^|[\s"'`“‘«(（\[{{<《「【,;:，。；：、！？{_CJK}])$""")
_AFTER: Final = re.compile(
    rf"""(?:$|[\s"'`”’»)）\]}}>》」】,;，。；：、！？{_CJK}]|[.:!?](?:$|[\s"'`”’»)）{_CJK}]))"""
)


def leaves(value: Any) -> Iterator[str]:
    """The texts and numbers in ``value``, and the names in its tables, as text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, float) and value.is_integer():
        yield str(int(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def is_named(value: str, words: Sequence[str]) -> bool:
    """Whether ``value`` stands in ``words`` as it is: whole, and not as a part of another word,
    address or number."""
    wanted = _plain(value)
    return bool(wanted) and any(_stands_alone(wanted, _plain(one)) for one in words)


def is_part(text: str, words: str) -> bool:
    """Whether ``text`` stands in ``words``, whatever its spaces, its case and its final dot."""
    return _squeezed(text).rstrip(".。") in _squeezed(words)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts in which values are looked for: each as it is, and with codes in it undone."""

    spaced: tuple[str, ...]
    squeezed: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Texts":
        """Of ``texts``."""
        forms = [form for text in texts for form in _forms(text)]
        return cls(tuple(map(_folded, forms)), tuple(map(_squeezed, forms)))

    def hold(self, value: Any, words: Sequence[str]) -> bool:
        """Whether ``value`` or a long part of it stands in one of them, and not in the user's
        ``words``."""
        mine = [_squeezed(one) for one in words]
        return any(
            self._hold(_folded(form), mine, words)
            for leaf in leaves(value)
            if not is_named(leaf, words)
            for form in _forms(leaf)
        )

    def _hold(self, folded: str, mine: Sequence[str], words: Sequence[str]) -> bool:
        whole = _SPACE.sub("", folded)
        if len(whole) < _SHORT:
            return bool(whole) and any(_stands_alone(folded.strip(), one) for one in self.spaced)
        if any(whole in one for one in self.squeezed):
            return True
        tokens = [one for one in _tokens(folded) if not is_named(one, words)]
        if any(one in text for one in tokens for text in self.squeezed):
            return True
        runs = {one for one in _runs(whole) if not any(one in text for text in mine)}
        return bool(runs) and any(not runs.isdisjoint(_runs(text)) for text in self.squeezed)


def _tokens(folded: str) -> Iterator[str]:
    """Its words that are no ordinary ones: addresses, names of files, numbers, keys."""
    for found in _TOKEN.findall(folded):
        token = found.strip(".!")
        if len(token) >= _SHORT - 1 and _TELLING.search(token):
            yield token


def _runs(squeezed: str) -> Iterator[str]:
    for at in range(len(squeezed) - _RUN + 1):
        yield squeezed[at : at + _RUN]
    for part in _ALL_CJK.findall(squeezed):
        for at in range(len(part) - _RUN_CJK + 1):
            yield part[at : at + _RUN_CJK]


def _stands_alone(wanted: str, text: str) -> bool:
    at = text.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if _BEFORE.search(text[max(at - 1, 0) : at]) and _AFTER.match(text[end : end + 2]):
            return True
        at = text.find(wanted, at + 1)
    return False


def _plain(text: str) -> str:
    """One width of letters, one space."""
    return _SPACE.sub(" ", clean(unicodedata.normalize("NFKC", clean(text)))).strip()


def _folded(text: str) -> str:
    return _GROUPED.sub("", _plain(text).casefold())


def _squeezed(text: str) -> str:
    return _SPACE.sub("", _folded(text))


def _forms(text: str) -> Iterator[str]:
    """The text, and what stands in it in other codes."""
    forms = [text]
    for _ in range(_ROUNDS):
        yield from forms
        forms = [found for form in forms for found in _decoded(form)]


def _decoded(text: str) -> Iterator[str]:
    for undone in (unquote(text), html.unescape(text), _ESCAPE.sub(_character, text)):
        if undone != text:
            yield undone
    for tags in _TAGS.findall(text):
        yield "".join(chr(ord(one) - 0xE0000) for one in tags)
    for found in _HEX.findall(text):
        yield from _text_of(bytes.fromhex(re.sub("[ :]", "", found)))
    for found in _BASE64.findall(text):
        code = found.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            yield from _text_of(base64.b64decode(code + "=" * (-len(code) % 4)))
        except binascii.Error:
            continue


def _character(found: re.Match[str]) -> str:
    code = int(found[1] or found[2], 16)
    return chr(code) if code <= 0x10FFFF else found[0]


def _text_of(data: bytes) -> Iterator[str]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    if clean(text) == text:
        yield text
