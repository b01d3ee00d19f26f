"""The prompts that there are: those that come with Waggle, and the user's own in their place."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from indexes.errors import UsageError
from indexes.i18n import t
from rag.prompting.files import FILE_NAME, read_prompt
from rag.prompting.types import LANGUAGES, Language, Prompt

BUILT_IN = Path(__file__).parent / "library"
SHARED = "shared"
"""The prompt with the system message and the passages that all others have in common."""

_Place = tuple[Path, Literal["built-in", "yours"]]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The prompts that can be used, by name and language, and a sentence for each file that
    cannot."""

    prompts: tuple[Prompt, ...]
    faults: tuple[str, ...]


class PromptLibrary:
    """Finds prompts by name. ``folders`` hold the user's own, those in an earlier one first; a
    folder that is not there holds none. Files are looked for at every call, so a change holds from
    the next question on."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self.folders = tuple(folders)

    @classmethod
    def of(cls, home: Path) -> "PromptLibrary":
        """That of a home: the folder of the settings, then ``HOME/prompts``. Raises `UsageError`
        where the settings name a folder that is not there."""
        from rag.settings import prompts_folder

        named = prompts_folder()
        return cls([*([named] if named else []), home / "prompts"])

    def get(self, name: str, lang: str) -> Prompt:
        """The prompt of that name: in ``lang``, else in the language that it has. Raises
        `UsageError` where there is none, or where its file is broken."""
        found = self._find(name, lang)
        if name == SHARED:
            return found
        return replace(found, shared=self._find(SHARED, lang))

    def names(self) -> tuple[str, ...]:
        """The names of all prompts, sorted."""
        return tuple(sorted({name for name, _ in self._places()}))

    def shelf(self) -> Shelf:
        """All prompts; a broken file takes no other down."""
        prompts, faults = [], []
        for name, lang in sorted(self._places()):
            try:
                prompts.append(self.get(name, lang))
            except UsageError as error:
                faults.append(str(error))
        faults += [_misnamed(path) for folder in self.folders for path in _others(folder)]
        return Shelf(tuple(prompts), tuple(dict.fromkeys(faults)))

    def _find(self, name: str, lang: str) -> Prompt:
        places = self._places()
        others: list[Language] = [language for language in LANGUAGES if language != lang]
        for language in (lang, *others):
            if place := places.get((name, language)):
                return self._read(*place)
        close = difflib.get_close_matches(name, self.names(), n=3, cutoff=0.5)
        raise UsageError(
            t(
                "There is no prompt «{name}». Did you mean: {close}?",
                name=name,
                close=", ".join(close or self.names()),
            )
        )

    def _read(self, path: Path, origin: Literal["built-in", "yours"]) -> Prompt:
        prompt = read_prompt(path, origin)
        original = BUILT_IN / path.name
        if origin == "yours" and original.is_file():
            _check_same(prompt, read_prompt(original, "built-in"))
        return prompt

    def _places(self) -> dict[tuple[str, str], _Place]:
        places: dict[tuple[str, str], _Place] = dict(_built_in())
        for folder in reversed(self.folders):
            places.update({key: (path, "yours") for key, path in _files(folder)})
        return places


def _check_same(prompt: Prompt, original: Prompt) -> None:
    """An own prompt has the task of the one whose place it takes, and no variables beyond those
    that its callers give."""
    if prompt.task != original.task:
        raise UsageError(
            t(
                "The prompt file {path} takes the place of «{name}», so its task must be {task}.",
                path=prompt.path,
                name=prompt.name,
                task=original.task,
            )
        )
    unknown = sorted(set(prompt.variables) - set(original.variables))
    if unknown and prompt.task != "answer":
        raise UsageError(
            t(
                "The prompt file {path} takes the place of «{name}», which has no variable "
                "{{{variable}}}.",
                path=prompt.path,
                name=prompt.name,
                variable=unknown[0],
            )
        )


@cache
def _built_in() -> tuple[tuple[tuple[str, str], _Place], ...]:
    return tuple((key, (path, "built-in")) for key, path in _files(BUILT_IN))


@cache
def built_in() -> PromptLibrary:
    """The prompts that come with Waggle, without anybody's own."""
    return PromptLibrary()


def _files(folder: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """Each file of a folder that is named like a prompt."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.md")):
        if match := FILE_NAME.fullmatch(path.name):
            yield (match[1], match[2]), path


def _others(folder: Path) -> list[Path]:
    """The files of Markdown in a folder that are not named like a prompt."""
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.glob("*.md")) if not FILE_NAME.fullmatch(path.name)]


def _misnamed(path: Path) -> str:
    return t(
        "{path} is not taken for a prompt: its name must be like «my-prompt.en.md» or "
        "«my-prompt.zh.md».",
        path=path,
    )
