import pytest

from indexes.language import detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How much water is in the honey?", "en"),
        ("honey", ""),
        ("The waggle dance was decoded by Karl von Frisch.", "en"),
        ("洋槐蜜为什么不易结晶？", "zh"),
        ("蜂蜜", "zh"),
        ("vLLM 的前缀缓存怎么开启？", "zh"),
        ("Karl von Frisch 是谁？", "zh"),
        ("梵語的學術研究由誰開創？", "zh"),
        ("ミツバチのダンスとは何ですか", "ja"),
        ("꿀벌의 춤은 무엇입니까", "ko"),
        ("Le miel est produit par les abeilles dans la ruche.", ""),
        ("42 / 7", ""),
        ("", ""),
    ],
)
def test_language_is_told_by_script_and_common_words(text: str, language: str) -> None:
    assert detect_language(text) == language
