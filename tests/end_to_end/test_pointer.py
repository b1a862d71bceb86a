"""What a pointer is for: pieces that training has hardly seen are copied."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nmt.config.model import ModelConfig, RnnDecoderConfig, RnnEncoderConfig, Tying
from nmt.config.schema import AdamConfig, Config, DecodingConfig
from nmt.data.batches.batch import source_batch
from nmt.data.encoded import EncodedCorpus
from nmt.decoding.search import beam_search
from nmt.model.attention.additive import BahdanauAttentionConfig
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.training.schedule import CosineScheduleConfig
from nmt.training.trainer import Trainer

pytestmark = pytest.mark.slow

Train = Callable[[ModelConfig, int, EncodedCorpus, int], TranslationModel]


def settings(copy: str, size: int = 64) -> ModelConfig:
    sizes = dict(embedding_size=size, hidden_size=size, dropout=0.0)
    attention = BahdanauAttentionConfig(size=size)
    return ModelConfig(
        encoder=RnnEncoderConfig(**sizes),
        decoder=RnnDecoderConfig(**sizes, attention=attention, copy=copy),
        tying=Tying.THREE_WAY,
    )


@pytest.fixture
def train(run_config: Callable[..., Config], recorder: Any) -> Train:
    def trained(
        model: ModelConfig, vocabulary: int, corpus: EncodedCorpus, updates: int
    ) -> TranslationModel:
        config = run_config(
            model,
            max_updates=updates,
            batch_tokens=600,
            label_smoothing=0.0,
            schedule=CosineScheduleConfig(warmup=20, final_factor=0.0),
            optimizer=AdamConfig(
                learning_rate=1e-2, beta1=0.9, beta2=0.98, epsilon=1e-9, weight_decay=0.0
            ),
        )
        torch.manual_seed(1)
        built = build_model(model, vocabulary, vocabulary)
        Trainer(built, corpus, config, recorder().services()).train()
        return built.eval()

    return trained


def test_rare_pieces_are_copied_after_much_less_training(
    train: Train, corpus_of: Callable[[Any], EncodedCorpus]
) -> None:
    """Sequences of 3,000 pieces, each of which occurs once or twice in the training text."""
    vocabulary, random = 3004, np.random.default_rng(1)

    def sequences(count: int) -> list[list[int]]:
        lengths = random.integers(3, 7, count)
        return [random.integers(4, vocabulary, length).tolist() for length in lengths]

    seen, unseen = sequences(1000), sequences(200)
    corpus = corpus_of([(one, one) for one in seen])
    greedy = DecodingConfig(
        beam_size=1, length_penalty=0.0, max_length_ratio=1.0, max_length_extra=2, batch_size=200
    )
    right = {}
    for copy in ("pointer", "none"):
        model = train(settings(copy), vocabulary, corpus, 130)
        found = beam_search(model, *source_batch(unseen), greedy)
        pairs = zip(found, unseen, strict=True)
        right[copy] = sum(best.ids == one for (best, *_), one in pairs) / len(unseen)
    assert right["pointer"] > 0.9, right
    assert right["none"] < 0.3, right
