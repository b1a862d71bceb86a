"""How many layers of ``depth=adaptive`` the tokens of a text pass."""

from dataclasses import dataclass, field

from torch import Tensor

from nmt.model.adaptive_depth import DepthUse


@dataclass
class LearnedDepths:
    """Counts of tokens, added up over batches.

    Attributes:
        passed: By side, the number of tokens that passed each layer, from the first on.
    """

    passed: dict[str, list[int]] = field(default_factory=dict)

    def add(self, side: str, use: DepthUse | None, real: Tensor) -> None:
        """Add the depths of the tokens of a batch.

        Args:
            side: ``encoder`` or ``decoder``.
            use: The layers that each token passed, [B, T]; None: the depth is not adaptive.
            real: [B, T] bool, False at padding.
        """
        if use is None:
            return
        counts = [int(((use.layers >= n) & real).sum()) for n in range(1, use.num_layers + 1)]
        before = self.passed.get(side, [0] * use.num_layers)
        self.passed[side] = [one + other for one, other in zip(before, counts, strict=True)]

    def scalars(self) -> dict[str, float]:
        """Return the mean number of layers of a token, and the share of tokens that pass layer N.

        The names are ``depth/SIDE/layers`` and ``depth/SIDE/layer-N/share``, N from 2 on.
        """
        found: dict[str, float] = {}
        for side, passed in self.passed.items():
            tokens = max(1, passed[0])
            found[f"depth/{side}/layers"] = sum(passed) / tokens
            for number, count in enumerate(passed[1:], start=2):
                found[f"depth/{side}/layer-{number}/share"] = count / tokens
        return found

    @classmethod
    def joined(cls, parts: "list[LearnedDepths]") -> "LearnedDepths":
        """Return the sums of several processes."""
        whole = cls()
        for part in parts:
            for side, counts in part.passed.items():
                before = whole.passed.get(side, [0] * len(counts))
                whole.passed[side] = [a + b for a, b in zip(before, counts, strict=True)]
        return whole
