"""German inflection: articles, adjective endings, nouns, verbs, contractions, numbers."""

from __future__ import annotations

from phrasebook.tokens import Token, Words

CASES = ("nom", "acc", "dat", "gen")
GENDERS = ("m", "f", "n", "pl")

_TABLES = {
    "the": ("der die das die", "den die das die", "dem der dem den", "des der des der"),
    "a": ("ein eine ein -", "einen eine ein -", "einem einer einem -", "eines einer eines -"),
    "rel": ("der die das die", "den die das die", "dem der dem denen", "dessen deren dessen deren"),
    "it": ("er sie es sie", "ihn sie es sie", "ihm ihr ihm ihnen", "- - - -"),
}
_ENDINGS = {  # endings of dieser and welcher, and of adjectives that follow nothing
    "strong": ("er e es e", "en e es e", "em er em en", "en er en er"),
    "weak": ("e e e en", "en e e en", "en en en en", "en en en en"),
    "mixed": ("er e es en", "en e es en", "en en en en", "en en en en"),
    "der": ("er e es e", "en e es e", "em er em en", "es er es er"),
    "ein": ("- e - e", "en e - e", "em er em en", "es er es er"),
}
_STEMS = {"this": "dies", "which": "welch", "every": "jed"}
_CONTRACTED = {
    ("in", "dem"): "im",
    ("an", "dem"): "am",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
    ("von", "dem"): "vom",
    ("bei", "dem"): "beim",
    ("in", "das"): "ins",
}


def _cell(rows: tuple[str, ...], gender: str, case: str) -> str:
    value = rows[CASES.index(case)].split()[GENDERS.index(gender)]
    return "" if value == "-" else value


def determiner(kind: str, gender: str, case: str, possessive: str = "") -> str:
    """Return the article, demonstrative, negative or possessive word, or nothing."""
    if kind in _TABLES:
        return _cell(_TABLES[kind], gender, case)
    if kind in _STEMS:
        return _STEMS[kind] + _cell(_ENDINGS["der"], gender, case)
    if kind in ("no", "poss"):
        stem = "kein" if kind == "no" else possessive
        ending = _cell(_ENDINGS["ein"], gender, case)
        return "eur" + ending if stem == "euer" and ending else stem + ending
    return ""


def adjective(stem: str, kind: str, gender: str, case: str) -> str:
    """Return the attributive adjective with the ending that its determiner requires."""
    if kind in ("the", "this", "which", "every"):
        pattern = "weak"
    elif kind in ("a", "no", "poss"):
        pattern = "mixed"
    else:
        pattern = "strong"
    return stem.removesuffix("e") + _cell(_ENDINGS[pattern], gender, case)


def decline(singular: str, plural: str, weak: str, gender: str, case: str) -> str:
    """Return the noun in a case; gender 'pl' selects the plural."""
    if gender == "pl":
        needs_n = case == "dat" and plural[-1] not in "ns"
        return plural + "n" if needs_n else plural
    if weak and case != "nom":
        return weak
    if case == "gen" and gender in ("m", "n"):
        return singular + ("es" if singular.endswith(("s", "ß", "x", "z", "sch")) else "s")
    return singular


def conjugate(infinitive: str, third: str) -> tuple[str, ...]:
    """Return the present tense (ich, du, er, wir, ihr, sie) without any prefix."""
    stem = infinitive[:-2] if infinitive.endswith("en") else infinitive[:-1]
    first = stem[:-2] + "le" if infinitive.endswith("eln") else stem + "e"
    third, _, rest = third.partition("/")
    second, _, given = rest.partition("/")
    base = third[:-1]
    if not second:
        second = third if base[-1] in "sßzx" else base + "st"
    e_insertion = stem[-1] in "td" or third.endswith("et")
    return (
        given or first,
        second,
        third,
        infinitive,
        stem + ("et" if e_insertion else "t"),
        infinitive,
    )


def conjugate_regular(infinitive: str) -> tuple[str, ...]:
    """Return the present tense of a verb whose stem never changes."""
    if not infinitive.endswith("n"):
        raise ValueError(f"{infinitive!r} is neither a slot nor an infinitive")
    stem = infinitive[:-2] if infinitive.endswith("en") else infinitive[:-1]
    return conjugate(infinitive, stem + ("et" if stem[-1] in "td" else "t"))


def familiar_imperative(infinitive: str) -> str:
    """Return the regular du-imperative of a verb without its prefix."""
    stem = infinitive[:-2] if infinitive.endswith("en") else infinitive[:-1]
    return stem + "e" if stem.endswith(("t", "d", "ffn", "chn")) else stem


def contract(words: Words) -> Words:
    """Contract preposition and article (in dem, zu der) as German does."""
    out: Words = []
    for word in words:
        if out and not word.fixed:
            joined = _CONTRACTED.get((out[-1].text.lower(), word.text))
            if joined:
                out[-1] = Token(joined, out[-1].keys | word.keys)
                continue
        out.append(word)
    return out


_UNITS = [
    "null",
    "eins",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
]
_TENS = [
    "-",
    "-",
    "zwanzig",
    "dreißig",
    "vierzig",
    "fünfzig",
    "sechzig",
    "siebzig",
    "achtzig",
    "neunzig",
]


def number(value: int) -> str:
    """Write a number from 0 to 999 in words."""
    if value >= 100:
        hundreds, rest = divmod(value, 100)
        head = ("" if hundreds == 1 else _UNITS[hundreds]) + "hundert"
        return head + (number(rest) if rest else "")
    if value < 20:
        return _UNITS[value]
    tens, unit = divmod(value, 10)
    if not unit:
        return _TENS[tens]
    return ("ein" if unit == 1 else _UNITS[unit]) + "und" + _TENS[tens]


def ordinal_dative(value: int) -> str:
    """Write an ordinal from 1 to 31 as it is used after 'am'."""
    irregular = {1: "ersten", 3: "dritten", 7: "siebten", 8: "achten"}
    if value in irregular:
        return irregular[value]
    return number(value) + ("ten" if value < 20 else "sten")
