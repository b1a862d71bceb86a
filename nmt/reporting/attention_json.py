"""Attention as JSON for other programs. L layers, H heads, T target length, S source length.

The file is one object:

    {"format": "nmt-attention-1",
     "sentences": [{"title": "...",
                    "source": ["..."],          S source tokens
                    "target": ["..."],          T target tokens
                    "source_text": "...",
                    "target_text": "...",
                    "weights": [[[[0.5]]]]}]}   [L][H][T][S] numbers; null if unknown

The file is ASCII and has one line per sentence. A weight is written with the fewest digits that
identify its float32 value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.durable_file import atomic_write
from nmt.reporting.attention_record import AttentionRecord

FORMAT = "nmt-attention-1"


def save_attention_json(records: Sequence[AttentionRecord], path: Path) -> None:
    """Write `records` to `path`, with weights as float32. Weights that are not finite become null.

    Missing folders are created. The file appears complete or not at all.
    """
    with atomic_write(path) as partial, partial.open("w", encoding="ascii", newline="\n") as file:
        file.write(f'{{"format": "{FORMAT}", "sentences": [')
        for number, record in enumerate(records):
            file.write(",\n" if number else "\n")
            json.dump(_plain(record), file, allow_nan=False)
        file.write("\n]}\n")


def load_attention_json(path: Path) -> list[AttentionRecord]:
    """Read a file of `save_attention_json`. Weights are float32, and null becomes NaN.

    Raises:
        ValueError: the file does not have this format; the message names the file.
        OSError: the file cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path} has format {found!r}, but {FORMAT!r} is required")
    records = []
    for number, sentence in enumerate(content.get("sentences", []), start=1):
        try:
            records.append(_record(sentence))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"has no {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"{path}, sentence {number}: {reason}") from error
    return records


def _plain(record: AttentionRecord) -> dict[str, object]:
    return {
        "title": record.title,
        "source": list(record.source),
        "target": list(record.target),
        "source_text": record.source_text,
        "target_text": record.target_text,
        "weights": _shortest(record.weights),
    }


def _shortest(weights: npt.NDArray[np.floating[Any]]) -> Any:
    """Return nested lists of numbers that Python writes with the fewest digits of a float32."""
    single = np.asarray(weights, dtype=np.float32)
    numbers = single.astype(np.str_).astype(np.float64).astype(object)
    numbers[~np.isfinite(single)] = None
    return numbers.tolist()


def _record(sentence: Any) -> AttentionRecord:
    source, target = list(sentence["source"]), list(sentence["target"])
    weights = np.array(sentence["weights"], dtype=np.float32)  # None becomes NaN
    if weights.size == 0 and weights.ndim >= 2:  # empty lists lose the inner sizes
        weights = weights.reshape(*weights.shape[:2], len(target), len(source))
    return AttentionRecord(
        source=source,
        target=target,
        weights=weights,
        title=sentence["title"],
        source_text=sentence["source_text"],
        target_text=sentence["target_text"],
    )
