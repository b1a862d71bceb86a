"""The options of `nmt translate` that are checked together, before torch is loaded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.line_choices import LineErrors
from nmt.decoding.line_lengths import LongLines
from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.decoding.sampling import Sampling


@dataclass(frozen=True)
class TextOptions:
    """What to translate, and where the translations go.

    Attributes:
        sentences: The arguments; none: the lines of ``source``.
        source: The input file; None: standard input.
        output: The output file; None: standard output.
        errors: What happens at a faulty line.
        long_lines: What happens to a line that is longer than ``max_length``.
        max_length: In pieces; None: as in training.
        attention: The picture to draw.
    """

    sentences: Sequence[str]
    source: Path | None
    output: Path | None
    errors: LineErrors
    long_lines: LongLines
    max_length: int | None
    attention: Path | None

    def check(self) -> None:
        """Check what needs no model.

        Raises:
            UserError: The options contradict each other, or an argument is a file.
        """
        if self.sentences and self.source is not None:
            raise UserError("give either sentences or --input FILE, not both")
        for sentence in self.sentences:
            if "\n" in sentence:
                raise UserError(
                    "a sentence contains a line break; give each line as an argument of its own"
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

    beam_size: int | None
    n_best: int
    sample: bool
    temperature: float | None
    top_k: int | None
    top_p: float | None
    seed: int | None

    def check(self) -> None:
        """Check what needs no model.

        Raises:
            UserError: An option is out of range, or has no effect.
        """
        if self.n_best < 1:
            raise UserError(f"--n-best is {self.n_best}; it must be at least 1")
        if self.sample and self.beam_size is not None:
            raise UserError("--sample does not use a beam: leave out --beam-size")
        given = {
            "temperature": self.temperature,
            "top-k": self.top_k,
            "top-p": self.top_p,
            "seed": self.seed,
        }
        for name, value in given.items():
            if value is not None and not self.sample:
                raise UserError(f"--{name} {value} applies only to sampling: add --sample")

    def sampling(self) -> "Sampling | None":
        """Return how to sample; None: search.

        Raises:
            UserError: An option is out of range.
        """
        from nmt.decoding.sampling import Sampling

        if not self.sample:
            return None
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=self.top_k,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=1 if self.seed is None else self.seed,
            count=self.n_best,
        ).checked()

    def check_beam(self, beam_size: int) -> None:
        """Refuse a list that is longer than the beam.

        Raises:
            UserError: It is.
        """
        if not self.sample and self.n_best > beam_size:
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
