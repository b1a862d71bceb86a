"""Exports a model to a folder, and checks that the export computes the same as the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nmt.checkpoint import Checkpoint
from nmt.config.schema import Config
from nmt.decoding.constrained.shortlist import Shortlist
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.export import (
    ctranslate2_model,
    hugging_face,
    onnx_graphs,
    safetensors_folder,
    usage,
)
from nmt.export.ctranslate2_map import save_vocabulary_map
from nmt.export.export_choices import ExportFormat, Quantization
from nmt.export.exported_folder import (
    DESCRIPTION,
    exported_folder,
    write_description,
    write_tokenizers,
)
from nmt.export.model_card import model_card
from nmt.export.parity import BOUND, Parity, Scorer, measure_parity

PARITY_SENTENCES = 50
"""Number of sentences on which the export is compared with the model."""


def check_form(config: Config, to: ExportFormat) -> None:
    """Check that the program of a layout can compute the model, before other work begins.

    Raises:
        UserError: It cannot; the message names the settings.
    """
    match to:
        case ExportFormat.CTRANSLATE2:
            ctranslate2_model.check_form(config)
        case ExportFormat.HUGGING_FACE:
            hugging_face.check_form(config)
        case ExportFormat.ONNX:
            onnx_graphs.check_form(config)


@dataclass(frozen=True)
class Export:
    """The model to export, and the options of the export.

    Attributes:
        checkpoint: The model.
        summary: The summary of its run, with the scores; empty if there is none.
        format: The layout.
        quantization: The type of the matrices in the files.
        sentences: Source sentences on which the export is compared with the model.
        shortlist: The shortlist, for CTranslate2; None: no shortlist is written.
    """

    checkpoint: Checkpoint
    summary: Mapping[str, Any]
    format: ExportFormat
    quantization: Quantization
    sentences: Sequence[str]
    shortlist: Shortlist | None = None

    def write(self, output: Path) -> Parity | None:
        """Write the folder, and compare the export with the model.

        Returns:
            The comparison; None for safetensors, which contain the weights themselves.

        Raises:
            UserError: The program cannot compute a part of the model, a library is not installed,
                the folder cannot be written, or the export differs from the model.
        """
        if self.shortlist is not None and self.format is not ExportFormat.CTRANSLATE2:
            raise UserError(
                f"--to {self.format} has no form for a shortlist: leave out --shortlist"
            )
        with exported_folder(output) as folder:
            scorer = self._write_model(folder)
            write_tokenizers(self.checkpoint, folder)
            self._write_card(folder)
            write_description(self.checkpoint, folder, self.format, self.quantization)
            return None if scorer is None else self._compared(scorer)

    def _write_model(self, folder: Path) -> Scorer | None:
        """Write the files of the layout; return the scorer of the export (safetensors: None)."""
        if self.format is ExportFormat.SAFETENSORS:
            dtype = getattr(torch, self._plain_dtype())
            safetensors_folder.save_safetensors(self.checkpoint, folder, dtype)
            return None
        if self.format is ExportFormat.CTRANSLATE2:
            ctranslate2_model.save_ctranslate2(self.checkpoint, folder, self.quantization)
            if self.shortlist is not None:
                save_vocabulary_map(self.shortlist, self.checkpoint.tokenizers, folder)
            return ctranslate2_model.scorer(folder, self.checkpoint.tokenizers)
        if self.quantization is not Quantization.FLOAT32:
            raise UserError(f"--to {self.format} writes float32: leave out --weights")
        if self.format is ExportFormat.ONNX:
            onnx_graphs.save_onnx(self.checkpoint, folder)
            return onnx_graphs.scorer(folder)
        model = hugging_face.save_hugging_face(self.checkpoint, folder)
        return lambda *pieces: hugging_face.piece_log_probs(model, *pieces)

    def _plain_dtype(self) -> str:
        """Return the type of the weights for a layout without int8 matrices."""
        if "int8" in self.quantization:
            raise UserError(
                f"--to {self.format} has no {self.quantization} matrices: choose float32, float16 "
                "or bfloat16"
            )
        return self.quantization.value

    def _compared(self, scorer: Scorer) -> Parity:
        translator = Translator.from_loaded_checkpoint(self.checkpoint, device="cpu")
        parity = measure_parity(translator, self.sentences[:PARITY_SENTENCES], scorer)
        if self.quantization is Quantization.FLOAT32 and parity.difference > BOUND:
            raise UserError(
                f"the export would differ from the model: {parity.line()}, but rounding explains "
                f"{BOUND}; nothing was written. This is a fault of nmt: please report it"
            )
        return parity

    def _write_card(self, folder: Path) -> None:
        parameters = sum(w.numel() for w in self.checkpoint.trained_model().parameters())
        code = _usage(self.format)
        card = model_card(self.checkpoint.config, self.summary, parameters, code, DESCRIPTION)
        (folder / "README.md").write_text(card, encoding="utf-8")


def _usage(layout: ExportFormat) -> str:
    """Return Python code that uses a folder of this layout; it runs in that folder."""
    code = Path(usage.__path__[0], f"{layout}.txt").read_text(encoding="utf-8")
    return code.strip()
