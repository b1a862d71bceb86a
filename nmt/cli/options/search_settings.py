"""Options of commands that search; each changes the setting of ``decoding`` with its name."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from nmt.config.schema import LengthNormalization


@dataclass(frozen=True)
class SearchSettings:
    """The options as given; None keeps the setting of the run."""

    length_normalization: Annotated[
        LengthNormalization | None,
        typer.Option(
            help=(
                "Translations are ranked by their log-probability, divided by: gnmt: the penalty "
                "of Wu et al. 2016; average: the number of pieces; none: 1. [the run's setting]"
            )
        ),
    ] = None
    coverage_penalty: Annotated[
        float | None,
        typer.Option(
            help="Beta of Wu et al. 2016; higher values favor translations that attend to every "
            "source piece. [the run's setting]"
        ),
    ] = None
    min_length_ratio: Annotated[
        float | None,
        typer.Option(
            help="Shortest translation, in pieces per source piece; --min-length-extra is added. "
            "[the run's setting]"
        ),
    ] = None
    min_length_extra: Annotated[
        int | None,
        typer.Option(help="Pieces added to the shortest translation. [the run's setting]"),
    ] = None
    max_length_ratio: Annotated[
        float | None,
        typer.Option(
            help="Longest translation, in pieces per source piece; --max-length-extra is added. "
            "[the run's setting]"
        ),
    ] = None
    max_length_extra: Annotated[
        int | None,
        typer.Option(help="Pieces added to the longest translation. [the run's setting]"),
    ] = None
    no_repeat_ngram: Annotated[
        int | None,
        typer.Option(
            help=("Repeat no sequence of N pieces; 0: repetitions are allowed. [the run's setting]")
        ),
    ] = None
    repetition_penalty: Annotated[
        float | None,
        typer.Option(
            help="Factor of the log-probability of pieces that the translation already has: above "
            "1, repetitions are less likely; 1: no penalty. [the run's setting]"
        ),
    ] = None
    beam_groups: Annotated[
        int | None,
        typer.Option(
            help="Groups of diverse beam search, a divisor of the beam size; 1: none. [the run's "
            "setting]"
        ),
    ] = None
    diversity_strength: Annotated[
        float | None,
        typer.Option(
            help=(
                "With several --beam-groups: how strongly a group avoids the pieces of earlier "
                "groups. [the run's setting]"
            )
        ),
    ] = None

    def changes(self) -> dict[str, object]:
        """Return the values by the names of the settings."""
        return asdict(self)
