"""Reads translation memories in TMX; missing translations are written into ``tuv`` elements."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from nmt.data.sources.language_tags import best_match
from nmt.documents.document_options import DocumentOptions
from nmt.documents.segments import Item
from nmt.documents.xml_inline import content_items
from nmt.documents.xml_tokens import XmlKind, XmlToken, raw_xml, xml_tokens


@dataclass
class _Variant:
    """A ``tuv`` element, by indices of the unit's tokens.

    Attributes:
        start: Index of its first token.
        end: Index after its last token.
        seg: Indices of the first and last token of its ``seg`` element; None: it has none.
    """

    start: int
    end: int = 0
    seg: tuple[int, int] | None = None


@dataclass
class _Unit:
    tokens: list[XmlToken] = field(default_factory=list)
    variants: dict[str, _Variant] = field(default_factory=dict)


def read_tmx_document(text: str, options: DocumentOptions) -> Iterator[Item]:
    """Yield a translation memory; a segment replaces each missing translation.

    Raises:
        UserError: It is not a TMX file, or no unit has the source language.
    """
    unit: _Unit | None = None
    found: set[str] = set()
    units = 0
    for token in xml_tokens(text, options.file, "tmx"):
        if token.kind == XmlKind.START and token.name == "tu":
            unit = _Unit()
        if unit is None:
            yield token.raw
            continue
        unit.tokens.append(token)
        if token.kind == XmlKind.END and token.name == "tu":
            _find_variants(unit)
            found.update(list(unit.variants)[:20])
            units += best_match(options.languages[0], unit.variants) is not None
            yield from _items(unit, options)
            unit = None
    if found and not units:
        shown = ", ".join(sorted(found)[:20])
        raise options.fault(
            None,
            f"has no text in {options.languages[0]}, the source language of the model; its "
            f"languages are: {shown}",
        )


def _find_variants(unit: _Unit) -> None:
    variant: _Variant | None = None
    seg: int | None = None
    for index, token in enumerate(unit.tokens):
        if token.name == "tuv" and token.kind == XmlKind.START:
            language = token.get("xml:lang") or token.get("lang") or ""
            variant = _Variant(index)
            unit.variants.setdefault(language, variant)
        elif token.name == "tuv" and token.kind == XmlKind.END and variant is not None:
            variant.end = index + 1
            variant = None
        elif token.name == "seg" and variant is not None:
            if token.kind == XmlKind.EMPTY:
                variant.seg = (index, index)
            elif token.kind == XmlKind.START:
                seg = index
            elif seg is not None:
                variant.seg = (seg, index)


def _items(unit: _Unit, options: DocumentOptions) -> Iterator[Item]:
    """Yield a unit with a segment in place of its translation."""
    tokens = unit.tokens
    source_tag = best_match(options.languages[0], unit.variants)
    others = [tag for tag in unit.variants if tag != source_tag]
    source = None if source_tag is None else unit.variants[source_tag]
    if source is None or source.seg is None or source.seg[0] == source.seg[1]:
        yield raw_xml(tokens)
        return
    content = tokens[source.seg[0] + 1 : source.seg[1]]
    segment = content_items(content, tokens[source.seg[0]].line)
    target_tag = best_match(options.languages[1], others)
    target = None if target_tag is None else unit.variants[target_tag]
    if target is None:
        yield raw_xml(tokens[: source.end])
        yield from _new_variant(tokens, source, segment, options.languages[1])
        yield raw_xml(tokens[source.end :])
        return
    if target.seg is None:
        yield raw_xml(tokens)
        return
    first, last = target.seg
    has_text = any(t.kind == XmlKind.TEXT and t.text.strip() for t in tokens[first : last + 1])
    if has_text and not options.retranslate:
        yield raw_xml(tokens)
        return
    opening = tokens[first].raw
    closing = tokens[last].raw
    if first == last:
        opening, closing = re.sub(r"\s*/>$", ">", opening), "</seg>"
    yield raw_xml(tokens[:first]) + opening
    yield from segment
    yield closing + raw_xml(tokens[last + 1 :])


def _new_variant(
    tokens: Sequence[XmlToken], source: _Variant, segment: Sequence[Item], language: str
) -> Iterator[Item]:
    """Yield a new ``tuv`` element with the layout of that of the source."""
    assert source.seg is not None
    before = tokens[source.start - 1]
    indent = before.raw if before.kind == XmlKind.TEXT and not before.text.strip() else ""
    name = "xml:lang" if tokens[source.start].get("xml:lang") else "lang"
    first, last = source.seg
    lead, trail = tokens[first - 1], tokens[last + 1]
    lead_raw = lead.raw if lead.kind == XmlKind.TEXT else ""
    trail_raw = trail.raw if trail.kind == XmlKind.TEXT else ""
    yield f'{indent}<tuv {name}="{escape(language)}">{lead_raw}{tokens[first].raw}'
    yield from segment
    yield f"{tokens[last].raw}{trail_raw}</tuv>"
