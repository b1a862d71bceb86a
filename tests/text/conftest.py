import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import sentencepiece


def _train(sentences: Iterable[str], **settings: Any) -> bytes:
    defaults: dict[str, Any] = dict(
        model_type="bpe",
        vocab_size=40,
        character_coverage=1.0,
        normalization_rule_name="identity",
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        num_threads=1,
        minloglevel=2,
    )
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, **(defaults | settings)
    )
    return model.getvalue()


@pytest.fixture(scope="session")
def sentencepiece_model() -> Callable[..., bytes]:
    """Trains SentencePiece directly; keywords are its settings. Raises RuntimeError."""
    return _train
