"""What training descends: label-smoothed cross-entropy, and losses on where the decoder looks.

Legend: N target pieces of a batch, O decoder output size, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.config.training_settings import GuidedAlignmentConfig
from nmt.data.batch import Batch
from nmt.model.attention_loss import coverage_loss, guided_alignment_loss
from nmt.model.interfaces import DecoderOutput
from nmt.model.linear import filled
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD

_CHUNK_ELEMENTS = 4_000_000  # logits in memory at a time, and as many probabilities
_CHUNK_ROWS = 16  # their number is a multiple


@dataclass(frozen=True)
class Loss:
    """Sums over a batch; divide by ``num_tokens`` of all that belongs together.

    Attributes:
        smoothed: Scalar, what training descends, in nats; the weighted extra losses are in it.
        negative_log_likelihood: Scalar without gradient, what perplexity is made of, in nats.
        num_tokens: Target pieces, EOS counted.
        extra: The extra losses that are on, by name, without their weights and without gradient.
    """

    smoothed: Tensor
    negative_log_likelihood: Tensor
    num_tokens: int
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def plus(self, name: str, cost: Tensor, weight: float) -> "Loss":
        """Return the loss with so much of an extra one, which is noted by its name."""
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
    """Read a batch and sum the loss of its target pieces; pads cost and weigh nothing.

    Args:
        model: Reads and predicts; its attention weights are asked for only where a loss needs them.
        batch: With given links, where they guide.
        label_smoothing: See `projected_cross_entropy`.
        guided: How `nmt.model.attention_loss.guided_alignment_loss` is added; weight 0: not.
        coverage_weight: How much of `nmt.model.attention_loss.coverage_loss` is added
            (lambda of See et al. 2017, eq. 13).
    """
    output = model(
        batch.source_ids,
        batch.source_mask,
        batch.target_input_ids,
        need_weights=reads_weights(guided, coverage_weight),
    )
    return output_loss(
        model, output, batch, label_smoothing, guided=guided, coverage_weight=coverage_weight
    )


def reads_weights(guided: GuidedAlignmentConfig | None, coverage_weight: float) -> bool:
    """Return whether these losses on attention need its weights."""
    return coverage_weight > 0 or (guided is not None and guided.weight > 0)


def output_loss(
    model: TranslationModel,
    output: DecoderOutput,
    batch: Batch,
    label_smoothing: float,
    *,
    guided: GuidedAlignmentConfig | None = None,
    coverage_weight: float = 0.0,
) -> Loss:
    """Sum the loss of what the model said of a batch; see `sequence_loss`."""
    loss = target_loss(model, output.hidden, batch, label_smoothing)
    if output.weights is None:
        return loss
    if guided is not None and guided.weight > 0:
        assert batch.alignment is not None
        cost = guided_alignment_loss(
            output.weights,
            batch.alignment,
            layer=guided.layer,
            head=guided.head,
            shift=guided.shift,
        )
        loss = loss.plus("guided_alignment_loss", cost, guided.weight)
    if coverage_weight > 0:
        cost = coverage_loss(output.weights, batch.target_output_ids != PAD)
        loss = loss.plus("coverage_loss", cost, coverage_weight)
    return loss


def target_loss(
    model: TranslationModel, hidden: Tensor, batch: Batch, label_smoothing: float
) -> Loss:
    """Sum the loss of a batch's target pieces, given the decoder's hidden vectors [B, T, O]."""
    real = batch.target_output_ids != PAD
    smoothed, exact = projected_cross_entropy(
        hidden[real], model.output.weight, batch.target_output_ids[real], label_smoothing
    )
    return Loss(smoothed, exact, batch.num_tokens)


def projected_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of ``hidden @ weight.T`` without ever holding all of it.

    The target distribution is (1 - e) on the target plus e / V everywhere (Szegedy et al. 2016,
    section 7). Logits are made a chunk at a time and normalised in one pass, in the autocast type;
    sums are float32. Gradients are made in the same pass, so the backward pass has nothing left to
    compute. What smoothing adds to them is the same for every piece, and is added once.

    Args:
        hidden: [N, O].
        weight: [V, O], the output layer's.
        targets: [N].
        label_smoothing: e.

    Returns:
        The smoothed sum, and the sum of the exact negative log-likelihood (no gradient), in nats.
        While learning in bfloat16, a piece's is rounded to 8 bits of its probability, or where
        that is over one half of what is missing to 1; without a gradient, as in validation, sums
        are those of the logits in float32. What a sum is divided by reaches the weight exactly,
        and the hidden vectors, too, where they are float32; bfloat16 ones get it rounded.
    """
    kind, device = hidden.dtype, hidden.device.type
    if torch.is_autocast_enabled(device):
        kind = torch.get_autocast_dtype(device)
    learning = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    smoothed, exact = _ProjectedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, targets, label_smoothing, kind, learning
    )
    return smoothed, exact


class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        smoothing: float,
        kind: torch.dtype,
        learning: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.kind, compute = hidden.dtype, weight.to(kind)
        centre = compute.mean(dim=0, dtype=torch.float32)  # its logit is the mean of all logits
        count, hidden = len(hidden), filled(hidden, kind)
        targets = functional.pad(targets, (0, len(hidden) - count))
        hidden_gradient = torch.empty_like(hidden) if learning else None
        weight_gradient = torch.zeros_like(weight) if learning else None
        smoothed = torch.zeros((), dtype=torch.float32, device=hidden.device)
        exact = torch.zeros_like(smoothed)
        rows = max(1, _CHUNK_ELEMENTS // len(weight) // _CHUNK_ROWS) * _CHUNK_ROWS
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(hidden), rows):
                part, goal = hidden[start : start + rows], targets[start : start + rows, None]
                real = max(0, count - start)  # rows behind them only fill up
                logits = part @ compute.T
                logits = logits if learning else logits.float()  # a score is told exactly
                error = logits.softmax(dim=1)
                likeliest = error.amax(dim=1, keepdim=True)
                _put(error, goal, error.new_zeros(len(goal), 1))
                others = error.sum(dim=1, keepdim=True)
                likelihood = _log_likelihood(logits, goal, likeliest, others)[:real]
                normaliser = logits.gather(1, goal).float()[:real] - likelihood
                uniform = (part[:real].float() @ centre)[:, None] - normaliser
                smoothed -= (1 - smoothing) * likelihood.sum() + smoothing * uniform.sum()
                exact -= likelihood.sum()
                if hidden_gradient is not None and weight_gradient is not None:
                    missing = likelihood.exp() - (1 - smoothing)
                    _put(error[:real], goal[:real], missing.to(kind))
                    error[real:] = 0
                    torch.mm(error, compute, out=hidden_gradient[start : start + rows])
                    weight_gradient += error.T @ part
                del logits, error  # before the next are made
            if smoothing and hidden_gradient is not None and weight_gradient is not None:
                hidden_gradient -= (smoothing * centre).to(kind)
                weight_gradient -= smoothing / len(weight) * hidden.sum(dim=0, dtype=torch.float32)
        kept = None if hidden_gradient is None else hidden_gradient[:count]
        ctx.save_for_backward(kept, weight_gradient)
        ctx.mark_non_differentiable(exact)
        return smoothed, exact

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        scaled = hidden_gradient.to(ctx.kind) * scale
        return scaled, weight_gradient * scale, None, None, None, None


def _log_likelihood(logits: Tensor, goal: Tensor, likeliest: Tensor, others: Tensor) -> Tensor:
    """Return the log-probability of each row's goal, [N, 1], float32.

    Few bits cannot tell a probability near 1, but well what is missing to it: the sum of all
    others'. A small one is told from the likeliest piece's, as it may be too small to be written.

    Args:
        logits: [N, V].
        goal: [N, 1].
        likeliest: [N, 1], the greatest probability of all pieces.
        others: [N, 1], the sum of the probabilities of all but the goal.
    """
    behind = logits.gather(1, goal).float() - logits.amax(dim=1, keepdim=True).float()
    sure = torch.log1p(-others.float())
    return torch.where(others < 0.5, sure, behind + likeliest.float().log())


def _put(values: Tensor, places: Tensor, new: Tensor) -> None:
    """Write new [N, 1] at one place [N, 1] of each row of values [N, V]."""
    rows = torch.arange(len(places), device=places.device)
    values[rows, places[:, 0]] = new[:, 0]  # scatter_ would copy all of them, twice
