"""What training will make of the pairs that it keeps: pieces, unknown ones, updates, bytes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nmt.config.data import FiltersConfig, TokenizerConfig
from nmt.data.locations import Place
from nmt.data_check.check_report import ERROR, Finding
from nmt.data_check.collected_faults import CollectedFaults
from nmt.data_check.even_sample import MOST_SAMPLED, EvenSample
from nmt.data_check.inspection import SIDES, Inspection
from nmt.data_check.token_statistics import (
    cost_of_lengths,
    count_pieces,
    fitting_vocabulary,
    side_tokens,
    unknown_findings,
    vocabulary_findings,
)
from nmt.errors import UserError
from nmt.text.tokenizer import Tokenizer, TokenizerPair, train_tokenizers


@dataclass(frozen=True)
class CheckSettings:
    """What a corpus is checked for.

    Attributes:
        name: What the corpus is called.
        languages: Codes of source and target.
        stop: Whether training is refused where the sides look shifted (``data.on_doubt``).
        filters: What training leaves out.
        max_length: Pieces a side of a training pair.
        tokenizer: How words are cut; None: tokens and cost are not looked at.
        batch_tokens: Target pieces of an update.
        accumulation: Batches of an update.
        any_vocabulary: Whether the vocabulary may be of another size where the text is too small.
    """

    name: str
    languages: tuple[str, str]
    stop: bool = True
    filters: FiltersConfig | None = None
    max_length: int = 128
    tokenizer: TokenizerConfig | None = None
    batch_tokens: int = 4096
    accumulation: int = 1
    any_vocabulary: bool = False


@dataclass
class Scanned:
    """One split, read to its end.

    Attributes:
        inspection: All of its pairs.
        faults: What is wrong with its files.
        sample: Pairs that training would keep, evenly spread.
    """

    inspection: Inspection = field(default_factory=Inspection)
    faults: CollectedFaults = field(default_factory=CollectedFaults)
    sample: EvenSample = field(default_factory=lambda: EvenSample(MOST_SAMPLED))


@dataclass
class Weighed:
    """What was found out; ``tokens`` and ``cost`` are None where there is no tokenizer."""

    tokens: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    too_long: int = 0
    findings: list[Finding] = field(default_factory=list)


def weigh(scanned: Mapping[str, Scanned], settings: CheckSettings) -> Weighed:
    """Train the tokenizer on a sample of the training pairs, and look at what it makes of all."""
    weighed = Weighed()
    tokenizers = _train(scanned["train"], settings, weighed)
    if tokenizers is None:
        return weighed
    sample = scanned["train"].sample
    scale = sample.seen / len(sample)
    lengths, tokens = [], {}
    for side in SIDES:
        tokenizer, texts = getattr(tokenizers, side), sample.side(side)
        counts = count_pieces(tokenizer, texts)
        share, found = _unknown(side, tokenizer, scanned)
        weighed.findings += found
        words = sum(len(text.split()) for text in texts)
        share = counts.unknown_share if share is None else share
        tokens[side] = side_tokens(len(tokenizer), counts.lengths, words, share, scale=scale)
        lengths.append(counts.lengths)
    fits = np.maximum(*lengths) <= settings.max_length
    weighed.tokens = tokens
    weighed.too_long = round(scale * int((~fits).sum()))
    budget = settings.batch_tokens, settings.accumulation
    vocabulary = max(len(tokenizers.source), len(tokenizers.target))
    weighed.cost = cost_of_lengths(
        lengths[0][fits], lengths[1][fits], *budget, vocabulary=vocabulary, scale=scale
    )
    return weighed


def _train(train: Scanned, settings: CheckSettings, weighed: Weighed) -> TokenizerPair | None:
    config, sample = settings.tokenizer, train.sample
    if config is None or not len(sample):
        return None
    sides = sample.sources, sample.targets
    places = [Place(train.inspection.place(0, side).file, None) for side in SIDES]
    if settings.any_vocabulary:
        config = replace(config, vocab_size=fitting_vocabulary(config, sides))
    else:
        whole = sample.seen == len(sample)
        weighed.findings += vocabulary_findings(config, sides, places, whole=whole)
    if any(finding.severity == ERROR for finding in weighed.findings):
        return None
    try:
        return train_tokenizers(config, *sides)
    except UserError as error:
        if not settings.any_vocabulary:
            weighed.findings.append(_untrainable(str(error), config, places))
        return None


def _untrainable(error: str, config: TokenizerConfig, places: list[Place]) -> Finding:
    rules = {"more than": "vocabulary_too_large", "too small": "vocabulary_too_small"}
    rule = next((rule for sign, rule in rules.items() if sign in error), "tokenizer")
    message, _, remedy = error.partition(": ")
    message = f"{message} ({places[0]} and {places[1]})"
    remedy = re.sub(r"set it to", "set tokenizer.vocab_size to", remedy) or "choose another size"
    return Finding(rule, ERROR, "train", None, config.vocab_size, places, message, remedy)


def _unknown(
    side: str, tokenizer: Tokenizer, scanned: Mapping[str, Scanned]
) -> tuple[float | None, list[Finding]]:
    """Return the share of unknown pieces of validation and test, and findings about them."""
    found: list[Finding] = []
    unknown = pieces = 0
    for split, sample in _held_out(scanned):
        counts = count_pieces(tokenizer, sample.side(side))
        places = [sample.place(i, side) for i in counts.with_unknown]
        found += unknown_findings(split, side, counts, places)
        unknown, pieces = unknown + counts.unknown, pieces + int(counts.lengths.sum())
    return (unknown / pieces if pieces else None), found


def _held_out(scanned: Mapping[str, Scanned]) -> Iterator[tuple[str, EvenSample]]:
    for split in ("valid", "test"):
        if split in scanned:
            yield split, scanned[split].sample
