"""The rows of hypotheses: the beams of a sentence are adjacent.

Legend: A sentences, N beams of each, M beams of each after a choice.
"""

import torch
from torch import Tensor


def parent_rows(parents: Tensor, beams: int) -> Tensor:
    """Return the rows [A · M], among A · N, of the beams ``parents`` [A, M] with N = ``beams``."""
    first = torch.arange(0, len(parents) * beams, beams, device=parents.device)
    return (first[:, None] + parents).flatten()


def sentence_rows(sentences: Tensor, beams: int) -> Tensor:
    """Return the rows [R · N] of all N = ``beams`` beams of the sentences [R]."""
    if beams == 1:
        return sentences
    return (sentences[:, None] * beams + torch.arange(beams, device=sentences.device)).flatten()
