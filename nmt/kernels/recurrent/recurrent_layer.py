"""A layer of torch's GRU or LSTM over padded sentences.

The plain path packs the sentences and needs their lengths on the host. On a CPU, the fast path runs
each direction with `nmt.kernels.recurrent.recurrent_sequence`. On a GPU, it runs torch's kernel
over the padded sentences, once per direction. The backward direction reads each sentence in
reverse.

Legend: B batch, S source length, E input size, D = units · directions.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.linear.linear_layer import linear
from nmt.kernels.recurrent.recurrent_sequence import Step, run_sequence
from nmt.kernels.recurrent.torch_recurrent import torch_sequence


def plain_recurrent_layer(
    layer: nn.RNNBase, states: Tensor, mask: Tensor, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run the layer over packed sentences; see `recurrent_layer`."""
    lengths = (mask.sum(1) if lengths is None else lengths).cpu()  # FSDP moves them to the GPU
    packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
    packed, last = layer(packed)
    final = last[0] if isinstance(last, tuple) else last  # [directions, B, hidden size]
    states, _ = pad_packed_sequence(packed, batch_first=True, total_length=states.size(1))
    return states, torch.cat(list(final), dim=1)


def torch_recurrent_layer(layer: nn.RNNBase, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Run each direction with torch's kernel over padded sentences; see `recurrent_layer`.

    Padding follows the real pieces, so its states do not change theirs.
    """
    size = layer.hidden_size * (2 if layer.mode == "LSTM" else 1)
    first = states.new_zeros(len(states), size)
    final = (mask.sum(1, keepdim=True) - 1).clamp_min(0)[:, :, None]  # [B, 1, 1]
    directions, last = [], []
    for suffix in ("", "_reverse")[: 1 + layer.bidirectional]:
        weights = [
            getattr(layer, f"{name}_l0{suffix}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        inputs = reversed_sentences(states, mask) if suffix else states
        hidden = torch_sequence(layer.mode.lower(), inputs, first, weights)
        last.append(hidden.gather(1, final.expand(-1, -1, layer.hidden_size))[:, 0])
        directions.append(reversed_sentences(hidden, mask) if suffix else hidden)
    joined = torch.cat(directions, dim=2)
    return joined.masked_fill(~mask[:, :, None], 0.0), torch.cat(last, dim=1)


def reversed_sentences(states: Tensor, mask: Tensor) -> Tensor:
    """Reverse the real part of each row of states [B, S, D]; padding stays at the end."""
    positions = torch.arange(mask.size(1), device=mask.device)
    mirrored = mask.sum(1, keepdim=True) - 1 - positions  # [B, S], negative for padding
    order = torch.where(mask, mirrored, positions)
    return states.gather(1, order[:, :, None].expand_as(states))


def recurrent_layer(
    layer: nn.RNNBase,
    step: Step,
    states: Tensor,
    mask: Tensor,
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run one layer, in one or both directions.

    Args:
        layer: A `torch.nn.GRU` or `torch.nn.LSTM` of one layer, batch first.
        step: The formula of its cell.
        states: [B, S, E].
        mask: [B, S] bool, True for real pieces, which come first.
        lengths: [B] int64 on the CPU, the number of real pieces of each sentence; None: the plain
            path counts the mask, and the host waits for a GPU.

    Returns:
        States [B, S, D], 0 for padding, and the final h of each direction, [B, D].
    """
    match dispatch.recurrent_layer_path(states):
        case KernelPath.PLAIN:
            return plain_recurrent_layer(layer, states, mask, lengths)
        case KernelPath.TORCH:
            return torch_recurrent_layer(layer, states, mask)
    steps = states.transpose(0, 1)
    full = bool(mask.all())
    directions, last = [], []
    for suffix in ("", "_reverse")[: 1 + layer.bidirectional]:
        input_weight, input_bias, weight, bias = (
            _candidate_last(layer, getattr(layer, f"{name}_l0{suffix}"))
            for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        )
        gates = linear(steps, input_weight, input_bias)
        size = layer.hidden_size * (2 if layer.mode == "LSTM" else 1)
        hidden = run_sequence(
            layer.mode.lower(),
            step,
            gates,
            gates.new_zeros(len(states), size),
            weight,
            bias,
            None if full else mask.t(),
            reverse=bool(suffix),
        )
        directions.append(hidden.transpose(0, 1))
        last.append(hidden[0 if suffix else -1])
    joined = torch.cat(directions, dim=2)
    return joined if full else joined * mask[:, :, None], torch.cat(last, dim=1)


def _candidate_last(layer: nn.RNNBase, weight: Tensor) -> Tensor:
    """Move the candidate of an LSTM, the third gate in torch, to the end."""
    if layer.mode != "LSTM":
        return weight
    input_gate, forget_gate, candidate, output_gate = weight.chunk(4)
    return torch.cat([input_gate, forget_gate, output_gate, candidate])
