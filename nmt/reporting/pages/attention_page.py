"""An HTML page of attention: choose a sentence, layer and head, and point at a cell for its weight.

The page is one file that works offline; see `self_contained`. The page contains the sentences as
JSON. Its script inserts them as text only, never as markup.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.durable_file import atomic_write
from nmt.reporting.attention_record import AttentionRecord
from nmt.reporting.heatmaps.colors import DARK_TO_WHITE, WHITE_TO_NAVY
from nmt.reporting.pages.self_contained import fill_page, printable

LARGEST_CODE = 65534  # for weight 1; rounding errors are at most half of 1 / 65534
MISSING_CODE = 65535  # for an unknown weight
MEAN_OF_HEADS = -1


def save_attention_page(
    records: Sequence[AttentionRecord],
    path: Path,
    title: str,
    layer: int,
    head: int | None,
) -> None:
    """Write a page of all `records` that first shows `layer` and `head` of the first record.

    The file appears complete or not at all. Weights are stored in 16 bits, accurate to 0.00001, and
    clipped to [0, 1].

    Args:
        records: the sentences to choose from, at least one.
        path: the file to write; missing folders are created.
        title: the heading of the page.
        layer: counted from 0; negative numbers count from the last.
        head: counted from 0; negative numbers count from the last. None is the mean of all heads.

    Raises:
        ValueError: there are no records, or one of them does not have that layer or head.
    """
    if not records:
        raise ValueError("an attention page needs at least one sentence")
    for number, record in enumerate(records, start=1):
        _check_index("layer", layer, record.layers, number)
        if head is not None:
            _check_index("head", head, record.heads, number)
    data = {
        "layer": layer % records[0].layers,
        "head": MEAN_OF_HEADS if head is None else head % records[0].heads,
        "colors": WHITE_TO_NAVY,
        "darkColors": DARK_TO_WHITE,
        "records": [_plain(record) for record in records],
    }
    page = _fill(title, data)
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")


def _check_index(name: str, index: int, size: int, sentence: int) -> None:
    if not -size <= index < size:
        raise ValueError(
            f"an attention page cannot open with {name} {index}: "
            f"sentence {sentence} has {size}, counted from 0"
        )


def _plain(record: AttentionRecord) -> dict[str, object]:
    return {
        "title": record.title,
        "source": list(record.source),
        "target": list(record.target),
        "sourceText": record.source_text,
        "targetText": record.target_text,
        "layers": record.layers,
        "heads": record.heads,
        "weights": _encode(record.weights),
    }


def _encode(weights: npt.NDArray[np.floating[Any]]) -> str:
    """Return little-endian 16-bit codes in base64, in the order [L, H, T, S]."""
    exact = np.asarray(weights, dtype=np.float64)
    codes = np.rint(np.clip(exact, 0, 1) * LARGEST_CODE)
    codes[np.isnan(exact)] = MISSING_CODE
    return base64.b64encode(codes.astype("<u2").tobytes()).decode("ascii")


def _fill(title: str, data: dict[str, object]) -> str:
    values = {"title": html.escape(printable(title)), "data": _inert_json(data)}
    return fill_page("attention_page", values)


def _inert_json(data: dict[str, object]) -> str:
    """Return ASCII JSON without characters that could begin or end an HTML element or comment."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
