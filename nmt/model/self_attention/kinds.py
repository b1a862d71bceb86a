"""The class of each kind of self-attention except ``full``."""

from collections.abc import Mapping

from nmt.config.self_attention import SelfAttention
from nmt.model.self_attention.adaptive_span import AdaptiveSpan
from nmt.model.self_attention.cosine_scores import CosineScores
from nmt.model.self_attention.favor_attention import FavorAttention
from nmt.model.self_attention.fixed_attention import FixedAttention
from nmt.model.self_attention.kind import KindOfSelfAttention
from nmt.model.self_attention.linear_attention import LinearAttention
from nmt.model.self_attention.local_attention import LocalAttention
from nmt.model.self_attention.low_rank_attention import LowRankAttention
from nmt.model.self_attention.lsh_attention import LshAttention
from nmt.model.self_attention.random_global_attention import RandomGlobalAttention
from nmt.model.self_attention.strided_attention import StridedAttention

KINDS: Mapping[SelfAttention, type[KindOfSelfAttention | CosineScores]] = {
    SelfAttention.COSINE: CosineScores,
    SelfAttention.LOCAL: LocalAttention,
    SelfAttention.STRIDED: StridedAttention,
    SelfAttention.FIXED: FixedAttention,
    SelfAttention.RANDOM_GLOBAL: RandomGlobalAttention,
    SelfAttention.LINEAR: LinearAttention,
    SelfAttention.FAVOR: FavorAttention,
    SelfAttention.LOW_RANK: LowRankAttention,
    SelfAttention.LSH: LshAttention,
    SelfAttention.ADAPTIVE_SPAN: AdaptiveSpan,
}

DRAWN = ("self_attention.directions", "self_attention.rotations")
"""Name suffixes of the buffers of random values. The trained weights fit only these values."""
