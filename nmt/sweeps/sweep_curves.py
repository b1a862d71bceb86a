"""The picture of a sweep: the validation BLEU of its runs during training."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.reporting.curves import Curve, minutes_of_updates, save_curves
from nmt.reporting.metric_log import read_metrics
from nmt.run.folder import RunFolder
from nmt.sweeps.results_table import SweepRow, varying_keys

_SCORE = "valid/bleu"


def save_sweep_curves(rows: Sequence[SweepRow], home: Path, path: Path) -> bool:
    """Draw the curves of the finished runs if there are at least two; return whether there are.

    Args:
        rows: The rows of the table.
        home: The folder to which the rows' run folders are relative.
        path: The PNG file.

    Raises:
        OSError: The file cannot be written.
    """
    names = row_names(rows)
    pairs = zip(rows, names, strict=True)
    curves = [curve for row, name in pairs if (curve := _curve(row, name, home))]
    if len(curves) < 2:
        return False
    save_curves(curves, "validation BLEU while training", path)
    return True


def row_names(rows: Sequence[SweepRow]) -> list[str]:
    """Return a short name of each row: its varying values without their common prefix."""
    keys = varying_keys(rows)
    columns = [
        list(_short_values(key, [row.overrides.get(key, "") for row in rows])) for key in keys
    ]
    if not columns:
        return [Path(row.folder or "run").name for row in rows]
    return [", ".join(filter(None, parts)) for parts in zip(*columns, strict=True)]


def _short_values(key: str, values: Sequence[str]) -> Iterator[str]:
    prefix = re.match(r".*_|", os.path.commonprefix(list(values)))
    assert prefix is not None
    last = re.split(r"[./]", key)[-1]
    for value in values:
        short = value[prefix.end() :] or value
        named = bool(re.fullmatch(r"-?[\d.]+(e-?\d+)?|true|false|null", short))
        yield f"{last} {short}" if named else short


def _curve(row: SweepRow, name: str, home: Path) -> Curve | None:
    """Return the curve of a finished run; None: the run has none."""
    if row.folder is None or row.summary is None:
        return None
    try:
        metrics = read_metrics(RunFolder(home / row.folder).metrics)
    except (OSError, ValueError):
        return None
    points = [(line["step"], line[_SCORE]) for line in metrics if _SCORE in line]
    last, seconds = row.summary.get("updates"), row.summary.get("seconds")
    if not points or not last or seconds is None:
        return None
    updates, scores = zip(*points, strict=True)
    return Curve(name, updates, minutes_of_updates(updates, last, seconds), scores)
