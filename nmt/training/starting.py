"""Starting from another run's weights, with its vocabulary or with one that shares some pieces.

Legend: V vocabulary, E embedding size.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.config.plain import flatten, to_mapping
from nmt.errors import UserError
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD, UNK
from nmt.text.tokenizer import Tokenizer, TokenizerPair

_FREE = ("dropout", "attention_dropout", "feed_forward_dropout", "word_dropout", "layer_drop")
"""Settings of a model that may differ: they change how it learns, not what its weights mean."""


def model_differences(before: ModelConfig, now: ModelConfig) -> list[str]:
    """Return each setting of two models that differs and is more than a dropout, in words."""
    one, other = flatten(to_mapping(before)), flatten(to_mapping(now))
    return [
        f"model.{key} is {other.get(key)}, there {one.get(key)}"
        for key in {**one, **other}
        if one.get(key) != other.get(key)
        and not isinstance(one.get(key, other.get(key)), Mapping)
        and key.rsplit(".", 1)[-1] not in _FREE
    ]


def refuse_other_model(before: ModelConfig, now: ModelConfig, whose: str) -> None:
    """Refuse weights of a model of other settings.

    Raises:
        UserError: It names every setting that differs.
    """
    differing = model_differences(before, now)
    if differing:
        raise UserError(f"{whose} is another model: {'; '.join(differing)}; make them equal")


@dataclass(frozen=True)
class Rows:
    """Which pieces of a vocabulary another one knows too.

    Attributes:
        here: [n] ids of them.
        there: [n] ids of the same pieces in the other vocabulary.
        size: V, of this vocabulary.
    """

    here: Tensor
    there: Tensor
    size: int

    @classmethod
    def of(cls, old: Tokenizer, new: Tokenizer) -> "Rows":
        """Match pieces by their surface, and the special ones by what they are for."""
        known = {piece: place for place, piece in enumerate(old.pieces(range(len(old))))}
        pairs = [(special, special) for special in (PAD, UNK, BOS, EOS)]
        for place, piece in enumerate(new.pieces(range(len(new)))):
            if place > EOS and known.get(piece, PAD) > EOS:
                pairs.append((place, known[piece]))
        here, there = torch.tensor(pairs).T
        return cls(here, there, len(new))

    @property
    def known(self) -> Tensor:
        """Which pieces are known, [V] bool."""
        known = torch.zeros(self.size, dtype=torch.bool)
        known[self.here] = True
        return known

    def carry(self, table: Tensor, fresh: Tensor) -> Tensor:
        """Return ``fresh`` [V, E] with the rows of known pieces from the other's table."""
        carried = fresh.clone()
        carried[self.here] = table[self.there].to(fresh)
        return carried


class Inherited:
    """Carries what belongs to an old run's parameters over to a new run's."""

    def __init__(self, old: TokenizerPair, new: TokenizerPair) -> None:
        """Match the vocabularies of both sides."""
        self.source, self.target = Rows.of(old.source, new.source), Rows.of(old.target, new.target)

    def rows_of(self, name: str) -> Rows | None:
        """Return the rows of a parameter that has one a piece, by name; None of any other."""
        if name == "output.weight":
            return self.target
        if not name.endswith(".embedding.weight"):
            return None
        return self.source if name.startswith("encoder.") else self.target

    def carry(self, old: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return values by parameter name: the old ones, and fresh ones for new pieces."""
        carried = {}
        for name, value in fresh.items():
            rows = self.rows_of(name)
            carried[name] = old[name].to(value) if rows is None else rows.carry(old[name], value)
        return carried

    def describe(self) -> str:
        """Say how many pieces of each side are known."""
        sides = []
        for side, rows in (("source", self.source), ("target", self.target)):
            fresh = rows.size - len(rows.here)
            sides.append(f"{side} pieces: {len(rows.here):,} taken over, {fresh:,} new")
        return "; ".join(sides)


def stiffness(
    inherited: Inherited,
    model: TranslationModel,
    *,
    l2_sp: float,
    ewc: float = 0.0,
    fisher: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Return how hard an `Anchor` holds each parameter: l2_sp + ewc · F; new pieces are free.

    Args:
        inherited: Which pieces are new.
        model: The new run's.
        l2_sp: The same for all weights.
        ewc: Times the Fisher information.
        fisher: Of the old model by parameter name; None where ``ewc`` is 0.
    """
    held = {}
    if fisher is not None:
        nothing = {name: torch.zeros(p.shape) for name, p in model.named_parameters()}
        fisher = inherited.carry(fisher, nothing)
    for name, _ in model.named_parameters():
        rows = inherited.rows_of(name)
        known = torch.ones(()) if rows is None else rows.known[:, None].float()
        held[name] = l2_sp * known if fisher is None else l2_sp * known + ewc * fisher[name]
    return held
