"""The page of a model names only what is known."""

import pytest

from nmt.config.schema import Config
from nmt.export.model_card import model_card
from nmt.sweeps.overrides import compose_config


def page(*overrides: str) -> str:
    config: Config = compose_config(list(overrides), {})
    return model_card(config, {}, None, "nmt translate", "config.yaml")


@pytest.mark.parametrize(
    ("overrides", "size"),
    [
        (["tokenizer=bpe"], "SentencePiece `bpe`, 3,000 pieces"),
        (["tokenizer=char"], "SentencePiece `char`, at most "),
        (["tokenizer=word"], "SentencePiece `word`, at most "),
    ],
)
def test_the_size_of_a_vocabulary_is_not_claimed_where_the_text_decides(
    overrides: list[str], size: str
) -> None:
    assert size in page(*overrides)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "it reads no other sentence of"),
        (1, "it reads at most 1 previous sentence of"),
        (2, "it reads at most 2 previous sentences of"),
    ],
)
def test_the_sentences_that_a_model_reads_are_told(count: int, text: str) -> None:
    assert text in page("data=phrasebook_documents", f"data.context_sentences={count}")


def test_a_given_tokenizer_has_its_own_size_and_normalization() -> None:
    text = page("tokenizer.model=given.model")
    assert "A given SentencePiece model, one vocabulary." in text
    assert "3,000" not in text
    assert "normalization `" not in text
