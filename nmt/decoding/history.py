"""Records the choices of each step of a search; the hypotheses are read from them at the end.

A hypothesis is the path from its last piece back to the first step: each piece records the beam
that it extended. No step copies the pieces or the attention weights of earlier steps.

Legend: B sentences of the batch, A sentences in the search, N beams, M beams before a step (N, or 1
before the first), T steps, L layers with attention, H heads, S source length.
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
    """What a step chose, for each of the N beams of A sentences, all [A, N].

    Attributes:
        pieces: The last piece of each live hypothesis.
        parents: The beam, before the step, that the hypothesis extends.
        ended: Log-probability of each hypothesis that ended in this step, EOS included; -inf where
            none did.
        ended_beams: The beam, before the step, that the ended hypothesis extends.
        ended_penalties: The part of its score that is not log-probability; None: there is none.
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
        ended: [T, B, N], -inf where no hypothesis ended.
        penalties: [T, B, N], of the hypotheses that ended; None: there are none.
    """

    links: Tensor
    ended: Tensor
    penalties: Tensor | None = None

    @classmethod
    def empty(
        cls, like: Tensor, steps: int, batch: int, beams: int, *, penalties: bool = False
    ) -> "History":
        """Return room for T = ``steps``, with the log-probabilities in the dtype of ``like``."""
        shape = steps, batch, beams
        links = torch.zeros(*shape, 3, dtype=torch.long, device=like.device)
        ended = like.new_full(shape, float("-inf"))
        return cls(links, ended, like.new_zeros(shape) if penalties else None)

    def record(self, step: Tensor, sentences: Tensor, choices: Choices) -> None:
        """Write the choices of a step, [1], for the sentences [A] of the batch, in place."""
        links = torch.stack([choices.pieces, choices.parents, choices.ended_beams], dim=-1)
        self.links.index_put_((step, sentences), links)
        self.ended.index_put_((step, sentences), choices.ended)
        if self.penalties is not None and choices.ended_penalties is not None:
            self.penalties.index_put_((step, sentences), choices.ended_penalties)

    def read(self, steps: int) -> list[list["Path"]]:
        """Return the ended hypotheses of each sentence in the order in which they ended.

        The host reads the device twice, for all of the first ``steps`` steps; a third time if there
        are penalties.
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
            place = end, sentence, ranks[index]
            ids, beams_of_path = pieces[index, :end].tolist(), rows[index, : end + 1].tolist()
            path = Path(ids, float(ended[place]), beams_of_path, float(penalties[place]))
            paths[sentence].append(path)
        return paths


@dataclass(frozen=True)
class Path:
    """An ended hypothesis.

    Attributes:
        ids: Its pieces, without BOS and EOS.
        log_prob: Its log-probability, EOS included.
        beams: The beam that it extended in each step, the step of EOS included.
        penalty: The part of its score that is not log-probability.
    """

    ids: list[int]
    log_prob: float
    beams: list[int]
    penalty: float = 0.0

    def hypothesis(self, options: DecodingConfig, weights: Tensor | None) -> Hypothesis:
        """Return the hypothesis with its score by the penalties of the options."""
        total = self.log_prob + self.penalty
        value = ranking_score(total, len(self.ids) + 1, weights, options)
        return Hypothesis(self.ids, self.log_prob, value, weights)


@dataclass
class WeightsHistory:
    """The attention weights of all steps.

    Attributes:
        steps: Of each step, the weights [A, M, L, H, S], and the place of each sentence in them.
    """

    steps: list[tuple[Tensor, dict[int, int]]] = field(default_factory=list)

    def add(self, weights: Tensor | None, sentences: Sequence[int]) -> None:
        """Add the weights [A · M, L, H, S] of a step; None: the model has none."""
        if weights is not None:
            places = {sentence: place for place, sentence in enumerate(sentences)}
            self.steps.append((weights.unflatten(0, (len(places), -1)), places))

    def of(self, sentence: int, path: Path, columns: slice) -> Tensor | None:
        """Return these columns of the weights of a path, [L, H, T, columns]."""
        if not self.steps:
            return None
        steps = zip(self.steps, path.beams, strict=False)
        rows = [weights[places[sentence], beam] for (weights, places), beam in steps]
        return torch.stack(rows, dim=2)[..., columns]
