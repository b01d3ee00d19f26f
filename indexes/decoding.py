"""Bytes to text, without guessing in silence.

Order: byte order mark, strict UTF-8, UTF-16 by its pattern of NUL bytes, the declared charset, the
East Asian charsets, the single-byte charsets. GB18030 and Big5 accept most of each other's bytes,
so the East Asian ones compete: every strict decoding is scored by how ordinary its characters are,
and the best one must be ordinary enough. What no charset explains is refused.
"""

import codecs
import re
import unicodedata
from functools import cache

from indexes.errors import LoadError
from indexes.i18n import t

# The most frequent characters of modern Chinese prose, about three quarters of any running text:
# bytes read in the wrong charset hit them by chance only.
_COMMON_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
    "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政"
    "美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员"
    "解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件"
    "计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象"
    "完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运始请城六七"
    "八九为县省赛季称号首级节约站字版影歌曲片星球镇村河湖岛校史族党党委州京华林石花车船飞火食药店网线台客"
)
_COMMON_TRADITIONAL = (
    "這個們來為國說時會對過發後裡學經還沒動現當樣進開實軍無長機與關點業將兩間問戰應頭體見產話給門東聲員論"
    "處義條題爾別變總電數報結幾認氣務計資場許統區隊書則聽達強難權設記類據邊張該規萬覺術領確傳師觀讓識帶導"
    "爭運請縣賽稱號級節約島黨華車飛藥網線種於著麼從並內兒畫連稱離環園歷廣戲團線劇專選舉議須較單讀語詞價錢"
    "愛親質練轉輪輕農遠選遺醫銀鐵陽陸際險雖雜雲響頁項順預頻願顯風館馬驗體鬥魚鳥麗黃齊獨獎獲當盡監盤眾礎禮"
    "積穩競筆築紀紅納純紙細終組織綠維縱績繼續罷羅聖聯職腦臺舊艦藝蘇蘭處裝製複觸訂訊訓設訪診證評試詩該誌調"
)
_COMMON_JAPANESE = "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選立開手米力学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小七成期公野協取都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書府活原先共得解名交資予川向際査勝面委告軍文反元重近千考判認画海参売利組知案道信策集在件団別物側任引使求所次水半品昨論計死官増係感特情投示変打男基私各始島直両朝革価式確村提運終挙果西勢減台広容必応演電歳住争談能無再位置企真流格有疑口過局少放税検藤町常校料沢裁状工建語球営空職証土与急止送援供可役構木割聞身費付施切由説転食比難防補車優夫研収断井何南石足違消境神番規術護展態導鮮備宅害配副算視条幹独警宮究育席輸訪楽起万着乗店述残想線率病農州武声質念待試族象銀域助労例衛然早張映限親額監環験追審商葉義伝働形景落欧担好退準賞訴辺造英被株頭技低毎医復仕去姿味負閣韓渡失移差衆個門写評課末守若脳極種美岡影命含福蔵量望松非撃佐核観察整段横融型白深字答夜製票況音申様財港識注呼渉達"  # noqa: E501
_COMMON_KOREAN = (
    "이다는을가에의고하지로도한기사은를리자시그어나정인서아대해과부스수일제전라들으있만구주보여성장원게"
    "면상조동비국무선오관안연소신등공세적진위되할년당유계것경개치업중민마용모영우었습니까려미트저분때생"
)
_COMMON = frozenset(_COMMON_SIMPLIFIED + _COMMON_TRADITIONAL)
_PUNCTUATION = frozenset("，。、；：？！“”‘’（）《》〈〉「」『』【】—…·．～　")

# In order of preference where scores tie. cp949 and cp932 are what Windows calls EUC-KR and
# Shift_JIS; big5hkscs adds Hong Kong's characters to Big5.
_EAST_ASIAN = ("gb18030", "cp950", "big5hkscs", "cp932", "euc_jp", "cp949")
_SINGLE_BYTE = (
    "cp1252",
    "cp1251",
    "koi8_r",
    "cp866",
    "cp1250",
    "iso8859_2",
    "cp1256",
    "cp1253",
    "cp1255",
    "cp1254",
    "cp1257",
    "cp1258",
    "cp874",
    "cp437",
    "cp850",
    "cp037",
    "cp500",
)
# The usual and the rarer characters outside ASCII in the languages of each Latin charset: a few
# accents are too little for statistics, and cp1252 is what most such files are.
_LATIN = {
    "cp1252": ("éèàäöüáíóñçêâßåëïôûù’“”–«»", "îãõæøìòœÉÄÖÜÀÇÅØ¿¡…°£€§—‘•©®™"),
    "cp1250": ("čěřšžýůáíéęąłżśćńőűăđ", "ťďňóúźôäöüâîţşŠČŽŘŁŚŻĆĐ„“”’–…°§"),
    "iso8859_2": ("čěřšžýůáíéęąłżśćńőűăđ", "ťďňóúźôäöüâîţşŠČŽŘŁŚŻĆĐ°§"),
    "cp1254": ("ığşüöçİ", "âîûŞÇÖÜĞ’“”"),
    "cp1257": ("āēīūčšžėąęįų", "ļņģķõäöüŠŽ"),
}
_EBCDIC = frozenset({"cp037", "cp500"})
# What a declaration usually means by the name: the larger charset that includes it.
_ALIASES = {
    "gb2312": "gb18030", "gbk": "gb18030", "big5": "cp950", "shift_jis": "cp932",
    "euc_kr": "cp949", "iso8859-1": "cp1252", "ascii": "cp1252",
}  # fmt: skip

_BOMS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 4000  # characters outside ASCII that are scored
# Mean scores of East Asian text: from the first on it is sure; from the second on it wins unless a
# single-byte charset makes words of a known language.
_SURE = 0.55
_POSSIBLE = 0.2
_LOST = "\N{REPLACEMENT CHARACTER}"
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")
_C1 = re.compile(r"[\x80-\x84\x86-\x9f]")
_C1_TO_CP1252 = {
    code: bytes([code]).decode("cp1252", errors="ignore") or None for code in range(0x80, 0xA0)
}
_OUTSIDE_ASCII = re.compile(r"[^\x00-\x7f]")


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of ``data``, without its byte order mark.

    ``declared`` is the charset that an HTML page or a mail header names; it is tried, not believed.
    A few damaged bytes in otherwise sound text become U+FFFD.

    Raises:
        LoadError: no charset makes readable text of the bytes.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _readable(_without_c1(_tolerant(data[len(mark) :], encoding)))
    if b"\0" in data and (text := _utf16(data)) is not None:
        return _readable(text)
    text = _strict(data, "utf-8")
    if text is not None:
        return _readable(_without_c1(text))
    if _mostly_utf8(data):
        text = data.decode("utf-8", errors="replace")
    if text is None and declared:
        text = _declared(data, declared)
    if text is None:
        text = _detected(data)
    return _readable(text)


def looks_like_text(text: str) -> bool:
    """Whether ``text`` is free of the traces that a wrong decoding leaves.

    Control, private-use, unassigned and replacement characters may make up 2 % at most.
    """
    sample = text[:20_000]
    bad = len(_CONTROLS.findall(sample))
    bad += sum(1 for c in _OUTSIDE_ASCII.findall(sample) if c == _LOST or _unprintable(c))
    return bad <= max(1, 0.02 * len(sample)) and bad < max(1, len(sample))


def _without_c1(text: str | None) -> str | None:
    """``text`` with U+0080 to U+009F as the characters that they stand for in Windows' charset.

    No text means these control characters: they come from bytes of cp1252 that a program took for
    Latin-1 before it wrote UTF-8, and browsers read them so (WHATWG HTML, 13.2.5.80). Those that
    cp1252 leaves empty go. U+0085 alone is a line break.
    """
    return text.translate(_C1_TO_CP1252) if text and _C1.search(text) else text


def _readable(text: str | None) -> str:
    if text is None or not looks_like_text(text):
        raise LoadError(
            t("The bytes are not text in any known encoding. Save the file as UTF-8 text.")
        )
    return text


def _unprintable(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Co", "Cn", "Cs") and char != "\x85"


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _tolerant(data: bytes, encoding: str) -> str | None:
    """Strict, or with at most one replaced character in two hundred: a cut or damaged file."""
    text = _strict(data, encoding)
    if text is None:
        text = data.decode(encoding, errors="replace")
        if text.count(_LOST) > 1 + len(text) // 200:
            return None
    return text


def _mostly_utf8(data: bytes) -> bool:
    text = data.decode("utf-8", errors="replace")
    lost = text.count(_LOST)
    return len(_OUTSIDE_ASCII.findall(text)) - lost >= 10 * lost


def _utf16(data: bytes) -> str | None:
    """UTF-16 without a mark: ASCII characters put NULs at one parity only."""
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if min(even, odd) * 10 > max(even, odd):
        return None
    encoding = "utf-16-be" if even > odd else "utf-16-le"
    text = _strict(data[: len(data) // 2 * 2], encoding)
    return text if text is not None and looks_like_text(text) else None


def _declared(data: bytes, declared: str) -> str | None:
    try:
        name = codecs.lookup(declared.strip().strip("\"'")).name
    except (LookupError, ValueError):
        return None
    name = _ALIASES.get(name, name).replace("-", "_")
    if name in _EAST_ASIAN:
        text = _tolerant(data, name)
        return text if text is not None and east_asian_score(text, name) > 0 else None
    if name not in _SINGLE_BYTE and not name.startswith(("iso8859", "cp", "koi8", "mac")):
        return None
    if name == "cp1252":
        # Chinese pages that declare Latin-1 are common, and every byte string decodes as Latin-1.
        score, text = _east_asian(data)
        if score >= _SURE:
            return text
    return _single_byte(data, (name,))[1]


def _detected(data: bytes) -> str | None:
    score, east_asian = _east_asian(data)
    if score >= _SURE:
        return east_asian
    coherence, single_byte = _single_byte(data)
    if score >= _POSSIBLE and coherence < 0.3:
        return east_asian
    return single_byte


def _east_asian(data: bytes) -> tuple[float, str | None]:
    """The most ordinary decoding and its score."""
    best: tuple[float, str | None] = (-10.0, None)
    for encoding in _EAST_ASIAN:
        text = _strict(data, encoding)
        if text is None and encoding != "big5hkscs":
            text = _tolerant(data, encoding) if len(data) > 400 else None
        if text is None:
            continue
        score = east_asian_score(text, encoding) - text.count(_LOST) * 0.05
        if score > best[0]:
            best = score, text
    return best


def east_asian_score(text: str, encoding: str) -> float:
    """How ordinary the characters outside ASCII are, from about -6 (noise) to 2 (prose)."""
    total = 0.0
    count = 0
    for match in _OUTSIDE_ASCII.finditer(text):
        start = match.start()
        total += _char_score(match.group(), encoding)
        # Latin-1 letters that pair with the next byte show up as lone ideographs inside words.
        if _is_ascii_letter(text, start - 1) and _is_ascii_letter(text, start + 1):
            total -= 2
        count += 1
        if count >= _SAMPLE:
            break
    return total / count if count else 0.0


def _is_ascii_letter(text: str, index: int) -> bool:
    return index >= 0 and text[index : index + 1].isalpha() and text[index].isascii()


@cache
def _char_score(char: str, encoding: str) -> float:
    code = ord(char)
    if char in _PUNCTUATION:
        return 1.5
    if 0x4E00 <= code <= 0x9FFF:
        return _ideograph_score(char, encoding)
    if 0x3041 <= code <= 0x30FE:
        return 1.3
    if 0xAC00 <= code <= 0xD7A3:
        return 1.6 if char in _COMMON_KOREAN else -0.4
    if 0xFF01 <= code <= 0xFF5E:
        return 0.3
    if char == _LOST or _unprintable(char):
        return -6
    if 0x3400 <= code <= 0x4DBF or code >= 0x20000:
        return -3
    return -1


def _ideograph_score(char: str, encoding: str) -> float:
    japanese = encoding in ("cp932", "euc_jp")
    if char in (_COMMON_JAPANESE if japanese else _COMMON):
        return 2
    if encoding == "cp949":
        return -1.5  # Korean prose has next to no ideographs left
    if _first_level(char, encoding):
        return 0.3
    # GB18030 holds the traditional characters too, outside its own first level.
    return -0.3 if encoding == "gb18030" and _first_level(char, "cp950") else -1.5


def _first_level(char: str, encoding: str) -> bool:
    """Whether the charset's own table lists the character among the frequently used ones."""
    if encoding == "gb18030":
        code = char.encode("gb18030")
        return 0xB0 <= code[0] <= 0xD7 and code[1] >= 0xA1
    if encoding in ("cp950", "big5hkscs"):
        return 0xA4 <= char.encode("big5hkscs", errors="replace")[0] <= 0xC6
    lead = char.encode("euc_jp", errors="replace")[0]
    return 0xB0 <= lead <= 0xCF


def _single_byte(
    data: bytes, encodings: tuple[str, ...] = _SINGLE_BYTE
) -> tuple[float, str | None]:
    """The best decoding, and the share of it (0 to 1) that looks like words of a language."""
    from charset_normalizer import from_bytes

    found = from_bytes(data[:65_536], cp_isolation=list(encodings), enable_fallback=False)
    ranked = sorted(found, key=lambda m: (round(m.chaos, 2), -m.coherence, _rank(m.encoding)))
    ranked = [m for m in ranked if m.encoding not in _EBCDIC or m.coherence >= 0.5]
    for match in ranked:
        chosen = _latin(data, encodings) if match.encoding in _LATIN else match.encoding
        text = _strict(data, chosen)
        if text is not None:
            return match.coherence, text
    return 0.0, None


def _latin(data: bytes, encodings: tuple[str, ...]) -> str:
    """The Latin charset that makes the most ordinary accents of the bytes."""

    def ordinary(encoding: str) -> float:
        usual, rarer = _LATIN[encoding]
        found = _OUTSIDE_ASCII.findall(data[:65_536].decode(encoding, errors="replace"))
        score = sum(1.0 if c in usual else 0.5 if c in rarer else -1.0 for c in found)
        return score / max(1, len(found)) + (0.1 if encoding == "cp1252" else 0.0)

    return max((e for e in encodings if e in _LATIN), key=ordinary)


def _rank(encoding: str) -> int:
    return _SINGLE_BYTE.index(encoding) if encoding in _SINGLE_BYTE else len(_SINGLE_BYTE)
