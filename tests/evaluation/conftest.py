from collections.abc import Callable
from dataclasses import replace

import pytest

from nmt.config.model import ModelConfig
from nmt.config.schema import DecodingConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.corpus import ParallelText
from nmt.decoding.translator import Translator
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

DECODING = DecodingConfig(
    beam_size=2, length_penalty=1.0, max_length_ratio=1.0, max_length_extra=3, batch_size=2
)


@pytest.fixture
def text() -> ParallelText:
    """Pairs of very different lengths, one with a blank source."""
    return ParallelText(
        ["one", "two three four five six seven eight nine ten", "", "seven two", "ten ten"],
        ["eins", "zwei drei vier fünf sechs sieben acht neun zehn", "eins", "sieben zwei", "zehn"],
    )


@pytest.fixture
def tokenizers(
    text: ParallelText, tokenizer_config: Callable[..., TokenizerConfig]
) -> TokenizerPair:
    return TokenizerPair(
        *(
            train_tokenizers(tokenizer_config(vocab_size=size), side, side).source
            for side, size in ((text.source, 21), (text.target, 23))
        )
    )


@pytest.fixture
def translator_of(
    tokenizers: TokenizerPair, tiny_model: Callable[..., TranslationModel]
) -> Callable[..., Translator]:
    """Return a function that makes a translator with an untrained model."""

    def make(config: ModelConfig, **decoding: object) -> Translator:
        model = tiny_model(config, len(tokenizers.source), len(tokenizers.target))
        return Translator(model, tokenizers, replace(DECODING, **decoding))  # type: ignore[arg-type]

    return make
