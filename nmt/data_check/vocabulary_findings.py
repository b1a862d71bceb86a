"""Findings about the vocabulary: impossible sizes, and unknown pieces."""

from collections.abc import Iterator, Sequence

from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.locations import Location
from nmt.data_check.check_report import Finding, Severity
from nmt.data_check.token_statistics import PieceCounts
from nmt.text.vocabulary import vocabulary_bounds

_EXACT = ("unigram", "bpe")  # for the other kinds, the configured size is a maximum
_MUCH_UNKNOWN = 0.005  # share of <unk> from which there is a finding


def fitting_vocabulary(config: TokenizerConfig, sides: Sequence[Sequence[str]]) -> int:
    """Return the configured size, or the nearest size that the texts of both sides allow."""
    texts = [[sentence for side in sides for sentence in side]] if config.joint else sides
    bounds = [vocabulary_bounds(config, text) for text in texts]
    least, most = max(low for low, _ in bounds), min(high for _, high in bounds)
    return max(least, min(config.vocab_size, most))


def vocabulary_findings(
    config: TokenizerConfig,
    sides: Sequence[Sequence[str]],
    files: Sequence[Location],
    *,
    whole: bool,
) -> Iterator[Finding]:
    """Yield a finding for each side whose text does not allow the configured size.

    Args:
        config: The settings of the tokenizer.
        sides: Training sentences of both sides.
        files: The file of each side.
        whole: Whether the sentences are the whole training text, and not a sample. A sample with
            too few pieces is only a warning.
    """
    if config.model is not None:
        return
    size = config.vocab_size
    both = [[sentence for side in sides for sentence in side]] if config.joint else sides
    names = ("both",) if config.joint else ("source", "target")
    for name, sentences, file in zip(names, both, files, strict=False):
        least, most = vocabulary_bounds(config, sentences)
        side = None if name == "both" else name
        text = f"{'both sides' if name == 'both' else f'the {name} side'} ({file})"
        if size > most and config.name in _EXACT:
            yield Finding(
                "vocabulary_too_large",
                Severity.ERROR if whole else Severity.WARNING,
                "train",
                side,
                size,
                [file],
                f"tokenizer.vocab_size={size:,} is more than the text of {text} can provide: "
                f"it has at most {most:,} different pieces{'' if whole else ' in a sample'}",
                f"set tokenizer.vocab_size={most} or less; 8,000 suits 100,000 pairs",
            )
        elif size < least:
            yield Finding(
                "vocabulary_too_small",
                Severity.ERROR,
                "train",
                side,
                size,
                [file],
                f"tokenizer.vocab_size={size:,} is too small for the characters of {text}: "
                f"these alone take {least:,} pieces",
                f"set tokenizer.vocab_size={least} or more, or lower "
                "tokenizer.character_coverage to 0.9995 (rare characters become <unk>)",
            )


def unknown_findings(
    split: str, side: str, counts: PieceCounts, locations: Sequence[Location]
) -> Iterator[Finding]:
    """Yield a finding if many pieces of a held-out text are unknown.

    Args:
        split: ``valid`` or ``test``.
        side: ``source`` or ``target``.
        counts: The pieces of that side.
        locations: The locations of the sentences ``counts.with_unknown``.
    """
    if counts.unknown_share > _MUCH_UNKNOWN:
        yield Finding(
            "unknown_pieces",
            Severity.WARNING,
            split,
            side,
            counts.unknown,
            list(locations),
            f"{counts.unknown:,} pieces ({counts.unknown_share:.1%}) of the {side} side are <unk>, "
            f"first {locations[0]}: characters or words that are missing from the training text",
            "set tokenizer.byte_fallback=true, or train on text that contains them",
        )
