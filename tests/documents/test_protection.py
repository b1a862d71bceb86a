"""What is protected is in the translation as it was, whatever a model does."""

import re

import pytest
from document_samples import WordTranslator, translated

from nmt.documents.protection import Protected, Protection, placeholder_symbols

PARTS = {
    Protected.PLACEHOLDERS: [
        *("{name}", "{0}", "{{ name }}", "{count:,.2f}", "${path}", "%s", "%d", "%1$s", "%(name)s"),
        *("%{name}", "%@", "%.2f", "%-5d", "%lu", "$HOME", "{% if x %}", "%%", "__NAME__"),
    ],
    Protected.URLS: ["https://a.org/b?c=d&e=(f)#g", "www.a.org/b", "ftp://a.org", "mailto://x"],
    Protected.EMAILS: ["a.b+c@d-e.org", "x@y.co.uk"],
    Protected.NUMBERS: ["3", "3.14", "1,000,000", "12:30", "2024-05-01", "-5", "1\u202f000", "4/5"],
    Protected.MARKUP: ["<b>", "</b>", '<a href="x y">', "<br/>", "&amp;", "&#233;", "<x id='1'/>"],
}


def _drop(text: str) -> str:
    """Translate as a model that loses everything but letters."""
    return " ".join(re.findall(r"[^\W\d_]+", text)).upper()


ALL = [(kind, part) for kind, parts in PARTS.items() for part in parts]


@pytest.mark.parametrize(("kind", "part"), ALL, ids=[part for _, part in ALL])
@pytest.mark.parametrize("text", ["go to {} now", "{} is it", "this is {}", "{}, {} and ({})."])
def test_a_part_survives_a_model_that_drops_it(kind: Protected, part: str, text: str) -> None:
    filled = text.replace("{}", part)
    found = translated(filled, "text", _drop, protect=[kind]).decode()
    assert found.count(part) == filled.count(part)
    rest = found.replace(part, " ")
    assert [word for word in rest.split() if word.isalpha()] == _drop(text).split()


@pytest.mark.parametrize(("kind", "part"), ALL, ids=[part for _, part in ALL])
def test_a_part_is_found_as_a_whole_and_alone(kind: Protected, part: str) -> None:
    text = f"go to {part} now"
    assert [text[a:b] for a, b in Protection([kind]).spans(text)] == [part]
    assert Protection([]).spans(text) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Protected.PLACEHOLDERS, "it is 100% sure and costs $5"),
        (Protected.EMAILS, "at @home"),
        (Protected.NUMBERS, "a4 and x2y"),
        (Protected.MARKUP, "if a < b and c > d"),
        (Protected.URLS, "either/or: no"),
    ],
)
def test_other_text_is_not_protected(kind: Protected, text: str) -> None:
    assert Protection([kind]).spans(text) == []


def test_a_model_that_copies_gets_the_whole_sentence() -> None:
    translator = WordTranslator(lambda text: f"<{text}>")
    assert translated("go to 5 now", "text", translator, protect=[Protected.NUMBERS]) == (
        b"<go to 5 now>"
    )
    assert translator.texts == ["go to 5 now"]


def test_a_model_that_makes_up_a_part_is_not_believed() -> None:
    translator = WordTranslator(lambda text: f"{text} 7")
    found = translated("go to 5 now", "text", translator, protect=[Protected.NUMBERS])
    assert found == b"go to 7 5 now 7"
    assert translator.texts == ["go to 5 now", "go to", "now"]


def test_symbols_of_the_vocabulary_stand_for_parts() -> None:
    backwards = WordTranslator(
        lambda text: " ".join(reversed(text.split())), symbols=("<ph1>", "<ph2>")
    )
    found = translated("from {a} to {b} now", "text", backwards)
    assert found == b"now {b} to {a} from"
    assert backwards.texts == ["from <ph1> to <ph2> now"]


def test_a_lost_symbol_is_replaced_by_a_further_attempt() -> None:
    translator = WordTranslator(lambda text: text.replace("<ph1>", ""), symbols=("<ph1>",))
    assert translated("from {a} now", "text", translator) == b"from {a} now"
    assert translator.texts == ["from <ph1> now", "from {a} now"]


def test_tags_around_protected_parts_stay_around_them() -> None:
    found = translated("go to <b>{name}</b> now", "html", _drop)
    assert found == b"GO TO <b>{name}</b> NOW"


def test_symbols_are_those_of_both_vocabularies_in_order() -> None:
    assert placeholder_symbols(["<ph10>", "<ph2>", "<2de>"], ["<ph2>", "<ph10>", "<ph3>"]) == [
        "<ph2>",
        "<ph10>",
    ]
