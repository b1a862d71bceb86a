"""Compares BLEU of an export with BLEU of its model: the loss by smaller types of weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.checkpoint import Checkpoint
from nmt.decoding.translator import Translator
from nmt.evaluation.metrics import Score, bleu
from nmt.export.ctranslate2_engine import load_ctranslate2
from nmt.export.export_choices import Quantization


@dataclass(frozen=True)
class BleuCheck:
    """BLEU of the same sentences, translated by a model and by its export.

    Attributes:
        sentences: Number of sentences.
        beam_size: Beam size of both searches.
        model: BLEU of the model in float32.
        export: BLEU of the export.
    """

    sentences: int
    beam_size: int
    model: Score
    export: Score

    def line(self) -> str:
        """Return one line of text."""
        return (
            f"BLEU of {self.sentences:,} sentences, beam {self.beam_size}: "
            f"{self.export.value:.2f} by the export, {self.model.value:.2f} by the model, "
            f"{self.export.value - self.model.value:+.2f} ({self.export.signature})"
        )


def check_bleu(
    checkpoint: Checkpoint,
    folder: Path,
    sources: Sequence[str],
    references: Sequence[str],
    words: str,
    weights: Quantization,
) -> BleuCheck:
    """Translate sentences with a model and with its CTranslate2 export, and score both.

    Both search with the decoding settings of the run. With int8 weights, CTranslate2 computes in
    int8.

    Args:
        checkpoint: The model.
        folder: The folder of the export.
        sources: Sentences; a blank sentence has an empty translation.
        references: Their translations.
        words: BLEU's tokenizer.
        weights: The type of the matrices in the export.

    Raises:
        UserError: The numbers of sentences differ, or the tokenizer cannot be loaded.
    """
    translator = Translator.from_loaded_checkpoint(checkpoint, device="cpu")
    texts = [found.text for found in translator.translate(sources, wanted=1)]
    precision = "int8" if "int8" in weights else "auto"
    _, engine = load_ctranslate2(folder, device="cpu", precision=precision)
    exported = [found.text for found in engine.translate(sources, wanted=1)]
    beam = translator.decoding.beam_size
    scores = (bleu(found, references, words) for found in (texts, exported))
    return BleuCheck(len(texts), beam, *scores)
