"""Reuses the tokenizers of another run for fine-tuning and distillation."""

from dataclasses import fields, replace

from nmt.checkpoint import Checkpoint, load_checkpoint
from nmt.config.schema import Config
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.config.training_settings import InitVocabulary
from nmt.data.content_hash import content_hash
from nmt.data.preparation.cache import cache_directory
from nmt.durable_file import atomic_write, remedy
from nmt.errors import UserError
from nmt.run.other_runs.referenced_runs import initial_checkpoint, referenced_checkpoint
from nmt.text.special_tokens import SENTENCE_BREAK
from nmt.text.tokenizer import Tokenizer, TokenizerPair
from nmt.text.train_model import given_model

_NOT_COMPARED = ("symbols", "sampling", "sample_size", "model", "target_model")
"""Tokenizer settings that may differ, or that have their own comparison."""


def tokenizer_settings(config: Config) -> TokenizerConfig:
    """Return the run's own tokenizer settings, or those that reuse the tokenizers of another run.

    Raises:
        UserError: The run's own settings contradict those of the other run.
    """
    training = config.training
    if training.init_from is not None:
        if training.init_vocabulary == InitVocabulary.NEW:
            return config.tokenizer
        key, remedy = "training.init_from", "training.init_vocabulary=new"
        file = initial_checkpoint(config)
    elif training.distillation.teacher is not None:
        key, remedy = "training.distillation.teacher", "training.distillation.teacher=null"
        file = referenced_checkpoint(training.distillation.teacher, key)
    else:
        return config.tokenizer
    old = load_checkpoint(file)
    _refuse_other_tokenizer(config.tokenizer, old, key, remedy)
    return reuse_tokenizers(config, config.tokenizer, old.tokenizers)


def reuse_tokenizers(
    config: Config, tokenizer: TokenizerConfig, pair: TokenizerPair
) -> TokenizerConfig:
    """Store tokenizers in the cache and return settings that name their files.

    Raises:
        UserError: The cache cannot be written.
    """
    source = _store(config, pair.source)
    target = None if pair.joint else _store(config, pair.target)
    return replace(tokenizer, model=source, target_model=target)


def _refuse_other_tokenizer(
    tokenizer: TokenizerConfig, old: Checkpoint, key: str, remedy: str
) -> None:
    before = old.config.tokenizer
    differing = [
        f"tokenizer.{name} is {getattr(tokenizer, name)} here and {getattr(before, name)} there"
        for name in (field.name for field in fields(TokenizerConfig))
        if name not in _NOT_COMPARED and getattr(tokenizer, name) != getattr(before, name)
    ]
    missing = [symbol for symbol in before.symbols if symbol not in tokenizer.symbols]
    if missing:
        differing.append(f"tokenizer.symbols lacks {', '.join(missing)}")
    for name, side in (("model", "source"), ("target_model", "target")):
        given = getattr(tokenizer, name)
        own: Tokenizer = getattr(old.tokenizers, side)
        if given is None:
            continue
        breaks = [SENTENCE_BREAK] if old.config.data.context_sentences else []
        other = Tokenizer(given_model(given, [*before.symbols, *breaks]))
        if other.pieces(range(len(other))) != own.pieces(range(len(own))):
            differing.append(f"tokenizer.{name}={given} is not its {side} tokenizer")
    if differing:
        raise UserError(
            f"the tokenizers of {key} are reused, but {'; '.join(differing)}: make them equal, "
            f"or set {remedy}"
        )


def _store(config: Config, tokenizer: Tokenizer) -> str:
    """Store a tokenizer model in the cache and return its path."""
    model = tokenizer.to_bytes()
    path = cache_directory(config.data) / "tokenizers" / f"{content_hash([model.hex()])}.model"
    try:
        if not path.exists() or path.read_bytes() != model:
            with atomic_write(path) as partial:
                partial.write_bytes(model)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; {remedy(error)}, or choose another "
            "data.cache_dir"
        ) from error
    return str(path)
