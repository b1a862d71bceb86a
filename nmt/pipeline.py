"""The one place that puts the parts together: from a configuration to a trained, tested model."""

import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

import nmt
from nmt import runtime
from nmt.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nmt.config.check import check_config
from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.data.loader_process import Samplers
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation import metrics
from nmt.evaluation.aligner import Aligner
from nmt.evaluation.alignment_error import score_links
from nmt.evaluation.alignment_reading import default_reading
from nmt.evaluation.validation import ValidationReport, evaluate_model
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.preparation import prepare_corpus
from nmt.reporting.console import Console
from nmt.reporting.metric_log import JsonLinesLog, MetricLog, MetricLogs
from nmt.reporting.pictures import PictureLog
from nmt.reporting.progress import ProgressLine, format_duration
from nmt.reporting.run_log import open_run_log
from nmt.run_folder import RunFolder
from nmt.text.subword_sampling import SubwordSampler
from nmt.training.trainer import Surroundings, Trainer


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended: where, with what summary (None: interrupted), and why."""

    folder: RunFolder
    summary: Mapping[str, Any] | None
    already_finished: bool


def train(config: Config, config_yaml: str, interrupted: Callable[[], bool]) -> Outcome:
    """Run a configuration to its end, from wherever an earlier call left it.

    Args:
        config: What to run.
        config_yaml: The same, as people read it; kept in the run folder.
        interrupted: Asked after every update whether to save and stop.

    Raises:
        UserError: The configuration, the corpus or the run folder is at fault.
    """
    check_config(config)
    folder = RunFolder.of(config)
    folder.check(config)
    summary = folder.read_summary()
    if summary is not None:
        return Outcome(folder, summary, already_finished=True)
    with ExitStack() as stack:
        say = Console(stack.enter_context(ProgressLine(sys.stderr)))
        run = _Run(config, folder, say)
        run.prepare(interrupted)
        folder.create(config, config_yaml)  # only now: a faulty corpus leaves no run behind
        stack.enter_context(folder.held())
        say.keep(stack.enter_context(open_run_log(folder.log)).logger)
        return Outcome(folder, run.execute(stack, interrupted), already_finished=False)


class _Run:
    """One run's stages, each said as it comes."""

    def __init__(self, config: Config, folder: RunFolder, say: Console) -> None:
        self.config = config
        self.folder = folder
        self.say = say

    def prepare(self, interrupted: Callable[[], bool]) -> None:
        training = self.config.training
        runtime.keep_freed_memory()
        runtime.set_threads(training.threads)
        self.device = runtime.pick_device(training.device)
        self.precision = runtime.pick_precision(training.precision, self.device)
        self.say(f"run folder {self.folder.path}")
        self.corpus = prepare_corpus(self.config, self.say, interrupted)

    def execute(
        self, stack: ExitStack, interrupted: Callable[[], bool]
    ) -> Mapping[str, Any] | None:
        runtime.seed_everything(self.config.seed)
        model = self._build_model()
        trainer = self._trainer(model, stack, interrupted)
        reason = trainer.train()
        if reason == "interrupted":
            self.say(f"stopped after update {trainer.progress.update:,}; the same command goes on")
            return None
        progress = trainer.progress
        self.say(
            f"trained: {progress.update:,} updates in {format_duration(progress.seconds)} "
            f"({reason}), best at update {progress.best_update:,}"
        )
        return self._finish(trainer, reason)

    def _build_model(self) -> TranslationModel:
        tokenizers = self.corpus.tokenizers
        model = build_model(self.config.model, len(tokenizers.source), len(tokenizers.target))
        self.say(
            f"model {_model_name(self.config)}: {_count(model):,} parameters, on {self.device}, "
            f"products in {str(self.precision).removeprefix('torch.')}"
        )
        return model.to(self.device)

    def _trainer(
        self, model: TranslationModel, stack: ExitStack, interrupted: Callable[[], bool]
    ) -> Trainer:
        resumed = load_checkpoint(self.folder.last) if self.folder.last.exists() else None
        step = None
        if resumed is not None and resumed.training is not None:
            step = int(resumed.training["progress"]["update"])
            self._check_pieces(resumed)
            self.say(f"going on after update {step:,}")
        log = self._metric_log(step)
        stack.callback(log.close)
        valid = EncodedCorpus.encode(self.corpus.tokenizers, self.corpus.text.valid)
        search = replace(self.config.decoding, beam_size=self.config.training.validation_beam_size)
        translator = Translator(model, self.corpus.tokenizers, search, self.precision)

        def validate() -> ValidationReport:
            return evaluate_model(translator, self.corpus.text.valid, valid, self.config.logging)

        around = Surroundings(validate, self._save, log, self.say.line, self.say, interrupted)
        trainer = Trainer(model, self.corpus.train, self.config, around, self._samplers())
        if resumed is not None and resumed.training is not None:
            trainer.resume(resumed.weights, resumed.training)
        return trainer

    def _check_pieces(self, resumed: Checkpoint) -> None:
        """Refuse to go on where the ids that the model has learned mean other pieces now."""
        for side in ("source", "target"):
            before, now = getattr(resumed.tokenizers, side), getattr(self.corpus.tokenizers, side)
            if before.pieces(range(len(before))) != now.pieces(range(len(now))):
                raise UserError(
                    f"the text is no longer what {self.folder.path} began to learn from: the "
                    f"tokenizer made of it has other pieces on the {side} side; restore the text, "
                    "or choose another run.dir"
                )

    def _samplers(self) -> Samplers | None:
        """Return what cuts the words of both sides anew for every epoch, if that is asked for."""
        strength, tokenizers = self.config.tokenizer.sampling, self.corpus.tokenizers
        if not strength:
            return None
        source = SubwordSampler(tokenizers.source, strength)
        if tokenizers.joint:
            return source, source
        return source, SubwordSampler(tokenizers.target, strength)

    def _metric_log(self, resume_step: int | None) -> MetricLog:
        first = 0 if resume_step is None else resume_step
        try:
            numbers = JsonLinesLog(self.folder.metrics, first)
        except ValueError as error:
            raise UserError(str(error)) from error
        logs: list[MetricLog] = [numbers, PictureLog(self.folder.attention)]
        if self.config.logging.tensorboard:
            from nmt.reporting.tensorboard import TensorBoardLog

            logs.append(TensorBoardLog(self.folder.tensorboard, resume_step))
        return MetricLogs(logs)

    def _save(
        self,
        name: str,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Any] | None,
        scores: Mapping[str, float],
    ) -> None:
        checkpoint = Checkpoint(self.config, self.corpus.tokenizers, weights, training, scores)
        save_checkpoint(checkpoint, self.folder.checkpoints / name)

    def _finish(self, trainer: Trainer, reason: str) -> Mapping[str, Any]:
        """Score the best checkpoint as `nmt evaluate` would, in float32, and write it down."""
        best = load_checkpoint(self.folder.best)
        translator = Translator(
            best.build_model().to(self.device).eval(),
            best.tokenizers,
            self.config.decoding,
        )
        progress = trainer.progress
        summary: dict[str, Any] = {
            "nmt": nmt.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "seed": self.config.seed,
            "model": _model_name(self.config),
            "parameters": _count(trainer.model),
            "updates": progress.update,
            "best_update": progress.best_update,
            "epochs": progress.epoch,
            "tokens": progress.tokens,
            "seconds": round(progress.seconds, 1),
            "tokens_per_second": round(progress.tokens_per_second, 1),
            "stopped_by": reason,
            "precision": str(self.precision).removeprefix("torch."),
            "beam_size": self.config.decoding.beam_size,
        }
        summary["valid"] = self._score(translator, "valid")
        if self.corpus.text.test is not None:
            summary["test"] = self._score(translator, "test")
        alignment = self._align(translator)
        if alignment is not None:
            summary["alignment"] = alignment
        self.folder.write_summary(summary)
        return summary

    def _score(self, translator: Translator, split: str) -> dict[str, Any]:
        text = getattr(self.corpus.text, split)
        encoded = EncodedCorpus.encode(self.corpus.tokenizers, text)
        began = time.monotonic()
        report = evaluate_model(translator, text, encoded, replace(self.config.logging, samples=0))
        seconds = time.monotonic() - began
        edit_rate = metrics.ter(report.translations, text.target)
        if split == "test":
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
        reading = default_reading(self.config, aligner.layers)
        reading = reading.resolved(aligner.layers, aligner.heads)
        pairs = zip(text.source, text.target, strict=True)
        score = score_links(list(aligner.links(pairs, reading)), text.alignment)
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


def _count(model: TranslationModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _model_name(config: Config) -> str:
    encoder, decoder = config.model.encoder, config.model.decoder
    attention = getattr(decoder, "attention", None)
    name = encoder.name if encoder.name == decoder.name else f"{encoder.name} to {decoder.name}"
    return f"{name}, attention {attention.name}" if attention else name
