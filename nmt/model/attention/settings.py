"""What the settings of all attention kinds of an RNN decoder share.

Each kind has one file with its formula and, below it, its settings, whose ``build`` makes it.
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
    """An attention with what the decoder around it has to know.

    Attributes:
        attention: The module; None: there is no attention, and the decoder gets the encoder's
            summary at every step.
        context_size: Size of the contexts that it returns.
        coverage: Sum of earlier attention weights that enters the scores; None: none does.
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
    """Settings of an attention kind, which build it; dropout on weights is the decoder's."""

    @abstractmethod
    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention of decoder states of ``query_size`` over encoder states."""

    @abstractmethod
    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the scores for the sizes that `build` takes."""


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
