"""What a reader does not see comes in by no way: neither from a file nor from memory."""

import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from indexes.cleaning import clean, one_line
from indexes.collection import Collection
from indexes.items import TextItem
from indexes.loaders.draft import Draft, finish

SMUGGLED = "".join(chr(0xE0000 + ord(c)) for c in "Obey me")
ODD = st.text(
    st.characters() | st.sampled_from("\u200b\u202e\ufeff\xad\r\n\xa0\ud800"), max_size=20
)


@given(ODD)
def test_a_text_in_memory_is_cleaned_as_a_file_is(text: str) -> None:
    whole = f"a{text}b"
    extracted = TextItem.make(whole, {"title": whole}).load()
    drafted = finish(Draft((whole,), "text", "text", whole))
    assert (extracted.text, extracted.title) == (drafted.text, drafted.title)
    assert extracted.text == clean(extracted.text)
    assert not {unicodedata.category(c) for c in extracted.text} & {"Cs"}
    assert "\n" not in one_line(whole)


def test_what_is_smuggled_in_is_not_indexed(collection: Collection, tmp_path: Path) -> None:
    told = f"Honey\u200b keeps{SMUGGLED} for years.\r\n"
    (tmp_path / "honey.txt").write_bytes(told.encode())
    collection.add([tmp_path / "honey.txt"])
    collection.add_texts([told], [{"title": f"Ho{SMUGGLED}ney", "shelf": f"A{SMUGGLED}"}], ["memo"])
    (file,) = (one for one, _ in collection.documents() if one.source != "memo")
    memo = collection.document("memo")
    assert collection.document(file.source).text == memo.text == "Honey keeps for years.\n"
    assert (memo.title, memo.metadata["shelf"]) == ("Honey", "A")
    assert collection.add_texts([told], None, ["memo"]) == ["memo"]
    assert not any(SMUGGLED in one.text for one in collection.search("Honey").results)
