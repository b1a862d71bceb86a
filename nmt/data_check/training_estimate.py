"""Estimates the pieces, unknown pieces, updates and bytes of training on the kept pairs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.locations import Location
from nmt.data.pair_outlines import SIDES
from nmt.data_check.changed_characters import changed_character_findings
from nmt.data_check.check_report import Finding, Severity
from nmt.data_check.check_settings import CheckSettings
from nmt.data_check.even_sample import EvenSample
from nmt.data_check.read_split import ReadSplit
from nmt.data_check.token_statistics import cost_of_lengths, count_pieces, side_tokens
from nmt.data_check.vocabulary_findings import (
    fitting_vocabulary,
    unknown_findings,
    vocabulary_findings,
)
from nmt.errors import UserError
from nmt.text.tokenizer import Tokenizer, TokenizerPair, train_tokenizers


@dataclass
class TrainingEstimate:
    """The estimate for a corpus.

    Attributes:
        tokens: Statistics of pieces by side; None without a tokenizer.
        cost: Updates, padding and bytes of an epoch; None without a tokenizer.
        too_long: Number of training pairs with too many pieces.
        findings: Findings about the vocabulary and unknown pieces.
    """

    tokens: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    too_long: int = 0
    findings: list[Finding] = field(default_factory=list)


def estimate_training(splits: Mapping[str, ReadSplit], settings: CheckSettings) -> TrainingEstimate:
    """Train the tokenizers on the training sample, and encode the samples of all splits."""
    estimate = TrainingEstimate()
    tokenizers = _train_tokenizers(splits["train"], settings, estimate)
    if tokenizers is None:
        return estimate
    sample = splits["train"].sample
    scale = sample.seen / len(sample)
    lengths, tokens = [], {}
    for side in SIDES:
        tokenizer, texts = getattr(tokenizers, side), sample.side(side)
        counts = count_pieces(tokenizer, texts)
        unknown, found = _unknown_pieces(side, tokenizer, splits)
        estimate.findings += found
        words = sum(len(text.split()) for text in texts)
        unknown = counts.unknown_share if unknown is None else unknown
        tokens[side] = side_tokens(len(tokenizer), counts.lengths, words, unknown, scale=scale)
        lengths.append(counts.lengths)
    target = splits["train"].inspection.side("target").beyond_ascii
    estimate.findings += changed_character_findings(
        tokenizers.target, target, settings.languages[1]
    )
    fits = np.maximum(*lengths) <= settings.max_length
    estimate.tokens = tokens
    estimate.too_long = round(scale * int((~fits).sum()))
    estimate.cost = cost_of_lengths(
        lengths[0][fits],
        lengths[1][fits],
        settings.batch_tokens,
        settings.accumulation,
        vocabulary=max(len(tokenizers.source), len(tokenizers.target)),
        scale=scale,
        shuffle_buffer=settings.shuffle_buffer,
    )
    return estimate


def _train_tokenizers(
    train: ReadSplit, settings: CheckSettings, estimate: TrainingEstimate
) -> TokenizerPair | None:
    """Train the tokenizers; if that fails, add findings to ``estimate`` and return None."""
    config, sample = settings.tokenizer, train.sample
    if config is None or not len(sample):
        return None
    sides = sample.sources, sample.targets
    files = [Location(train.inspection.outline.location(0, side).file, None) for side in SIDES]
    if settings.any_vocabulary:
        config = replace(config, vocab_size=fitting_vocabulary(config, sides))
    else:
        whole = sample.seen == len(sample)
        estimate.findings += vocabulary_findings(config, sides, files, whole=whole)
    if any(finding.severity == Severity.ERROR for finding in estimate.findings):
        return None
    try:
        return train_tokenizers(config, *sides)
    except UserError as error:
        most = re.search(r"set it to (\d+) or less", str(error))
        if settings.any_vocabulary and most:
            return train_tokenizers(replace(config, vocab_size=int(most[1])), *sides)
        if not settings.any_vocabulary:
            estimate.findings.append(_training_failed(str(error), config, files))
        return None


def _training_failed(error: str, config: TokenizerConfig, files: list[Location]) -> Finding:
    rules = {"more than": "vocabulary_too_large", "too small": "vocabulary_too_small"}
    rule = next((rule for words, rule in rules.items() if words in error), "tokenizer")
    message, _, remedy = error.partition(": ")
    message = f"{message} ({files[0]} and {files[1]})"
    remedy = re.sub(r"set it to", "set tokenizer.vocab_size to", remedy) or "choose another size"
    size = config.vocab_size
    return Finding(rule, Severity.ERROR, "train", None, size, files, message, remedy)


def _unknown_pieces(
    side: str, tokenizer: Tokenizer, splits: Mapping[str, ReadSplit]
) -> tuple[float | None, list[Finding]]:
    """Return the share of unknown pieces in validation and test, and findings about them."""
    found: list[Finding] = []
    unknown = pieces = 0
    for split, sample in _held_out(splits):
        counts = count_pieces(tokenizer, sample.side(side))
        locations = [sample.location(i, side) for i in counts.with_unknown]
        found += unknown_findings(split, side, counts, locations)
        unknown, pieces = unknown + counts.unknown, pieces + int(counts.lengths.sum())
    return (unknown / pieces if pieces else None), found


def _held_out(splits: Mapping[str, ReadSplit]) -> Iterator[tuple[str, EvenSample]]:
    for split in ("valid", "test"):
        if split in splits:
            yield split, splits[split].sample
