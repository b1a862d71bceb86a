"""Trains a SentencePiece model, or reads one from a file."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import sentencepiece

from nmt.config.tokenizer_settings import Normalization, TokenizerConfig, TokenizerKind
from nmt.errors import UserError
from nmt.text.import_model import import_model
from nmt.text.model_file import without_rule_file
from nmt.text.normalization import normalization_rule
from nmt.text.special_tokens import BOS, EOS, PAD, UNK
from nmt.text.trainer_process import train_here, train_in_process
from nmt.text.vocabulary import MAX_SENTENCE_BYTES, bounds_of_words, count_words
from nmt.user_path import user_path

_LARGEST_MODEL = 1 << 26  # bytes; the largest published models have about 5 million
_QUICK = {TokenizerKind.UNIGRAM: 2_000}
"""Maximum distinct words for which SentencePiece finds the exact limit in about a second."""
_QUICK_OTHERWISE = 20_000
_SHORT = 200_000
"""Maximum characters of text on which SentencePiece trains in about a second."""


def given_model(file: str, symbols: Sequence[str]) -> bytes:
    """Read a SentencePiece model from a file, and give it nmt's special ids and these symbols.

    Raises:
        UserError: The file cannot be read, or is not a SentencePiece model.
    """
    path = user_path(file)
    try:
        if path.stat().st_size > _LARGEST_MODEL:
            raise UserError(f"{file} has {path.stat().st_size:,} bytes, too many for a tokenizer")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UserError(f"{file} is a device or a pipe, not the file of a tokenizer")
        model = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the tokenizer {file}: {error.strerror}") from error
    try:
        imported = import_model(model, symbols)
        sentencepiece.SentencePieceProcessor(model_proto=imported)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except (RuntimeError, OSError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file} is not a SentencePiece model: {reason}") from error
    return imported


def train_model(
    config: TokenizerConfig,
    sides: Sequence[Collection[str]],
    what: str,
    waiting: Callable[[], None] = lambda: None,
) -> bytes:
    """Train SentencePiece on the text of one side or both.

    Args:
        config: The settings of the tokenizer.
        sides: The sentences of each side.
        what: Name of the text for messages.
        waiting: Called 5 times per second if training takes long. If it raises, training stops.

    Raises:
        UserError: The text has too few pieces for ``tokenizer.vocab_size``.
    """
    words = count_words(chain.from_iterable(sides))
    _check_size(config, words, what)
    lines, form = _training_lines(config, sides, words)
    try:
        with normalization_rule(config.normalization) as rule:
            settings = _settings(config, rule) | {"input_format": form}
            if _characters(config, sides, words) <= _SHORT or not sys.executable:
                return without_rule_file(train_here(lines, settings))
            return without_rule_file(train_in_process(lines, settings, waiting))
    except RuntimeError as error:
        raise _explain(error, config, what) from error


def _settings(config: TokenizerConfig, rule: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of SentencePiece's trainer, except the text and its format."""
    symbols: dict[str, Any] = {}
    if config.symbols:
        symbols["user_defined_symbols"] = list(config.symbols)
    return dict(
        model_type=config.name,
        vocab_size=config.vocab_size,
        hard_vocab_limit=not _is_upper_bound(config),
        character_coverage=config.character_coverage,
        byte_fallback=config.byte_fallback,
        **{f"normalization_{key}": value for key, value in rule.items()},
        pad_id=PAD,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        max_sentence_length=MAX_SENTENCE_BYTES,
        num_threads=1,  # so that the same text gives the same model
        minloglevel=2,
        **symbols,
    )


def _characters(
    config: TokenizerConfig, sides: Sequence[Collection[str]], words: Counter[str]
) -> int:
    """Return the number of characters that determine the time of training."""
    text = sides if config.name == TokenizerKind.UNIGRAM else [words]
    return sum(map(len, chain.from_iterable(text)))


def _is_upper_bound(config: TokenizerConfig) -> bool:
    """Return whether ``vocab_size`` is an upper bound, not the exact number of pieces."""
    return config.name in (TokenizerKind.CHAR, TokenizerKind.WORD)


def _training_lines(
    config: TokenizerConfig, sides: Sequence[Collection[str]], words: Counter[str]
) -> tuple[Iterable[str], str]:
    """Return the lines to train on, and their format.

    Except for unigram, the model depends only on the words and their counts. Lines that contain a
    word and its count then save SentencePiece most of its work.
    """
    # The rule nmt_nfkc maps a tab to a space; the other rules keep it as a character.
    is_space = config.normalization == Normalization.NMT_NFKC
    countable = is_space or all("\t" not in word for word in words)
    if config.name == TokenizerKind.UNIGRAM or not countable:
        return chain.from_iterable(sides), "text"
    return _counted_lines(words), "tsv"


def _counted_lines(words: Counter[str]) -> Iterator[str]:
    for word, count in words.items():
        for part in word.split("\t"):
            yield f"{part}\t{count}"


def _check_size(config: TokenizerConfig, words: Counter[str], what: str) -> None:
    """Refuse an impossible vocabulary size before training, which may take an hour."""
    if not words:
        raise UserError(f"{what} has no words to train the tokenizer on")
    least, most = bounds_of_words(config, words)
    if config.vocab_size < least:
        raise _too_small(config, what, least)
    within = config.vocab_size <= most or _is_upper_bound(config)
    quick = _QUICK.get(TokenizerKind(config.name), _QUICK_OTHERWISE)
    if not within and len(words) > quick:  # for fewer words SentencePiece reports the exact limit
        raise _too_large(config, what, most)


def _too_large(config: TokenizerConfig, what: str, most: int) -> UserError:
    return UserError(
        f"tokenizer.vocab_size={config.vocab_size} is more than {what} can provide: "
        f"set it to {most} or less"
    )


def _too_small(config: TokenizerConfig, what: str, least: int) -> UserError:
    return UserError(
        f"tokenizer.vocab_size={config.vocab_size} is too small for the characters of {what}: "
        f"set it to {least} or more, or lower tokenizer.character_coverage"
    )


def _explain(error: RuntimeError, config: TokenizerConfig, what: str) -> UserError:
    message = str(error)
    if limit := re.search(r"value <= (\d+)", message):
        return _too_large(config, what, int(limit[1]))
    if need := re.search(r"smaller than required_chars\D*\d+ vs (\d+)", message):
        return _too_small(config, what, int(need[1]))
    return UserError(f"SentencePiece could not train on {what}: {' '.join(message.split())}")
