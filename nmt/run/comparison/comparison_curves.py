"""The picture of `nmt compare`: the validation BLEU of runs during training."""

from collections.abc import Sequence
from pathlib import Path

from nmt.errors import UserError
from nmt.reporting.curves import Curve, minutes_of_updates, save_curves
from nmt.run.run_record import RunRecord
from nmt.written_file import written_file

_SCORE = "valid/bleu"


def save_run_curves(records: Sequence[RunRecord], names: Sequence[str], path: Path) -> None:
    """Draw the curves of the runs that were validated.

    Args:
        records: The runs.
        names: The names of the runs in the picture.
        path: The PNG file.

    Raises:
        UserError: No run was validated, or the file cannot be written.
    """
    pairs = zip(records, names, strict=True)
    curves = [curve for record, name in pairs if (curve := _curve(record, name)) is not None]
    if not curves:
        raise UserError("no run has a validation score yet, so there is no curve to draw")
    with written_file(f"--curves {path}", path):
        save_curves(curves, "validation BLEU while training", path)


def _curve(record: RunRecord, name: str) -> Curve | None:
    """Return the curve of a run; None: the run was not validated.

    The minutes of a finished run exclude its pauses; see `minutes_of_updates`. Those of an
    unfinished run are times in the log.
    """
    points = record.curve(_SCORE)
    if not points:
        return None
    updates, scores = zip(*points, strict=True)
    last, seconds = record.summary.get("updates"), record.summary.get("seconds")
    if last and seconds is not None:
        minutes = minutes_of_updates(updates, last, seconds)
    else:
        times = {line["step"]: line.get("time", 0.0) for line in record.metrics if _SCORE in line}
        began = record.metrics[0].get("time", 0.0)
        minutes = [max(0.0, times[step] - began) / 60 for step in updates]
    return Curve(name, updates, minutes, scores)
