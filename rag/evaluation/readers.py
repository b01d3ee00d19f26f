"""Reading the files of a set of questions."""

import gzip
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from indexes.errors import SourceError
from indexes.i18n import t
from indexes.language import detect_language
from rag.evaluation.datasets import Corpus, Dataset, Paragraph, Question

NOISE: Final = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Shares of passages without the answer, as in RGB (Chen et al., AAAI 2024)."""
RGB_PASSAGES: Final = 5

_RGB_FILES = ("zh_refine.jsonl.gz", "zh_int.jsonl.gz", "zh_fact.jsonl", "en_fact.jsonl")


class OwnQuestion(BaseModel):
    """A line of the user's own file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str
    id: str | None = None
    answers: tuple[str, ...] = ()
    gold: tuple[str, ...] = ()
    answerable: bool = True
    lang: str | None = None


def read_set(folder: Path, name: str) -> Dataset:
    """The open set in ``folder``. Raises `SourceError`."""
    try:
        if name == "rgb":
            return _rgb(folder)
        return _dureader(folder) if name == "dureader_demo" else _reading(folder, name)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise SourceError(
            t("The set in {folder} is not as expected: {reason}.", folder=folder, reason=error)
        ) from error


def read_own(file: Path) -> Dataset:
    """Questions of the user's own about a collection of the user's own. Raises `SourceError` that
    names the line."""
    questions: dict[str, Question] = {}
    for number, row in enumerate(rows_of(file), 1):
        try:
            own = OwnQuestion.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise _bad_line(file, number, reason) from error
        name = own.id or hashlib.sha256(own.question.encode("utf-8", "replace")).hexdigest()[:12]
        if not own.question.strip() or name in questions:
            raise _bad_line(file, number, t("the question is empty or stands twice"))
        questions[name] = Question(
            name, own.question, own.lang or detect_language(own.question) or "en", own.answers,
            gold=own.gold, answerable=own.answerable, key=name,
        )  # fmt: skip
    refusal = not all(question.answerable for question in questions.values())
    name = os.path.abspath(file)  # noqa: PTH100 - resolve() follows links
    return Dataset(name, digest_of([file]), tuple(questions.values()), refusal=refusal)


# -- sets of paragraphs and questions about them -------------------------------------------------


def _reading(folder: Path, name: str) -> Dataset:
    files = [folder / "corpus.jsonl", folder / "queries.jsonl"]
    corpus, queries = (list(rows_of(file)) for file in files)
    if "lang" in corpus[0]:
        corpora, questions = _two_languages(name, corpus, queries)
        return Dataset(name, digest_of(files), questions, corpora)
    asked = [_question(row, row["gold"]) for row in queries]
    refusal = not all(question.answerable for question in asked)
    if not refusal and asked[0].lang.startswith("zh"):
        asked += [_without_gold(question) for question in asked]
        refusal = True
    return Dataset(name, digest_of(files), tuple(asked), (_corpus(name, corpus),), refusal=refusal)


def _question(row: dict[str, Any], gold: Sequence[str], group: str = "") -> Question:
    return Question(
        row["id"], row["question"], row["lang"], tuple(row["answers"]), gold=tuple(gold),
        answerable=row["answerable"], key=row["id"], group=group,
    )  # fmt: skip


def _without_gold(question: Question) -> Question:
    """The same question when the paragraph with its answer is not among those searched."""
    return Question(
        f"{question.id}@removed", question.text, question.lang, gold=question.gold,
        answerable=False, where=f"not source in ({_quoted(question.gold)})", key=question.key,
    )  # fmt: skip


def _two_languages(
    name: str, corpus: Sequence[dict[str, Any]], queries: Sequence[dict[str, Any]]
) -> tuple[tuple[Corpus, ...], tuple[Question, ...]]:
    """Each language by itself, and questions of one about paragraphs of the other."""
    corpora: list[Corpus] = []
    questions: list[Question] = []
    languages = sorted({row["lang"] for row in corpus})
    for found in languages:
        rows = [row for row in corpus if row["lang"] == found]
        for asked in languages:
            group = f"{asked}→{found}"
            corpora.append(_corpus(f"{name}-{found}", rows, group))
            for row in queries:
                if row["lang"] == asked and row["answerable"]:
                    gold = row["gold"] if asked == found else row["gold_other_language"]
                    one = _question({**row, "id": f"{row['id']}@{found}"}, gold, group)
                    questions.append(one)
    return tuple(corpora), tuple(questions)


def _corpus(name: str, rows: Sequence[dict[str, Any]], group: str = "") -> Corpus:
    # Titles of SQuAD are ends of web addresses: Super_Bowl_50.
    paragraphs = (Paragraph(r["id"], r["title"].replace("_", " "), r["text"]) for r in rows)
    return Corpus(name, tuple(paragraphs), group)


# -- questions that come with their passages -----------------------------------------------------


def _rgb(folder: Path) -> Dataset:
    """Five passages a question, as the paper draws them, only that the first of a file's passages
    are taken instead of any: with more and more noise, with nothing but noise (to be refused), and
    with passages whose fact has been exchanged."""
    files = [folder / name for name in _RGB_FILES]
    paragraphs: dict[str, Paragraph] = {}
    questions: list[Question] = []
    for file in files:
        for row in rows_of(file):
            known = {text: f"{row['id']}/{kind}{number}"
                     for kind in ("negative", "positive_wrong", "positive")
                     for number, text in enumerate(_flat(row.get(kind, ())))}  # fmt: skip
            paragraphs.update({source: Paragraph(source, "", text) for text, source in known.items()
                               if text.strip()})  # fmt: skip
            questions += _rgb_forms(row, known)
    used = {source for question in questions for source in _sources(question)}
    kept = tuple(paragraph for source, paragraph in paragraphs.items() if source in used)
    return Dataset("rgb", digest_of(files), tuple(questions), (Corpus("rgb", kept),), "facts")


def _rgb_forms(row: dict[str, Any], known: dict[str, str]) -> Iterator[Question]:
    noise = [known[text] for text in row["negative"] if text.strip()]
    if "positive_wrong" in row:
        wrong = [known[text] for text in row["positive_wrong"] if text.strip()][:RGB_PASSAGES]
        yield _rgb_question(row, "counterfactual", wrong, noise, ())
        return
    integration = isinstance(row["positive"][0], list)
    right = [known[text] for text in _by_turns(row["positive"]) if text.strip()]
    for share in NOISE:
        count = RGB_PASSAGES - round(share * RGB_PASSAGES)
        too_few = len(noise) < RGB_PASSAGES - count or len(right) < count
        if too_few or (integration and count < len(row["positive"])):
            continue  # not comparable, or not all the facts can be among the passages
        group = f"{'integration' if integration else 'noise'} {share:.1f}"
        yield _rgb_question(row, group, right[:count], noise, right[:count])
    if not integration and len(noise) >= RGB_PASSAGES:
        yield _rgb_question(row, "rejection", [], noise, ())


def _rgb_question(
    row: dict[str, Any], group: str, first: Sequence[str], noise: Sequence[str], gold: Sequence[str]
) -> Question:
    sources = [*first, *noise][:RGB_PASSAGES]
    answers = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
    facts = tuple(tuple(fact) if isinstance(fact, list) else (fact,) for fact in answers)
    wrong = row.get("fakeanswer", ())
    return Question(
        f"{row['id']}@{group.replace(' ', '-')}", row["query"], row["lang"], facts=facts,
        wrong=(wrong,) if isinstance(wrong, str) else tuple(_flat(wrong)), gold=tuple(gold),
        answerable=group != "rejection", where=f"source in ({_quoted(sources)})",
        key=row["id"], group=group, refusal=group == "rejection",
    )  # fmt: skip


def _sources(question: Question) -> list[str]:
    """The sources of a filter that `_quoted` wrote."""
    found: list[str] = json.loads(f"[{(question.where or '()').partition('(')[2][:-1]}]")
    return found


def _flat(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _by_turns(groups: Sequence[Any]) -> Iterator[str]:
    """The first passage about each fact, then the second about each."""
    lists = [group if isinstance(group, list) else [group] for group in groups]
    for place in range(max(map(len, lists), default=0)):
        yield from (texts[place] for texts in lists if place < len(texts))


def _dureader(folder: Path) -> Dataset:
    """Pages of a search engine, searched all together; the selected ones count as gold."""
    file = folder / "dev.jsonl"
    paragraphs: list[Paragraph] = []
    questions: list[Question] = []
    for row in rows_of(file):
        gold = []
        for number, page in enumerate(row["docs"]):
            text = "\n".join(page["paragraphs"])
            if text.strip():
                paragraphs.append(Paragraph(f"{row['id']}/{number}", page["title"], text))
                gold += [f"{row['id']}/{number}"] * bool(page["is_selected"])
        questions.append(
            Question(row["id"], row["question"], row["lang"], tuple(row["answers"]),
                     gold=tuple(gold), key=row["id"])
        )  # fmt: skip
    corpus = Corpus("dureader_demo", tuple(paragraphs))
    return Dataset("dureader_demo", digest_of([file]), tuple(questions), (corpus,), "rouge")


# -- files ---------------------------------------------------------------------------------------


def rows_of(file: Path) -> Iterator[Any]:
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(
            t("The questions in {file} cannot be read: {reason}.", file=file, reason=reason)
        ) from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _bad_line(file, number, str(error)) from error
            if not isinstance(row, dict):
                raise _bad_line(file, number, t("it is not a JSON object"))
            yield row


def _bad_line(file: Path, number: int, reason: str) -> SourceError:
    return SourceError(
        t("{file}, line {number}: {reason}.", file=file, number=number, reason=reason.rstrip("."))
    )


def digest_of(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _quoted(sources: Sequence[str]) -> str:
    return ", ".join(json.dumps(source, ensure_ascii=False) for source in sources)
