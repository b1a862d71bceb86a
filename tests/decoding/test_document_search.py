"""Search in documents: batches, chunks of lines and other documents change no translation."""

from collections.abc import Callable, Sequence

import pytest

from nmt.config.model import ModelConfig
from nmt.config.schema import DecodingConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.decoding.answers import Answerer
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.document_answers import DocumentAnswerer
from nmt.decoding.document_scoring import score_rows
from nmt.decoding.document_search import (
    own_translation,
    target_context,
    translate_documents,
    with_context,
)
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.sampling import Sampling
from nmt.decoding.scoring import score_translations
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.model.documents.hierarchical_decoder import HierarchicalDecoder
from nmt.model.seq2seq import TranslationModel
from nmt.text.sentence_context import ContextSize, join_sentences
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

DOCUMENTS = [["rot", "tor boden", "erde"], ["abend"], ["nabe orden", "beton rot"], ["erde erde"]]
LINES = [line for one in DOCUMENTS for line in (*one, "")]
SENTENCES = [line for one in DOCUMENTS for line in one]
NUMBERS = [number for number, one in enumerate(DOCUMENTS) for _ in one]
SIZES = [ContextSize(1, 0, 50), ContextSize(2, 0, 50), ContextSize(1, 1, 50), ContextSize(2, 2, 50)]
Make = Callable[..., Translator]


@pytest.fixture(scope="module")
def tokenizers(tokenizer_config: Callable[..., TokenizerConfig]) -> TokenizerPair:
    config = tokenizer_config(name="bpe", vocab_size=24, joint=True, symbols=["<brk>"])
    return train_tokenizers(config, SENTENCES, SENTENCES)


@pytest.fixture(params=["rnn", "transformer", "hierarchical", "joint"])
def translator_of(
    request: pytest.FixtureRequest,
    tokenizers: TokenizerPair,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> Make:
    stack = "rnn" if request.param == "rnn" else "transformer"
    settings = dict(context="hierarchical") if request.param in ("hierarchical", "joint") else {}
    if request.param == "joint":
        settings |= dict(decoder_context="hierarchical")
    model = tiny_model(
        tiny_config(stack, stack, **settings),
        len(tokenizers.source),
        len(tokenizers.target),
        *[tokenizers.source.symbols["<brk>"]] * 2,
    )

    def make(batch_size: int = 8) -> Translator:
        decoding = DecodingConfig(
            beam_size=3, max_length_ratio=1.0, max_length_extra=2, batch_size=batch_size
        )
        return Translator(model, tokenizers, decoding)

    return make


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_neither_batches_nor_other_documents_change_a_translation(
    size: ContextSize, translator_of: Make
) -> None:
    whole = [found.text for found in translate_documents(translator_of(), size, SENTENCES, NUMBERS)]
    for batch_size in (1, 3):
        found = translate_documents(translator_of(batch_size), size, SENTENCES, NUMBERS)
        assert [one.text for one in found] == whole
    alone = [translate_documents(translator_of(), size, one) for one in DOCUMENTS]
    assert [one.text for found in alone for one in found] == whole


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_lines_that_arrive_in_parts_have_the_same_context(
    size: ContextSize, translator_of: Make
) -> None:
    def answered(parts: Sequence[Sequence[str]]) -> list[str]:
        answerer = DocumentAnswerer(Answerer(translator_of(), 1, None, "de"), size)
        answers = [
            answer
            for lines in parts
            for answer in answerer.answer([[line] for line in lines], range(len(lines)))
        ]
        return [answer.texts[0].text for answer in answers]

    whole = answered([LINES])
    assert answered([[line] for line in LINES]) == whole
    assert answered([LINES[:3], LINES[3:8], LINES[8:]]) == whole
    found = translate_documents(translator_of(), size, LINES)
    assert [one.text for one in found] == whole


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_model_with_itself_translates_documents_like_the_model(
    size: ContextSize, translator_of: Make
) -> None:
    alone = translate_documents(translator_of(), size, SENTENCES, NUMBERS)
    together = translator_of()
    together.model = Ensemble([together.model] * 2).eval()
    found = translate_documents(together, size, SENTENCES, NUMBERS)
    assert [one.text for one in found] == [one.text for one in alone]
    targets = [line[::-1] for line in LINES]
    scores = [
        [row[0].log_prob for row in score_rows(one, size, zip(LINES, targets, strict=True))]
        for one in (together, translator_of())
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_the_context_of_a_translation_are_the_translations_before(translator_of: Make) -> None:
    size, translator = ContextSize(1, 1, 50), translator_of()
    found = translate_documents(translator, size, DOCUMENTS[0])
    before = ""
    for place, sentence in enumerate(DOCUMENTS[0]):
        previous = [before] if place else []
        source = join_sentences(DOCUMENTS[0][max(0, place - 1) : place], sentence)
        [alone] = translator.translate([source], constraints=[target_context(previous)])
        attends = isinstance(translator.model.decoder, HierarchicalDecoder)
        written = [] if attends else previous
        begun = "".join(f"{text}<brk>" for text in written).replace(" ", "")
        assert not attends or "<brk>" not in alone.text or not previous
        assert alone.text.replace(" ", "").startswith(begun)
        before = own_translation(alone.text, len(previous))
        assert found[place].text == before


def test_a_model_of_single_sentences_gets_no_context(translator_of: Make) -> None:
    size = ContextSize(0, 0, 50)
    found = translate_documents(translator_of(), size, LINES)
    assert [one.source for one in found] == LINES
    assert [one.text for one in found] == [one.text for one in translator_of().translate(LINES)]


def test_own_translations_as_context_refuse_what_would_break_their_order(
    translator_of: Make,
) -> None:
    answerer = DocumentAnswerer(Answerer(translator_of(), 1, None, "de"), ContextSize(1, 1, 50))
    with pytest.raises(UserError, match="a long line cannot be cut"):
        answerer.answer([["rot", "tor"]], [0])
    with pytest.raises(UserError, match="cannot have required phrases"):
        answerer.answer([["rot"]], [0], constraints=[Constraints(required=("tor",))])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_scores_are_of_the_sentence_given_its_context(
    size: ContextSize, translator_of: Make
) -> None:
    translator = translator_of()
    targets = [line[::-1] for line in LINES]
    rows = list(score_rows(translator, size, zip(LINES, targets, targets[::-1], strict=True)))
    joined = with_context(translator.tokenizers, size, LINES, None)
    history: list[str] = []
    for row, line, source, target in zip(rows, LINES, joined, targets, strict=True):
        before = history[-size.targets :] if size.targets and line else []
        [forced] = score_translations(translator, [(source, join_sentences(before, target))])
        own = len(translator.tokenizers.target.encode(target)) + 1  # EOS
        assert row[0].log_probs == pytest.approx(forced.log_probs[-own:], abs=1e-4)
        assert (row[0].source, row[0].target) == (line, target)
        history = [*history, target] if line else []


@pytest.mark.parametrize("sampled", [False, True])
def test_a_phrase_is_forbidden_only_in_its_own_sentence(translator_of: Make, sampled: bool) -> None:
    """The previous translations have the phrases, which the next translations must not have."""
    sampling = Sampling(count=1, seed=3) if sampled else None
    translator, sources = translator_of(), ["rot tor", "tor boden", "erde"]
    before = [("rot erde",), ("nabe", "erde nabe"), ("rot",)]
    free = [target_context(texts) for texts in before]
    words = [
        own_translation(found.text, len(texts)).replace("⁇", "").split()  # UNK has no text
        for texts, found in zip(
            before, translator.translate(sources, constraints=free, sampling=sampling), strict=True
        )
    ]
    asked = [
        Constraints(context=texts, forbidden=(texts[-1], *some[:1]))
        for texts, some in zip(before, words, strict=True)
    ]
    found = translator.translate(sources, constraints=asked, sampling=sampling)
    attends = isinstance(translator.model.decoder, HierarchicalDecoder)
    for texts, wanted, one in zip(before, asked, found, strict=True):
        assert attends or one.text.startswith(texts[0])
        own = own_translation(one.text, 0 if attends else len(texts))
        assert [one for one in wanted.forbidden if f" {one} " in f" {own} "] == [], own


def test_the_greatest_length_of_a_translation_is_without_its_context(translator_of: Make) -> None:
    translator = translator_of()
    before = ["nabe orden beton rot erde abend"]
    [found] = translator.translate(["rot tor"], constraints=[target_context(before)])
    attends = isinstance(translator.model.decoder, HierarchicalDecoder)
    text = target_context(before).context_text
    written = 0 if attends else len(translator.tokenizers.target.encode(text))
    limit = len(found.source_ids) + 1 + 2
    assert attends or written > limit
    for one in found.hypotheses:
        assert one.at_limit == (len(one.ids) - written + 1 == limit)


def test_coverage_is_of_the_pieces_that_the_decoder_can_attend_to(translator_of: Make) -> None:
    translator = translator_of()
    hidden = getattr(translator.model.encoder, "hierarchical_attention", None) is not None
    penalized = translator.with_settings(
        dict(coverage_penalty=0.5, length_normalization="none", beam_size=2)
    )
    found = penalized.translate(["rot", "erde nabe <brk> rot tor"], need_weights=True)
    separator = translator.tokenizers.source.symbols["<brk>"]
    for one in found:
        ids = list(one.source_ids)
        own = ids.index(separator) + 1 if separator in ids and hidden else 0
        for hypothesis in one.hypotheses:
            assert hypothesis.weights is not None
            columns = hypothesis.weights.double().mean((0, 1)).sum(0)[own : len(ids)]
            penalty = 0.5 * columns.clamp(1e-6, 1).log().sum().item()
            assert hypothesis.score == pytest.approx(hypothesis.log_prob + penalty, abs=1e-4)


def test_the_scores_of_a_pointer_have_a_share_for_each_piece_of_the_sentence(
    tokenizers: TokenizerPair,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> None:
    pieces = len(tokenizers.source)
    model = tiny_model(tiny_config(copy="pointer"), pieces, pieces)
    translator = Translator(model, tokenizers, DecodingConfig())
    rows = [("rot", "tor"), ("tor boden", "erde nabe"), ("erde", "rot")]
    found = [row[0] for row in score_rows(translator, ContextSize(2, 2, 50), rows)]
    joined = [("rot", "tor"), ("rot <brk> tor boden", "tor <brk> erde nabe")]
    forced = list(score_translations(translator, joined))
    for one, whole in zip(found, forced, strict=False):
        assert one.p_gen is not None
        assert whole.p_gen is not None
        assert len(one.p_gen) == len(one.pieces)
        assert one.p_gen == pytest.approx(whole.p_gen[-len(one.pieces) :], abs=1e-5)
