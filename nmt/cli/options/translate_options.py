"""The options of `nmt translate` that are checked together, before torch is loaded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options.common_options import BeamSize
from nmt.cli.translation.line_choices import LineErrors
from nmt.decoding.line_lengths import LongLines
from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.decoding.sampling import Sampling

MOST_SAMPLES = 1000
"""The greatest number of samples of --mbr, which compares all pairs of samples."""


@dataclass(frozen=True)
class TextOptions:
    """The input, the output, and the treatment of special lines.

    Attributes:
        sentences: The arguments; none: the lines of ``source``.
        source: The input file; None: standard input.
        output: The output file; None: standard output.
        errors: What happens at a faulty line.
        long_lines: What happens to a line that is longer than ``max_length``.
        max_length: Greatest number of pieces of an uncut line; None: as in training.
        attention: The picture to draw.
        features: Features of the lines.
    """

    sentences: Sequence[str]
    source: Path | None
    output: Path | None
    errors: LineErrors
    long_lines: LongLines
    max_length: int | None
    attention: Path | None
    features: Path | None = None

    def check(self) -> None:
        """Check the options, without a model.

        Raises:
            UserError: The options contradict each other, or an argument is a file.
        """
        if self.sentences and self.source is not None:
            raise UserError("give either sentences or --input FILE, not both")
        for sentence in self.sentences:
            if "\n" in sentence:
                raise UserError(
                    "a sentence contains a line break; give each line as a separate argument"
                )
            if os.path.isfile(sentence):
                raise UserError(
                    f"{sentence} is a file; to translate its lines: --input {sentence}; to "
                    "translate these characters, give them on standard input"
                )
        if self.attention is not None:
            _check_attention(self.sentences, self.attention)


@dataclass(frozen=True)
class SearchOptions:
    """The options of search and sampling; None selects the default."""

    beam_size: BeamSize = None
    n_best: Annotated[
        int,
        typer.Option(
            help="Number of different translations per sentence; above 1, each is printed as a "
            "line score<TAB>translation."
        ),
    ] = 1
    sample: Annotated[
        bool,
        typer.Option(
            "--sample", help="Sample translations from the model instead of searching for the best."
        ),
    ] = False
    temperature: Annotated[
        float | None,
        typer.Option(
            help="With --sample or --mbr: below 1 favors likely words, above 1 unlikely ones. [1]"
        ),
    ] = None
    top_k: Annotated[
        int | None,
        typer.Option(
            help="With --sample or --mbr: draw only from the K most likely pieces. [all pieces]"
        ),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            help="With --sample or --mbr: draw only from the most likely pieces with this "
            "probability in total, after --temperature and --top-k. [1: all pieces]"
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(help="With --sample or --mbr: the same seed gives the same translations. [1]"),
    ] = None
    mbr: Annotated[
        int | None,
        typer.Option(
            help="Draw N samples, and print the one with the greatest mean chrF against all of "
            "them; --temperature, --top-k, --top-p and --seed apply. [no sampling]"
        ),
    ] = None

    @property
    def samples(self) -> bool:
        """Whether translations are samples, or chosen from samples."""
        return self.sample or self.mbr is not None

    def check(self) -> None:
        """Check the options, without a model.

        Raises:
            UserError: An option is out of range, or has no effect.
        """
        if self.n_best < 1:
            raise UserError(f"--n-best is {self.n_best}; it must be at least 1")
        if self.samples and self.beam_size is not None:
            option = "--sample" if self.sample else "--mbr"
            raise UserError(f"{option} does not use a beam: leave out --beam-size")
        if self.mbr is not None:
            self._check_mbr(self.mbr)
        given = {
            "temperature": self.temperature,
            "top-k": self.top_k,
            "top-p": self.top_p,
            "seed": self.seed,
        }
        for name, value in given.items():
            if value is not None and not self.samples:
                raise UserError(f"--{name} {value} applies only to sampling: add --sample")

    def _check_mbr(self, samples: int) -> None:
        if not 1 <= samples <= MOST_SAMPLES:
            raise UserError(f"--mbr is {samples}; it must be from 1 to {MOST_SAMPLES:,}")
        if self.sample:
            raise UserError("--mbr draws the samples itself: leave out --sample")
        if self.n_best > samples:
            raise UserError(f"--n-best {self.n_best} exceeds the samples: add --mbr {self.n_best}")

    def sampling(self) -> "Sampling | None":
        """Return how to sample; None: search.

        Raises:
            UserError: An option is out of range.
        """
        from nmt.decoding.sampling import Sampling

        if not self.samples:
            return None
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=self.top_k,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=1 if self.seed is None else self.seed,
            count=self.n_best if self.mbr is None else self.mbr,
        ).checked()

    def check_beam(self, beam_size: int) -> None:
        """Refuse an n-best list that is longer than the beam.

        Raises:
            UserError: The list is longer.
        """
        if not self.samples and self.n_best > beam_size:
            raise UserError(
                f"--n-best {self.n_best} exceeds the beam size: add --beam-size {self.n_best}"
            )


def _check_attention(sentences: Sequence[str], path: Path) -> None:
    from nmt.reporting.heatmaps.rendering import FORMATS

    if len(sentences) != 1:
        raise UserError("--attention draws one sentence: give exactly one as an argument")
    if not sentences[0].strip():
        raise UserError("--attention: the sentence is blank, so there is nothing to draw")
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        formats = ", ".join(f".{name}" for name in FORMATS)
        raise UserError(f"--attention {path}: its suffix must be one of {formats}")
