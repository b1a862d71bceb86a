"""The script of each language, and the share of a text that is written in a script."""

import functools
import re

LEAST_SHARE = 0.5
"""Minimum share of a text's letters that must be in the script of its language."""

# Ranges of code points. Only letters count, so a range may contain marks, digits and gaps.
_RANGES = {
    "Arabic": "0600-06FF 0750-077F 0870-08FF FB50-FDFF FE70-FEFF",
    "Armenian": "0530-058F FB13-FB17",
    "Bengali": "0980-09FF",
    "Canadian": "1400-167F 18B0-18FF 11AB0-11ABF",
    "Cherokee": "13A0-13FF AB70-ABBF",
    "Cyrillic": "0400-052F 1C80-1C8F 1D2B-1D2B 1D78-1D78 A640-A69F 1E030-1E08F",
    "Devanagari": "0900-097F A8E0-A8FF",
    "Ethiopic": "1200-139F 2D80-2DDF AB00-AB2F 1E7E0-1E7FF",
    "Georgian": "10A0-10FF 1C90-1CBF 2D00-2D2F",
    "Greek": "0370-03FF 1F00-1FFF",
    "Gujarati": "0A80-0AFF",
    "Gurmukhi": "0A00-0A7F",
    "Han": "2E80-2FDF 3005-3007 3021-3029 3038-303B 3100-312F 31A0-31BF 3400-4DBF 4E00-9FFF "
    "F900-FAFF 20000-323AF",
    "Hangul": "1100-11FF 3130-318F A960-A97F AC00-D7FF FFA0-FFDC",
    "Hebrew": "0590-05FF FB1D-FB4F",
    "Kana": "3031-3035 3040-30FF 31F0-31FF FF66-FF9F 1B000-1B16F",
    "Kannada": "0C80-0CFF",
    "Khmer": "1780-17FF",
    "Lao": "0E80-0EFF",
    "Latin": "0041-005A 0061-007A 00AA-00AA 00BA-00BA 00C0-00D6 00D8-00F6 00F8-02AF 1D00-1D25 "
    "1D2C-1D77 1D79-1DBF 1E00-1EFF 2071-2071 207F-209C 212A-212B 2C60-2C7F A722-A7FF AB30-AB6F "
    "FB00-FB06 FF21-FF3A FF41-FF5A 1DF00-1DFFF",
    "Malayalam": "0D00-0D7F",
    "Meetei": "AAE0-AAFF ABC0-ABFF",
    "Mongolian": "1800-18AF",
    "Myanmar": "1000-109F A9E0-A9FF AA60-AA7F",
    "Nko": "07C0-07FF",
    "Olchiki": "1C50-1C7F",
    "Oriya": "0B00-0B7F",
    "Sinhala": "0D80-0DFF",
    "Syriac": "0700-074F 0860-086F",
    "Tamil": "0B80-0BFF",
    "Telugu": "0C00-0C7F",
    "Thaana": "0780-07BF",
    "Thai": "0E00-0E7F",
    "Tibetan": "0F00-0FFF",
    "Tifinagh": "2D30-2D7F",
}
_RANGES["Japanese"] = f"{_RANGES['Kana']} {_RANGES['Han']}"

# Letters of no particular script: micro sign, modifier letters, letters of formulas.
_COMMON = "00B5-00B5 02B0-02FF 2102-2129 212C-214F 1D400-1D7FF"

# Ranges without letters: ASCII and Latin-1 except letters, general punctuation, currencies,
# arrows and symbols, CJK punctuation and its full-width forms.
_NO_LETTERS = (
    "0000-0040 005B-0060 007B-00A9 00AB-00B4 00B6-00B9 00BB-00BF 00D7-00D7 00F7-00F7 0300-036F "
    "2000-2070 20A0-20CF 2190-2BFF 3000-3004 3008-3020 FE00-FE0F FF01-FF20 FF3B-FF40 FF5B-FF65"
)

# Languages with two scripts in use (sr, uz, kk, az, pa, mn, ku, ks, ...) are omitted on purpose.
_LANGUAGES = {
    "Arabic": "ar ara arz ary apc fa fas pes prs ps pus ur urd ckb ug uig sd snd lrc mzn pnb azb",
    "Armenian": "hy hye hyw",
    "Bengali": "bn ben as asm bpy",
    "Cherokee": "chr",
    "Canadian": "cr oj",
    "Cyrillic": "ru rus uk ukr be bel bg bul mk mkd ky kir tg tgk tt tat ba bak cv chv ce che "
    "os oss ab abk av ava kv kom mhr mrj myv mdf udm sah tyv bua xal cu rue lez krc kbd",
    "Devanagari": "hi hin mr mar ne nep npi sa san mai bho awa mag hne new doi brx",
    "Ethiopic": "am amh ti tir gez",
    "Georgian": "ka kat xmf",
    "Greek": "el ell grc pnt",
    "Gujarati": "gu guj",
    "Han": "zh zho cmn yue wuu hak gan lzh",
    "Hangul": "ko kor",
    "Hebrew": "he heb iw yi yid lad",
    "Japanese": "ja jpn",
    "Kannada": "kn kan tcy",
    "Khmer": "km khm",
    "Lao": "lo lao",
    "Latin": "aa af afr ak ale an arg ast ay aym bar bi bik bm bam br bre ca cat ceb ch co cos cs "
    "ces csb cy cym da dan de deu dsb ee ewe en eng eo epo es spa et est eu eus ext ff fi fin fil "
    "fj fo fao fr fra frr frp fur fy fry ga gle gd gla gl glg gn grn gsw gv ha hau haw hil ho hr "
    "hrv hsb ht hat hu hun ia id ind ie ig ibo ilo io ido is isl it ita jbo jv jav kab kea kg ki "
    "kl kal kr kri ksh kw la lat lb ltz lg lug li lij lim lmo ln lin lt lit ltg lv lav "
    "lvs mg mlg mh mi mri min mos mt mlt mwl na nah nap nb nob nd nds nl nld nn nno no nor nov nr "
    "nso nv ny nya oc oci om orm pam pap pcd pdc pl pol pms pt por qu que rm roh rn ro ron rw kin "
    "sc scn sco se sme sg sgs sk slk sl slv sm smo sn sna so som sq sqi als ss st sot stq su sun "
    "sv swe sw swa swh szl tet tk tuk tl tgl tn tsn to ton tpi tr tur ts tum tw ty umb vec vep vi "
    "vie vls vo vro wa war wo wol xh xho yo yor za zea zu zul",
    "Malayalam": "ml mal",
    "Myanmar": "my mya shn mnw",
    "Nko": "nqo",
    "Olchiki": "sat",
    "Oriya": "or ori ory",
    "Sinhala": "si sin",
    "Syriac": "syr arc",
    "Tamil": "ta tam",
    "Telugu": "te tel",
    "Thaana": "dv div",
    "Thai": "th tha",
    "Tibetan": "bo bod dz dzo",
    "Tifinagh": "zgh",
}
_SCRIPT_OF = {code: script for script, codes in _LANGUAGES.items() for code in codes.split()}

# A language tag may contain a script (ISO 15924), e.g. sr-Latn, zh_Hant or codes of FLORES.
_SUBTAGS = {
    "arab": "Arabic", "armn": "Armenian", "beng": "Bengali", "cans": "Canadian",
    "cher": "Cherokee", "cyrl": "Cyrillic", "deva": "Devanagari", "ethi": "Ethiopic",
    "geor": "Georgian", "grek": "Greek", "gujr": "Gujarati", "guru": "Gurmukhi",
    "hang": "Hangul", "hani": "Han", "hans": "Han", "hant": "Han", "hebr": "Hebrew",
    "jpan": "Japanese", "khmr": "Khmer", "knda": "Kannada", "kore": "Hangul", "laoo": "Lao",
    "latn": "Latin", "mlym": "Malayalam", "mong": "Mongolian", "mtei": "Meetei",
    "mymr": "Myanmar", "nkoo": "Nko", "olck": "Olchiki", "orya": "Oriya", "sinh": "Sinhala",
    "syrc": "Syriac", "taml": "Tamil", "telu": "Telugu", "tfng": "Tifinagh", "thaa": "Thaana",
    "thai": "Thai", "tibt": "Tibetan",
}  # fmt: skip


def expected_script(language: str) -> str | None:
    """Return the script of a language, e.g. ``Latin``.

    Args:
        language: ISO 639 code in any case, with or without a region: ``de``, ``pt-BR``, ``zh_CN``.
            A script in the code takes precedence: ``sr-Latn``.

    Returns:
        None if the language is unknown or written in more than one script.
    """
    code, *subtags = language.lower().replace("_", "-").split("-")
    named = next((_SUBTAGS[subtag] for subtag in subtags if subtag in _SUBTAGS), None)
    return named or _SCRIPT_OF.get(code)


def share_in_script(text: str, script: str) -> float:
    """Return the share of a text's letters that belong to a script; 1.0 if it has no letters.

    Letters of no particular script, e.g. in formulas, belong to every script. Marks do not count.

    Raises:
        KeyError: The script is unknown; see `expected_script`.
    """
    if text.isascii():
        return 1.0 if script == "Latin" or not _LATIN_LETTER.search(text) else 0.0
    plain, letters_of = _patterns(script)
    if plain.fullmatch(text):
        return 1.0
    letters = "".join(filter(str.isalpha, text))
    return len("".join(letters_of.findall(letters))) / len(letters) if letters else 1.0


_LATIN_LETTER = re.compile("[A-Za-z]")


@functools.cache
def _patterns(script: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return a pattern of whole texts in a script, and one of runs of its letters."""
    letters = f"{_RANGES[script]} {_COMMON}"
    return re.compile(f"{_class(f'{letters} {_NO_LETTERS}')}*"), re.compile(f"{_class(letters)}+")


def _class(ranges: str) -> str:
    bounds = (block.split("-") for block in ranges.split())
    return "[" + "".join(f"\\U{low:0>8}-\\U{high:0>8}" for low, high in bounds) + "]"
