"""Corpus preparation with progress reports: the first stage of each run, and `nmt prepare`."""

import os
import time
from collections.abc import Callable, Iterator

from nmt.config.schema import Config
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.config.training_settings import BatchShapes
from nmt.data.batches.batching import UpdateBatches
from nmt.data.corpus import source_tags
from nmt.data.held_out import held_out_of
from nmt.data.preparation.build_prepared import PreparationFeedback
from nmt.data.preparation.prepared_corpus import PreparedCorpus, prepare
from nmt.data_check.preparation_report import PreparationReporter
from nmt.errors import UserError
from nmt.file_names import no_file
from nmt.reporting.console import Console
from nmt.user_path import user_path


def prepare_corpus(
    config: Config,
    console: Console,
    interrupted: Callable[[], bool],
    shapes: BatchShapes = BatchShapes.PADDED,
) -> PreparedCorpus:
    """Read, check, filter and encode the corpus of a configuration, or load it from the cache.

    Args:
        config: The settings of the run.
        console: Prints the results.
        interrupted: Called after each part; returns whether to stop.
        shapes: The shapes of training batches, for the cost of an epoch.

    Raises:
        UserError: The corpus cannot be read or is invalid.
        KeyboardInterrupt: The user asked to stop; no incomplete file is left.
    """
    began = time.monotonic()
    _check_models(config.tokenizer)

    def progress(stage: str, done: int, total: int | None) -> None:
        console.progress(stage, done, total)
        if interrupted():
            raise KeyboardInterrupt

    corpus = prepare(
        config.data,
        _tokenizer_settings(config),
        PreparationReporter(config.data),
        with_links=config.training.guided_alignment.weight > 0,
        feedback=PreparationFeedback(progress, console),
    )
    data = config.data
    tested = 0 if corpus.text.test is None else len(corpus.text.test)
    for line in corpus.describe():
        console(line)
    console(
        f"corpus {data.name} {data.source_language}-{data.target_language}: "
        f"{len(corpus.train):,} training pairs, {len(corpus.text.valid):,} validation, "
        f"{tested:,} test"
    )
    console(f"{_tokenizer(config, corpus)} in {time.monotonic() - began:.1f} s")
    for line in (*_held_out(config, corpus), *_split_tags(config, corpus)):
        console(line)
    if config.training.batch_tokens:  # auto is resolved later, by measuring
        console(_cost(config, corpus, shapes))
    return corpus


def _tokenizer(config: Config, corpus: PreparedCorpus) -> str:
    tokenizers = corpus.tokenizers
    return (
        f"tokenizer {config.tokenizer.model or config.tokenizer.name}, "
        f"{len(tokenizers.source):,} pieces"
        f"{'' if tokenizers.joint else f' and {len(tokenizers.target):,}'}; "
        f"{'found prepared' if corpus.from_cache else 'prepared'}"
    )


def _held_out(config: Config, corpus: PreparedCorpus) -> Iterator[str]:
    """Yield a line with the number of pairs that are held out from the training text."""
    held_out = held_out_of(config.data)
    if held_out is None:
        return
    sizes = {"validation": held_out.valid, "test": held_out.test}
    texts = {"validation": corpus.text.valid, "test": corpus.text.test}
    parts = [
        f"{len(text):,} {name}"
        for name, text in texts.items()
        if text is not None and sizes[name] is not None
    ]
    whole = "no sentence" if corpus.text.valid.documents is None else "no document"
    yield (
        f"{' and '.join(parts)} pairs are held out from the training text "
        f"(data.split_seed={held_out.seed}); {whole} of that text is in two parts"
    )


def _check_models(tokenizer: TokenizerConfig) -> None:
    for key in ("model", "target_model"):
        name = getattr(tokenizer, key)
        if name is not None and not os.path.isfile(user_path(name)):
            raise UserError(
                f"tokenizer.{key} names no existing SentencePiece model: {no_file(name)}"
            )


def _tokenizer_settings(config: Config) -> TokenizerConfig:
    """Return the run's own tokenizer settings, or those that reuse another run's tokenizers."""
    training = config.training
    if training.init_from is None and training.distillation.teacher is None:
        return config.tokenizer
    # Imported here, because it loads torch.
    from nmt.run.other_runs.tokenizer_reuse import tokenizer_settings

    return tokenizer_settings(config)


def _split_tags(config: Config, corpus: PreparedCorpus) -> Iterator[str]:
    """Yield a warning for each language tag that is not a single piece."""
    tokenizer = corpus.tokenizers.source
    for tag in sorted(source_tags(config.data)):
        if tag not in tokenizer.symbols:
            yield (
                f"warning: the tokenizer splits the tag {tag} into "
                f"{len(tokenizer.encode(tag))} pieces; "
                "to make it a single piece, add it to tokenizer.symbols: "
                f"\"tokenizer.symbols=['{tag}']\""
            )


def _cost(config: Config, corpus: PreparedCorpus, shapes: BatchShapes) -> str:
    """Return the cost of an epoch in one line of text."""
    if shapes is BatchShapes.PADDED:
        cost = UpdateBatches.of_config(corpus.train, config).cost()
    else:
        from nmt.training.passes.batch_shapes import build_batches  # imported here: it loads torch

        cost = build_batches(shapes, corpus.train, config).cost()
    return (
        f"an epoch: {cost.updates:,} updates of at most {config.training.batch_tokens:,} target "
        f"tokens, {cost.padding_share:.1%} padding, {cost.describe_largest()}"
    )
