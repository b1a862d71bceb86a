"""Settings of a Transformer's self-attention: its kind, and the limits of each kind.

The formulas are in ``nmt/model/self_attention``, one file for each kind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting

LONGEST = 1 << 20
"""The greatest window, span or block, in positions."""


class SelfAttention(StrEnum):
    """The kind of self-attention of a Transformer's layers."""

    FULL = "full"
    COSINE = "cosine"
    LOCAL = "local"
    STRIDED = "strided"
    FIXED = "fixed"
    RANDOM_GLOBAL = "random_global"
    LINEAR = "linear"
    FAVOR = "favor"
    LOW_RANK = "low_rank"
    LSH = "lsh"
    ADAPTIVE_SPAN = "adaptive_span"


@dataclass(frozen=True)
class Limits:
    """The settings with which a kind can be combined.

    Attributes:
        distances: Whether its scores can depend on the distance of each pair of positions, as with
            ``positions=relative``, ``t5_bias`` or ``alibi``.
        rotary: Whether its scores are products of queries and keys, as ``positions=rotary`` needs.
        decoder: Whether it can be causal, so that no position attends to later ones.
        dropout: Whether it has weights to which dropout applies.
        grouped: Whether several query heads can share keys and values.
        qk_norm: Whether queries and keys can be normalized.
        packed: Whether batches can be packed.
    """

    distances: bool = False
    rotary: bool = True
    decoder: bool = True
    dropout: bool = True
    grouped: bool = True
    qk_norm: bool = True
    packed: bool = False


LIMITS: Mapping[SelfAttention, Limits] = {
    SelfAttention.FULL: Limits(distances=True, packed=True),
    SelfAttention.COSINE: Limits(qk_norm=False, packed=True),
    SelfAttention.LOCAL: Limits(),
    SelfAttention.STRIDED: Limits(),
    SelfAttention.FIXED: Limits(),
    SelfAttention.RANDOM_GLOBAL: Limits(),
    SelfAttention.LINEAR: Limits(rotary=False, dropout=False),
    SelfAttention.FAVOR: Limits(rotary=False, dropout=False),
    SelfAttention.LOW_RANK: Limits(rotary=False, decoder=False),
    SelfAttention.LSH: Limits(grouped=False, qk_norm=False),
    SelfAttention.ADAPTIVE_SPAN: Limits(),
}

PACKABLE = tuple(kind.value for kind, limits in LIMITS.items() if limits.packed)
"""The kinds that can train on packed batches."""


@dataclass(kw_only=True)
class SelfAttentionConfig:
    """The kind of self-attention and the settings of all kinds; a kind reads only its settings."""

    self_attention: str = setting(
        SelfAttention.FULL,
        "Kind of self-attention: full compares all pairs of positions; most other kinds cost less "
        "for long texts. See docs/attention.md.",
        choices=SelfAttention,
        neutral=SelfAttention.FULL,
    )
    attention_window: int = setting(
        128,
        "w of local: a position attends to this many positions on each side of it.",
        unit="positions",
        at_least=1,
        at_most=LONGEST,
        neutral=128,
    )
    attention_stride: int = setting(
        128,
        "l of strided and fixed: the window or block of near positions, and the distance between "
        "the far ones.",
        unit="positions",
        at_least=1,
        at_most=LONGEST,
        neutral=128,
    )
    attention_summaries: int = setting(
        1,
        "c of fixed: positions at the end of each block that later blocks attend to; the heads "
        "have different positions, if there are enough.",
        unit="positions",
        at_least=1,
        at_most=LONGEST,
        neutral=1,
    )
    attention_block: int = setting(
        64,
        "Number of positions in a block of random_global, and in a chunk of a bucket of lsh.",
        unit="positions",
        at_least=1,
        at_most=LONGEST,
        neutral=64,
    )
    attention_random_blocks: int = setting(
        3,
        "r of random_global: blocks that each block attends to at random.",
        unit="blocks",
        at_least=0,
        at_most=1024,
        neutral=3,
    )
    attention_global_blocks: int = setting(
        1,
        "g of random_global: number of first blocks to which all positions attend; in an encoder, "
        "these blocks also attend to all positions.",
        unit="blocks",
        at_least=0,
        at_most=1024,
        neutral=1,
    )
    attention_features: int = setting(
        128,
        "m of favor: random features that approximate the exponential of a score.",
        unit="features",
        at_least=1,
        at_most=1 << 16,
        neutral=128,
    )
    attention_rank: int = setting(
        64,
        "k of low_rank: vectors to which the keys and the values of a sentence are projected.",
        unit="vectors",
        at_least=1,
        at_most=1 << 16,
        neutral=64,
    )
    attention_buckets: int = setting(
        16,
        "Number of buckets of each hash of lsh.",
        unit="buckets",
        at_least=2,
        at_most=1 << 12,
        neutral=16,
    )
    attention_hashes: int = setting(
        2,
        "Hashes of lsh: a position attends to the positions that are in its bucket in at least "
        "one hash.",
        unit="hashes",
        at_least=1,
        at_most=64,
        neutral=2,
    )
    attention_span: int = setting(
        1024,
        "S of adaptive_span: greatest span that a head can learn.",
        unit="positions",
        at_least=1,
        at_most=LONGEST,
        neutral=1024,
    )
    attention_span_ramp: int = setting(
        32,
        "R of adaptive_span: positions over which the mask of a span falls from 1 to 0.",
        unit="positions",
        at_least=1,
        at_most=LONGEST,
        neutral=32,
    )
    attention_span_loss: float = setting(
        0.0005,
        "Weight of the mean learned span of each layer in the loss of adaptive_span.",
        at_least=0,
        neutral=0.0005,
    )


READ_BY: Mapping[str, tuple[SelfAttention, ...]] = {
    "attention_window": (SelfAttention.LOCAL,),
    "attention_stride": (SelfAttention.STRIDED, SelfAttention.FIXED),
    "attention_summaries": (SelfAttention.FIXED,),
    "attention_block": (SelfAttention.RANDOM_GLOBAL, SelfAttention.LSH),
    "attention_random_blocks": (SelfAttention.RANDOM_GLOBAL,),
    "attention_global_blocks": (SelfAttention.RANDOM_GLOBAL,),
    "attention_features": (SelfAttention.FAVOR,),
    "attention_rank": (SelfAttention.LOW_RANK,),
    "attention_buckets": (SelfAttention.LSH,),
    "attention_hashes": (SelfAttention.LSH,),
    "attention_span": (SelfAttention.ADAPTIVE_SPAN,),
    "attention_span_ramp": (SelfAttention.ADAPTIVE_SPAN,),
    "attention_span_loss": (SelfAttention.ADAPTIVE_SPAN,),
}
"""The kinds that read each setting of `SelfAttentionConfig` except ``self_attention``."""


def unread_settings(side: str, part: SelfAttentionConfig) -> Iterator[str]:
    """Yield a message for each changed setting that the kind of a stack does not read.

    Args:
        side: ``encoder`` or ``decoder``.
        part: Settings of the stack.
    """
    usual = SelfAttentionConfig()
    for name, kinds in READ_BY.items():
        value = getattr(part, name)
        if value != getattr(usual, name) and part.self_attention not in kinds:
            yield (
                f"model.{side}.{name}={value} has no effect with model.{side}.self_attention="
                f"{part.self_attention}: remove it, or choose {' or '.join(kinds)}"
            )


_DISTANCES = ("relative", "t5_bias", "alibi")


def check_self_attention(side: str, part: SelfAttentionConfig) -> Iterator[str]:
    """Yield a message for each setting of a stack that its kind of self-attention does not support.

    Args:
        side: ``encoder`` or ``decoder``.
        part: Settings of the stack.
    """
    if part.self_attention not in list(SelfAttention):
        return  # `check_ranges` names the choices
    limits = LIMITS[SelfAttention(part.self_attention)]
    kind = f"model.{side}.self_attention={part.self_attention}"
    positions = getattr(part, "positions", None)
    if positions in _DISTANCES and not limits.distances:
        yield (
            f"{kind} does not support model.{side}.positions={positions}, which needs a value for "
            f"each pair of positions: choose {'rotary, ' if limits.rotary else ''}sinusoidal or "
            "learned"
        )
    if positions == "rotary" and not limits.rotary:
        yield (
            f"{kind} has no products of queries and keys that model.{side}.positions=rotary could "
            "rotate: choose sinusoidal or learned"
        )
    if side == "decoder" and not limits.decoder:
        yield f"{kind} mixes all positions, including later ones: use it only in model.encoder"
    dropout = getattr(part, "attention_dropout", 0.0)
    if dropout and not limits.dropout:
        yield (f"{kind} has no weights for model.{side}.attention_dropout={dropout:g}: set it to 0")
    heads, groups = getattr(part, "num_heads", 1), getattr(part, "num_kv_heads", None)
    if groups not in (None, heads) and not limits.grouped:
        yield f"{kind} needs separate keys for each head: set model.{side}.num_kv_heads=null"
    if part.self_attention == SelfAttention.LSH and part.attention_buckets % 2:
        yield (
            f"model.{side}.attention_buckets={part.attention_buckets} is odd: each random "
            "direction of lsh has two buckets: choose an even number"
        )
    if getattr(part, "qk_norm", False) and not limits.qk_norm:
        yield f"{kind} already normalizes queries and keys: set model.{side}.qk_norm=false"
