"""Faulty documents are refused in one line that names the file, the line and a remedy."""

import os
import re
from random import Random

import pytest
from document_samples import SAMPLES, WordTranslator, same, translated, vowels

from nmt.errors import UserError

ROUNDS = int(os.environ.get("NMT_FUZZ_DOCUMENTS", "40"))
SEED = int(os.environ.get("NMT_FUZZ_SEED", "1"))

ENTITIES = '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "b">]><tmx><body/></tmx>'
FRENCH = '<xliff version="1.2"><file source-language="fr"><body/></file></xliff>'


@pytest.mark.parametrize(
    ("format", "document", "message"),
    [
        ("tmx", "<tmx><tu></tmx>", "document, line 1 is not a TMX file: mismatched tag"),
        ("tmx", "<html></html>", "its root is <html>, not <tmx>"),
        ("tmx", ENTITIES, "declares its own XML entities"),
        ("tmx", "<tmx>&nope;</tmx>", "undefined entity"),
        ("tmx", '<tmx><tu><tuv xml:lang="fr"><seg>a</seg></tuv></tu></tmx>', "no text in en"),
        ("xliff", FRENCH, "document, line 1 is from fr, but the model translates en to de"),
        ("xliff", f"<xliff>{'<g>' * 1001}", "more than 1,000 elements are open"),
        ("po", 'msgid "a"\nmsgstr b\n', "document, line 2 is not a string in quotation marks"),
        ("po", '"a"\n', "document, line 1 is not a string"),
        ("po", 'msgid ""\nmsgstr "Content-Type: text/plain; charset=nope\\n"\n', "nope is unknown"),
        ("vtt", "1\n00:01.000 --> 00:02.000\nA\n", "document, line 1 is not WEBVTT"),
        ("srt", "Some text\n", "has no line with times"),
        ("jsonl", '{"text": "a"}\n{"text": \n', "document, line 2 is not JSON"),
        ("jsonl", '["a"]\n', "document, line 1 is not an object"),
        ("jsonl", '{"en": "a"}\n', "document, line 1 has no field 'text'; name one with --column"),
        ("jsonl", '{"text": "\\ud800"}\n', "half of a surrogate pair"),
        ("html", "<meta charset=nope>", "its encoding nope is unknown"),
        ("markdown", "a\0b", "has a NUL character"),
    ],
)
def test_a_fault_is_named_with_its_line(format: str, document: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        translated(document, format, vowels)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": "3"}, "line 1 has 2 columns, not column 3"),
        ({"column": "x"}, "has no column 'x', or several; give its number, or one of: a, b"),
        ({"column": "2", "into": "4"}, "not column 4"),
    ],
)
def test_a_column_that_does_not_exist_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        translated("a\tb\nc\td\n", "tsv", vowels, **options)


def test_a_row_with_too_few_columns_is_refused() -> None:
    with pytest.raises(UserError, match="document, line 2 has 1 column, not column 2"):
        translated("a\tb\nc\n", "tsv", vowels, column="2")


@pytest.mark.parametrize("name", ["srt", "markdown", "html", "po"])
def test_bytes_that_are_not_utf_8_are_named_with_their_line(name: str) -> None:
    document, options = SAMPLES[name]
    broken = document.encode() + "\ncaf\xe9\n".encode("latin-1")
    line = broken.count(b"\n")
    with pytest.raises(UserError, match=f"document, line {line} is not UTF-8") as raised:
        translated(broken, name, vowels, **options)
    assert "iconv -f" in str(raised.value)


def test_a_character_that_the_encoding_lacks_is_named() -> None:
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=iso-8859-1\\n"\n'
    document = f'{header}\nmsgid "a"\nmsgstr ""\n'
    polish = WordTranslator(lambda text: "\u0142")
    with pytest.raises(UserError, match="is in iso-8859-1, which lacks '\u0142'"):
        translated(document, "po", polish)


def _message(document: bytes, format: str, **options: object) -> str:
    """Return the message with which a document is refused, or its name."""
    try:
        translated(document, format, vowels, **options)
    except UserError as error:
        return str(error)
    return "document"


@pytest.mark.parametrize("name", SAMPLES)
def test_damaged_documents_are_translated_or_refused_in_one_line(name: str) -> None:
    document, options = SAMPLES[name]
    random = Random(f"{SEED} {name}")
    for _ in range(ROUNDS):
        damaged = bytearray(document.encode())
        for _ in range(random.choice([1, 3, 20])):
            at, size = random.randrange(len(damaged)), random.choice([1, 1, 5, 50])
            kind = random.randrange(4)
            if kind == 0:
                del damaged[at : at + size]
            elif kind == 1:
                damaged[at : at + size] = bytes(random.randrange(256) for _ in range(size))
            elif kind == 2:
                start = random.randrange(len(damaged))
                damaged[at:at] = damaged[start : start + size]
            else:
                damaged[at:at] = random.choice(
                    [b"<", b">", b"&", b'"', b"\\", b"\n", b"|", b"`", b"["]
                )
            damaged = damaged or bytearray(b"x")
        format = name.split()[0]
        message = _message(bytes(damaged), format, **options)
        if message == "document" and format not in ("tmx", "xliff", "po"):
            assert translated(bytes(damaged), format, same, **options) == damaged
        assert message.startswith("document")
        assert "\n" not in message


@pytest.mark.parametrize(
    ("format", "document"),
    [
        ("markdown", "[" * 20_000),
        ("markdown", "*a " * 5_000),
        ("markdown", "`" * 20_000),
        ("markdown", "<a " * 5_000),
        ("markdown", "> " * 2_000 + "a"),
        ("html", "<b>" * 20_000 + "a"),
        ("html", "<b>x " * 3_000 + "a" + "</b> y" * 3_000),
        ("html", "<a b='" * 5_000),
        ("html", "<" * 20_000),
        ("html", "<script>" * 5_000),
        ("srt", "1\n00:00:01,000 --> 00:00:02,000\n" + "<i>a " * 5_000),
        ("text", "{" * 20_000),
        ("text", "%(" * 10_000),
        ("text", "<a b=" * 5_000),
    ],
)
def test_time_does_not_grow_with_the_square_of_a_hostile_document(
    format: str, document: str
) -> None:
    """A quadratic scanner would need minutes; the suite has a limit of its own for that."""
    assert translated(document, format, vowels)
