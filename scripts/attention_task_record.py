"""The record of scripts/attention_tasks: a JSON file with one measurement per line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.durable_file import atomic_write
from nmt.errors import UserError

CELL = (
    *("kind", "settings", "task", "length", "pairs", "seed", "layers", "updates_allowed", "rate"),
    *("tokens", "curriculum"),
)
"""The keys that identify a measurement in a record."""


def recorded(path: Path | None) -> list[dict[str, Any]]:
    """Return the measurements of a record; none without a file.

    Raises:
        UserError: The file cannot be read, is no record, or cannot be written.
    """
    if path is None:
        return []
    if not path.parent.is_dir():
        raise UserError(f"--record {path}: there is no folder {path.parent}: make it first")
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--record {path}: {error.strerror}: give another file") from None
    except ValueError:
        raise UserError(f"--record {path} is not a record: give another file") from None
    keys = {*CELL, "accuracy", "bound", "updates"}
    if not isinstance(found, list) or not all(
        isinstance(one, dict) and keys <= one.keys() for one in found
    ):
        raise UserError(f"--record {path} is not a record: give another file")
    return found


def write_record(path: Path, found: Sequence[dict[str, Any]]) -> None:
    """Replace the record; after an interruption, it is the old file or the new one."""
    lines = ",\n".join(json.dumps(one) for one in found)
    with atomic_write(path) as partial:
        partial.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
