"""The kinds of self-attention that scripts/attention_tasks trains, and their settings."""

import math
from collections.abc import Iterator
from typing import Any

from nmt.config.checks.check_ranges import check_ranges
from nmt.config.model import TransformerEncoderConfig
from nmt.config.self_attention import SelfAttention, SelfAttentionConfig, check_self_attention
from nmt.errors import UserError


def default_settings(kind: str, length: int) -> dict[str, Any]:
    """Return the settings of a kind for T positions: blocks near sqrt(T), a power of two."""
    block = 2 ** round(math.log2(length) / 2)
    match SelfAttention(kind):
        case SelfAttention.LOCAL:
            return {"attention_window": block}
        case SelfAttention.STRIDED:
            return {"attention_stride": block}
        case SelfAttention.FIXED:
            return {"attention_stride": block, "attention_summaries": max(block // 8, 1)}
        case SelfAttention.RANDOM_GLOBAL:
            return {"attention_block": block}
        case SelfAttention.LOW_RANK:
            return {"attention_rank": 32}
        case SelfAttention.LSH:
            buckets = 2 * max(length // (4 * block), 1)
            return {"attention_block": block, "attention_buckets": buckets, "attention_hashes": 4}
        case SelfAttention.ADAPTIVE_SPAN:
            return {"attention_span": length}
    return {}


_SETTINGS: dict[str, type[int] | type[float]] = {
    name: float if name == "attention_span_loss" else int
    for name in SelfAttentionConfig.__dataclass_fields__
    if name != "self_attention"
}
"""The settings of the kinds, and the types of their values."""


def kinds_of(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kinds and settings of `KIND;KIND:setting=number,setting=number`.

    Raises:
        UserError: A kind or a setting that does not exist, or no number.
    """
    for part in text.split(";"):
        kind, _, rest = part.partition(":")
        if kind not in list(SelfAttention):
            choices = ", ".join(SelfAttention)
            raise UserError(f"--kinds: {kind!r} is not a kind of self-attention: {choices}")
        settings: dict[str, Any] = {}
        for setting in filter(None, rest.split(",")):
            name, _, value = setting.partition("=")
            if name not in _SETTINGS:
                raise UserError(
                    f"--kinds: {setting!r} is not an attention setting and its number: choose from "
                    f"{', '.join(_SETTINGS)}"
                )
            try:
                settings[name] = _SETTINGS[name](value)
            except ValueError:
                raise UserError(f"--kinds: {setting!r} is not a setting and its number") from None
        _check(kind, settings)
        yield kind, settings


def _check(kind: str, settings: dict[str, Any]) -> None:
    """Refuse settings that no model may have."""
    config = TransformerEncoderConfig(self_attention=kind, **settings)
    for fault in (*check_ranges(config, ""), *check_self_attention("encoder", config)):
        raise UserError(f"--kinds: {fault.replace('model.encoder.', '')}")
