"""The first stage of every run, and all of `nmt prepare`: the corpus, said as it comes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt.config.data import TokenizerConfig
from nmt.config.schema import Config
from nmt.data.batching import UpdateBatches
from nmt.data.build_prepared import PreparationFeedback
from nmt.data.corpus import source_tags
from nmt.data.prepared_corpus import PreparedCorpus, prepare
from nmt.data_check.preparation_report import PreparationReporter
from nmt.errors import UserError
from nmt.reporting.console import Console


def prepare_corpus(config: Config, say: Console, interrupted: Callable[[], bool]) -> PreparedCorpus:
    """Read, check, filter and encode the corpus of a configuration, or find it in the cache.

    Args:
        config: Its data and tokenizer sections, and whether alignment is guided.
        say: Tells people what was found.
        interrupted: Asked after every part whether to stop.

    Raises:
        UserError: The corpus is at fault.
        KeyboardInterrupt: Someone asked to stop; nothing half done is left.
    """
    began = time.monotonic()
    _check_models(config.tokenizer)

    def progress(stage: str, done: int, total: int | None) -> None:
        say.progress(stage, done, total)
        if interrupted():
            raise KeyboardInterrupt

    corpus = prepare(
        config.data,
        _tokenizer_settings(config),
        PreparationReporter(config.data),
        with_links=config.training.guided_alignment.weight > 0,
        feedback=PreparationFeedback(progress, say),
    )
    data, tokenizers = config.data, corpus.tokenizers
    tested = 0 if corpus.text.test is None else len(corpus.text.test)
    for line in corpus.describe():
        say(line)
    say(
        f"corpus {data.name} {data.source_language}-{data.target_language}: "
        f"{len(corpus.train):,} training pairs, {len(corpus.text.valid):,} validation, "
        f"{tested:,} test"
    )
    say(
        f"tokenizer {config.tokenizer.model or config.tokenizer.name}, "
        f"{len(tokenizers.source):,} pieces"
        f"{'' if tokenizers.joint else f' and {len(tokenizers.target):,}'}; "
        f"{'found prepared' if corpus.from_cache else 'prepared'} "
        f"in {time.monotonic() - began:.1f} s"
    )
    for line in _split_tags(config, corpus):
        say(line)
    if config.training.batch_tokens:  # else it is found later, by trying
        say(_cost(config, corpus))
    return corpus


def _check_models(tokenizer: TokenizerConfig) -> None:
    for key in ("model", "target_model"):
        name = getattr(tokenizer, key)
        if name is not None and not Path(name).expanduser().is_file():
            raise UserError(
                f"tokenizer.{key}: there is no file {name}; put it back, or give a SentencePiece "
                "model that is there"
            )


def _tokenizer_settings(config: Config) -> TokenizerConfig:
    """Return the run's own settings, or those of the run that it starts or learns from."""
    training = config.training
    if training.init_from is None and training.distillation.teacher is None:
        return config.tokenizer
    from nmt.run.inheritance import tokenizer_settings  # only now: it loads torch

    return tokenizer_settings(config)


def _split_tags(config: Config, corpus: PreparedCorpus) -> Iterator[str]:
    """Yield a warning for every tag that is not one piece."""
    tokenizer = corpus.tokenizers.source
    for tag in sorted(source_tags(config.data)):
        if tag not in tokenizer.symbols:
            yield (
                f"warning: the tag {tag} is text to the tokenizer, {len(tokenizer.encode(tag))} "
                f"pieces; to make it one that is never split, add it to tokenizer.symbols: "
                f"\"tokenizer.symbols=['{tag}']\""
            )


def _cost(config: Config, corpus: PreparedCorpus) -> str:
    """Return what an epoch will take, in a line."""
    cost = UpdateBatches.of_config(corpus.train, config).cost()
    rows, width = cost.largest_batch
    return (
        f"an epoch: {cost.updates:,} updates of at most {config.training.batch_tokens:,} target "
        f"tokens, {cost.padding_share:.1%} padding, the largest batch {rows:,} sentences of {width}"
    )
