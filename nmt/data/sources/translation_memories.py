"""Translation memories in TMX and XLIFF, read by translate-toolkit.

The library loads a whole file, so one file must fit into memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.data.sources import fault_messages
from nmt.data.sources.language_tags import Languages, best_match, is_swapped
from nmt.data.sources.pair_source import FaultSink
from nmt.data.sources.records import Record
from nmt.data.sources.translate_toolkit import load_xml, require_toolkit

UNTRANSLATED = ("new", "needs-translation", "initial")  # states of XLIFF 1.2 and 2.0
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def read_tmx(path: Path, on_fault: FaultSink, languages: Languages) -> Iterator[Record]:
    """Yield the units of a TMX file that have both languages.

    ``en`` matches ``EN`` and, if the unit has no plain ``en``, also ``en-US``. Inline tags are
    removed, their text is kept.

    Raises:
        UserError: translate-toolkit is not installed.
    """
    require_toolkit()
    from translate.storage.tmx import tmxfile

    store = load_xml(path, on_fault, "tmx", lambda _: tmxfile)
    units = [] if store is None else store.units
    found: dict[str, None] = {}
    pairs = 0
    for unit in units:
        nodes = {_language(node): node for node in reversed(unit.getlanguageNodes())}
        found.update(dict.fromkeys(nodes))
        source, target = (best_match(language, nodes) for language in languages)
        if source is None or target is None or source == target:
            continue
        source_text, target_text = (unit.getNodeText(nodes[tag]) for tag in (source, target))
        pairs += 1
        yield unit.xmlelement.sourceline, source_text or "", target_text or ""
    if found and not pairs:
        on_fault(fault_messages.other_languages(path, None, sorted(found), languages))


def _language(node: Any) -> str:
    return node.get(XML_LANG) or node.get("lang") or ""


def read_xliff(path: Path, on_fault: FaultSink, languages: Languages) -> Iterator[Record]:
    """Yield the translated units of an XLIFF file, 1.2 or 2.0.

    A file from the target language to the source language is reversed. Units without a translation,
    or marked as untranslated, are skipped. Inline tags are removed, their text is kept.

    Raises:
        UserError: translate-toolkit is not installed.
    """
    require_toolkit()
    from translate.storage.xliff import Xliff1File
    from translate.storage.xliff2 import Xliff2File

    store = load_xml(
        path, on_fault, "xliff", lambda version: Xliff2File if version[:1] == "2" else Xliff1File
    )
    units = [] if store is None else store.units
    swaps: dict[Any, bool | None] = {}  # by the element with the language attributes
    for unit in units:
        element = _language_element(unit.xmlelement)
        if element not in swaps:
            found = _languages_of(element)
            swaps[element] = is_swapped(found, languages)
            if swaps[element] is None:
                names = [language or "an unnamed one" for language in found]
                on_fault(fault_messages.other_languages(path, element.sourceline, names, languages))
        if swaps[element] is None or _is_untranslated(unit):
            continue
        source, target = unit.source or "", unit.target
        pair = (target, source) if swaps[element] else (source, target)
        yield unit.xmlelement.sourceline, *pair


def _language_element(unit: Any) -> Any:
    """Return the ancestor of a unit with the language attributes: its <file>, or the root."""
    element = unit
    for element in unit.iterancestors():
        if element.get("source-language"):
            break
    return element


def _languages_of(element: Any) -> tuple[str | None, str | None]:
    source = element.get("source-language") or element.get("srcLang")
    return source, element.get("target-language") or element.get("trgLang")


def _is_untranslated(unit: Any) -> bool:
    state = unit.xmlelement.get("state")
    if unit.target_dom is not None:
        state = unit.target_dom.get("state") or state
    return not unit.target or state in UNTRANSLATED
