"""Initial weights from another run, whose vocabulary is the same or shares some pieces.

Legend: V vocabulary, E embedding size.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nmt.config.document_context import is_hierarchical
from nmt.config.model import ModelConfig
from nmt.config.plain import flatten, to_mapping
from nmt.config.self_attention import READ_BY
from nmt.errors import UserError
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD, UNK
from nmt.text.tokenizer import Tokenizer, TokenizerPair

_WITHOUT_WEIGHTS = (
    "dropout",
    "attention_dropout",
    "feed_forward_dropout",
    "word_dropout",
    "layer_drop",
    "initialization",
    "attention_span_loss",
    "depth_loss",
)
"""Model settings that may differ: they change the training, not the meaning of the weights."""


def model_differences(old: ModelConfig, new: ModelConfig) -> list[str]:
    """Return a description of each setting that differs.

    Settings in `_WITHOUT_WEIGHTS` are left out, and those that no kind of self-attention reads.
    """
    before, now = flatten(to_mapping(old)), flatten(to_mapping(new))
    return [
        f"model.{key} is {now.get(key)} here and {before.get(key)} there"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
        and not isinstance(before.get(key, now.get(key)), Mapping)
        and key.rsplit(".", 1)[-1] not in _WITHOUT_WEIGHTS
        and not _is_unread(key, before, now)
    ]


def _is_unread(key: str, *models: Mapping[str, Any]) -> bool:
    """Return whether a setting belongs to a kind of self-attention that none of the models has."""
    side, _, name = key.partition(".")
    kinds = READ_BY.get(name)
    return kinds is not None and not any(
        model.get(f"{side}.self_attention") in kinds for model in models
    )


def refuse_other_model(old: ModelConfig, new: ModelConfig, whose: str) -> None:
    """Refuse the weights of a model with different settings.

    The new model may have hierarchical attention that the old one lacks: its weights are added to
    the others, whose meaning stays the same.

    Raises:
        UserError: It names every setting that differs.
    """
    differing = model_differences(old, _without_added_parts(new, old))
    if differing:
        raise UserError(f"{whose} is a different model: {'; '.join(differing)}; make them equal")


def _without_added_parts(new: ModelConfig, old: ModelConfig) -> ModelConfig:
    parts = {}
    for name in ("encoder", "decoder"):
        part, before = getattr(new, name), getattr(old, name)
        if is_hierarchical(part) and hasattr(before, "context"):
            parts[name] = replace(part, context=before.context)
    return replace(new, **parts)


@dataclass(frozen=True)
class SharedPieces:
    """The pieces of a new vocabulary that an old one contains too.

    Attributes:
        new_ids: [n], their ids in the new vocabulary.
        old_ids: [n], the ids of the same pieces in the old vocabulary.
        size: V of the new vocabulary.
    """

    new_ids: Tensor
    old_ids: Tensor
    size: int

    @classmethod
    def of(cls, old: Tokenizer, new: Tokenizer) -> "SharedPieces":
        """Match pieces by their text, and special tokens by their function."""
        known = {piece: index for index, piece in enumerate(old.pieces(range(len(old))))}
        pairs = [(special, special) for special in (PAD, UNK, BOS, EOS)]
        for index, piece in enumerate(new.pieces(range(len(new)))):
            if index > EOS and known.get(piece, PAD) > EOS:
                pairs.append((index, known[piece]))
        new_ids, old_ids = torch.tensor(pairs).T
        return cls(new_ids, old_ids, len(new))

    @property
    def mask(self) -> Tensor:
        """Whether each piece of the new vocabulary is shared, [V] bool."""
        mask = torch.zeros(self.size, dtype=torch.bool)
        mask[self.new_ids] = True
        return mask

    def transfer(self, old: Tensor, fresh: Tensor) -> Tensor:
        """Return ``fresh`` [V, E] with the rows of shared pieces taken from ``old``."""
        rows = fresh.clone()
        rows[self.new_ids] = old[self.old_ids].to(fresh)
        return rows


class VocabularyTransfer:
    """Transfers values from the parameters of an old run to those of a new one."""

    def __init__(self, old: TokenizerPair, new: TokenizerPair) -> None:
        """Match the vocabularies of both sides."""
        self.source = SharedPieces.of(old.source, new.source)
        self.target = SharedPieces.of(old.target, new.target)

    def pieces_of(self, name: str) -> SharedPieces | None:
        """Return the shared pieces of a parameter with one row per piece; None for any other."""
        if name == "output.weight":
            return self.target
        if not name.endswith(".embedding.weight"):
            return None
        return self.source if name.startswith("encoder.") else self.target

    def transfer(self, old: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return values by parameter name: the old values; for what is new, those of ``fresh``.

        What is new: pieces that the old vocabulary lacks, parameters that the old model lacks.
        """
        values = dict(fresh)
        for name in fresh.keys() & old.keys():
            pieces, value = self.pieces_of(name), fresh[name]
            values[name] = (
                old[name].to(value) if pieces is None else pieces.transfer(old[name], value)
            )
        return values

    def describe(self) -> str:
        """Return how many pieces of each side are shared and new."""
        sides = []
        for side, pieces in (("source", self.source), ("target", self.target)):
            shared, new = len(pieces.new_ids), pieces.size - len(pieces.new_ids)
            sides.append(f"{side} pieces: {shared:,} reused, {new:,} new")
        return "; ".join(sides)


def stiffness(
    transfer: VocabularyTransfer,
    model: TranslationModel,
    old: Container[str],
    *,
    l2_sp: float,
    ewc: float = 0.0,
    fisher: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Return the stiffness of each parameter for `Anchor`: l2_sp + ewc · F; 0 for what is new.

    Args:
        transfer: The transfer from the old vocabulary to the new one.
        model: The model of the new run.
        old: The names of the parameters of the old model.
        l2_sp: The stiffness that all weights share.
        ewc: The factor of the Fisher information.
        fisher: F of the old model by parameter name; None where ``ewc`` is 0.
    """
    values = {}
    if fisher is not None:
        zeros = {name: torch.zeros(p.shape) for name, p in model.named_parameters()}
        fisher = transfer.transfer(fisher, zeros)
    for name, _ in model.named_parameters():
        pieces = transfer.pieces_of(name)
        if pieces is not None:
            shared = pieces.mask[:, None].float()
        else:
            shared = torch.tensor(float(name in old))
        values[name] = l2_sp * shared if fisher is None else l2_sp * shared + ewc * fisher[name]
    return values
