"""An imported model has nmt's special ids, and segments text as before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.errors import UserError
from nmt.text import model_file
from nmt.text.import_model import import_model
from nmt.text.model_file import USER_DEFINED, ModelFile
from nmt.text.special_tokens import BOS, EOS, PAD, UNK
from nmt.text.tokenizer import Tokenizer, train_tokenizers

Train = Callable[..., bytes]
Config = Callable[..., TokenizerConfig]

CORPUS = [
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen liquor jugs",
    "the five boxing wizards jump quickly over the box",
]
KINDS = ["unigram", "bpe", "char", "word"]
IDS = {
    "its own": dict(unk_id=0, bos_id=1, eos_id=2, pad_id=-1),
    "t5": dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
    "nmt": dict(pad_id=PAD, unk_id=UNK, bos_id=BOS, eos_id=EOS),
    "far": dict(unk_id=7, bos_id=3, eos_id=9, pad_id=-1),
    "renamed": dict(unk_id=0, bos_id=1, eos_id=2, pad_id=3, pad_piece="[PAD]", unk_piece="[UNK]"),
}
SENTENCES = st.lists(
    st.sampled_from(["the", "fox", "quick", "jumping", "é", "漢", "<s>", "<pad>", "<2de>", "z"]),
    max_size=6,
).map(" ".join)


@pytest.fixture
def models(sentencepiece_model: Train) -> Callable[[str, str], bytes]:
    def make(kind: str, ids: str) -> bytes:
        return sentencepiece_model(
            CORPUS,
            model_type=kind,
            vocab_size=60 if kind in ("char", "word") else 50,
            hard_vocab_limit=kind == "bpe",
            user_defined_symbols=["<2de>"],
            **IDS[ids],
        )

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", list(IDS))
def test_text_is_segmented_as_before(
    kind: str, ids: str, models: Callable[[str, str], bytes]
) -> None:
    model = models(kind, ids)
    adopted = import_model(model)
    before = sentencepiece.SentencePieceProcessor(model_proto=model)
    after = sentencepiece.SentencePieceProcessor(model_proto=adopted)
    assert [after.pad_id(), after.unk_id(), after.bos_id(), after.eos_id()] == [PAD, UNK, BOS, EOS]
    assert import_model(adopted) == adopted
    scores = {p.surface: (p.score, p.type) for p in ModelFile.parse(adopted).pieces}
    pieces = ModelFile.parse(model).pieces
    assert {p.surface: (p.score, p.type) for p in pieces}.items() <= scores.items()

    @settings(max_examples=25, deadline=None)
    @given(sentence=SENTENCES)
    def check(sentence: str) -> None:
        cut = after.encode(sentence, out_type=str)
        assert cut == before.encode(sentence, out_type=str)
        assert after.decode(after.encode(sentence)) == before.decode(before.encode(sentence))
        assert Tokenizer(adopted).decode(Tokenizer(adopted).encode(sentence)) is not None

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_symbols_that_a_model_lacks_are_added(
    kind: str, models: Callable[[str, str], bytes]
) -> None:
    model = models(kind, "its own")
    tokenizer = Tokenizer(import_model(model, ["<2de>", "<bt>", "fox"]))
    assert set(tokenizer.symbols) == {"<2de>", "<bt>", "fox"}
    plain = Tokenizer(import_model(model)).pieces(Tokenizer(import_model(model)).encode("the dog"))
    assert tokenizer.pieces(tokenizer.encode("<bt> the dog")) == ["<bt>", *plain]
    assert tokenizer.decode(tokenizer.encode("the fox")) == "the fox"
    types = {piece.surface: piece.type for piece in ModelFile.parse(tokenizer.to_bytes()).pieces}
    assert types["fox"] == USER_DEFINED


def test_a_symbol_cannot_be_a_special_piece(models: Callable[[str, str], bytes]) -> None:
    with pytest.raises(UserError, match="'<s>' already has a special meaning"):
        import_model(models("bpe", "its own"), ["<s>"])


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x00" * 100, b"\n\xff", b"\xff" * 20])
def test_bytes_that_are_not_a_model_are_refused(junk: bytes) -> None:
    with pytest.raises(UserError, match="not a SentencePiece model"):
        import_model(junk)


def test_a_model_that_marks_the_ends_of_words_is_refused(sentencepiece_model: Train) -> None:
    model = sentencepiece_model(CORPUS, vocab_size=50, treat_whitespace_as_suffix=True)
    with pytest.raises(UserError, match="ends of words"):
        import_model(model)


@settings(max_examples=100, deadline=None)
@given(junk=st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused(junk: bytes) -> None:
    try:
        parts = ModelFile.parse(junk)
    except ValueError:
        return
    assert ModelFile.parse(parts.to_bytes()).pieces == parts.pieces


# ------------------------------------------------------------------------- given


def test_given_models_are_used_without_training(
    tmp_path: Path, models: Callable[[str, str], bytes], tokenizer_config: Config
) -> None:
    file = tmp_path / "any.model"
    file.write_bytes(models("unigram", "t5"))
    config = tokenizer_config(name="bpe", model=str(file), symbols=["<bt>"], vocab_size=9)
    joint = train_tokenizers(replace(config, joint=True), [], [])
    assert joint.joint
    assert joint.source.kind == "unigram"
    assert set(joint.source.symbols) == {"<2de>", "<bt>"}
    both = train_tokenizers(replace(config, joint=False, target_model=str(file)), [], [])
    assert not both.joint
    assert both.target.to_bytes() == joint.source.to_bytes()
    half = train_tokenizers(replace(config, name="word", joint=False), [], ["ein Haus"])
    assert half.source.kind == "unigram"
    assert half.target.kind == "word"


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file"), (b"", "not a Sent"), (b"junk", "not a Sent")]
)
def test_a_file_that_is_not_a_model_is_named(
    tmp_path: Path, content: bytes | None, told: str, tokenizer_config: Config
) -> None:
    file = tmp_path / "some.model"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=rf"some.model: .*{told}"):
        train_tokenizers(tokenizer_config(model=str(file)), ["a"], ["b"])


def test_a_given_model_with_one_segmentation_cannot_be_sampled(
    tmp_path: Path, models: Callable[[str, str], bytes], tokenizer_config: Config
) -> None:
    file = tmp_path / "char.model"
    file.write_bytes(models("char", "its own"))
    config = tokenizer_config(model=str(file), joint=True, sampling=0.1)
    with pytest.raises(UserError, match="tokenizer.sampling=0.1 .* of kind char"):
        train_tokenizers(config, [], [])


def test_empty_pieces_and_too_many_are_refused_with_the_file(
    tokenizer_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Any
) -> None:
    file = tmp_path / "mine.model"
    file.write_bytes(b"\x0a\x00" * 100_000)
    config = tokenizer_config(model=str(file))
    with pytest.raises(UserError, match=r"mine\.model.*piece 0 is empty"):
        train_tokenizers(config, CORPUS, CORPUS)
    monkeypatch.setattr(model_file, "MOST_PIECES", 20)
    file.write_bytes(models("bpe", "nmt"))
    with pytest.raises(UserError, match=r"mine\.model.*more than 20 pieces"):
        train_tokenizers(config, CORPUS, CORPUS)


def test_a_model_that_only_sentencepiece_refuses_is_named(
    tokenizer_config: Config, tmp_path: Path, models: Any
) -> None:
    parts = ModelFile.parse(models("bpe", "nmt"))
    parts.pieces.append(parts.pieces[-1])  # twice the same piece
    (tmp_path / "mine.model").write_bytes(parts.to_bytes())
    with pytest.raises(UserError, match=r"mine\.model is not a SentencePiece model"):
        train_tokenizers(tokenizer_config(model=str(tmp_path / "mine.model")), CORPUS, CORPUS)
