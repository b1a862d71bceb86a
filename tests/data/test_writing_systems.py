"""The script of a language, and the share of a text in it."""

import re
import unicodedata

import pytest

from nmt.data.writing_systems import expected_script, share_in_script

SAMPLES = {  # a language and a line of it, with marks, digits and punctuation
    "am": "ሰላም፣ እንዴት ነህ?",
    "ar": "مرحبًا، كيف حالك؟",
    "bn": "আপনি কেমন আছেন?",
    "bo": "བཀྲ་ཤིས་བདེ་ལེགས།",
    "de": "„Grüße aus Åbo“, sagte sie – um 3 µm daneben.",
    "dv": "ކިހިނެއް؟",
    "el": "Τι κάνεις; Ἐν ἀρχῇ ἦν ὁ λόγος.",
    "gu": "તમે કેમ છો?",
    "he": "מה שלומך?",
    "hi": "आप कैसे हैं? १२३",
    "hy": "Ինչպե՞ս ես։",
    "ja": "「カタカナ」と、ひらがなと漢字。ー",
    "ka": "როგორ ხარ?",
    "km": "សួស្តី",
    "kn": "ಹೇಗಿದ್ದೀರಿ?",
    "ko": "안녕하세요! ㅋㅋㅋ",
    "lo": "ສະບາຍດີ",
    "ml": "സുഖമാണോ?",
    "my": "မင်္ဂလာပါ",
    "or": "କେମିତି ଅଛନ୍ତି?",
    "ru": "«Ещё раз», — сказал он…",
    "si": "කොහොමද?",
    "ta": "எப்படி இருக்கிறீர்கள்?",
    "te": "ఎలా ఉన్నారు?",
    "th": "สบายดีไหม",
    "uk": "Об'єднання, з'їзд, ґанок.",
    "vi": "Bạn có khoẻ không? Tiếng Việt",
    "zh": "你好，世界！（二〇二四年）",
}


@pytest.mark.parametrize("language", list(SAMPLES))
def test_a_line_is_in_the_script_of_its_language_only(language: str) -> None:
    script = expected_script(language)
    assert script is not None
    assert share_in_script(SAMPLES[language], script) == 1.0
    others = {expected_script(other) for other in SAMPLES} - {script, None}
    assert len(others) > 20
    for other in others:
        allowed = 0.7 if {script, other} == {"Han", "Japanese"} else 0.1
        chinese = language == "zh" and other == "Japanese"
        assert chinese or share_in_script(SAMPLES[language], other) <= allowed


@pytest.mark.parametrize(
    ("language", "script"),
    [
        ("pt-BR", "Latin"),
        ("DE", "Latin"),
        ("zh_CN", "Han"),
        ("zh-Hant-TW", "Han"),
        ("deu_Latn", "Latin"),
        ("rus", "Cyrillic"),
        ("sr-Latn", "Latin"),
        ("uz_Cyrl", "Cyrillic"),
        *((language, None) for language in ("sr", "uz", "kk", "az", "pa", "mn", "ku")),
        ("tlh", None),
        ("", None),
    ],
)
def test_a_region_does_not_matter_and_a_named_script_decides(
    language: str, script: str | None
) -> None:
    assert expected_script(language) == script


def test_only_letters_are_counted() -> None:
    assert share_in_script("12:30, 50 % ... 😀", "Cyrillic") == 1.0
    assert share_in_script("", "Thai") == 1.0
    assert share_in_script("abc", "Greek") == 0.0
    assert share_in_script("Волга 1234 ab", "Cyrillic") == 5 / 7
    assert share_in_script("Волга 1234 ab", "Latin") == 2 / 7
    assert share_in_script("ñandú ça", "Latin") == 1.0


def test_each_script_contains_the_letters_that_unicode_names_after_it() -> None:
    for script, name in (("Cyrillic", "CYRILLIC"), ("Latin", "LATIN"), ("Arabic", "ARABIC")):
        letters = [
            chr(code)
            for code in range(0x2000)
            if chr(code).isalpha() and unicodedata.name(chr(code), "").startswith(f"{name} ")
        ]
        assert len(letters) > 100
        for letter in letters:
            assert share_in_script(letter, script) == 1.0, unicodedata.name(letter)


def test_a_script_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match=re.escape("Klingon")):
        share_in_script("ä", "Klingon")
