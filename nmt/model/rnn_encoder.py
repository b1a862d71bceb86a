"""RNN encoder. Legend: B batch, S source length, D = hidden size · directions."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.config.model import RnnEncoderConfig
from nmt.model.dropout import Dropout
from nmt.model.interfaces import Encoder, EncoderOutput
from nmt.model.linear import linear
from nmt.model.modules import Modules
from nmt.model.recurrent_sequence import run_sequence
from nmt.model.structured_dropout import WordDropout


class RnnEncoder(Encoder):
    """A stack of GRU or LSTM layers, in one or both directions (Bahdanau et al. 2015, 3.2).

    ``reverse`` reads from right to left (Sutskever et al. 2014, section 3.3); state s is still that
    of source position s, so attention and its pictures keep the sentence's order.
    """

    def __init__(self, config: RnnEncoderConfig, vocab_size: int) -> None:
        """Build the stack for a vocabulary."""
        super().__init__()
        directions = 2 if config.bidirectional else 1
        self.reverse = config.reverse
        self.output_size = directions * config.hidden_size
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.word_dropout = WordDropout(config.word_dropout)
        self.dropout = Dropout(config.dropout)
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[config.cell]
        sizes = [config.embedding_size] + [self.output_size] * (config.num_layers - 1)
        self.layers = Modules[nn.RNNBase](
            kind(size, config.hidden_size, batch_first=True, bidirectional=config.bidirectional)
            for size in sizes
        )

    def forward(self, source_ids: Tensor, source_mask: Tensor) -> EncoderOutput:
        """Read ids [B, S]; the summary is the last layer's final h of each direction, [B, D]."""
        states = self.dropout(self.word_dropout(self.embedding(source_ids), source_ids))
        states = _reversed(states, source_mask) if self.reverse else states
        read = _read if states.device.type == "cpu" else _read_packed
        summary = states
        for layer in self.layers:
            states, summary = read(layer, states, source_mask)
            states = self.dropout(states)
        states = _reversed(states, source_mask) if self.reverse else states
        return EncoderOutput(states, source_mask, summary)


def _read(layer: nn.RNNBase, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Run a layer over states [B, S, E] -> states [B, S, D], 0 on pads, and final h [B, D]."""
    steps = states.transpose(0, 1)
    full = bool(mask.all())
    directions, last = [], []
    for suffix in ("", "_reverse")[: 1 + layer.bidirectional]:
        weights = {
            name: _gates_in_order(layer, getattr(layer, f"{name}_l0{suffix}"))
            for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        }
        gates = linear(steps, weights["weight_ih"], weights["bias_ih"])
        first = gates.new_zeros(len(states), layer.hidden_size * (2 if layer.mode == "LSTM" else 1))
        backward = bool(suffix)
        hidden = run_sequence(
            layer.mode.lower(),
            gates,
            first,
            weights["weight_hh"],
            weights["bias_hh"],
            None if full else mask.t(),
            reverse=backward,
        )
        directions.append(hidden.transpose(0, 1))
        last.append(hidden[0 if backward else -1])
    joined = torch.cat(directions, dim=2)
    return joined if full else joined * mask[:, :, None], torch.cat(last, dim=1)


def _gates_in_order(layer: nn.RNNBase, weight: Tensor) -> Tensor:
    """Return torch's input, forget, candidate, output gates of an LSTM as `LstmCell` has them."""
    if layer.mode != "LSTM":
        return weight
    admit, forget, candidate, expose = weight.chunk(4)
    return torch.cat([admit, forget, expose, candidate])


def _read_packed(layer: nn.RNNBase, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The same by torch's own kernels, which on other devices are one call for all steps."""
    packed = pack_padded_sequence(states, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
    packed, last = layer(packed)
    final = last[0] if isinstance(last, tuple) else last  # [directions, B, hidden size]
    states, _ = pad_packed_sequence(packed, batch_first=True, total_length=states.size(1))
    return states, torch.cat(list(final), dim=1)


def _reversed(states: Tensor, mask: Tensor) -> Tensor:
    """Turn the real part of each row of states [B, S, D] around; the pads stay behind it."""
    places = torch.arange(mask.size(1), device=mask.device)
    mirrored = mask.sum(1, keepdim=True) - 1 - places  # [B, S], negative on pads
    order = torch.where(mask, mirrored, places)
    return states.gather(1, order[:, :, None].expand_as(states))
