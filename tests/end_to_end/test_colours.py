"""What only a picture shows: colours struck out of the source, and captions without a source.

The test of Caglayan et al. 2019: a model of text alone translates the colours at chance, one that
reads the pictures translates them, and one that reads the pictures of other sentences does not.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt.config.model import (
    FeaturesConfig,
    ModelConfig,
    RegionEncoderConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    Tying,
)
from nmt.config.schema import AdamConfig, Config
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus
from nmt.data.features import Features
from nmt.decoding.translator import Translator
from nmt.model.attention.additive import BahdanauAttentionConfig
from nmt.model.build import build_model
from nmt.text.tokenizer import TokenizerPair, train_tokenizers
from nmt.training.schedule import CosineScheduleConfig
from nmt.training.trainer import Trainer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from phrasebook.colours import Split, captions, colour_of, colours_struck_out
from phrasebook.pictures import COLOURS, SIZE

pytestmark = pytest.mark.slow

STACK = dict(hidden_size=64, feed_forward_size=128, num_layers=1, num_heads=2, dropout=0.0)
RNN = dict(embedding_size=64, hidden_size=64, dropout=0.0)
TRANSFORMER = TransformerEncoderConfig(**STACK), TransformerDecoderConfig(**STACK)
RECURRENT = (
    RnnEncoderConfig(**RNN),
    RnnDecoderConfig(**RNN, attention=BahdanauAttentionConfig(size=64)),
)
CHANCE = 1 / len(COLOURS)


def features(split: Split, folder: Path, name: str) -> Features:
    np.save(folder / f"{name}.npy", split.features)
    return Features(folder / f"{name}.npy", name)


Train = Callable[[ModelConfig, Split, TokenizerPair, int], Translator]


@pytest.fixture
def train(run_config: Callable[..., Config], recorder: Any, tmp_path: Path) -> Train:
    """Train a model on a split for some updates, and return its greedy search."""

    def trained(
        model: ModelConfig, split: Split, tokenizers: TokenizerPair, updates: int
    ) -> Translator:
        config = run_config(
            model,
            max_updates=updates,
            batch_tokens=1024,
            label_smoothing=0.0,
            schedule=CosineScheduleConfig(warmup=30, final_factor=0.0),
            optimizer=AdamConfig(
                learning_rate=5e-3, beta1=0.9, beta2=0.98, epsilon=1e-9, weight_decay=0.0
            ),
        )
        torch.manual_seed(1)
        built = build_model(model, len(tokenizers.source), len(tokenizers.target))
        text = ParallelText(split.source, split.target)
        if built.feature_size is not None:
            text = replace(text, features=features(split, tmp_path, "train"))
        encoded = EncodedCorpus.encode(tokenizers, text)
        Trainer(built, encoded, config, recorder().services()).train()
        return Translator(built.eval(), tokenizers, config.decoding.with_beam(1))

    return trained


def translations(translator: Translator, split: Split, folder: Path) -> list[str]:
    if translator.model.feature_size is not None:
        translator = translator.with_features(features(split, folder, "test"))
    return [found.text for found in translator.translate(split.source)]


def right_colours(found: Sequence[str], split: Split) -> float:
    pairs = zip(found, split.target, strict=True)
    return sum(colour_of(one) == colour_of(other) for one, other in pairs) / len(found)


@pytest.fixture(scope="module")
def colours() -> tuple[dict[str, Split], TokenizerPair]:
    splits = colours_struck_out(longest=7)
    sides = splits["train"].source, splits["train"].target
    return splits, train_tokenizers(TokenizerConfig(name="bpe", vocab_size=800), *sides)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", ["text", "gated", "doubly attentive"])
def test_colours_that_only_the_picture_shows(
    kind: str, colours: tuple[dict[str, Split], TokenizerPair], train: Train, tmp_path: Path
) -> None:
    encoder, decoder = RECURRENT if kind == "doubly attentive" else TRANSFORMER
    combination = {"text": "none", "doubly attentive": "gated"}.get(kind, kind)
    size = None if kind == "text" else SIZE
    beside = FeaturesConfig(combination=combination, size=size)
    model = ModelConfig(encoder=encoder, decoder=decoder, tying=Tying.NONE, features=beside)
    splits, tokenizers = colours
    updates = 800 if kind == "doubly attentive" else 400
    translator = train(model, splits["train"], tokenizers, updates)
    test = splits["test"]
    right = right_colours(translations(translator, test, tmp_path), test)
    if kind == "text":
        assert right < CHANCE + 0.1
        return
    assert right >= 0.95
    other = test.shuffled()
    assert right_colours(translations(translator, other, tmp_path), other) < CHANCE + 0.1


def test_captions_of_fresh_pictures(train: Train, tmp_path: Path) -> None:
    splits = captions(2000)
    lines = splits["train"].target
    tokenizers = train_tokenizers(TokenizerConfig(name="word", byte_fallback=False), lines, lines)
    encoder = RegionEncoderConfig(feature_size=SIZE, hidden_size=64, dropout=0.0)
    model = ModelConfig(encoder=encoder, decoder=TRANSFORMER[1], tying=Tying.NONE)
    translator = train(model, splits["train"], tokenizers, 900)
    test = splits["test"]

    def exact(split: Split) -> float:
        found = translations(translator, split, tmp_path)
        return sum(one == other for one, other in zip(found, split.target, strict=True)) / len(
            found
        )

    assert exact(test) > 0.3  # of more than 300 captions that occur
    assert exact(test.shuffled()) < 0.05
