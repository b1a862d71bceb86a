"""Exports a model: its folder, and the check that the export computes what the model computes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch

from nmt.checkpoint import Checkpoint
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.export import ctranslate2_model, hugging_face, safetensors_folder
from nmt.export.ctranslate2_model import Quantization
from nmt.export.exported_folder import (
    DESCRIPTION,
    exported_folder,
    write_description,
    write_tokenizers,
)
from nmt.export.model_card import model_card
from nmt.export.parity import BOUND, Parity, Scorer, measure_parity

PARITY_SENTENCES = 50
"""Sentences on which the export is compared with the model."""


class ExportFormat(StrEnum):
    """The layouts in which a model can be exported."""

    CTRANSLATE2 = "ctranslate2"
    SAFETENSORS = "safetensors"
    HUGGING_FACE = "huggingface"


@dataclass(frozen=True)
class Export:
    """What to export, and how.

    Attributes:
        checkpoint: The model.
        summary: Of its run, with the scores; empty if there is none.
        format: The layout.
        quantization: The type of the matrices in the files.
        sentences: Source sentences on which the export is compared with the model.
    """

    checkpoint: Checkpoint
    summary: Mapping[str, Any]
    format: ExportFormat
    quantization: Quantization
    sentences: Sequence[str]

    def write(self, output: Path) -> Parity | None:
        """Write the folder, and return how exactly it computes what the model computes.

        Returns:
            The comparison; None: the export contains the weights themselves.

        Raises:
            UserError: The model has a part that the program has no form for, a library is not
                installed, the folder cannot be written, or the export differs from the model.
        """
        with exported_folder(output) as folder:
            scorer = self._write_model(folder)
            write_tokenizers(self.checkpoint, folder)
            self._write_card(folder)
            write_description(self.checkpoint, folder, self.format, self.quantization)
            return None if scorer is None else self._compared(scorer)

    def _write_model(self, folder: Path) -> Scorer | None:
        if self.format is ExportFormat.SAFETENSORS:
            dtype = getattr(torch, self._plain_dtype())
            safetensors_folder.save_safetensors(self.checkpoint, folder, dtype)
            return None
        if self.format is ExportFormat.HUGGING_FACE:
            if self.quantization is not Quantization.FLOAT32:
                raise UserError(
                    "--to huggingface writes float32: leave out --weights; the program that loads "
                    "the folder chooses its precision"
                )
            model = hugging_face.save_hugging_face(self.checkpoint, folder)
            return lambda *pieces: hugging_face.piece_log_probs(model, *pieces)
        ctranslate2_model.save_ctranslate2(self.checkpoint, folder, self.quantization)
        return ctranslate2_model.scorer(folder, self.checkpoint.tokenizers)

    def _plain_dtype(self) -> str:
        """Return the type of the weights where the layout has no int8 matrices."""
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
        usage = _USAGE[self.format]
        card = model_card(self.checkpoint.config, self.summary, parameters, usage, DESCRIPTION)
        (folder / "README.md").write_text(card, encoding="utf-8")


_USAGE = {
    ExportFormat.CTRANSLATE2: (
        "import ctranslate2, sentencepiece\n"
        'source, target = (sentencepiece.SentencePieceProcessor(f"{side}.spm")\n'
        '                  for side in ("source", "target"))\n'
        'translator = ctranslate2.Translator(".")\n'
        'pieces = source.encode("A sentence.", out_type=str)\n'
        "print(target.decode(translator.translate_batch([pieces])[0].hypotheses[0]))"
    ),
    ExportFormat.SAFETENSORS: (
        "import json\n"
        "from nmt.config.plain import from_mapping\n"
        "from nmt.config.schema import Config\n"
        "from nmt.model.build import build_model\n"
        "from safetensors.torch import load_file\n"
        'content = json.load(open("nmt.json", encoding="utf-8"))\n'
        'config = from_mapping(Config, content["config"])\n'
        'model = build_model(config.model, content["source_pieces"], content["target_pieces"])\n'
        "# Tied matrices are in the file once, under their first name.\n"
        'model.load_state_dict(load_file("model.safetensors"), strict=False)'
    ),
    ExportFormat.HUGGING_FACE: (
        "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer\n"
        'model = AutoModelForSeq2SeqLM.from_pretrained(".")\n'
        'tokenizer = AutoTokenizer.from_pretrained(".")\n'
        'pieces = tokenizer("A sentence.", return_tensors="pt")\n'
        "print(tokenizer.decode(model.generate(**pieces)[0], skip_special_tokens=True))"
    ),
}
