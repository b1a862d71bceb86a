"""The encoding of a text file: UTF-8, UTF-16 or UTF-32 by its first bytes, or a setting."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from nmt.errors import UserError

_WIDE_BYTES = 4096  # bytes examined to detect UTF-16
_WIDE_SHARE = 5  # one NUL in 5 bytes indicates UTF-16; Latin text in UTF-16 has 1 in 2
_WORD_SHOWN = 30  # characters
_MARK = "nmt-undecodable"
"""Error handler that replaces bytes that cannot be decoded by a lone surrogate."""

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # first, because it begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CANDIDATES = {
    "windows-1252": "Windows-1252, which spreadsheet programs of Western Europe write",
    "mac-roman": "Mac Roman, which older programs on a Mac write",
    "cp850": "code page 850, which Excel calls MS-DOS",
}
_USUAL = frozenset("äöüßéèêëàáâãåæçñóòôõøúùûíìîïœÄÖÜÉÈÀÁÅÆÇÑÓØÚ¿¡«»“”‘’„–—…€ ")
_WORD = re.compile(rb"[^\s;,|\"]*[\x80-\xff][^\s;,|\"]*")

UNDECODED = "\ufffd\ufdd0"
"""Replaces bytes that cannot be decoded, so that their record can be left out later.

U+FDD0 is not a character, so valid text does not contain it."""
_REPLACE = "nmt-replace"

codecs.register_error(_REPLACE, lambda error: (UNDECODED, getattr(error, "end", 0)))
codecs.register_error(_MARK, lambda error: ("\ud800", getattr(error, "end", 0)))


@dataclass(frozen=True)
class Encoding:
    """The encoding that the settings give a text file.

    Attributes:
        name: A codec of Python; None: UTF-8, or UTF-16 and UTF-32 by their byte-order mark.
        key: Name of the settings in messages, e.g. ``data.train``; None if it cannot be set.
    """

    name: str | None = None
    key: str | None = None

    def remedy(self, codec: str) -> str:
        """Return the remedy for a file that seems to be in the encoding ``codec``."""
        convert = f"convert it, for example with: iconv -f {iconv_name(codec)} -t UTF-8"
        sheet = "or save the sheet as CSV UTF-8"
        if self.key is None:
            return f"{convert}; {sheet}"
        return (
            f"if that is right, add {self.key}.encoding={codec} to the command; otherwise "
            f"{convert}; {sheet}"
        )


UNSET = Encoding()


def decode_with_marks(raw: bytes, codec: str = "utf-8") -> str:
    """Decode bytes; `UNDECODED` replaces those that cannot be decoded."""
    return raw.decode(codec, errors=_REPLACE)


def iconv_name(codec: str) -> str:
    """Return the name by which the command iconv accepts a codec of Python."""
    name = codec.upper().replace("-LE", "LE").replace("-BE", "BE")
    return "MACINTOSH" if name == "MAC-ROMAN" else name


def marked_encoding(start: bytes) -> str | None:
    """Return the encoding that a byte-order mark names, UTF-16 or UTF-32; None: there is none."""
    return next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)


def utf16_without_mark(start: bytes) -> str | None:
    """Return utf-16-le or utf-16-be if the first bytes of a file look like it, else None."""
    start = start[:_WIDE_BYTES]
    if not (start.count(0) > 1 and start.count(0) * _WIDE_SHARE >= len(start)):
        return None
    return "utf-16-le" if start[1::2].count(0) >= start[::2].count(0) else "utf-16-be"


def as_utf8(blocks: Iterator[bytes], encoding: Encoding) -> Iterator[bytes]:
    """Yield the content of a file in UTF-8.

    Bytes that cannot be decoded become bytes that are not UTF-8, so that their line is reported.

    Raises:
        UserError: The settings name another encoding, but the file is UTF-8.
    """
    first = next(blocks, b"")
    codec = marked_encoding(first)
    if codec is None and encoding.name is not None:
        wide = codecs.lookup(encoding.name).name == "utf-16"
        codec = utf16_without_mark(first) if wide else encoding.name
        codec = codec or encoding.name
    blocks = chain([first], blocks)
    if codec is None or codecs.lookup(codec).name == "utf-8":
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(codec)(errors=_MARK)
    checked = codecs.lookup(codec).name.startswith("utf")
    for block in blocks:
        if not checked and not block.isascii():
            _refuse_utf8(block, encoding)
            checked = True
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", True).encode("utf-8", "surrogatepass")


def _refuse_utf8(block: bytes, encoding: Encoding) -> None:
    """Refuse UTF-8 that would be decoded to wrong characters by the encoding of the settings."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(block)
    except UnicodeDecodeError:
        return
    key = f"{encoding.key}.encoding" if encoding.key else "the encoding"
    raise UserError(f"it is UTF-8, but {key} is {encoding.name}: remove that setting")


def likely_encoding(line: bytes) -> tuple[str, str]:
    """Return the likely codec of a line that is not UTF-8, and a description of it.

    Encodings of 8 bits cannot be distinguished with certainty, so the description shows a word of
    the line in this encoding.
    """
    high = [byte for byte in line if byte >= 0x80]
    letters = sum(chr(byte).isalpha() for byte in line if byte < 0x80)
    if len(high) > 3 and len(high) > letters:  # words of nothing but accented letters
        codec, words = "windows-1251", "an encoding of its script, e.g. WINDOWS-1251, SHIFT_JIS"
    else:
        codec = max(_CANDIDATES, key=lambda name: _usual_letters(bytes(high), name))
        words = _CANDIDATES[codec]
    found = _WORD.search(line)
    word = found[0].decode(codec, "replace")[:_WORD_SHOWN] if found else ""
    return codec, f"{words}; a word of that line is then {word!r}"


def _usual_letters(high: bytes, codec: str) -> int:
    return sum(1 if c in _USUAL else -1 for c in high.decode(codec, "replace"))
