"""The predictions of a model for a given translation and several sources of the same length.

Legend: B sources, S source pieces without EOS, T target pieces with EOS, L layers, H heads, V
vocabulary.
"""

from collections.abc import Sequence

from torch import Tensor

from nmt.data.batches.batch import Batch, collate
from nmt.model.seq2seq import TranslationModel

Pieces = Sequence[int]


def forced_batch(model: TranslationModel, sources: Sequence[Pieces], target: Pieces) -> Batch:
    """Return a batch, on the model's device, whose sources all have the same target."""
    batch = collate([list(s) for s in sources], [list(target)] * len(sources))
    return batch.to(model.output.weight.device)


def forced_prediction(
    model: TranslationModel, sources: Sequence[Pieces], target: Pieces
) -> tuple[Tensor, Tensor]:
    """Return attention weights [B, L, H, T, S + 1] and log-probabilities [B, T, V].

    Args:
        model: In evaluation mode.
        sources: B lists of S piece ids each, without EOS.
        target: Piece ids, without BOS and EOS.
    """
    batch = forced_batch(model, sources, target)
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids, need_weights=True)
    assert output.weights is not None
    assert output.weights.size(-1) == batch.source_mask.sum(1).min()  # no padding is permuted
    return output.weights, model.predictions(output).log_softmax(-1)


def of_target(log_probs: Tensor, target_ids: Tensor) -> Tensor:
    """Select the log-probabilities [B, T] of the pieces ``target_ids`` [B, T] from [B, T, V]."""
    return log_probs.gather(-1, target_ids[..., None])[..., 0]
