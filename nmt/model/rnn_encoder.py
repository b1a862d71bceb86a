"""RNN encoder. Legend: B batch, S source length, D = hidden size · directions."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.config.model import RnnEncoderConfig
from nmt.model.dropout import Dropout
from nmt.model.interfaces import Encoder, EncoderOutput
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
        self.layers = nn.ModuleList(
            kind(size, config.hidden_size, batch_first=True, bidirectional=config.bidirectional)
            for size in sizes
        )

    def forward(self, source_ids: Tensor, source_mask: Tensor) -> EncoderOutput:
        """Read ids [B, S]; the summary is the last layer's final h of each direction, [B, D]."""
        lengths = source_mask.sum(1).cpu()
        states = self.dropout(self.word_dropout(self.embedding(source_ids), source_ids))
        states = _reversed(states, source_mask) if self.reverse else states
        final = states
        for layer in self.layers:
            packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
            packed, last = layer(packed)
            final = last[0] if isinstance(last, tuple) else last  # [directions, B, hidden size]
            states, _ = pad_packed_sequence(
                packed, batch_first=True, total_length=source_ids.size(1)
            )
            states = self.dropout(states)
        summary = torch.cat(list(final), dim=1)
        states = _reversed(states, source_mask) if self.reverse else states
        return EncoderOutput(states, source_mask, summary)


def _reversed(states: Tensor, mask: Tensor) -> Tensor:
    """Turn the real part of each row of states [B, S, D] around; the pads stay behind it."""
    places = torch.arange(mask.size(1), device=mask.device)
    mirrored = mask.sum(1, keepdim=True) - 1 - places  # [B, S], negative on pads
    order = torch.where(mask, mirrored, places)
    return states.gather(1, order[:, :, None].expand_as(states))
