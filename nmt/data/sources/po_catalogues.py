"""Gettext catalogues (.po), read by translate-toolkit, which loads a whole file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.data.sources import fault_messages
from nmt.data.sources.language_tags import Languages, is_swapped
from nmt.data.sources.pair_source import FaultSink
from nmt.data.sources.records import Record
from nmt.data.sources.text_lines import wide_encoding
from nmt.data.sources.translate_toolkit import parse, read_whole, require_toolkit

KIND = "a PO catalogue"
CHARSET = re.compile(rb'"Content-Type:[^\n"]*?charset=\s*([\w.:-]+)')


def read_po(path: Path, on_fault: FaultSink, languages: Languages) -> Iterator[Record]:
    """Yield the translated messages of a catalogue: msgid is the source, msgstr the target.

    If ``Language:`` in the header is the source language, the two are swapped. Singular and plural
    are separate pairs. Fuzzy, obsolete and untranslated messages are skipped.

    Raises:
        UserError: translate-toolkit is not installed.
    """
    require_toolkit()
    raw = read_whole(path, on_fault)
    if raw is None:
        return
    if encoding := wide_encoding(raw):
        on_fault(fault_messages.wide(path, encoding))
        return
    text = parse(path, on_fault, KIND, lambda: _decoded(raw, path, on_fault))
    loaded = None if text is None else parse(path, on_fault, KIND, lambda: _load(text))
    if loaded is None:
        return
    language, messages = loaded
    swapped = is_swapped((None, language), languages)
    if swapped is None:
        on_fault(fault_messages.other_languages(path, 1, [language], languages))
        return
    for line, message, translation in messages:
        pair = (translation, message) if swapped else (message, translation)
        yield line, *pair


def _decoded(raw: bytes, path: Path, on_fault: FaultSink) -> str:
    """Decode with the charset of the header; report the first byte that cannot be decoded."""
    stated = CHARSET.search(raw)
    charset = stated[1].decode() if stated and stated[1] != b"CHARSET" else "utf-8"
    try:
        return raw.decode(charset)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        if charset.lower().replace("-", "") == "utf8":
            on_fault(fault_messages.not_utf8(path, line, raw[error.start]))
        else:
            reason = f"it contains the byte 0x{raw[error.start]:02x}"
            on_fault(
                fault_messages.malformed(
                    path, line, f"in {charset}, the charset of its header", reason
                )
            )
        return raw.decode(charset, errors="replace")


def _load(text: str) -> tuple[str, list[Record]]:
    """Return the language in the header, if any, and the translated messages."""
    from translate.storage.pypo import pofile

    reader: Any = pofile  # the library is only partly annotated
    raw = CHARSET.sub(b'"Content-Type: text/plain; charset=UTF-8', text.encode("utf-8"), count=1)
    units = reader.parsestring(raw).units
    header = next((_forms(unit.target)[0] for unit in units if unit.isheader()), "")
    found = re.search(r"^Language:[ \t]*([\w@.-]+)", header, re.MULTILINE)
    messages = [
        (unit._line_number or 1, message, translation)
        for unit in units
        if not (unit.isheader() or unit.isobsolete() or unit.isfuzzy())
        for message, translation in zip(_forms(unit.source), _forms(unit.target), strict=False)
        if message and translation
    ]
    return found[1] if found else "", messages


def _forms(text: Any) -> list[str]:
    """Return the singular and plural forms, or the only form."""
    return [f"{form}" for form in getattr(text, "strings", [text])]
