"""The stages of a training: each takes the results of earlier stages and returns a frozen value.

`prepare` (device, dtype, corpus) → `build` (model and its auxiliary targets) → `start` (trainer and
checkpoints, new or resumed) → training → `finish` (final test and summary). `nmt.pipeline` runs
them.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch

from nmt import processes, runtime
from nmt.config.checks.doubtful_settings import doubtful_settings
from nmt.config.numbering import drawn_layer_head
from nmt.config.schema import Config
from nmt.config.training_settings import Precision
from nmt.data.encoded_context import encode_text
from nmt.data.preparation.prepared_corpus import PreparedCorpus
from nmt.decoding.translator import Translator
from nmt.evaluation.metrics import bleu_tokenizer
from nmt.evaluation.validation import ValidationReport, evaluate_model
from nmt.kernels import dispatch
from nmt.model.build import model_for
from nmt.model.seq2seq import TranslationModel
from nmt.reporting.console import Console
from nmt.reporting.trackers.safe_log import check_trackers
from nmt.run.batch_size import set_batch_tokens
from nmt.run.checkpoints.run_checkpoints import RunCheckpoints, explained_state
from nmt.run.checkpoints.same_text import check_same_text, text_fingerprint
from nmt.run.final_test import FinalTest
from nmt.run.folder import RunFolder
from nmt.run.memory_estimate import check_memory
from nmt.run.metric_files import after_curves, open_metric_log
from nmt.run.model_setup import check_models, check_text_of_models, set_up_model
from nmt.run.preparation import prepare_corpus
from nmt.run.reports.write_report import finish_folder
from nmt.run.run_summary import count_parameters, dtype_name, final_scores, model_name, run_summary
from nmt.text.sentence_context import ContextSize
from nmt.text.subword_sampling import subword_samplers
from nmt.training.bad_batches import BadBatches
from nmt.training.objective import AuxiliaryTargets
from nmt.training.passes.batch_shapes import pick_batch_shapes
from nmt.training.services import Hopeless, Interrupted, TrainerServices
from nmt.training.stopping import StopReason
from nmt.training.trainer import Trainer


@dataclass(frozen=True)
class PreparedRun:
    """A run whose corpus is ready.

    Attributes:
        config: The configuration of the run.
        folder: Its run folder.
        console: Prints messages.
        device: The device of the training.
        precision: The dtype of matrix products.
        corpus: The text and its pieces.
    """

    config: Config
    folder: RunFolder
    console: Console
    device: torch.device
    precision: torch.dtype
    corpus: PreparedCorpus

    def settled_config(self) -> Config:
        """Return the configuration with the chosen or measured precision instead of ``auto``."""
        training = replace(self.config.training, precision=dtype_name(self.precision))
        return replace(self.config, training=training)


@dataclass(frozen=True)
class BuiltModel:
    """A model before training, and the other models from which it learns."""

    model: TranslationModel
    targets: AuxiliaryTargets


@dataclass(frozen=True)
class StartedRun:
    """A run that is ready to train, from its beginning or from its newest checkpoint.

    Attributes:
        prepared: The run; a resumed one keeps its earlier precision.
        trainer: The trainer, in the state of the newest checkpoint if there is one.
        checkpoints: The checkpoints of the run folder.
    """

    prepared: PreparedRun
    trainer: Trainer
    checkpoints: RunCheckpoints


def prepare(
    config: Config, folder: RunFolder, console: Console, interrupted: Interrupted
) -> PreparedRun:
    """Set up the process, choose device and precision, and prepare the corpus."""
    training, corpora = config.training, list[PreparedCorpus]()
    runtime.keep_freed_memory()
    runtime.set_threads(training.threads)
    dispatch.set_kernels(training.kernels)
    runtime.set_cuda_numerics(tf32=training.tf32, deterministic=training.deterministic)
    check_trackers(config.logging.trackers)  # this and the next check come before any work
    bleu_tokenizer(config.data.target_language, training.bleu_tokenizer)
    device = runtime.pick_device(training.device)
    precision = runtime.pick_precision(training.precision, device)
    if not training.dry_run:
        console(f"run folder {folder.path}")
    check_memory(config, device)
    check_models(config)
    for doubt in (*folder.doubts(config), *doubtful_settings(config)):
        console(f"warning: {doubt}")
    shapes = pick_batch_shapes(config, device)
    processes.first_here(
        lambda: corpora.append(prepare_corpus(config, console, interrupted, shapes))
    )
    check_text_of_models(config, corpora[-1].tokenizers)
    return PreparedRun(config, folder, console, device, precision, corpora[-1])


def build(prepared: PreparedRun) -> BuiltModel:
    """Build the model with its initial weights, and load its teacher."""
    config, tokenizers, console = prepared.config, prepared.corpus.tokenizers, prepared.console
    runtime.seed_everything(config.seed)
    model = model_for(config, tokenizers)
    console(
        f"model {model_name(config)}: {count_parameters(model):,} parameters, "
        f"on {prepared.device}, products in {dtype_name(prepared.precision)}"
    )
    model = model.to(prepared.device)
    return BuiltModel(model, set_up_model(config, model, tokenizers, console))


def start(
    prepared: PreparedRun,
    built: BuiltModel,
    stack: ExitStack,
    interrupted: Interrupted,
    hopeless: Hopeless | None = None,
) -> StartedRun:
    """Return the trainer of a new run, or of a resumed one in its earlier state.

    Args:
        prepared: The run.
        built: Its model.
        stack: Closes checkpoints and metric logs at the end of the run.
        interrupted, hopeless: See `train`; only the first process calls ``hopeless``.
    """
    config, corpus, console = prepared.config, prepared.corpus, prepared.console
    checkpoints = RunCheckpoints(prepared.folder, config, corpus.tokenizers, console, built.model)
    stack.enter_context(checkpoints)
    if prepared.folder.last.exists():
        console.show("loading", prepared.folder.last)
    resumed = checkpoints.newest()
    update = None if resumed is None else resumed.update
    processes.check_same(update, f"checkpoints in {prepared.folder.path}")
    if resumed is not None:
        check_same_text(resumed, corpus, prepared.folder)
    if update is not None:
        console(f"resuming after update {update:,}")
    if resumed is not None and resumed.training is not None:
        prepared = _with_precision_of(resumed.training["progress"].get("precision", ""), prepared)
    log = open_metric_log(prepared.folder, config, update, console)
    stack.callback(log.close)
    services = TrainerServices(
        validate=validation_of(prepared, built.model)[1],
        metric_log=log,
        progress_line=console.line,
        report=console,
        interrupted=interrupted,
        reload_checkpoint=checkpoints.reload,
    )
    if processes.is_first():  # the others write no files
        save, keep = after_curves(checkpoints.save, log), _bad_batches(prepared)
        judge = hopeless or services.hopeless
        services = replace(services, save=save, keep_bad_update=keep, hopeless=judge)
    trainer = new_trainer(prepared, built, services)
    if resumed is not None and resumed.training is not None:
        with explained_state(resumed.file):
            trainer.resume(resumed.weights, resumed.training)
    trainer.progress.text = text_fingerprint(corpus)
    set_batch_tokens(trainer, corpus.train, config, prepared.device, console)
    return StartedRun(prepared, trainer, checkpoints)


def finish(started: StartedRun, reason: StopReason) -> Mapping[str, Any]:
    """Score the best checkpoint in float32, as `nmt evaluate` does, and write the summary."""
    prepared, trainer, progress = started.prepared, started.trainer, started.trainer.progress
    config = prepared.config
    summary = run_summary(config, trainer.model, progress, prepared.precision, reason)
    test = FinalTest(config, prepared.folder, prepared.corpus, prepared.device, prepared.console)
    summary |= test.run(started.checkpoints.best())
    trainer.log_final_scores(final_scores(summary))
    if processes.is_first():
        finish_folder(prepared.folder, summary)
    return summary


def new_trainer(prepared: PreparedRun, built: BuiltModel, services: TrainerServices) -> Trainer:
    """Return a trainer at the beginning of a run."""
    corpus, config = prepared.corpus, prepared.settled_config()
    samplers = subword_samplers(corpus.tokenizers, config.tokenizer.sampling)
    return Trainer(built.model, corpus.train, config, services, samplers, built.targets)


def validation_of(
    prepared: PreparedRun, model: TranslationModel
) -> tuple[Translator, Callable[[], ValidationReport]]:
    """Return the search of a validation, and a function that validates the model."""
    config, tokenizers = prepared.config, prepared.corpus.tokenizers
    text, context = prepared.corpus.text.valid, ContextSize.of(config.data)
    encoded = encode_text(tokenizers, text, context)
    search = config.decoding.with_beam(config.training.validation_beam_size)
    translator = Translator(model, tokenizers, search, prepared.precision, drawn_layer_head(config))
    words = bleu_tokenizer(config.data.target_language, config.training.bleu_tokenizer)
    given = translator, text, encoded, config.logging, words, prepared.console.stage, context
    return translator, lambda: evaluate_model(*given)


def _bad_batches(prepared: PreparedRun) -> BadBatches:
    tokenizers, folder = prepared.corpus.tokenizers, prepared.folder.path
    return BadBatches(folder / "bad_batches", tokenizers.source.decode, tokenizers.target.decode)


def _with_precision_of(earlier: str, prepared: PreparedRun) -> PreparedRun:
    """Return the run in its earlier precision, because ``auto`` may now measure a different one."""
    if not earlier or prepared.config.training.precision != Precision.AUTO:
        return prepared
    return replace(prepared, precision=runtime.pick_precision(earlier, prepared.device))
