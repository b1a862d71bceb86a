"""The tag that a model needs before every sentence of a document."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nmt.config.data import DataConfig, FilesDataConfig, PhrasebookDataConfig
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.config.source_settings import SourceConfig
from nmt.decoding.hypothesis import Hypothesis
from nmt.documents.document_formats import translated_document
from nmt.documents.document_kinds import DocumentFormat
from nmt.documents.document_options import DocumentOptions
from nmt.documents.model_translation import ModelTranslation
from nmt.documents.protection import Protection
from nmt.documents.segment_translation import SegmentTranslation
from nmt.documents.source_tag import sentence_tag
from nmt.errors import UserError


class _Words:
    """A tokenizer of words; words in angle brackets are symbols."""

    symbols = ("<2de>", "<2fr>", "<bt>")

    def split_tags(self, sentence: str) -> tuple[str, str]:
        at = 0
        while sentence.startswith("<", at):
            at = sentence.index(">", at) + 1
            at += sentence.startswith(" ", at)
        return sentence[:at], sentence[at:]

    def encode_all(self, sentences: Sequence[str]) -> list[list[int]]:
        return [[hash(word) for word in sentence.split()] for sentence in sentences]

    def pieces(self, ids: Sequence[Any]) -> list[str]:
        return [f"▁{word}" for word in ids]


def _data(*tags: str | None) -> DataConfig:
    extra = {f"more{n}": {"path": "x", "tag": tag} for n, tag in enumerate(tags[1:])}
    return FilesDataConfig(
        source_language="en",
        target_language="de",
        max_length=9,
        workers=1,
        extra=extra,
        train=SourceConfig(path="x", tag=tags[0]),
    )


@pytest.mark.parametrize(
    ("given", "tags", "expected"),
    [
        (None, ["<2de>"], "<2de>"),
        (None, ["<2de>", "<2de>"], "<2de>"),
        (None, [None], ""),
        (None, [None, "<bt>"], ""),
        ("<2fr>", ["<2de>", "<2fr>"], "<2fr>"),
        ("<2de> <bt>", ["<2de>"], "<2de> <bt>"),
        ("2de:", ["2de:", None], "2de:"),
    ],
)
def test_the_tag_of_a_document(given: str | None, tags: list[str | None], expected: str) -> None:
    assert sentence_tag(given, _data(*tags), _Words()) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "tags", "message"),
    [
        (None, ["<2fr>", "<2de>"], "trained with the tags <2de>, <2fr>: choose one"),
        ("2xx", ["<2de>"], "--source-tag is '2xx', but the model was trained with <2de>"),
        ("", ["<2de>"], "--source-tag is '', but"),
        ("2xx", [None], "but the model was trained without tags"),
    ],
)
def test_a_tag_that_does_not_fit_is_refused(
    given: str | None, tags: list[str | None], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        sentence_tag(given, _data(*tags), _Words())  # type: ignore[arg-type]


class _Copies:
    """A translator of words whose attention is to the word that is copied, after the tag."""

    def __init__(self, attends: bool = True) -> None:
        self.tokenizers = SimpleNamespace(source=_Words(), target=_Words())
        self.decoding = SimpleNamespace(batch_size=4)
        self.attends, self.processes = attends, 1
        self.texts: list[str] = []

    def translate(self, texts: Sequence[str], *, need_weights: bool) -> list[Any]:
        self.texts += texts
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Any:
        words = text.split()
        copied = [word.upper() for word in words if not word.startswith("<")][::-1]
        weights = np.zeros((1, 1, len(copied) + 1, len(words) + 1), np.float32)
        for row, word in enumerate(copied):
            weights[0, 0, row, [w.upper() for w in words].index(word)] = 1
        hypothesis = Hypothesis(copied, 0.0, 0.0, torch.from_numpy(weights))  # type: ignore[arg-type]
        return SimpleNamespace(
            source=text, source_ids=words, text=" ".join(copied), hypotheses=[hypothesis]
        )


def _document(text: str, format: str, translator: ModelTranslation) -> bytes:
    work = SegmentTranslation(translator, Protection(()))
    options = DocumentOptions("document", ("en", "de"))
    parts = translated_document([text.encode()], DocumentFormat(format), options, work)
    return b"".join(part for part, _ in parts)


@pytest.fixture
def config(run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]) -> Config:
    return run_config(tiny_config(attention="luong_dot"))


@pytest.mark.parametrize("tags", ["<2de>", "<2de> <bt>"])
def test_every_sentence_gets_the_tag_and_inline_tags_stay_beside_their_words(
    config: Config, tags: str
) -> None:
    config.data = _data("<2de>")
    model = _Copies()
    work = ModelTranslation(model, config, 40, tags)  # type: ignore[arg-type]
    found = _document("<p>one <b>two</b> three. four\n<p>five", "html", work)
    assert b"<b>TWO</b>" in found
    assert all(text.startswith(f"{tags} ") for text in model.texts)
    assert not any(b"2de" in part.lower() for part in found.split())


def test_a_long_sentence_is_cut_with_room_for_the_tag(config: Config) -> None:
    config.data = _data("<2de>")
    work = ModelTranslation(_Copies(), config, 5)  # type: ignore[arg-type]
    parts = work.split("one two three four five six seven", by_sentences=False)
    assert len(parts) > 1
    assert all(len(part.split()) <= 4 for part in parts)


def test_a_model_without_tags_sees_the_text_alone(config: Config) -> None:
    assert isinstance(config.data, PhrasebookDataConfig)
    model = _Copies()
    work = ModelTranslation(model, config, 40)  # type: ignore[arg-type]
    _document("one two\n", "text", work)
    assert model.texts == ["one two"]
