"""A task that cannot be solved without attention, shifting, masks and search all being right.

Random sequences of ten symbols are to be said backwards. Only a model that looks at the mirrored
place says unseen ones right, so its attention is known in advance: the anti-diagonal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import Config, CosineScheduleConfig, DecodingConfig, OptimizerConfig
from nmt.data.batch import source_batch
from nmt.data.encoded import EncodedCorpus
from nmt.decoding.search import Hypothesis, beam_search
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.training.trainer import Trainer

pytestmark = pytest.mark.slow

SYMBOLS = range(4, 14)
VOCABULARY = 14
SHORTEST, LONGEST = 3, 8

Sequence = tuple[int, ...]


@dataclass(frozen=True)
class Recipe:
    """A model and the budget that it needs for the task, found by trial on other sequences."""

    model: dict[str, Any]
    updates: int
    learning_rate: float


def recurrent(attention: str, updates: int) -> Recipe:
    return Recipe(dict(attention=attention, size=64, dropout=0.0), updates, learning_rate=0.01)


RECIPES = {
    "bahdanau": recurrent("bahdanau", 800),  # exact soon, sharp later
    "luong_dot": recurrent("luong_dot", 250),
    "luong_general": recurrent("luong_general", 250),
    "luong_concat": recurrent("luong_concat", 250),
    "transformer": Recipe(
        dict(encoder="transformer", decoder="transformer", size=64), 800, learning_rate=0.003
    ),
}


def sequences(count: int, seed: int) -> list[Sequence]:
    """Different ones, of all lengths alike."""
    random = np.random.default_rng(seed)
    found: dict[Sequence, None] = {}
    while len(found) < count:
        length = random.integers(SHORTEST, LONGEST + 1)
        found[tuple(random.choice(SYMBOLS, length).tolist())] = None
    return list(found)


def reversed_pairs(sources: list[Sequence]) -> list[tuple[list[int], list[int]]]:
    return [(list(source), list(source[::-1])) for source in sources]


def translate(model: TranslationModel, sources: list[Sequence]) -> list[Hypothesis]:
    greedy = DecodingConfig(
        beam_size=1, length_penalty=0.0, max_length_ratio=1.0, max_length_extra=2, batch_size=64
    )
    ids, mask = source_batch(sources)
    return [best for best, *_ in beam_search(model, ids, mask, greedy, need_weights=True)]


def distances(source: Sequence, hypothesis: Hypothesis) -> list[int]:
    """For each target position but EOS, how far off the mirrored place it looks the most."""
    assert hypothesis.weights is not None
    looked_at = hypothesis.weights[0, 0].argmax(-1)[:-1].tolist()
    return [abs(place - (len(source) - 1 - t)) for t, place in enumerate(looked_at)]


def trained(
    recipe: Recipe,
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Any,
) -> TranslationModel:
    config = run_config(
        tiny_config(**recipe.model),
        max_updates=recipe.updates,
        batch_tokens=600,
        label_smoothing=0.0,
        schedule=CosineScheduleConfig(warmup=20, final_factor=0.0),
        optimizer=OptimizerConfig(
            name="adam",
            learning_rate=recipe.learning_rate,
            beta1=0.9,
            beta2=0.98,
            epsilon=1e-9,
            weight_decay=0.0,
        ),
    )
    torch.manual_seed(1)
    model = build_model(config.model, VOCABULARY, VOCABULARY)
    Trainer(model, corpus, config, recorder().surroundings()).train()
    return model.eval()


@pytest.mark.parametrize("name", RECIPES)
def test_unseen_sequences_are_said_backwards(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus_of: Callable[[Any], EncodedCorpus],
    recorder: Any,
    name: str,
) -> None:
    held_out = sequences(500, seed=2)
    seen = sorted(set(sequences(8000, seed=1)) - set(held_out))
    corpus = corpus_of(reversed_pairs(seen))
    model = trained(RECIPES[name], tiny_config, run_config, corpus, recorder)
    found = translate(model, held_out)
    right = [h.ids == list(source[::-1]) for source, h in zip(held_out, found, strict=True)]
    assert np.mean(right) > 0.99, f"only {np.mean(right):.1%} of the sequences are right"
    if name == "transformer":
        return  # of several heads, no one has to look there
    off = np.concatenate(
        [distances(s, h) for s, h, fine in zip(held_out, found, right, strict=True) if fine]
    )
    aligned = np.mean(off == 0)
    assert aligned > 0.95, f"right, yet only {aligned:.1%} of positions look where they should"
