"""What the tokenizer makes of a corpus, and what an epoch of it will cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.config.data import TokenizerConfig
from nmt.data.encoded import piece_type
from nmt.data.length_batches import LengthKeys, cut_lengths
from nmt.data.locations import SHOWN, Place
from nmt.data_check.check_report import ERROR, WARNING, Finding
from nmt.data_check.histograms import COUNT_EDGES, counted, rows_of_counts
from nmt.text.special_tokens import UNK
from nmt.text.tokenizer import Tokenizer
from nmt.text.vocabulary import vocabulary_bounds

Lengths = npt.NDArray[np.int64]

_EXACT = ("unigram", "bpe")  # of the others, the size asked for is only a limit
_MUCH_UNKNOWN = 0.005  # of the pieces


@dataclass(frozen=True)
class PieceCounts:
    """Sentences as pieces.

    Attributes:
        lengths: Pieces of each.
        unknown: How many are <unk>.
        with_unknown: The first sentences that have one.
    """

    lengths: Lengths
    unknown: int
    with_unknown: list[int]

    @property
    def unknown_share(self) -> float:
        """Unknown pieces of all."""
        return self.unknown / max(1, int(self.lengths.sum()))


def count_pieces(tokenizer: Tokenizer, sentences: Sequence[str]) -> PieceCounts:
    """Encode sentences and count, some thousand at a time."""
    lengths: list[int] = []
    places: list[int] = []
    unknown = 0
    for start in range(0, len(sentences), 10_000):
        for ids in tokenizer.encode_all(sentences[start : start + 10_000]):
            lengths.append(len(ids))
            if UNK in ids:
                unknown += ids.count(UNK)
                if len(places) < SHOWN:
                    places.append(len(lengths) - 1)
    return PieceCounts(np.asarray(lengths, dtype=np.int64), unknown, places)


def side_tokens(
    vocabulary: int, lengths: Lengths, words: int, unknown_share: float, *, scale: float = 1.0
) -> dict[str, Any]:
    """Return one side's part of the report's ``tokens``.

    Args:
        vocabulary: Pieces of the tokenizer.
        lengths: Pieces of each training sentence, or of a sample.
        words: Words of the same.
        unknown_share: Of the pieces of validation and test.
        scale: Training sentences for each one in the sample.
    """
    pieces = int(lengths.sum())
    histogram = rows_of_counts(counted(lengths, COUNT_EDGES), int(lengths.max(initial=0)))
    return {
        "vocabulary": vocabulary,
        "pieces": round(pieces * scale),
        "pieces_per_word": round(pieces / max(1, words), 3),
        "unknown_share": unknown_share,
        "pieces_histogram": [[low, high, round(count * scale)] for low, high, count in histogram],
    }


def cost_of_lengths(
    source: Lengths,
    target: Lengths,
    batch_tokens: int,
    accumulation: int,
    *,
    vocabulary: int,
    scale: float = 1.0,
) -> dict[str, Any] | None:
    """Return the report's ``cost``, from the pieces of each training pair or of a sample.

    Returns:
        None where there are no pairs.
    """
    if not len(source):
        return None
    keys = LengthKeys.of_lengths(source, target)
    found, counts = keys.count(np.arange(len(source)))
    sides = np.stack(keys.lengths(found), axis=1)
    cuts = cut_lengths(sides, counts, batch_tokens // accumulation)
    places = cuts.rows[:, None] * cuts.widths
    largest = int(places[:, 1].argmax())
    pairs = round(len(source) * scale)
    width = piece_type(vocabulary)().itemsize
    return {
        "batch_tokens": batch_tokens,
        "updates_per_epoch": max(1, round(len(cuts.rows) * scale / accumulation)),
        "padding_share": 1 - float((counts @ sides).sum() / places.sum()),
        "encoded_bytes": round(width * int(source.sum() + target.sum()) * scale) + 16 * (pairs + 1),
        "order_bytes": (4 if pairs < 1 << 32 else 8) * pairs,
        "largest_batch": [int(cuts.rows[largest]), int(cuts.widths[largest].max())],
    }


def fitting_vocabulary(config: TokenizerConfig, sides: Sequence[Sequence[str]]) -> int:
    """Return the size asked for, or the nearest that the sentences of both sides may give."""
    texts = [[sentence for side in sides for sentence in side]] if config.joint else sides
    bounds = [vocabulary_bounds(config, text) for text in texts]
    least, most = max(low for low, _ in bounds), min(high for _, high in bounds)
    return max(least, min(config.vocab_size, most))


def vocabulary_findings(
    config: TokenizerConfig, sides: Sequence[Sequence[str]], places: Sequence[Place], *, whole: bool
) -> Iterator[Finding]:
    """Yield that the text cannot give a vocabulary of the size asked for.

    Args:
        config: The tokenizer's settings.
        sides: Training sentences of both sides.
        places: Where each side's text begins.
        whole: Whether they are all that the tokenizer learns from; of a sample, that it gives too
            few pieces is only a warning.
    """
    if config.model is not None:
        return
    asked = config.vocab_size
    both = [[sentence for side in sides for sentence in side]] if config.joint else sides
    names = ("both",) if config.joint else ("source", "target")
    for name, sentences, place in zip(names, both, places, strict=False):
        least, most = vocabulary_bounds(config, sentences)
        side = None if name == "both" else name
        text = f"{'both sides' if name == 'both' else f'the {name} side'} ({place.file})"
        if asked > most and config.name in _EXACT:
            yield Finding(
                "vocabulary_too_large",
                ERROR if whole else WARNING,
                "train",
                side,
                asked,
                [place],
                f"tokenizer.vocab_size={asked:,} is more than the text of {text} can give: "
                f"it has at most {most:,} different pieces{'' if whole else ' in a sample'}",
                f"set tokenizer.vocab_size={most} or less; 8,000 suits 100,000 pairs",
            )
        elif asked < least:
            yield Finding(
                "vocabulary_too_small",
                ERROR,
                "train",
                side,
                asked,
                [place],
                f"tokenizer.vocab_size={asked:,} is too small for the characters of {text}: "
                f"they alone take {least:,} pieces",
                f"set tokenizer.vocab_size={least} or more, or lower "
                "tokenizer.character_coverage to 0.9995 (rare characters become <unk>)",
            )


def unknown_findings(
    split: str, side: str, counts: PieceCounts, places: Sequence[Place]
) -> Iterator[Finding]:
    """Yield that many pieces of a held-out text are unknown.

    Args:
        split: ``valid`` or ``test``.
        side: ``source`` or ``target``.
        counts: What was counted there.
        places: The sentences of ``counts.with_unknown``.
    """
    if counts.unknown_share > _MUCH_UNKNOWN:
        yield Finding(
            "unknown_pieces",
            WARNING,
            split,
            side,
            counts.unknown,
            list(places),
            f"{counts.unknown:,} pieces ({counts.unknown_share:.1%}) of the {side} side are <unk>, "
            f"first {places[0]}: characters or words that the training text lacks",
            "set tokenizer.byte_fallback=true, or train on text that has them",
        )
