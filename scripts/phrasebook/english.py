"""English inflection: plurals, verb forms, a or an, numbers."""

from __future__ import annotations

from phrasebook.tokens import Token, Words

_DOUBLING = {
    "get", "sit", "run", "swim", "stop", "put", "shop", "plan", "forget", "begin", "cut", "let",
    "travel", "cancel", "set", "jog", "wrap", "chat",
}  # fmt: skip
_PLURALS = {
    "child": "children", "man": "men", "woman": "women", "foot": "feet", "tooth": "teeth",
    "knife": "knives", "shelf": "shelves", "wife": "wives", "scarf": "scarves",
    "potato": "potatoes", "tomato": "tomatoes", "loaf": "loaves",
}  # fmt: skip
_AUXILIARIES = {  # I, he, you and plural
    "be": ("am", "is", "are"),
    "isn't": ("am not", "isn't", "aren't"),
    "was": ("was", "was", "were"),
    "wasn't": ("wasn't", "wasn't", "weren't"),
    "have": ("have", "has", "have"),
    "haven't": ("haven't", "hasn't", "haven't"),
    "do": ("do", "does", "do"),
    "don't": ("don't", "doesn't", "don't"),
}


def plural(noun: str) -> str:
    """Return the plural of a noun, of whose words the last one changes."""
    head, space, last = noun.rpartition(" ")
    if last in _PLURALS:
        changed = _PLURALS[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        changed = last + "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        changed = last[:-1] + "ies"
    else:
        changed = last + "s"
    return head + space + changed


def third_person(base: str) -> str:
    """Return the he-form of the present tense."""
    if base == "have":
        return "has"
    if base.endswith(("s", "x", "ch", "sh", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


def ing(base: str) -> str:
    """Return the present participle."""
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base in _DOUBLING:
        return base + base[-1] + "ing"
    if base.endswith("e") and not base.endswith(("ee", "be")):
        return base[:-1] + "ing"
    return base + "ing"


def auxiliary(name: str, index: int) -> str | None:
    """Return be, have or do for a person index (0 I, 2 he, others plural), or nothing."""
    row = _AUXILIARIES.get(name)
    if row is None:
        return None
    return row[{0: 0, 2: 1}.get(index, 2)]


def articles(words: Words) -> Words:
    """Turn 'a' into 'an' before a vowel sound."""
    out = list(words)
    for i in range(len(out) - 1):
        follows = out[i + 1].text.lower()
        vowel = follows[0] in "aeiou" and not follows.startswith(("uni", "eur", "one", "use"))
        if out[i].text in ("a", "A") and (vowel or follows.startswith("hour")):
            out[i] = Token(out[i].text + "n", out[i].keys)
    return out


_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def number(value: int) -> str:
    """Write a number from 0 to 99, or a full hundred, in words."""
    if value >= 100:
        hundreds, rest = divmod(value, 100)
        return f"{_UNITS[hundreds]} hundred" + (f" and {number(rest)}" if rest else "")
    if value < 20:
        return _UNITS[value]
    tens, unit = divmod(value, 10)
    return _TENS[tens] + (f"-{_UNITS[unit]}" if unit else "")


def ordinal(value: int) -> str:
    """Write an ordinal from 1 to 31."""
    irregular = {
        "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
        "nine": "ninth", "twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth",
    }  # fmt: skip
    head, dash, last = number(value).rpartition("-")
    return head + dash + irregular.get(last, last + "th")
