"""The interface of engines, which translate sentences.

An engine is the search of this package, the search of another library, or several processes. The
commands use only this interface, so each engine supports every format of input and output.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from nmt.config.schema import Config, DecodingConfig
from nmt.decoding.batches import Advance
from nmt.decoding.constrained.constraints import ConstraintEncoder, Constraints
from nmt.decoding.sampling import Sampling
from nmt.text.tokenizer import TokenizerPair

if TYPE_CHECKING:
    from nmt.decoding.translator import Translation


class Engine(Protocol):
    """A loaded model that translates; `nmt.decoding.translator.Translator` is one.

    Attributes:
        tokenizers: The tokenizers of source and target.
        decoding: Settings of the search.
        constraints: Encodes constraints as pieces of the target.
        processes: Number of processes that translate at the same time.
    """

    tokenizers: TokenizerPair
    decoding: DecodingConfig
    constraints: ConstraintEncoder
    processes: int

    @property
    def attends(self) -> bool:
        """Whether hypotheses can have attention weights."""

    def translate(
        self,
        sentences: Sequence[str],
        *,
        need_weights: bool = False,
        sampling: Sampling | None = None,
        numbers: Sequence[int] | None = None,
        wanted: int | None = None,
        constraints: Sequence[Constraints] | None = None,
        advance: Advance = lambda done, share: None,
    ) -> "list[Translation]":
        """Translate sentences; see `nmt.decoding.translator.Translator.translate`."""

    def check_constraints(self, constraints: Sequence[Constraints]) -> None:
        """Check constraints before the first sentence is read.

        Raises:
            UserError: They contradict each other, the vocabulary, the settings or the engine.
        """

    def with_beam(self, size: int) -> "Engine":
        """Return an engine with the same model and this beam size.

        Raises:
            UserError: The beam size is out of range.
        """


Loaded = tuple[Sequence[Config], Engine]
"""The settings of each model, and the engine that translates with the models."""
