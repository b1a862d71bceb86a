"""RNN encoder. Legend: B batch, S source length, D = hidden size · directions."""

from torch import Tensor, nn

from nmt.config.model import Cell, RnnEncoderConfig
from nmt.kernels.recurrent.recurrent_layer import recurrent_layer, reversed_sentences
from nmt.model.interfaces import Encoder, EncoderOutput
from nmt.model.layers import Dropout, Modules
from nmt.model.recurrent.recurrent_cells import CELLS
from nmt.model.structured_dropout import WordDropout


class RnnEncoder(Encoder):
    """A stack of GRU or LSTM layers, in one or both directions (Bahdanau et al. 2015, 3.2).

    With ``reverse`` it reads from right to left (Sutskever et al. 2014, section 3.3). State s still
    belongs to source position s, so attention and its heatmaps keep the order of the sentence.
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
        self.cell = CELLS[config.cell]
        layer = {Cell.GRU: nn.GRU, Cell.LSTM: nn.LSTM}[Cell(config.cell)]
        sizes = [config.embedding_size] + [self.output_size] * (config.num_layers - 1)
        self.layers = Modules[nn.RNNBase](
            layer(size, config.hidden_size, batch_first=True, bidirectional=config.bidirectional)
            for size in sizes
        )

    def forward(
        self, source_ids: Tensor, source_mask: Tensor, source_lengths: Tensor | None = None
    ) -> EncoderOutput:
        """Read ids [B, S]; the summary [B, D] is the final h of the last layer's directions."""
        states = self.dropout(self.word_dropout(self.embedding(source_ids), source_ids))
        states = reversed_sentences(states, source_mask) if self.reverse else states
        summary = states
        for layer in self.layers:
            states, summary = recurrent_layer(
                layer, self.cell.step, states, source_mask, source_lengths
            )
            states = self.dropout(states)
        states = reversed_sentences(states, source_mask) if self.reverse else states
        return EncoderOutput(states, source_mask, summary)
