"""The flags --layer, --head, --shift and --threshold: which attention a command reads, and how."""

from dataclasses import dataclass, replace

from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.evaluation.alignment_extractor import AlignmentExtractor, default_extractor


@dataclass(frozen=True)
class ReadingFlags:
    """The flags as they were given; None keeps the run's own reading."""

    layer: int | None
    head: str | None
    shift: bool | None
    threshold: float | None = None

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self != ReadingFlags(None, None, None)

    def check(self) -> None:
        """Refuse a head that is neither a number nor the word mean, and a threshold out of range.

        Raises:
            UserError: It is.
        """
        self._read_head()
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UserError(f"--threshold is {self.threshold}; it must be above 0 and at most 1")

    def resolve(self, config: Config, layers: int, heads: int) -> AlignmentExtractor:
        """Return what to read of a model with so many layers and heads.

        Raises:
            UserError: There is no such layer or head.
        """
        reading = default_extractor(config, layers)
        if self.layer is not None:
            reading = replace(reading, layer=self.layer)
        if self.head is not None:
            reading = replace(reading, head=self._read_head())
        if self.shift is not None:
            reading = replace(reading, shift=self.shift)
        if self.threshold is not None:
            reading = replace(reading, threshold=self.threshold)
        return reading.resolved(layers, heads)

    def _read_head(self) -> int | None:
        if self.head is None or self.head == "mean":
            return None
        try:
            return int(self.head)
        except ValueError:
            raise UserError(
                f"--head {self.head}: it must be a number from 0, or mean for the layer's average"
            ) from None
