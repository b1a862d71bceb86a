"""Tasks that are solved only if attention, windows, shifting, masks and search are correct.

A model reverses or copies random sequences of ten symbols. Unseen sequences come out right only if
it attends to the right position, so its attention is known in advance: one of the diagonals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import AdamConfig, Config, DecodingConfig
from nmt.data.batches.batch import source_batch
from nmt.data.encoded import EncodedCorpus
from nmt.decoding.search import Hypothesis, beam_search
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.training.schedule import CosineScheduleConfig
from nmt.training.trainer import Trainer

pytestmark = pytest.mark.slow

SYMBOLS = range(4, 14)
VOCABULARY = 14
SHORTEST, LONGEST = 3, 8

Sequence = tuple[int, ...]
Task = Callable[[Sequence], Sequence]


@dataclass(frozen=True)
class Recipe:
    """A model and its training budget for the task, chosen on other sequences."""

    model: dict[str, Any]
    updates: int
    learning_rate: float
    accumulation: int = 1  # a batch has one length; more batches per update mix lengths


BUDGETS = {  # updates
    "bahdanau": 800,  # hypotheses are exact early, attention is sharp later
    "luong_dot": 500,
    "luong_general": 500,
    "luong_concat": 500,
    "luong_location": 500,
    "scaled_dot": 500,
    "cosine": 500,
    "multi_head": 500,
}
MEANT_TO_BE_SHARP = ("bahdanau", "luong_dot", "luong_general", "luong_concat")
"""The kinds of one head whose score compares the states; of the others none has to look there."""


WINDOWED = ["bahdanau", "luong_general", "multi_head"]
"""Before the state update, after it, and with several heads: the other scores have the window of
``luong_general``, and tests/model/attention/test_attention.py compares each with its formula."""


def recurrent(
    attention: str,
    window: str = "global",
    window_size: int = 1,
    *,
    patience: float = 1,
    learning_rate: float = 0.01,
) -> Recipe:
    model = dict(
        attention=attention,
        window=window,
        window_size=window_size,
        max_source_length=LONGEST + 1,
        size=64,
        dropout=0.0,
    )
    mixed = 3 if attention == "bahdanau" and window == "global" else 1
    return Recipe(model, round(patience * BUDGETS[attention]), learning_rate, mixed)


TRANSFORMER = Recipe(
    dict(encoder="transformer", decoder="transformer", size=64), 800, learning_rate=0.003
)


def sequences(count: int, seed: int) -> list[Sequence]:
    """Return distinct sequences, equally many of each length."""
    random = np.random.default_rng(seed)
    found: dict[Sequence, None] = {}
    while len(found) < count:
        length = random.integers(SHORTEST, LONGEST + 1)
        found[tuple(random.choice(SYMBOLS, length).tolist())] = None
    return list(found)


def backwards(source: Sequence) -> Sequence:
    return source[::-1]


def alike(source: Sequence) -> Sequence:
    return source


def translate(model: TranslationModel, sources: list[Sequence]) -> list[Hypothesis]:
    greedy = DecodingConfig(
        beam_size=1, length_penalty=0.0, max_length_ratio=1.0, max_length_extra=2, batch_size=64
    )
    ids, mask = source_batch(sources)
    return [best for best, *_ in beam_search(model, ids, mask, greedy, need_weights=True)]


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
        accumulation=recipe.accumulation,
        label_smoothing=0.0,
        schedule=CosineScheduleConfig(warmup=20, final_factor=0.0),
        optimizer=AdamConfig(
            learning_rate=recipe.learning_rate,
            beta1=0.9,
            beta2=0.98,
            epsilon=1e-9,
            weight_decay=0.0,
        ),
    )
    torch.manual_seed(1)
    model = build_model(config.model, VOCABULARY, VOCABULARY)
    Trainer(model, corpus, config, recorder().services()).train()
    return model.eval()


@dataclass(frozen=True)
class Result:
    """The output of a trained model for unseen sequences."""

    sources: list[Sequence]
    right: npt.NDArray[np.bool_]
    weights: list[npt.NDArray[np.float32]]  # [T, S] of each, the mean of heads


@pytest.fixture
def result_of(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus_of: Callable[[Any], EncodedCorpus],
    recorder: Any,
) -> Callable[[Recipe, Task], Result]:
    def make(recipe: Recipe, task: Task) -> Result:
        held_out = sequences(500, seed=2)
        seen = sorted(set(sequences(8000, seed=1)) - set(held_out))
        corpus = corpus_of([(list(source), list(task(source))) for source in seen])
        model = trained(recipe, tiny_config, run_config, corpus, recorder)
        found = translate(model, held_out)
        right = [tuple(h.ids) == task(s) for s, h in zip(held_out, found, strict=True)]
        weights = [h.weights[-1].mean(0).numpy() for h in found if h.weights is not None]
        return Result(held_out, np.array(right), weights)

    return make


def assert_learned(result: Result) -> None:
    share = np.mean(result.right)
    assert share > 0.99, f"only {share:.1%} of the sequences are right"


@pytest.mark.parametrize("attention", BUDGETS)
def test_unseen_sequences_are_reversed(
    result_of: Callable[[Recipe, Task], Result], attention: str
) -> None:
    result = result_of(recurrent(attention), backwards)
    assert_learned(result)
    if attention not in MEANT_TO_BE_SHARP:
        return
    there = [
        weights[t].argmax() == len(source) - 1 - t
        for source, weights, right in zip(result.sources, result.weights, result.right, strict=True)
        for t in range(len(source))
        if right
    ]
    assert np.mean(there) > 0.95, f"only {np.mean(there):.1%} of positions attend to the right one"


def test_a_transformer_reverses_sequences(
    result_of: Callable[[Recipe, Task], Result],
) -> None:
    assert_learned(result_of(TRANSFORMER, backwards))


@pytest.mark.parametrize(("window", "size"), [("local_m", LONGEST), ("local_p", 3)])
@pytest.mark.parametrize("attention", WINDOWED)
def test_windows_that_reach_the_mirrored_position_suffice(
    result_of: Callable[[Recipe, Task], Result], attention: str, window: str, size: int
) -> None:
    # local-m is centered at t and has to reach n - 1 - t; local-p moves its center there, slowly if
    # all heads share one center.
    patience = 1.5 if attention == "multi_head" else 1
    assert_learned(result_of(recurrent(attention, window, size, patience=patience), backwards))


@pytest.mark.parametrize("window", ["local_m", "local_p"])
@pytest.mark.parametrize("attention", WINDOWED)
def test_narrow_windows_copy(
    result_of: Callable[[Recipe, Task], Result], attention: str, window: str
) -> None:
    # The shared center of all heads moves little if the window is wide or the learning rate high.
    if attention == "multi_head":
        recipe = recurrent(attention, window, 2, patience=2.2, learning_rate=0.005)
    else:
        recipe = recurrent(attention, window, 3, patience=1.6)
    assert_learned(result_of(recipe, alike))


def test_a_narrow_local_m_cannot_attend_to_the_mirrored_position(
    result_of: Callable[[Recipe, Task], Result],
) -> None:
    result = result_of(recurrent("luong_general", "local_m", 2), backwards)
    for source, weights in zip(result.sources, result.weights, strict=True):
        for t in range(min(len(source), len(weights))):
            mirrored = len(source) - 1 - t
            if abs(mirrored - t) > 2:
                assert weights[t, mirrored] == 0
    lengths = np.array([len(source) for source in result.sources])
    near, far = result.right[lengths <= 3], result.right[lengths == LONGEST]
    # With three symbols every mirrored position is within 2; with eight, six of them are not.
    assert np.mean(near) > 0.9
    assert np.mean(far) < np.mean(near)
