"""The class of each kind of self-attention besides ``full``: one line for each file."""

from collections.abc import Mapping

from nmt.config.self_attention import SelfAttention
from nmt.model.self_attention.kind import KindOfSelfAttention
from nmt.model.self_attention.linear_attention import LinearAttention
from nmt.model.self_attention.local_attention import LocalAttention

KINDS: Mapping[SelfAttention, type[KindOfSelfAttention]] = {
    SelfAttention.LOCAL: LocalAttention,
    SelfAttention.LINEAR: LinearAttention,
}
