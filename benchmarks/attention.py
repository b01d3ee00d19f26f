"""Whether content words weigh more than function words in `waggle explain attention`: the table of
docs/explain.md, on sentences and questions of XQuAD.

::

    python -m benchmarks.attention
"""

import json
import random
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import rjieba

from benchmarks.machine import machine
from benchmarks.sets import MissingSetsError, data_folder
from indexes.embedding import default_embedder
from indexes.embedding.attention import Attention, Method
from indexes.embedding.attention_model import AttentionModel, open_attention
from indexes.errors import ModelError
from rag.evaluation.statistics import interval

_TEXTS = 80
_SEED = 5
_METHODS: Final[tuple[Method, ...]] = ("norms", "rollout", "occlusion")
_SENTENCE = re.compile(r"(?<=[.])\s+(?=[A-Z])|(?<=[。])")
_LENGTHS = {"en": (60, 200), "zh": (20, 80)}
_FUNCTION_WORDS = {
    "en": frozenset(
        re.findall(
            r"\w+",
            "a an the of to in on at by for from with as into onto over under between among "
            "through during before after about against without within upon off out up down and or "
            "but nor so yet if because while although though than that which who whom whose what "
            "when where why how this these those i you he she it we they me him her us them my "
            "your his its our their is am are was were be been being do does did have has had will "
            "would shall should can could may might must not no there here also very too just only "
            "then both either neither each such some any all most more other own same s t",
        )
    ),
    "zh": frozenset(
        re.findall(
            r"\w+",
            "的 了 着 过 在 是 和 与 及 或 而 但 但是 因为 所以 如果 虽然 也 都 就 还 又 才 "
            "很 被 把 对 从 到 向 由 于 以 为 为了 之 其 这 那 这些 那些 它 他 她 他们 她们 "
            "它们 我 我们 你 你们 什么 谁 哪 哪个 哪里 怎么 如何 多少 几 吗 呢 吧 啊 不 没 "
            "没有 有 会 能 可以 要 将 并 并且 等 个 一个 地 得 所 中 上 下 里 给 让 使 用 "
            "以及 关于 根据 通过 此 该 各 每 某",
        )
    ),
}


def main() -> int:
    """Measure and print; returns the exit status."""
    try:
        samples = list(_samples(data_folder() / "xquad_en_zh"))
    except (MissingSetsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(machine(), end="\n\n")
    print("| | method | texts | AUC | 95 % | special tokens |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        model = open_attention(default_embedder(Path(folder)))
        for kind, lang, texts in samples:
            for method in _METHODS:
                print(f"| {kind} {lang} | {method} | {_measured(model, texts, lang, method)} |")
    return 0


def _samples(folder: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Sentences of both languages, then questions."""
    choice = random.Random(_SEED)
    sentences: dict[str, list[str]] = {"en": [], "zh": []}
    for row in _rows(folder / "corpus.jsonl"):
        least, most = _LENGTHS[row["lang"]]
        parts = _SENTENCE.split(row["text"])
        sentences[row["lang"]] += [part.strip() for part in parts if least <= len(part) <= most]
    questions: dict[str, list[str]] = {"en": [], "zh": []}
    for row in _rows(folder / "queries.jsonl"):
        questions[row["lang"]].append(row["question"])
    for kind, texts in (("sentences", sentences), ("questions", questions)):
        for lang, found in texts.items():
            choice.shuffle(found)
            yield kind, lang, found[:_TEXTS]


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _measured(model: AttentionModel, texts: Sequence[str], lang: str, method: Method) -> str:
    areas, special = [], []
    for text in texts:
        try:
            read = model.read(text, method)
        except ModelError:  # none of its characters is known
            continue
        special.append(read.special_share)
        weights = _weights(read, lang)
        if weights[0] and weights[1]:
            areas.append(auc(*weights))
    low, high = interval(areas)
    return f"{len(areas)} | {np.mean(areas):.3f} | {low:.3f} to {high:.3f} | {np.mean(special):.2f}"


def _weights(read: Attention, lang: str) -> tuple[list[float], list[float]]:
    """The importance of the content words, and of the function words, of which a token is known."""
    content: list[float] = []
    function: list[float] = []
    for start, end, word in _words(read.text, lang):
        places = [
            number
            for number, token in enumerate(read.tokens)
            if token.kind == "word" and token.start >= start and token.end <= end
        ]
        if places:
            weight = float(read.importance[places].sum())
            (function if word in _FUNCTION_WORDS[lang] else content).append(weight)
    return content, function


def _words(text: str, lang: str) -> Iterator[tuple[int, int, str]]:
    if lang == "en":
        for match in re.finditer(r"[A-Za-z]+", text):
            yield match.start(), match.end(), match[0].lower()
        return
    for word, start, end in rjieba.tokenize(text):
        if re.fullmatch(r"[\u4e00-\u9fff]+", word):
            yield start, end, word


def auc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """How often one of ``higher`` is above one of ``lower``; equals count half."""
    a, b = np.array(higher)[:, None], np.array(lower)[None]
    return float(((a > b) + 0.5 * (a == b)).mean())


if __name__ == "__main__":
    sys.exit(main())
