"""Records of the choices of each step, from which the hypotheses are read after the search.

Each record has the new piece of a beam, and the previous beam that it extends. A hypothesis is the
path from its last record back to the first step. No step copies the pieces or the attention weights
of earlier steps.

Legend: B sentences of the batch, A sentences in the search, N beams, M beams before a step (1
before the first step, then N), T steps, L layers with attention, H heads, S source length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.decoding.hypothesis import Hypothesis, ranking_score

_PIECE, _PARENT, _ENDED_BEAM = range(3)


@dataclass(frozen=True)
class Choices:
    """The choices of a step for the N beams of A sentences; all tensors are [A, N].

    Attributes:
        pieces: The last piece of each live hypothesis.
        parents: The beam before the step that each live hypothesis extends.
        ended: Log-probability, EOS included, of each hypothesis that ended in this step; -inf: no
            hypothesis ended.
        ended_beams: The beam before the step that each ended hypothesis extends.
        ended_penalties: Score minus log-probability of each ended hypothesis; None: 0.
    """

    pieces: Tensor
    parents: Tensor
    ended: Tensor
    ended_beams: Tensor
    ended_penalties: Tensor | None = None


@dataclass(frozen=True)
class History:
    """The choices of all steps, on the device of the search.

    Attributes:
        links: [T, B, N, 3], pieces, parents and ended beams; see `Choices`.
        ended: [T, B, N], see `Choices`.
        penalties: [T, B, N], ended penalties, see `Choices`; None: 0.
    """

    links: Tensor
    ended: Tensor
    penalties: Tensor | None = None

    @classmethod
    def empty(
        cls, like: Tensor, steps: int, batch: int, beams: int, *, penalties: bool = False
    ) -> "History":
        """Return buffers for T = ``steps``; log-probabilities have the dtype of ``like``."""
        shape = steps, batch, beams
        links = torch.zeros(*shape, 3, dtype=torch.long, device=like.device)
        ended = like.new_full(shape, float("-inf"))
        return cls(links, ended, like.new_zeros(shape) if penalties else None)

    def record(self, step: Tensor, sentences: Tensor, choices: Choices) -> None:
        """Write the choices of a step [1] for the sentences [A] of the batch, in place."""
        links = torch.stack([choices.pieces, choices.parents, choices.ended_beams], dim=-1)
        self.links.index_put_((step, sentences), links)
        self.ended.index_put_((step, sentences), choices.ended)
        if self.penalties is not None and choices.ended_penalties is not None:
            self.penalties.index_put_((step, sentences), choices.ended_penalties)

    def read(self, steps: int) -> list[list["Path"]]:
        """Return the ended hypotheses of each sentence in the order in which they ended.

        The host reads two tensors of the first ``steps`` steps, or three if there are penalties.
        """
        links = self.links[:steps].cpu().numpy()
        ended = self.ended[:steps].cpu().numpy()
        penalties = (
            np.zeros_like(ended) if self.penalties is None else self.penalties[:steps].cpu().numpy()
        )
        sentences, ends, ranks = np.nonzero(ended.transpose(1, 0, 2) > float("-inf"))
        beams = links[ends, sentences, ranks, _ENDED_BEAM]
        pieces = np.zeros((len(ends), steps), dtype=np.int64)
        rows = np.zeros_like(pieces)
        for step in range(steps - 1, -1, -1):
            chosen = links[step, sentences, beams]
            pieces[:, step] = chosen[:, _PIECE]
            beams = rows[:, step] = np.where(step < ends, chosen[:, _PARENT], beams)
        paths: list[list[Path]] = [[] for _ in range(ended.shape[1])]
        for index, (sentence, end) in enumerate(zip(sentences, ends, strict=True)):
            at = end, sentence, ranks[index]
            ids, beams_of_path = pieces[index, :end].tolist(), rows[index, : end + 1].tolist()
            path = Path(ids, float(ended[at]), beams_of_path, float(penalties[at]))
            paths[sentence].append(path)
        return paths


@dataclass(frozen=True)
class Path:
    """An ended hypothesis.

    Attributes:
        ids: The pieces, without BOS and EOS.
        log_prob: The log-probability, EOS included.
        beams: The beam that the hypothesis extended in each step, the step of EOS included.
        penalty: The score minus the log-probability, before normalization by length.
    """

    ids: list[int]
    log_prob: float
    beams: list[int]
    penalty: float = 0.0

    def hypothesis(
        self, options: DecodingConfig, covering: Tensor | None, limit: int
    ) -> Hypothesis:
        """Return the hypothesis with its score, without attention weights.

        Args:
            options: The penalties of the score.
            covering: The weights of `nmt.decoding.hypothesis.coverage_penalty`; None: no penalty.
            limit: The greatest number of target pieces, EOS included.
        """
        total, length = self.log_prob + self.penalty, len(self.ids) + 1
        value = ranking_score(total, length, covering, options)
        return Hypothesis(self.ids, self.log_prob, value, None, at_limit=length >= limit)


@dataclass
class WeightsHistory:
    """The attention weights of all steps.

    Attributes:
        steps: For each step, the weights [A, M, L, H, S], and the row of each sentence in them.
    """

    steps: list[tuple[Tensor, dict[int, int]]] = field(default_factory=list)

    def add(self, weights: Tensor | None, sentences: Sequence[int]) -> None:
        """Add the weights [A · M, L, H, S] of a step; None: the model has no attention."""
        if weights is not None:
            rows = {sentence: row for row, sentence in enumerate(sentences)}
            self.steps.append((weights.unflatten(0, (len(rows), -1)), rows))

    def of(self, sentence: int, path: Path, columns: slice) -> Tensor | None:
        """Return the weights of a path for these source columns, [L, H, T, columns]."""
        if not self.steps:
            return None
        steps = zip(self.steps, path.beams, strict=False)
        chosen = [weights[rows[sentence], beam] for (weights, rows), beam in steps]
        return torch.stack(chosen, dim=2)[..., columns]
