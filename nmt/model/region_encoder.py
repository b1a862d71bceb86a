"""Encoders of features: the regions of a picture, or any other array that belongs to a sentence.

Legend: B batch, R regions, F size of a region's vector, D size of a state.
"""

from torch import Tensor, nn

from nmt.config.model import RegionEncoderConfig
from nmt.data.batches.regions import Regions
from nmt.model.interfaces import Encoder, EncoderOutput
from nmt.model.layers import Dropout, Linear


class RegionStates(nn.Module):
    """Maps the vector a_l of each region to the state norm(W a_l + b).

    The norm is layer normalization (Ba et al. 2016). So features of any scale have states of the
    same scale.
    """

    def __init__(self, feature_size: int, size: int, dropout: float) -> None:
        """Map vectors of ``feature_size`` = F to states of ``size`` = D."""
        super().__init__()
        self.feature_size = feature_size
        self.projection = Linear(feature_size, size)
        self.norm = nn.LayerNorm(size)
        self.dropout = Dropout(dropout)

    def forward(self, regions: Regions) -> Tensor:
        """Map regions [B, R, F] to states [B, R, D].

        Raises:
            ValueError: The size of a vector is not F.
        """
        size = regions.values.size(-1)
        if size != self.feature_size:
            raise ValueError(f"features of size {size}, not {self.feature_size}")
        values = regions.values.type_as(self.projection.bias)
        states: Tensor = self.dropout(self.norm(self.projection(values)))
        return states


class RegionEncoder(Encoder):
    """Reads features instead of a text, for captions.

    The decoder attends to regions as it attends to the pieces of a sentence (Xu et al. 2015,
    section 3.1.2). The mean of the states is the summary.
    """

    def __init__(self, config: RegionEncoderConfig) -> None:
        """Build the encoder."""
        super().__init__()
        self.output_size = config.hidden_size
        self.regions = RegionStates(config.feature_size, config.hidden_size, config.dropout)

    def forward(
        self, source_ids: Tensor, source_mask: Tensor, source_lengths: Tensor | None = None
    ) -> EncoderOutput:
        """Refuse a text; use `read_regions`.

        Raises:
            ValueError: In every case.
        """
        raise ValueError("this encoder reads regions, not pieces")

    def read_regions(self, regions: Regions) -> EncoderOutput:
        """Return one state per region of each sentence."""
        states = self.regions(regions)
        real = regions.mask[:, :, None].type_as(states)
        return EncoderOutput(states, regions.mask, (states * real).sum(1) / real.sum(1))
