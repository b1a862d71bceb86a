"""Reads translation memories in TMX and XLIFF unit by unit."""

from collections.abc import Iterator
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.language_tags import Languages, best_match, is_swapped
from nmt.data.sources.pair_source import DataFault, FaultSink
from nmt.data.sources.records import Record
from nmt.data.sources.xml_records import SHORT_TEXT, InlineText, read_units

UNTRANSLATED = ("new", "needs-translation", "initial")  # states of XLIFF 1.2 and 2.0
MOST_LANGUAGES = 100  # kept for a message


def read_tmx(path: Path, on_fault: FaultSink, languages: Languages) -> Iterator[Record]:
    """Yield the units of a TMX file that have both languages.

    ``en`` matches ``EN`` and, if the unit has no plain ``en``, also ``en-US``. Native code inside
    ``bpt``, ``ept``, ``ph``, ``it`` and ``ut`` is not text; the text of ``sub`` and ``hi`` is kept.
    """
    units = _TmxUnits(languages)
    complete = yield from read_units(path, on_fault, "tmx", units)
    if complete and units.languages and not units.pairs:
        found = sorted(units.languages)
        on_fault(fault_messages.other_languages(path, None, found, languages))


class _TmxUnits:
    """Collects <tu> elements.

    Attributes:
        languages: The languages so far.
        pairs: Number of units with both languages.
    """

    def __init__(self, languages: Languages) -> None:
        self.found: list[Record | DataFault] = []
        self.languages: dict[str, None] = {}
        self.pairs = 0
        self._wanted = languages
        self._line = 1
        self._texts: dict[str, str] = {}
        self._language: str | None = None  # of the <tuv> that is open
        self._text: InlineText | None = None  # of the <seg> that is open
        self._size = 0

    @property
    def unit_size(self) -> int:
        return self._size + (self._text.size if self._text else 0)

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        if self._text is not None:
            self._text.start(name)
        elif name == "tu":
            self._line, self._texts, self._size = line, {}, 0
        elif name == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang") or ""
            self._size += SHORT_TEXT
            self._texts.setdefault(self._language, "")
            if len(self.languages) < MOST_LANGUAGES:
                self.languages[self._language] = None
        elif name == "seg" and self._language is not None:
            self._text = InlineText()

    def end(self, name: str) -> None:
        if self._text is not None and name != "seg":
            self._text.end()
        elif self._text is not None and self._language is not None:
            self._size += self._text.size
            if not self._texts[self._language]:  # of two variants of a language, the first counts
                self._texts[self._language] = str(self._text)
            self._text = None
        elif name == "tuv":
            self._language = None
        elif name == "tu":
            self._finish()

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.add(data)

    def _finish(self) -> None:
        source, target = (best_match(language, self._texts) for language in self._wanted)
        if source is not None and target is not None and source != target:
            self.pairs += 1
            self.found.append((self._line, self._texts[source], self._texts[target]))
        self._texts, self._size = {}, 0


def read_xliff(path: Path, on_fault: FaultSink, languages: Languages) -> Iterator[Record]:
    """Yield the translated units of an XLIFF file, 1.2 or 2.x.

    The sides of a file in the opposite direction are swapped. Units without a translation,
    or marked as untranslated, are skipped. Native code inside ``bpt``, ``ept``, ``ph`` and ``it``
    is not text; the text of ``sub``, ``g``, ``pc`` and ``mrk`` is kept.
    """
    yield from read_units(path, on_fault, "xliff", _XliffUnits(path, languages))


class _XliffUnits:
    """Collects <trans-unit> elements of XLIFF 1.2, or <segment> elements of XLIFF 2.x."""

    def __init__(self, path: Path, languages: Languages) -> None:
        self.found: list[Record | DataFault] = []
        self._path, self._wanted = path, languages
        self._open: list[str] = []  # the names of the open elements
        self._swapped: bool | None = None  # None: other languages
        self._line = 1
        self._state: str | None = None
        self._texts: dict[str, str] = {}
        self._text: InlineText | None = None  # of the <source> or <target> that is open
        self._size = 0

    @property
    def unit_size(self) -> int:
        return self._size + (self._text.size if self._text else 0)

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        parent = self._open[-1] if self._open else ""
        self._open.append(name)
        if self._text is not None:
            self._text.start(name)
        elif "source-language" in attributes or "srcLang" in attributes:
            self._set_languages(attributes, line)
        elif name in ("trans-unit", "segment"):
            self._line = line
            self._state, self._texts, self._size = attributes.get("state"), {}, 0
        elif name in ("source", "target") and parent in ("trans-unit", "segment"):
            self._text = InlineText()
            self._size += SHORT_TEXT
            if name == "target":
                self._state = attributes.get("state") or self._state

    def _set_languages(self, attributes: dict[str, str], line: int) -> None:
        source = attributes.get("source-language") or attributes.get("srcLang")
        target = attributes.get("target-language") or attributes.get("trgLang")
        self._swapped = is_swapped((source, target), self._wanted)
        if self._swapped is None:
            names = [language or "an unnamed one" for language in (source, target)]
            fault = fault_messages.other_languages(self._path, line, names, self._wanted)
            self.found.append(fault)

    def end(self, name: str) -> None:
        self._open.pop()
        parent = self._open[-1] if self._open else ""
        if self._text is not None:
            if name in ("source", "target") and parent in ("trans-unit", "segment"):
                self._size += self._text.size
                self._texts.setdefault(name, str(self._text))
                self._text = None
            else:
                self._text.end()
        elif name in ("trans-unit", "segment"):
            self._finish()

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.add(data)

    def _finish(self) -> None:
        source, target = self._texts.get("source", ""), self._texts.get("target", "")
        if target and self._state not in UNTRANSLATED and self._swapped is not None:
            pair = (target, source) if self._swapped else (source, target)
            self.found.append((self._line, *pair))
        self._texts, self._size = {}, 0
