"""Reads XLIFF 1.2 and 2.x; missing translations are written into ``target`` elements."""

import re
from collections.abc import Iterator, Sequence
from html import escape

from nmt.data.sources.language_tags import is_swapped
from nmt.data.sources.translation_memories import UNTRANSLATED
from nmt.documents.document_options import DocumentOptions
from nmt.documents.segments import Item
from nmt.documents.xml_inline import content_items
from nmt.documents.xml_tokens import XmlKind, XmlToken, raw_xml, xml_tokens

_UNITS = ("trans-unit", "segment")
_SCOPES = ("file", "group", "unit", "trans-unit")  # elements that may have translate="no"


def read_xliff_document(text: str, options: DocumentOptions) -> Iterator[Item]:
    """Yield a document; a segment replaces each missing translation.

    Units with ``translate="no"`` do not change.

    Raises:
        UserError: It is not an XLIFF file, or has other languages than the model.
    """
    unit: list[XmlToken] | None = None
    kept: list[bool] = []  # for each open scope, whether its text is not translated
    for token in xml_tokens(text, options.file, "xliff"):
        if token.kind in (XmlKind.START, XmlKind.EMPTY):
            _check_languages(token, options)
        if token.name in _SCOPES and token.kind == XmlKind.START:
            wish = token.get("translate")
            kept.append(wish == "no" if wish else bool(kept and kept[-1]))
        if unit is None and token.name in _UNITS and token.kind == XmlKind.START:
            unit = []
        if unit is None:
            yield _with_target_language(token, options)
        else:
            unit.append(token)
            if token.kind == XmlKind.END and token.name in _UNITS:
                yield from _items(unit, options) if not (kept and kept[-1]) else [raw_xml(unit)]
                unit = None
        if token.name in _SCOPES and token.kind == XmlKind.END and kept:
            kept.pop()


def _check_languages(token: XmlToken, options: DocumentOptions) -> None:
    source = token.get("source-language") or token.get("srcLang")
    target = token.get("target-language") or token.get("trgLang")
    if token.name not in ("file", "xliff") or not source:
        return
    if is_swapped((source, target), options.languages) is not False:
        there = f"{source} to {target}" if target else source
        raise options.fault(
            token.line,
            f"is from {there}, but the model translates {options.languages[0]} to "
            f"{options.languages[1]}; use a model for these languages",
        )


def _with_target_language(token: XmlToken, options: DocumentOptions) -> str:
    """Return a tag, with the target language, which XLIFF 2 requires for translations."""
    if token.name != "xliff" or token.kind != XmlKind.START or token.get("srcLang") is None:
        return token.raw
    if token.get("trgLang") is not None:
        return token.raw
    return f'{token.raw[:-1]} trgLang="{escape(options.languages[1])}">'


def _items(unit: Sequence[XmlToken], options: DocumentOptions) -> Iterator[Item]:
    """Yield a unit with a segment in its target."""
    source = _child(unit, "seg-source") or _child(unit, "source")
    target = _child(unit, "target")
    if source is None or source[0] == source[1]:
        yield raw_xml(unit)
        return
    items = content_items(unit[source[0] + 1 : source[1]], unit[source[0]].line)
    if target is None:
        after = source[1] + 1
        before = unit[source[0] - 1]
        indent = before.raw if before.kind == XmlKind.TEXT and not before.text.strip() else ""
        prefix = re.match(r"<([^\s/>]*:)?", unit[source[0]].raw)
        name = f"{(prefix[1] if prefix else '') or ''}target"
        yield f"{raw_xml(unit[:after])}{indent}<{name}>"
        yield from items
        yield f"</{name}>{raw_xml(unit[after:])}"
        return
    first, last = target
    state = unit[first].get("state") or unit[0].get("state")
    has_text = any(t.kind == XmlKind.TEXT and t.text.strip() for t in unit[first : last + 1])
    if has_text and state not in UNTRANSLATED and not options.retranslate:
        yield raw_xml(unit)
        return
    opening, closing = unit[first].raw, unit[last].raw
    if first == last:
        found = re.match(r"<([^\s/>]+)", opening)
        opening = re.sub(r"\s*/>$", ">", opening)
        closing = f"</{found[1] if found else 'target'}>"
    yield raw_xml(unit[:first]) + opening
    yield from items
    yield closing + raw_xml(unit[last + 1 :])


def _child(unit: Sequence[XmlToken], name: str) -> tuple[int, int] | None:
    """Return the indices of the first and last token of a child; None: there is none."""
    depth, start = 0, 0
    for index, token in enumerate(unit):
        if depth == 1 and token.name == name and token.kind == XmlKind.EMPTY:
            return index, index
        if token.kind == XmlKind.START:
            if depth == 1 and token.name == name:
                start = index
            depth += 1
        elif token.kind == XmlKind.END:
            depth -= 1
            if depth == 1 and token.name == name:
                return start, index
    return None
