"""The one place that puts the parts together: from a configuration to a trained, tested model."""

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

import nmt
from nmt import processes, runtime
from nmt.config.check_config import check_config
from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.data.loader_process import Samplers
from nmt.data.prepared_corpus import PreparedCorpus
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.validation import ValidationReport, evaluate_model
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.reporting.console import Console
from nmt.reporting.metric_log import JsonLinesLog, MetricLog, MetricLogs
from nmt.reporting.picture_log import PictureLog
from nmt.reporting.progress_line import ProgressLine, format_duration
from nmt.reporting.run_log import open_run_log
from nmt.run.dry_run import rehearse_run
from nmt.run.final_test import FinalTest
from nmt.run.folder import RunFolder
from nmt.run.inheritance import inherit
from nmt.run.preparation import prepare_corpus
from nmt.run.run_checkpoints import RunCheckpoints
from nmt.run.same_text import check_same_text, fingerprint
from nmt.text.subword_sampling import SubwordSampler
from nmt.training.bad_batches import BadBatches
from nmt.training.guard import Earlier
from nmt.training.objective import AuxiliaryTargets
from nmt.training.rehearsal import find_budget
from nmt.training.services import Save, TrainerServices, Watch
from nmt.training.trainer import Trainer


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended: where, with what summary (None: interrupted), and why."""

    folder: RunFolder
    summary: Mapping[str, Any] | None
    already_finished: bool
    rehearsal: Sequence[str] = ()  # lines that tell what a run would take, of a dry run


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
    if config.training.dry_run:
        with _console() as say:
            run = _Run(config, folder, say)
            run.prepare(interrupted)
            return Outcome(folder, None, already_finished=False, rehearsal=run.rehearse())
    folder.check(config)
    summary = folder.read_summary()
    if summary is not None:
        return Outcome(folder, summary, already_finished=True)
    with ExitStack() as stack:
        stack.enter_context(folder.failing_disk_named())
        say = stack.enter_context(_console())
        run = _Run(config, folder, say)
        run.prepare(interrupted)
        if processes.is_first():
            folder.create(config, config_yaml)  # only now: a faulty corpus leaves no run behind
            stack.enter_context(folder.held())
            say.keep(stack.enter_context(open_run_log(folder.log)).logger)
        processes.barrier()
        return Outcome(folder, run.execute(stack, interrupted), already_finished=False)


@contextmanager
def _console() -> Iterator[Console]:
    """Lend what speaks for all processes: in the first one aloud."""
    with ExitStack() as stack:
        stream = sys.stderr if processes.is_first() else stack.enter_context(open(os.devnull, "w"))
        yield Console(stack.enter_context(ProgressLine(stream)))


@dataclass(frozen=True)
class Workbench:
    """What a run works with, of a run that has no folder and keeps nothing.

    Attributes:
        trainer: Of a fresh model; it neither validates nor saves.
        corpus: What it learns from.
        precision: Of products.
        translator: What validation searches with.
        validate: Scores the model as validation does.
    """

    trainer: Trainer
    corpus: PreparedCorpus
    precision: torch.dtype
    translator: Translator
    validate: Callable[[], ValidationReport]


def workbench(
    config: Config, say: Console, interrupted: Callable[[], bool], watch: Watch
) -> Workbench:
    """Prepare a run of a configuration for those who measure its parts.

    Args:
        config: What to run.
        say: Tells people what was found.
        interrupted: Asked after every update whether training shall stop, to go on when called.
        watch: Told how every update goes on.

    Raises:
        UserError: The configuration or the corpus is at fault.
    """
    run = _Run(config, RunFolder.of(config), say)
    run.prepare(lambda: False)
    return run.workbench(interrupted, watch)


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
        runtime.set_cuda_numerics(tf32=training.tf32, deterministic=training.deterministic)
        self.device = runtime.pick_device(training.device)
        self.precision = runtime.pick_precision(training.precision, self.device)
        if not training.dry_run:
            self.say(f"run folder {self.folder.path}")
        processes.first_here(lambda: self._read_corpus(interrupted))

    def _read_corpus(self, interrupted: Callable[[], bool]) -> None:
        self.corpus = prepare_corpus(self.config, self.say, interrupted)

    def execute(
        self, stack: ExitStack, interrupted: Callable[[], bool]
    ) -> Mapping[str, Any] | None:
        runtime.seed_everything(self.config.seed)
        model = self._build_model()
        guides = inherit(self.config, model, self.corpus.tokenizers, self.say)
        trainer = self._trainer(model, guides, stack, interrupted)
        reason = trainer.train()
        self.checkpoints.wait()
        processes.barrier()  # until all is on disk nobody may leave, or read it
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
        self,
        model: TranslationModel,
        guides: AuxiliaryTargets,
        stack: ExitStack,
        interrupted: Callable[[], bool],
    ) -> Trainer:
        self.checkpoints = RunCheckpoints(
            self.folder, self.config, self.corpus.tokenizers, self.say
        )
        stack.enter_context(self.checkpoints)
        resumed = self.checkpoints.newest()
        step = None if resumed is None else resumed.update
        processes.check_same(step, f"checkpoints in {self.folder.path}")
        if resumed is not None:
            check_same_text(resumed, self.corpus, self.folder)
        if step is not None:
            self.say(f"going on after update {step:,}")
        if resumed is not None and resumed.training is not None:
            self._keep_precision(resumed.training["progress"].get("precision", ""))
        log = self._metric_log(step)
        stack.callback(log.close)
        _, validate = self._validation(model)
        save: Save = self.checkpoints.save if processes.is_first() else _no_save
        around = TrainerServices(
            validate,
            save,
            log,
            self.say.line,
            self.say,
            interrupted,
            self._keep_batches() if processes.is_first() else _no_keeping,
            self._earlier,
        )
        train, settled = self.corpus.train, self._settled()
        trainer = Trainer(model, train, settled, around, self._samplers(), guides)
        if resumed is not None and resumed.training is not None:
            trainer.resume(resumed.weights, resumed.training)
        trainer.progress.text = fingerprint(train)
        self._settle_budget(trainer)
        return trainer

    def _validation(
        self, model: TranslationModel
    ) -> tuple[Translator, Callable[[], ValidationReport]]:
        text, tokenizers = self.corpus.text.valid, self.corpus.tokenizers
        encoded = EncodedCorpus.encode(tokenizers, text)
        search = replace(self.config.decoding, beam_size=self.config.training.validation_beam_size)
        translator = Translator(model, tokenizers, search, self.precision)
        logging = self.config.logging
        return translator, lambda: evaluate_model(translator, text, encoded, logging)

    def _keep_batches(self) -> BadBatches:
        tokenizers = self.corpus.tokenizers
        decoders = tokenizers.source.decode, tokenizers.target.decode
        return BadBatches(self.folder.path / "bad_batches", *decoders)

    def _settled(self) -> Config:
        """Return the settings with the precision that was chosen or measured."""
        precision = str(self.precision).removeprefix("torch.")
        return replace(self.config, training=replace(self.config.training, precision=precision))

    def _keep_precision(self, before: str) -> None:
        """Go on in the precision that the run began in, whatever a measurement says today."""
        if before and self.config.training.precision == "auto":
            self.precision = runtime.pick_precision(before, self.device)

    def _settle_budget(self, trainer: Trainer) -> None:
        """Find how much an update holds where that is left to the memory, once for a whole run."""
        if self.config.training.batch_tokens:
            return
        found = trainer.progress.batch_tokens or find_budget(
            trainer.attempt, self.corpus.train, self.config, self.device
        )
        trainer.take_budget(found)
        self.say(f"training.batch_tokens=auto: {found:,} target tokens an update")

    def _earlier(self, back: int) -> Earlier | None:
        """Return an earlier checkpoint of the run, to go back to."""
        self.checkpoints.wait()
        processes.barrier()
        return self.checkpoints.earlier(back)

    def rehearse(self) -> list[str]:
        """Do each thing of a run once, and tell what the run will take."""
        trainer = self._aside(lambda: False, Watch())
        decoding = replace(self.config.decoding, beam_size=1)
        greedy = Translator(trainer.model, self.corpus.tokenizers, decoding, self.precision)
        return rehearse_run(trainer, self.corpus.train, greedy, self.corpus.text.valid)

    def workbench(self, interrupted: Callable[[], bool], watch: Watch) -> Workbench:
        """Build what a run works with, and write nothing."""
        trainer = self._aside(interrupted, watch)
        translator, validate = self._validation(trainer.model)
        return Workbench(trainer, self.corpus, self.precision, translator, validate)

    def _aside(self, interrupted: Callable[[], bool], watch: Watch) -> Trainer:
        """Return a trainer of a fresh model that neither validates nor saves."""
        runtime.seed_everything(self.config.seed)
        model = self._build_model()
        guides = inherit(self.config, model, self.corpus.tokenizers, self.say)
        around = TrainerServices(
            _no_report,
            _no_save,
            MetricLogs([]),
            self.say.line,
            self.say,
            interrupted,
            watch=watch,
        )
        train, settled = self.corpus.train, self._settled()
        trainer = Trainer(model, train, settled, around, self._samplers(), guides)
        self._settle_budget(trainer)
        return trainer

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
        if not processes.is_first():
            return MetricLogs([])
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

    def _finish(self, trainer: Trainer, reason: str) -> Mapping[str, Any]:
        """Score the best checkpoint as `nmt evaluate` would, in float32, and write it down."""
        progress = trainer.progress
        summary: dict[str, Any] = {
            "nmt": nmt.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "seed": self.config.seed,
            "model": _model_name(self.config),
            "parameters": _count(trainer.model),
            "processes": processes.world(),
            "updates": progress.update,
            "best_update": progress.best_update,
            "epochs": progress.epoch,
            "tokens": progress.tokens,
            "seconds": round(progress.seconds, 1),
            "tokens_per_second": round(progress.tokens_per_second, 1),
            "stopped_by": reason,
            "skipped_updates": progress.skipped_updates,
            "skipped_pairs": progress.skipped_pairs,
            "rewinds": progress.rewinds,
            "precision": str(self.precision).removeprefix("torch."),
            "beam_size": self.config.decoding.beam_size,
        }
        test = FinalTest(self.config, self.folder, self.corpus, self.device, self.say)
        summary |= test.run(self.checkpoints.best())
        if processes.is_first():
            self.folder.write_summary(summary)
        return summary


def _no_report() -> ValidationReport:
    raise AssertionError("a rehearsal validates nothing")


def _no_keeping(_: object) -> None:
    """Write nothing down, likewise."""


def _no_save(*_: Any, **__: Any) -> None:
    """Save nothing, in a process that trains along with the one that does."""


def _count(model: TranslationModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _model_name(config: Config) -> str:
    encoder, decoder = config.model.encoder, config.model.decoder
    attention = getattr(decoder, "attention", None)
    name = encoder.name if encoder.name == decoder.name else f"{encoder.name} to {decoder.name}"
    return f"{name}, attention {attention.name}" if attention else name
