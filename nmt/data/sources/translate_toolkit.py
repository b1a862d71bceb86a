"""Loads files with translate-toolkit, an optional dependency; every failure becomes a fault.

The library loads a whole file into memory.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nmt.data.sources import fault_messages
from nmt.data.sources.compression import read_blocks
from nmt.data.sources.pair_source import FaultSink
from nmt.errors import UserError

T = TypeVar("T")


def require_toolkit() -> None:
    """Check that translate-toolkit is installed.

    Raises:
        UserError: It is not installed.
    """
    try:
        import translate.storage.base  # noqa: F401
    except ImportError:
        raise UserError(
            'TMX, XLIFF and PO files need translate-toolkit: pip install "nmt[memories]"'
        ) from None


def read_whole(path: Path, on_fault: FaultSink) -> bytes | None:
    """Return the decompressed content of a file, or None after reporting why it cannot be read."""
    try:
        return b"".join(read_blocks(path))
    except UserError as error:
        on_fault(fault_messages.unreadable(path, None, error))
        return None


def load_xml(
    path: Path, on_fault: FaultSink, root: str, store_of: Callable[[str], Any]
) -> Any | None:
    """Load an XML file, or return None after reporting why it cannot be loaded.

    A file that declares entities is refused before anything is expanded or downloaded.

    Args:
        path: The file.
        on_fault: Receives faults.
        root: Name of the root element.
        store_of: Returns the library's class for the version in the root element.
    """
    raw = read_whole(path, on_fault)
    if raw is None or not raw.strip():
        return None

    def load() -> Any:
        element = _root(raw)
        dtd = element.getroottree().docinfo.internalDTD
        if dtd is not None and any(True for _ in dtd.iterentities()):
            raise _DeclaresEntitiesError
        name = element.tag.rpartition("}")[2]
        if name != root:
            raise ValueError(f"its root is <{name}>, not <{root}>")
        return store_of(element.get("version", "")).parsestring(raw)

    return parse(path, on_fault, f"a {root.upper()} file", load)


class _DeclaresEntitiesError(Exception):
    pass


def _root(raw: bytes) -> Any:
    """Return the root element at its start tag, without parsing its content."""
    from lxml import etree

    options: dict[str, Any] = {"resolve_entities": False, "no_network": True, "load_dtd": False}
    return next(etree.iterparse(io.BytesIO(raw), events=("start",), **options))[1]


def parse(path: Path, on_fault: FaultSink, kind: str, load: Callable[[], T]) -> T | None:
    """Return the result of ``load``, or None after reporting why it failed."""
    try:
        return load()
    except (MemoryError, UserError):
        raise
    except _DeclaresEntitiesError:
        on_fault(fault_messages.entities(path))
    # translate-toolkit does not document its exceptions. On fuzzed files the parsers raised
    # LookupError, ValueError and AttributeError in addition to errors of XML and PO.
    except (
        Exception
    ) as error:  # translate-toolkit does not document its exceptions for damaged files
        line = getattr(getattr(error, "parse_state", error), "lineno", None)
        reason = getattr(error, "msg", None) or str(error) or type(error).__name__
        on_fault(fault_messages.malformed(path, line or None, kind, reason))
    return None
