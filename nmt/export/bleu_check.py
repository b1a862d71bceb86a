"""BLEU of an export beside that of the model: what a smaller type of the weights costs.

Legend: none; lists of sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.checkpoint import Checkpoint
from nmt.decoding.translator import Translator
from nmt.evaluation.metrics import Score, bleu
from nmt.export import ctranslate2_model


@dataclass(frozen=True)
class BleuCheck:
    """BLEU of the same sentences, translated by a model and by its export.

    Attributes:
        sentences: Their number.
        beam_size: Of both searches.
        model: Of the model in float32.
        export: Of the export.
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
) -> BleuCheck:
    """Translate sentences with a model and with its CTranslate2 export, and score both.

    Both search with the settings of the run. CTranslate2 has another formula of the length penalty.

    Args:
        checkpoint: The model.
        folder: The export.
        sources: Sentences; a blank one has an empty translation.
        references: Their translations.
        words: The tokenizer of BLEU.

    Raises:
        UserError: The numbers of sentences differ, or the tokenizer cannot be loaded.
    """
    translator = Translator.from_loaded_checkpoint(checkpoint, device="cpu")
    texts = [found.text for found in translator.translate(sources, wanted=1)]
    exported = ctranslate2_model.translations(folder, checkpoint, sources)
    beam = translator.decoding.beam_size
    scores = (bleu(found, references, words) for found in (texts, exported))
    return BleuCheck(len(texts), beam, *scores)
