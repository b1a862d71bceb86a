"""Coverage: the sum of earlier attention weights, as an input of the scores.

Legend: B batch, T queries, S source length, M size of an encoder state, A size of the score's tanh.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from torch import Tensor, nn

from nmt.config.setting import setting
from nmt.kernels.precision import at_least_float32
from nmt.model.beams import parent_rows

GREATEST_FERTILITY = 2.0
"""N of Tu et al. 2016, section 3.1.1: the most target pieces that a source piece can yield."""


class CoverageKind(StrEnum):
    """How earlier attention weights enter the scores."""

    NONE = "none"
    SUM = "sum"
    FERTILITY = "fertility"


def coverage_setting() -> Any:
    """Return the declaration of the setting ``coverage`` of the additive scores."""
    return setting(
        CoverageKind.NONE,
        "How the scores depend on earlier attention weights: not at all (none), on their sum (sum, "
        "See et al. 2017), or on their sum over a predicted fertility (fertility, Tu et al. 2016).",
        choices=CoverageKind,
        before=CoverageKind.NONE,
    )


@dataclass(frozen=True)
class CoverageState:
    """The sums of the attention weights of all steps so far.

    Attributes:
        attended: [B, T, S], the sums, each divided by the fertility of its source piece.
        fertility: [B, 1, S], expected number of target pieces per source piece; None: 1.
    """

    attended: Tensor
    fertility: Tensor | None

    def select(self, rows: Tensor) -> "CoverageState":
        """Return the state of these sentences."""
        fertility = None if self.fertility is None else self.fertility.index_select(0, rows)
        return CoverageState(self.attended.index_select(0, rows), fertility)

    def reorder(self, parents: Tensor) -> "CoverageState":
        """Return the state of the beams ``parents`` [B, N] of each sentence; beams are queries."""
        rows = parent_rows(parents, self.attended.size(1))
        attended = self.attended.flatten(0, 1)[rows].unflatten(0, parents.shape)
        return replace(self, attended=attended)


class Coverage(nn.Module):
    """A vector per source piece, projected from the attention that the piece has received.

    It is the sum of the weights (See et al. 2017, eq. 10), or the sum divided by a fertility that
    is predicted from the encoder state, N · sigmoid(U h_j) (Tu et al. 2016, section 3.1.1).
    """

    def __init__(self, memory_size: int, score_size: int, *, fertile: bool) -> None:
        """Project coverage to A = ``score_size``; ``fertile``: predict fertilities from states."""
        super().__init__()
        self.projection = nn.Linear(1, score_size, bias=False)
        self.fertility = nn.Linear(memory_size, 1, bias=False) if fertile else None

    def start(self, states: Tensor, mask: Tensor) -> CoverageState:
        """Return the state before the first step, for encoder states [B, S, M]."""
        none = at_least_float32(states.new_zeros(len(mask), 1, mask.size(1)))
        if self.fertility is None:
            return CoverageState(none, None)
        share: Tensor = self.fertility(states).transpose(1, 2).type_as(none).sigmoid()
        return CoverageState(none, GREATEST_FERTILITY * share)

    def forward(self, state: CoverageState) -> Tensor:
        """Return the term [B, T, S, A] that is added to the keys inside the tanh."""
        term: Tensor = self.projection(state.attended[..., None])
        return term

    def advance(self, state: CoverageState, weights: Tensor) -> CoverageState:
        """Add the weights [B, T, S] of a step."""
        weights = weights if state.fertility is None else weights / state.fertility
        return replace(state, attended=state.attended + weights)


def build_coverage(kind: CoverageKind, memory_size: int, score_size: int) -> Coverage | None:
    """Build the coverage of encoder states of ``memory_size``; None: no coverage."""
    if kind == CoverageKind.NONE:
        return None
    return Coverage(memory_size, score_size, fertile=kind == CoverageKind.FERTILITY)
