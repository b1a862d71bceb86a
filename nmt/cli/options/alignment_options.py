"""The options --layer, --head, --shift and --threshold: how attention is read as an alignment."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.config.schema import Config
    from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor

Layer = Annotated[
    int | None,
    typer.Option(
        help=(
            "Decoder layer to read, from 1; a negative number counts from the end. [the guided "
            "layer, or the second to last]"
        )
    ),
]
Head = Annotated[
    str | None,
    typer.Option(
        help=(
            "Attention head of this layer, from 1, or 'mean' for the average of all heads. [the "
            "guided head, or mean]"
        )
    ),
]
Shift = Annotated[
    bool | None,
    typer.Option(
        "--shift/--no-shift",
        help=(
            "Give each target word the attention of the next step, in which the decoder reads this "
            "word. [as the guided head was trained, or no]"
        ),
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help=(
            "Also link source words whose weight is at least this share of the largest weight. "
            "[0.3 if guided, or 1: only the largest]"
        )
    ),
]


@dataclass(frozen=True)
class AlignmentOptions:
    """The options as given; None selects the default of the run."""

    layer: int | None
    head: str | None
    shift: bool | None
    threshold: float | None = None

    @property
    def given(self) -> bool:
        """Whether any option is given."""
        return self != AlignmentOptions(None, None, None)

    def check(self) -> None:
        """Check the options, without a model.

        Raises:
            UserError: The head is neither a number nor 'mean', or the threshold is out of range.
        """
        self._head_number()
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UserError(f"--threshold is {self.threshold}; it must be above 0 and at most 1")

    def resolve(self, config: "Config", layers: int, heads: int) -> "AlignmentExtractor":
        """Return how to read links from a model with this number of layers and heads.

        Raises:
            UserError: The layer or the head does not exist.
        """
        from nmt.config.numbering import index_of
        from nmt.evaluation.attention.alignment_extractor import default_extractor
        from nmt.evaluation.attention.attention_map import check_number

        extractor = default_extractor(config, layers)
        if self.layer is not None:
            check_number("layer", self.layer, layers)
            extractor = replace(extractor, layer=index_of(self.layer))
        if self.head is not None:
            extractor = replace(extractor, head=self.chosen_head(heads))
        if self.shift is not None:
            extractor = replace(extractor, shift=self.shift)
        if self.threshold is not None:
            extractor = replace(extractor, threshold=self.threshold)
        return extractor.resolved(layers, heads)

    def chosen_head(self, heads: int) -> int | None:
        """Return the index of the head; None: the mean of the heads.

        Raises:
            UserError: The head does not exist.
        """
        from nmt.config.numbering import index_of
        from nmt.evaluation.attention.attention_map import check_number

        head = self._head_number()
        if head is None:
            return None
        check_number("head", head, heads)
        return index_of(head)

    def _head_number(self) -> int | None:
        if self.head is None or self.head == "mean":
            return None
        try:
            return int(self.head)
        except ValueError:
            raise UserError(
                f"--head {self.head}: it must be a number from 1, or 'mean' for the average of the "
                "layer's heads"
            ) from None
