"""The final test: scores of the best model on validation and test text, and its alignments."""

import time
from dataclasses import replace
from typing import Any

import torch

from nmt import processes
from nmt.checkpoint import Checkpoint, save_checkpoint
from nmt.config.numbering import number_of
from nmt.config.schema import Config
from nmt.data.encoded_context import encode_text
from nmt.data.features import Features
from nmt.data.preparation.prepared_corpus import PreparedCorpus
from nmt.decoding.translator import Translator
from nmt.evaluation import metrics
from nmt.evaluation.attention.aligner import Aligner
from nmt.evaluation.attention.alignment_error import score_links
from nmt.evaluation.attention.alignment_extractor import default_extractor
from nmt.evaluation.validation import evaluate_model
from nmt.reporting.console import Console
from nmt.run.checkpoints import checkpoint_averaging
from nmt.run.folder import RunFolder
from nmt.text.sentence_context import ContextSize
from nmt.training.checkpoints.kept_checkpoints import score as validation_score


class FinalTest:
    """Scores models as `nmt evaluate` would, in float32."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        corpus: PreparedCorpus,
        device: torch.device,
        report: Console,
    ) -> None:
        """Prepare the test of the models of a run.

        Args:
            config: The settings of the run.
            folder: The run folder, to which the translations are written.
            corpus: The training, validation and test text of the run.
            device: The device on which the models run.
            report: Prints lines and shows the progress.
        """
        self.config = config
        self.folder = folder
        self.corpus = corpus
        self.device = device
        self.report = report

    def run(self, best: Checkpoint) -> dict[str, Any]:
        """Return the scores of the best model, the last part of a run's summary.

        With ``training.average_last`` the average of the last checkpoints replaces the best model
        if its score on the validation text is at least as good.

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
        """Average the last checkpoints and return the better model on the validation text.

        The average is saved as averaged.pt, and also as best.pt if it replaces the best model.
        """
        training = self.config.training
        averaged = checkpoint_averaging.average_run(self.folder.path, training.average_last)
        updates = ", ".join(f"{update:,}" for update in sorted(averaged.updates))
        self.report(f"average of the checkpoints of updates {updates}:")
        translator = self._translator(averaged.checkpoint)
        scores = self._score(translator, "valid")
        before = summary["valid"]
        value, value_before = (
            validation_score(of, training.best_metric) for of in (scores, before)
        )
        used = value >= value_before
        verdict = "as good" if value == value_before else "better"
        self.report(f"{'the average' if used else 'best.pt'} is {verdict} on the validation text")
        if processes.is_first():
            numbers = {name: scores[name] for name in ("loss", "perplexity", "bleu", "chrf")}
            kept = replace(averaged.checkpoint, metrics=numbers)
            save_checkpoint(kept, self.folder.averaged)
            if used:
                self.folder.keep_best()
                save_checkpoint(kept, self.folder.best)
        summary["averaged"] = {"updates": sorted(averaged.updates), "used": used, "valid": scores}
        if used:
            summary["averaged"]["best_before"] = before
            summary["valid"] = scores
        return translator if used else best

    def _score(self, translator: Translator, split: str) -> dict[str, Any]:
        text = getattr(self.corpus.text, split)
        context = ContextSize.of(self.config.data)
        encoded = encode_text(self.corpus.tokenizers, text, context)
        began = time.monotonic()
        words = metrics.bleu_tokenizer(
            self.config.data.target_language, self.config.training.bleu_tokenizer
        )
        logging = replace(self.config.logging, samples=0)
        report = evaluate_model(
            translator, text, encoded, logging, words, self.report.stage, context
        )
        seconds = time.monotonic() - began
        edit_rate = metrics.ter(report.translations, text.target)
        if split == "test" and processes.is_first():
            self.folder.write_translations(report.translations)
        self.report(
            f"{split}: BLEU {report.bleu.value:.2f}, chrF {report.chrf.value:.2f}, "
            f"TER {edit_rate.value:.2f}, perplexity {report.perplexity:.2f}  "
            f"(beam {self.config.decoding.beam_size}, {seconds:.0f} s)"
        )
        return {
            "loss": report.loss,
            "perplexity": report.perplexity,
            "target_pieces": encoded.target.fingerprint(),
            "bleu": report.bleu.value,
            "signature": report.bleu.signature,
            "chrf": report.chrf.value,
            "chrf_signature": report.chrf.signature,
            "ter": edit_rate.value,
            "ter_signature": edit_rate.signature,
        }

    def _align(self, translator: Translator) -> dict[str, Any] | None:
        """Score the word alignments of attention; None without attention or gold links."""
        aligned = self.corpus.text.aligned_split()
        if aligned is None or not translator.model.decoder.attends:
            return None
        name, text = aligned
        reads_features = translator.model.feature_size is not None
        if reads_features and (text.features is None or not translator.model.reads_text):
            return None
        assert text.alignment is not None
        aligner = Aligner(translator.model, translator.tokenizers, features=_own(text.features))
        extractor = default_extractor(self.config, aligner.layers)
        extractor = extractor.resolved(aligner.layers, aligner.heads)
        pairs = list(zip(text.source, text.target, strict=True))
        found = processes.share_out(
            pairs,
            lambda part: list(
                aligner.links(part, extractor, self.report.stage("aligning", len(part)))
            ),
        )
        score = score_links(found, text.alignment)
        layer = number_of(extractor.layer)
        head = "mean of heads" if extractor.head is None else f"head {number_of(extractor.head)}"
        self.report(
            f"alignment of {name}: AER {100 * score.error_rate:.2f} %, "
            f"precision {100 * score.precision:.2f} %, recall {100 * score.recall:.2f} %  "
            f"(layer {layer}, {head}{', shifted by one step' if extractor.shift else ''})"
        )
        return {
            "set": name,
            "sentences": score.sentences,
            "aer": score.error_rate,
            "precision": score.precision,
            "recall": score.recall,
            "reading": extractor.numbered(),
        }


def _own(features: Features | None) -> Features | None:
    """Return the features of the pairs of this process; see `nmt.processes.share_out`."""
    if features is None:
        return None
    return features.select(range(processes.rank(), len(features), processes.world()))
