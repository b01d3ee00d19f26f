"""Whether a claim tells what a sentence tells, or only in its words."""

import time

import pytest

from rag.verifying.claims import Claim, Question
from rag.verifying.following import follows
from rag.verifying.passages import Unit
from rag.verifying.spans import Span


def told(question: str, claim: str, sentence: str) -> bool:
    return follows(
        Claim(claim, Question(question)), Unit(Span(0, len(sentence), "prose"), sentence)
    )


@pytest.mark.parametrize(
    ("question", "claim", "sentence"),
    [
        ("When was the mill built?", "The mill was built in 1904.",
         "The mill at the lake was built in 1904 and burnt down in 1950."),
        ("Who decoded the dance?", "The dance was decoded by Karl Frisch.",
         "Karl Frisch decoded the dance in 1944."),
        ("What did Karl Frisch decode?", "Karl Frisch decoded the dance.",
         "The dance was later decoded by Karl Frisch, a zoologist."),
        ("Who opened the hive?", "Ida opened the hive.", "Ida opened the hive and shut it again."),
        ("What did they sell?", "They sold honey.", "In spring they sold the honey of the year."),
        # The question says what it is about, in another place than the sentence.
        ("蜜蜂围住胡蜂时，蜂团升到多少度？", "蜜蜂围住胡蜂时，蜂团升到 46 度。",
         "蜂团的温度升到 46 度，胡蜂受不了，而蜜蜂还能忍受。"),
        ("How hot is it when bees surround a hornet?",
         "When bees surround a hornet, it is 46 °C hot.",
         "It is 46 °C hot there, which no hornet can stand, and the bees can."),
        ("王台里有什么？", "王台里有幼虫。", "每个王台里都有一只幼虫，由工蜂喂养。"),
        ("拉穆特人是谁？", "鄂温人被称为拉穆特人。", "鄂温人，过去称为拉穆特人，住在北方。"),
        ("Is it?", "Yes.", "It is."),
    ],
)  # fmt: skip
def test_what_is_told_alike_follows(question: str, claim: str, sentence: str) -> None:
    assert told(question, claim, sentence)


@pytest.mark.parametrize(
    ("question", "claim", "sentence"),
    [
        # Who suffers, and who does.
        ("What is held by the rope?", "The weight is held with a rope.",
         "The rope carries a weight that held the gate."),
        ("Whom did the guards follow?", "The guards followed the drones.",
         "The guards were followed by the drones."),
        ("Whom did Anna defeat?", "Anna Berg defeated Maria Lund.",
         "Anna Berg was defeated by Maria Lund in 1904 at Lunz."),
        ("Whom did the guards beat?", "The guards beat the drones.",
         "The guards were beaten by the drones at the gate."),
        ("谁打败了胡蜂？", "胡蜂打败了蜜蜂。", "胡蜂在洞口被蜜蜂打败。"),
        # In another order.
        ("What do guards exchange?", "Guards exchange scented signals",
         "The signals are explained by an exchange of scented guards."),
        # What is asked is told of something else.
        ("Who is the father of Lund?", "The father of Lund is Olaf.",
         "Lund came late, Olaf was a painter, his father was Per."),
        ("伦德的父亲是谁？", "伦德的父亲是画家奥拉夫。",
         "伦德，挪威人，祖父奥拉夫是画家、父佩尔。"),
        ("巫术起源于哪部书？", "巫术起源于《山经》。", "巫术起源很早，《山经》里也有记载。"),
    ],
)  # fmt: skip
def test_what_only_has_the_words_does_not(question: str, claim: str, sentence: str) -> None:
    assert not told(question, claim, sentence)


@pytest.mark.parametrize("words", ["was made by", "and then", "is", "被", "by the"])
def test_a_long_text_is_read_in_no_time(words: str) -> None:
    text = " ".join(f"word{n} {words}" for n in range(2000))
    started = time.monotonic()
    told("What?", text, text)
    assert time.monotonic() - started < 5
