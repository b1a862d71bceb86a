"""The encoding of a document; its translation has the same encoding and byte-order mark."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from nmt.data.sources.encodings import iconv_name, likely_encoding, utf16_without_mark
from nmt.data.sources.xml_records import text_decoder
from nmt.errors import UserError

LONGEST_LINE = 1 << 24  # characters of a line in a document that is read line by line

_MARKS = (  # UTF-32 first, because its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_XML = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_HTML = re.compile(rb"""<meta[^>]+?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_PO = re.compile(rb'"Content-Type:[^\n"]*?charset=\s*([\w.:-]+)')
_DECLARED = {"xml": _XML, "html": _HTML, "po": _PO}
_HTML_DECLARED_BYTES = 4096
_HTML_ALIASES = {"iso-8859-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "x-sjis": "sjis"}


@dataclass(frozen=True)
class DocumentEncoding:
    """Decodes the bytes of a document, and encodes those of its translation.

    Attributes:
        name: The codec.
        mark: The byte-order mark of the document; empty: it has none.
        file: The name of the document in messages.
        references: Whether ``&#...;`` replaces a character that the encoding lacks.
    """

    name: str
    mark: bytes
    file: str
    references: bool = False

    @classmethod
    def of(cls, start: bytes, file: str, declaration: str | None) -> "DocumentEncoding":
        """Return the encoding of a document by its first bytes.

        Args:
            start: The first 4,096 bytes or more, or the whole document if it is shorter.
            file: The name of the document.
            declaration: The format of a declared encoding: ``xml``, ``html`` or ``po``; None: no
                encoding is declared.

        Raises:
            UserError: The declared encoding is unknown.
        """
        references = declaration in ("xml", "html")
        for mark, codec in _MARKS:
            if start.startswith(mark):
                return cls(codec, mark, file, references)
        if wide := utf16_without_mark(start):
            return cls(wide, b"", file, references)
        found = None
        if declaration is not None:
            found = _DECLARED[declaration].search(start[:_HTML_DECLARED_BYTES])
        name = found[1].decode().lower() if found else "utf-8"
        if declaration == "html":
            name = _HTML_ALIASES.get(name, name)
        if name in ("charset", "utf-16", "utf-32"):  # a placeholder, or wrong: it is in ASCII
            name = "utf-8"
        try:
            text_decoder(name)
        except ValueError as error:
            raise UserError(f"{file}: {error}; convert it to UTF-8") from None
        return cls(name, b"", file, references)

    def decode(self, data: bytes) -> str:
        """Return the characters of a whole document without its byte-order mark.

        Raises:
            UserError: It is not in this encoding, or encoding it again gives other bytes.
        """
        body = data[len(self.mark) :]
        try:
            text = body.decode(self.name)
        except UnicodeDecodeError as error:
            raise self._fault(body, error, 1 + body[: error.start].count(b"\n")) from None
        try:
            same = text.encode(self.name) == body
        except UnicodeEncodeError:
            same = False
        if not same:
            raise UserError(
                f"{self.file} has characters with several spellings in {self.name}: convert it, "
                f"for example with: iconv -f {iconv_name(self.name)} -t UTF-8"
            )
        return text

    def lines(self, blocks: Iterator[bytes]) -> Iterator[list[str]]:
        """Yield the lines of a document, with their line ends, as they arrive.

        Raises:
            UserError: A line is not in this encoding, or is longer than `LONGEST_LINE`.
        """
        decoder = codecs.getincrementaldecoder(self.name)()
        rest, number, skipped = "", 1, len(self.mark)
        for block in blocks:
            try:
                text = rest + decoder.decode(block[skipped:])
            except UnicodeDecodeError as error:
                line = number + error.object[: error.start].count(b"\n")
                raise self._fault(error.object, error, line) from None
            skipped = 0
            *whole, rest = text.split("\n")
            if whole:
                yield [f"{line}\n" for line in whole]
                number += len(whole)
            if len(rest) > LONGEST_LINE:
                raise UserError(
                    f"{self.file}, line {number:,} has more than {LONGEST_LINE:,} characters; end "
                    "each record with a line feed"
                )
        try:
            rest += decoder.decode(b"", True)
        except UnicodeDecodeError as error:
            raise self._fault(error.object, error, number) from None
        if rest:
            yield [rest]

    def encode(self, text: str) -> bytes:
        """Return the bytes of a part of the translated document.

        Raises:
            UserError: The encoding lacks a character, and ``references`` is False.
        """
        try:
            return text.encode(self.name, "xmlcharrefreplace" if self.references else "strict")
        except UnicodeEncodeError as error:
            character = text[error.start]
            raise UserError(
                f"{self.file} is in {self.name}, which lacks {character!r} of the translation: "
                f"convert it first, for example with: iconv -f {iconv_name(self.name)} -t UTF-8"
            ) from None

    def _fault(self, body: bytes, error: UnicodeDecodeError, line: int) -> UserError:
        where = f"{self.file}, line {line:,}"
        byte = error.object[error.start]
        if self.name != "utf-8":
            return UserError(
                f"{where} is not in {self.name}, its encoding: it contains the byte 0x{byte:02x}; "
                "fix it or export it again"
            )
        start = body.rfind(b"\n", 0, error.start) + 1
        codec, words = likely_encoding(body[start : error.start + 80].split(b"\n")[0])
        return UserError(
            f"{where} is not UTF-8: it contains the byte 0x{byte:02x} and looks like {words}; "
            f"convert it, for example with: iconv -f {iconv_name(codec)} -t UTF-8"
        )
