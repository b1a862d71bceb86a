"""Base classes of the settings of an RNN decoder's attention.

Each kind has one file with its formula and its settings. ``build`` of the settings returns the
attention.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from nmt.config.model import AttentionConfig
from nmt.config.setting import setting
from nmt.model.attention.core import Attention
from nmt.model.attention.coverage import Coverage
from nmt.model.attention.window import Window, WindowKind, build_window


@dataclass(frozen=True)
class BuiltAttention:
    """An attention and the properties that the decoder uses.

    Attributes:
        attention: The module; None: no attention, so the decoder gets the encoder's summary at
            every step.
        context_size: Size of the contexts.
        coverage: Projects the sums of earlier weights for the scores; None: no coverage.
        maxout_size: Units of a maxout read-out; None: the read-out is a tanh layer.
    """

    attention: Attention | None
    context_size: int
    coverage: Coverage | None = None
    maxout_size: int | None = None


@dataclass(frozen=True)
class ScoreCost:
    """Multiply-adds of an attention's scores and projections, for `nmt bench`.

    The context and the window are not included.

    Attributes:
        per_source: For each source piece, once per sentence.
        per_target: For each target piece.
        per_pair: For each pair of a target and a source piece.
    """

    per_source: int = 0
    per_target: int = 0
    per_pair: int = 0


@dataclass(kw_only=True)
class BuildableAttentionConfig(AttentionConfig, ABC):
    """Settings that build an attention. Dropout on weights is a setting of the decoder."""

    @abstractmethod
    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build attention from decoder states of ``query_size`` to states of ``memory_size``."""

    @abstractmethod
    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the scores for these sizes; see `build`."""


@dataclass(kw_only=True)
class WindowedAttentionConfig(BuildableAttentionConfig):
    """Settings of an attention that may be limited to a window (Luong et al. 2015, section 3.2)."""

    window: str = setting(
        WindowKind.GLOBAL,
        "Source positions attended to: all (global), a window around the target's position "
        "(local_m), or a window around a predicted position (local_p).",
        choices=WindowKind,
        before=WindowKind.GLOBAL,
    )
    window_size: int = setting(
        10,
        "D: the window reaches this far to each side of its center.",
        unit="source positions",
        at_least=1,
        at_most=1_000_000,
        before=10,
    )

    def build_window(self, query_size: int) -> Window | None:
        """Build the window; None: all source positions are attended to."""
        return build_window(WindowKind(self.window), self.window_size, query_size)


@dataclass(kw_only=True)
class LuongAttentionConfig(WindowedAttentionConfig):
    """Settings of an attention after the state update (Luong et al. 2015, section 3)."""

    input_feeding: bool = setting(
        True, "Whether the attentional state of a step is an input of the next step (section 3.3)."
    )
