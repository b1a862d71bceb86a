"""The training loss: label-smoothed cross-entropy, and losses on the decoder's attention.

Legend: B batch, T target length, O decoder output size.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from nmt.config.numbering import index_of
from nmt.config.recipe_settings import GuidedAlignmentConfig
from nmt.data.batches.batch import Batch
from nmt.kernels.prediction.cross_entropy import projected_cross_entropy
from nmt.kernels.prediction.mixture_cross_entropy import projected_mixture_cross_entropy
from nmt.model.interfaces import DecoderOutput
from nmt.model.losses.attention_loss import coverage_loss, guided_alignment_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD


@dataclass(frozen=True)
class Loss:
    """Sums over a batch; divide by the sum of ``num_tokens`` over all batches of an update.

    Attributes:
        smoothed: Scalar in nats, which training minimizes; includes the weighted extra losses.
        negative_log_likelihood: Scalar in nats without gradient, for the perplexity.
        num_tokens: Number of target pieces, EOS included.
        extra: The active extra losses, by name, unweighted and without gradient.
    """

    smoothed: Tensor
    negative_log_likelihood: Tensor
    num_tokens: int
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def plus(self, name: str, cost: Tensor, weight: float) -> "Loss":
        """Return the loss plus ``weight`` times an extra loss, which ``extra`` records by name."""
        smoothed = self.smoothed + weight * cost
        return replace(self, smoothed=smoothed, extra={**self.extra, name: cost.detach()})


def sequence_loss(
    model: TranslationModel,
    batch: Batch,
    label_smoothing: float,
    *,
    guided: GuidedAlignmentConfig | None = None,
    coverage_weight: float = 0.0,
) -> Loss:
    """Run the model on a batch and sum the loss of its target pieces, without padding.

    Args:
        model: It computes attention weights only if a loss needs them.
        batch: Guided alignment needs its links (``alignment``).
        label_smoothing: e of `nmt.kernels.prediction.cross_entropy.projected_cross_entropy`.
        guided: Settings of `nmt.model.losses.attention_loss.guided_alignment_loss`; weight 0: off.
        coverage_weight: Weight of `nmt.model.losses.attention_loss.coverage_loss` (lambda of See et
            al. 2017, eq. 13).
    """
    need_weights = needs_attention_weights(guided, coverage_weight)
    output = teacher_forced_output(model, batch, need_weights=need_weights)
    return output_loss(
        model, output, batch, label_smoothing, guided=guided, coverage_weight=coverage_weight
    )


def teacher_forced_output(
    model: TranslationModel, batch: Batch, *, need_weights: bool
) -> DecoderOutput:
    """Run the model on a batch; its inputs are the known targets (teacher forcing)."""
    output: DecoderOutput = model(
        batch.source_ids,
        batch.source_mask,
        batch.target_input_ids,
        need_weights=need_weights,
        source_lengths=batch.source_lengths,
        packing=batch.packing,
        regions=batch.regions,
    )
    return output


def needs_attention_weights(guided: GuidedAlignmentConfig | None, coverage_weight: float) -> bool:
    """Return whether a loss with these settings needs the attention weights."""
    return coverage_weight > 0 or (guided is not None and guided.weight > 0)


def output_loss(
    model: TranslationModel,
    output: DecoderOutput,
    batch: Batch,
    label_smoothing: float,
    *,
    guided: GuidedAlignmentConfig | None = None,
    coverage_weight: float = 0.0,
    target_weight: float = 1.0,
) -> Loss:
    """Sum the loss of the model's output for a batch; see `sequence_loss`.

    ``target_weight`` multiplies the cross-entropy of the targets, but no extra loss: each extra
    loss has a weight of its own.
    """
    loss = target_loss(model, output, batch, label_smoothing)
    if target_weight != 1:
        loss = replace(loss, smoothed=target_weight * loss.smoothed)
    if (penalty := model.penalty()) is not None:
        cost, weight = penalty
        loss = loss.plus("span_loss", cost * (batch.target_output_ids != PAD).sum(), weight)
    loss = _depth_losses(loss, output, batch)
    if output.weights is None:
        return loss
    if guided is not None and guided.weight > 0:
        assert batch.alignment is not None
        cost = guided_alignment_loss(
            output.weights[..., : batch.alignment.size(-1)],  # regions follow the pieces
            batch.alignment,
            layer=None if guided.layer is None else index_of(guided.layer),
            head=index_of(guided.head),
            shift=guided.shift,
        )
        loss = loss.plus("guided_alignment_loss", cost, guided.weight)
    if coverage_weight > 0:
        cost = coverage_loss(output.weights, batch.target_output_ids != PAD)
        loss = loss.plus("coverage_loss", cost, coverage_weight)
    return loss


def _depth_losses(loss: Loss, output: DecoderOutput, batch: Batch) -> Loss:
    """Add the ponder costs of source and target pieces."""
    real = batch.target_output_ids != PAD
    source = batch.source_mask & real.any(1, keepdim=True)  # filler rows have no target
    for name, use, pieces in (
        ("encoder_depth_loss", output.source_depth, source),
        ("decoder_depth_loss", output.depth, real),
    ):
        if use is not None:
            loss = loss.plus(name, (use.cost * pieces).sum(), use.price)
    return loss


def target_loss(
    model: TranslationModel, output: DecoderOutput, batch: Batch, label_smoothing: float
) -> Loss:
    """Sum the cross-entropy of the target pieces of a batch, given the output of the decoder.

    If the decoder copies (`nmt.model.pointer`), the loss of a piece y is

        -(1 - e) log P(y) - e · mean over all pieces w of log P_vocab(w)

    with e = ``label_smoothing``. Only P_vocab is smoothed. Most pieces are not in the source, so
    P(w) = p_gen P_vocab(w), and a smoothed P would have a high loss for every small p_gen.
    """
    hidden, weight = batch.at_targets(output.hidden), model.output.weight
    targets, ignores = model.decoder.expected(batch.targets()), batch.fixed_shape
    if output.copying is None:
        sums = projected_cross_entropy(hidden, weight, targets, label_smoothing, ignores=ignores)
    else:
        generates, copies = output.copying.log_shares()
        copied = copies + output.copying.log_copied(batch.target_output_ids)
        terms = batch.at_targets(generates), batch.at_targets(copied)
        sums = projected_mixture_cross_entropy(
            hidden, weight, targets, *terms, label_smoothing, ignores=ignores
        )
    return Loss(*sums, batch.num_tokens)
