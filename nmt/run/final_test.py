"""The end of a run: the best model scored on validation and test, and its links on gold."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch

from nmt import processes
from nmt.checkpoint import Checkpoint, save_checkpoint
from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.data.prepared_corpus import PreparedCorpus
from nmt.decoding.translator import Translator
from nmt.evaluation import metrics
from nmt.evaluation.aligner import Aligner
from nmt.evaluation.alignment_error import score_links
from nmt.evaluation.alignment_extractor import default_extractor
from nmt.evaluation.validation import evaluate_model
from nmt.run import average_checkpoints
from nmt.run.folder import RunFolder
from nmt.training.kept_checkpoints import score as validation_score


class FinalTest:
    """Scores models as `nmt evaluate` would, in float32."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        corpus: PreparedCorpus,
        device: torch.device,
        say: Callable[[str], None],
    ) -> None:
        """Test a run's models on its corpus and say what comes out.

        Args:
            config: Of the run.
            folder: Its folder, where the translations go.
            corpus: What it was trained and is tested on.
            device: Where models are put.
            say: Tells people a line of news.
        """
        self.config = config
        self.folder = folder
        self.corpus = corpus
        self.device = device
        self.say = say

    def run(self, best: Checkpoint) -> dict[str, Any]:
        """Return the last part of a run's summary, as the best model earns it.

        With ``training.average_last`` the average of the last checkpoints takes its place where
        that is better on validation.

        Raises:
            UserError: A checkpoint cannot be read or written.
        """
        translator = self._translator(best)
        summary: dict[str, Any] = {"valid": self._score(translator, "valid")}
        if self.config.training.average_last:
            translator = self._average(translator, summary)
        if self.corpus.text.test is not None:
            summary["test"] = self._score(translator, "test")
        alignment = self._align(translator)
        return summary if alignment is None else {**summary, "alignment": alignment}

    def _translator(self, checkpoint: Checkpoint) -> Translator:
        model = checkpoint.build_model().to(self.device).eval()
        return Translator(model, checkpoint.tokenizers, self.config.decoding)

    def _average(self, best: Translator, summary: dict[str, Any]) -> Translator:
        """Average the last checkpoints and return the model that is better on validation.

        The average is kept as averaged.pt, and as best.pt too where it is the better one.
        """
        training = self.config.training
        made = average_checkpoints.average_run(self.folder.path, training.average_last)
        updates = ", ".join(f"{update:,}" for update in sorted(made.updates))
        self.say(f"average of the checkpoints of updates {updates}:")
        translator = self._translator(made.checkpoint)
        scores = self._score(translator, "valid")
        before = summary["valid"]
        value, value_before = (
            validation_score(of, training.best_metric) for of in (scores, before)
        )
        used = value >= value_before
        self.say(f"{'the average' if used else 'best.pt'} is the better one on validation")
        if processes.is_first():
            numbers = {name: scores[name] for name in ("loss", "perplexity", "bleu", "chrf")}
            kept = replace(made.checkpoint, metrics=numbers)
            save_checkpoint(kept, self.folder.averaged)
            if used:
                save_checkpoint(kept, self.folder.best)
        summary["averaged"] = {"updates": sorted(made.updates), "used": used, "valid": scores}
        if used:
            summary["averaged"]["best_before"] = before
            summary["valid"] = scores
        return translator if used else best

    def _score(self, translator: Translator, split: str) -> dict[str, Any]:
        text = getattr(self.corpus.text, split)
        encoded = EncodedCorpus.encode(self.corpus.tokenizers, text)
        began = time.monotonic()
        report = evaluate_model(translator, text, encoded, replace(self.config.logging, samples=0))
        seconds = time.monotonic() - began
        edit_rate = metrics.ter(report.translations, text.target)
        if split == "test" and processes.is_first():
            lines = "".join(f"{translation}\n" for translation in report.translations)
            self.folder.translations.write_text(lines, encoding="utf-8")
        self.say(
            f"{split}: BLEU {report.bleu.value:.2f}, chrF {report.chrf.value:.2f}, "
            f"TER {edit_rate.value:.2f}, perplexity {report.perplexity:.2f}  "
            f"(beam {self.config.decoding.beam_size}, {seconds:.0f} s)"
        )
        return {
            "loss": report.loss,
            "perplexity": report.perplexity,
            "bleu": report.bleu.value,
            "signature": report.bleu.signature,
            "chrf": report.chrf.value,
            "chrf_signature": report.chrf.signature,
            "ter": edit_rate.value,
            "ter_signature": edit_rate.signature,
        }

    def _align(self, translator: Translator) -> dict[str, Any] | None:
        """Score the word links read off forced attention, where there is attention and gold."""
        aligned = self.corpus.text.aligned_split()
        if aligned is None or not translator.model.decoder.attends:
            return None
        name, text = aligned
        assert text.alignment is not None
        aligner = Aligner(translator.model, translator.tokenizers)
        reading = default_extractor(self.config, aligner.layers)
        reading = reading.resolved(aligner.layers, aligner.heads)
        pairs = list(zip(text.source, text.target, strict=True))
        found = processes.share_out(pairs, lambda part: list(aligner.links(part, reading)))
        score = score_links(found, text.alignment)
        head = "mean of heads" if reading.head is None else f"head {reading.head}"
        self.say(
            f"alignment of {name}: AER {100 * score.error_rate:.2f} %, "
            f"precision {100 * score.precision:.2f} %, recall {100 * score.recall:.2f} %  "
            f"(layer {reading.layer}, {head}{', a step later' if reading.shift else ''})"
        )
        return {
            "set": name,
            "sentences": score.sentences,
            "aer": score.error_rate,
            "precision": score.precision,
            "recall": score.recall,
            "reading": asdict(reading),
        }
