"""Makes the CTranslate2 export of a model once, and keeps it in the run folder."""

import os
import shutil
from pathlib import Path

import nmt
from nmt.checkpoint import find_checkpoint, fingerprint, load_checkpoint
from nmt.errors import UserError
from nmt.export.ctranslate2_model import check_form, save_ctranslate2
from nmt.export.export_choices import ExportFormat, Quantization
from nmt.export.exported_folder import (
    DESCRIPTION,
    exported_folder,
    write_description,
    write_tokenizers,
)
from nmt.export.unsupported import OTHER_ENGINE
from nmt.run_search import is_run

FOLDER = "ctranslate2"
"""The folder in a run folder with the exports of its checkpoints."""

_DIGITS = 16  # of the fingerprint in the name of an export


def cached_export(model: Path) -> Path:
    """Return the folder of the export of a model; make the export if there is none.

    The export is in the run folder. If the file is not in a run folder, or that folder cannot be
    written, the export is in the user's cache folder. Its name contains a checksum of the
    checkpoint. Other exports of the same file name there are removed.

    Args:
        model: A run folder or a checkpoint file.

    Raises:
        UserError: There is no such model, CTranslate2 cannot compute it, or the export cannot be
            written.
    """
    file = find_checkpoint(model)
    place = _place(file)
    export = place / f"{file.stem}-{nmt.__version__}-{fingerprint(file)[:_DIGITS]}"
    if (export / DESCRIPTION).is_file():
        return export
    checkpoint = load_checkpoint(file, mapped=True)
    check_form(checkpoint.config, OTHER_ENGINE)
    try:
        with exported_folder(export) as folder:
            save_ctranslate2(checkpoint, folder, Quantization.FLOAT32)
            write_tokenizers(checkpoint, folder)
            write_description(checkpoint, folder, ExportFormat.CTRANSLATE2, Quantization.FLOAT32)
    except UserError:
        if not (export / DESCRIPTION).is_file():  # else another process has just written it
            raise
    for other in place.glob(f"{file.stem}-*"):
        if other != export:
            shutil.rmtree(other, ignore_errors=True)
    return export


def _place(file: Path) -> Path:
    """Return the folder of the exports of a checkpoint file."""
    run = file.resolve().parent.parent
    if is_run(run) and file.resolve().parent.name == "checkpoints" and os.access(run, os.W_OK):
        return run / FOLDER
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "nmt" / FOLDER
