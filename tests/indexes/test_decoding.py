"""Encodings: what is decoded right, and what is refused."""

import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.decoding import decode, looks_like_text
from indexes.errors import LoadError

DATA = Path(
    os.environ.get(
        "WAGGLE_EVAL_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
    )
)
ENGLISH = "The dance of the bees tells where the food is. It was described in 1927, in Munich.\n"
SIMPLIFIED = "蜜蜂的舞蹈告诉同伴食物在哪里。这个发现是在一九二七年发表的，后来得到了证实。"
TRADITIONAL = "蜜蜂的舞蹈告訴同伴食物在哪裡。這個發現是在一九二七年發表的，後來得到了證實。"
JAPANESE = "ミツバチのダンスは仲間に食べ物の場所を教える。この発見は後に確認された。"
KOREAN = "꿀벌의 춤은 동료에게 먹이가 있는 곳을 알려 준다. 이 발견은 나중에 확인되었다."
RUSSIAN = "Танец пчёл сообщает другим, где находится пища. Это открытие было сделано давно."
FRENCH = "La danse des abeilles a été décrite à Munich; où, déjà, le café coûtait très cher."

printable = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn"), exclude_characters="\ufeff"),
    min_size=1,
)


@given(printable)
def test_utf8_is_read_exactly(text: str) -> None:
    assert decode(text.encode()) == text


@given(printable, st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_a_byte_order_mark_decides(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [ENGLISH, SIMPLIFIED + "\n" + ENGLISH])
def test_utf16_without_a_mark_is_recognised_by_its_nul_bytes(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SIMPLIFIED, "gb18030"),
        (TRADITIONAL, "gb18030"),
        (TRADITIONAL, "big5"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "euc_kr"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (RUSSIAN, "cp866"),
        (FRENCH, "cp1252"),
        ("中文网站", "gb18030"),
        ("鱼鳍鳞片", "gb18030"),  # no common character, no other reading either
        ("臺灣新聞", "big5"),
    ],
)
def test_undeclared_encodings_are_told_apart(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [
        (SIMPLIFIED, "gbk", "gb2312"),
        (TRADITIONAL, "big5", "BIG5"),
        (SIMPLIFIED, "utf-8", "gb2312"),  # a wrong declaration is not believed
        (SIMPLIFIED, "gbk", "iso-8859-1"),
        (SIMPLIFIED, "gbk", "utf-8"),
        (FRENCH, "cp1252", "windows-1252"),
        ("Привет", "koi8_r", "KOI8-R"),  # two bytes make an ideograph each: only the name decides
        ("Příliš kůň", "iso8859_2", "iso-8859-2"),
        (RUSSIAN, "cp1251", "no-such-charset"),
        (ENGLISH, "ascii", "rot13"),  # a codec of Python's that is no charset
    ],
)
def test_a_declared_charset_is_tried_not_believed(text: str, encoding: str, declared: str) -> None:
    assert decode(text.encode(encoding), declared) == text


def test_a_utf8_file_that_was_cut_in_a_character_keeps_its_text() -> None:
    data = SIMPLIFIED.encode()[:-1]
    assert decode(data) == SIMPLIFIED[:-1] + "\N{REPLACEMENT CHARACTER}"


def test_a_gb18030_file_that_was_cut_in_a_character_keeps_its_text() -> None:
    text = SIMPLIFIED * 10
    assert decode(text.encode("gb18030")[:-1]).startswith(text[:-1])


@pytest.mark.parametrize("size", [64, 1024, 50_000])
def test_random_bytes_are_refused(size: int) -> None:
    for seed in range(20):
        data = random.Random(seed).randbytes(size)
        with pytest.raises(LoadError, match="not text in any known encoding"):
            decode(data)


def test_control_characters_are_no_text() -> None:
    with pytest.raises(LoadError):
        decode(bytes(range(1, 9)) * 20)
    assert not looks_like_text("\ue001\ue002 a font without a character map")


def test_ebcdic_is_read_right_or_refused() -> None:
    try:
        text = decode((ENGLISH * 5).encode("cp500"))
    except LoadError:
        return
    assert "dance of the bees" in text


@given(st.binary(max_size=300))
def test_any_bytes_give_text_or_a_load_error(data: bytes) -> None:
    try:
        text = decode(data)
    except LoadError:
        return
    assert looks_like_text(text)


def _passages(name: str, length: int, count: int) -> list[str]:
    path = DATA / name / "corpus.jsonl"
    if not path.exists():
        pytest.skip(f"evaluation set {name} is not here")
    texts = [json.loads(line)["text"] for line in path.open(encoding="utf-8")]
    rng = random.Random(length)
    found: list[str] = []
    while len(found) < count:
        text = rng.choice(texts)
        start = rng.randrange(max(1, len(text) - length))
        found.append(text[start : start + length])
    return found


@pytest.mark.sets
@pytest.mark.parametrize(
    ("name", "encoding"),
    [("cmrc2018_zh", "gb18030"), ("drcd_zht", "cp950"), ("drcd_zht", "gb18030")],
)
@pytest.mark.parametrize(("length", "share"), [(400, 0.99), (40, 0.99), (10, 0.98), (4, 0.95)])
def test_gb18030_and_big5_are_told_apart(
    name: str, encoding: str, length: int, share: float
) -> None:
    right = tried = 0
    for text in _passages(name, length, 400):
        try:
            data = text.encode(encoding)
        except UnicodeEncodeError:
            continue
        if data.isascii():
            continue
        tried += 1
        try:
            right += decode(data) == data.decode(encoding)
        except LoadError:
            continue
    assert right >= share * tried


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a\x93quoted\x94 word and 80 \x80", "a“quoted” word and 80 €"),  # cp1252 taken for Latin-1
        ("one\x85two\x92s", "one…two’s"),
        ("lone\x85break", "lone\x85break"),
        ("gone\x81\x8d", "gone"),
        ("\x9d中文\x9d也\x9d一样\x9d", "中文也一样"),
    ],
)
def test_c1_controls_in_utf8_are_the_characters_that_they_stand_for(
    raw: str, expected: str
) -> None:
    assert decode(raw.encode()) == expected


def test_a_stray_control_character_refuses_no_file() -> None:
    assert decode(b"a\x01b") == "a\x01b"
    assert decode("蜂\x02蜜".encode()) == "蜂\x02蜜"
