"""Writes the folder of an export: it appears complete or not at all."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from nmt.checkpoint import Checkpoint
from nmt.checkpoint_names import EXPORT
from nmt.config.plain import to_mapping
from nmt.durable_file import DISK_IS_FULL, PARTIAL, sync_folder
from nmt.errors import UserError

DESCRIPTION = EXPORT
"""The file that marks a folder as an export; it has the settings of the model."""

SOURCE_MODEL, TARGET_MODEL = "source.spm", "target.spm"
"""The SentencePiece models of both sides; both are written even if they are equal."""


def check_output(folder: Path) -> None:
    """Check that a folder is new or empty, before the work begins.

    Raises:
        UserError: The folder contains files, or is a file.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"--output {folder} exists; give a new or empty folder")


@contextmanager
def exported_folder(folder: Path) -> Iterator[Path]:
    """Provide an empty folder that becomes ``folder`` when the block ends without an error.

    Missing parents of ``folder`` are made at the end, so a failed export leaves none.

    Raises:
        UserError: The folder is not empty, or cannot be written.
    """
    check_output(folder)
    partial: Path | None = None
    try:
        existing = next(parent for parent in folder.absolute().parents if parent.exists())
        partial = Path(mkdtemp(suffix=PARTIAL, prefix=f".{folder.name}.", dir=existing))
        yield partial
        _make_readable(partial)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.is_dir():
            folder.rmdir()
        os.rename(partial, folder)
        sync_folder(folder.parent)
    except OSError as error:
        remedy = "; free some space" if error.errno in DISK_IS_FULL else ""
        raise UserError(
            f"cannot write --output {folder}: {error.strerror or error}{remedy}"
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _make_readable(folder: Path) -> None:
    """Set the usual permissions of the folder and its files; some libraries write private files."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)
    for file in folder.rglob("*"):
        file.chmod((0o777 if file.is_dir() else 0o666) & ~mask)


def write_tokenizers(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the SentencePiece models of both sides."""
    (folder / SOURCE_MODEL).write_bytes(checkpoint.tokenizers.source.to_bytes())
    (folder / TARGET_MODEL).write_bytes(checkpoint.tokenizers.target.to_bytes())


def write_description(checkpoint: Checkpoint, folder: Path, layout: str, weights: str) -> None:
    """Write the settings of the model and the facts that a program needs to read the folder.

    Args:
        checkpoint: The model.
        folder: The folder.
        layout: The layout of the folder, a value of ``--to``.
        weights: The type of the matrices, a value of ``--weights``.
    """
    tokenizers = checkpoint.tokenizers
    content = {
        "format": layout,
        "weights": weights,
        "update": checkpoint.update,
        "scores": dict(checkpoint.metrics),
        "source_pieces": len(tokenizers.source),
        "target_pieces": len(tokenizers.target),
        "config": to_mapping(checkpoint.config),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(f"{text}\n", encoding="utf-8")
