"""With a shortlist, every search is the plain one over the sentence's own candidates.

Legend: V target vocabulary.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nmt.config.model import ModelConfig, RegionEncoderConfig, TransformerDecoderConfig
from nmt.config.schema import DecodingConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.batches.batch import source_batch
from nmt.decoding.constrained.allowed_pieces import ALWAYS, AllowedPieces
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.constrained.shortlist import (
    Shortlist,
    check_shortlisted_model,
    vocabulary_hashes,
)
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.sampling import Sampling
from nmt.decoding.translator import Translation, Translator
from nmt.errors import UserError
from nmt.kernels import dispatch
from nmt.kernels.linear.weight_layout import lay_out_for_search, rows_for_search
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import EOS
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

WORDS = ["nabe", "boden", "rot", "tor", "orden", "beton", "erde", "abend"]
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": dict(beam_size=1),
    "beam": dict(beam_size=4),
    "repetition": dict(beam_size=3, repetition_penalty=1.5, no_repeat_ngram=3),
    "minimum": dict(beam_size=3, min_length_ratio=1.0),
    "groups": dict(beam_size=4, beam_groups=2),
}
ASKED = {
    "nothing": Constraints(),
    "prefix": Constraints(prefix="beton erde"),
    "required": Constraints(required=("abend rot",)),
    "forbidden": Constraints(forbidden=("e", "boden")),
}


def sentences(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 9))) for _ in range(count)]


@pytest.fixture(scope="module")
def tokenizers(tokenizer_config: Callable[..., TokenizerConfig]) -> TokenizerPair:
    return train_tokenizers(tokenizer_config(), sentences(60, 1), sentences(60, 2))


Model = Callable[[], TranslationModel]


@pytest.fixture(params=["rnn", "transformer", "ensemble"])
def translator(
    request: pytest.FixtureRequest,
    tokenizers: TokenizerPair,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> Translator:
    kinds = ["rnn", "transformer"] if request.param == "ensemble" else [request.param]
    sizes = len(tokenizers.source), len(tokenizers.target)
    models = [tiny_model(tiny_config(kind, kind), *sizes).eval() for kind in kinds]
    decoding = DecodingConfig(max_length_ratio=1.0, max_length_extra=3)
    model = models[0] if len(models) == 1 else Ensemble(models).eval()
    return Translator(model, tokenizers, decoding)


def shortlist_of(tokenizers: TokenizerPair, lists: dict[int, list[int]]) -> Shortlist:
    pieces = [np.array(lists.get(i, []), dtype=np.int64) for i in range(len(tokenizers.source))]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in pieces])])
    always = np.array(ALWAYS, dtype=np.int64)
    size, hashes = len(tokenizers.target), vocabulary_hashes(tokenizers)
    return Shortlist(offsets, np.concatenate(pieces), always, size, hashes)


def few_candidates(tokenizers: TokenizerPair) -> Shortlist:
    """Return other candidates for every source piece, a fourth of the vocabulary."""
    size = len(tokenizers.target)
    random = np.random.default_rng(3)
    every = range(len(tokenizers.source))
    return shortlist_of(tokenizers, {i: random.choice(size, size // 4).tolist() for i in every})


def hypotheses(found: list[Translation]) -> list[list[tuple[list[int], float]]]:
    return [[(h.ids, h.log_prob) for h in one.hypotheses] for one in found]


def assert_same(found: list[Translation], expected: list[Translation]) -> None:
    for one, other in zip(hypotheses(found), hypotheses(expected), strict=True):
        assert [ids for ids, _ in one] == [ids for ids, _ in other]
        assert [p for _, p in one] == pytest.approx([p for _, p in other], abs=1e-4)


@pytest.mark.parametrize(
    ("search", "asked"),
    [
        (search, asked)
        for search in SEARCHES
        for asked in ASKED
        if (search, asked) != ("groups", "required")  # required phrases need one group
    ],
)
def test_a_shortlist_of_all_pieces_changes_nothing(
    translator: Translator, search: str, asked: str
) -> None:
    given = sentences(5, 4)
    translator = translator.with_settings(SEARCHES[search])
    everything = {"constraints": [ASKED[asked]] * len(given)}
    expected = translator.translate(given, **everything)
    lists = {i: [*range(len(translator.tokenizers.target))] for i in range(99)}
    translator.shortlist = shortlist_of(translator.tokenizers, lists)
    assert_same(translator.translate(given, **everything), expected)


def _search_in_turn(translator: Translator, given: list[str], **options: Any) -> list[Translation]:
    return [translator.translate([one], numbers=[i], **options)[0] for i, one in enumerate(given)]


@pytest.mark.parametrize("accelerated", [False, True], ids=["cpu", "gpu"])
@pytest.mark.parametrize("search", SEARCHES)
def test_a_translation_does_not_depend_on_the_candidates_of_its_neighbors(
    translator: Translator, search: str, *, accelerated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = sentences(17, 5)
    translator = translator.with_settings(SEARCHES[search])
    translator.shortlist = few_candidates(translator.tokenizers)
    expected = translator.with_settings({"batch_size": 1}).translate(given)
    if accelerated:
        monkeypatch.setattr(dispatch, "repeats_shapes", lambda _: True)
    for size in (7, 64):
        translator.by_sentences = True
        assert_same(translator.with_settings({"batch_size": size}).translate(given), expected)
    order = np.random.default_rng(1).permutation(len(given))
    shuffled = translator.translate([given[i] for i in order])
    assert_same(shuffled, [expected[i] for i in order])


@pytest.mark.parametrize("search", SEARCHES)
def test_the_fast_path_finds_what_the_plain_one_finds(
    translator: Translator, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain one gives search the whole vocabulary, with -inf at other pieces."""
    given = sentences(9, 6)
    translator = translator.with_settings(SEARCHES[search])
    translator.shortlist = few_candidates(translator.tokenizers)
    found = translator.translate(given)
    monkeypatch.setattr(AllowedPieces, "narrow", AllowedPieces.widen)
    monkeypatch.setattr(AllowedPieces, "ids", lambda _, places: places)
    assert_same(found, translator.translate(given))


def test_translations_have_only_candidates_and_are_the_best_of_them(translator: Translator) -> None:
    """Scores of forced translations, normalized over the candidates, are those of the search."""
    given = sentences(6, 7)
    shortlist = few_candidates(translator.tokenizers)
    translator.shortlist = shortlist
    for one in translator.translate(given):
        (allowed,) = shortlist.allowed([one.source_ids]).pieces.tolist()
        for hypothesis in one.hypotheses:
            ids = [*hypothesis.ids, EOS]
            assert set(ids) <= set(allowed)
            batch = source_batch([one.source_ids])
            targets = torch.tensor([[2, *hypothesis.ids]])
            with torch.inference_mode():
                output = translator.model(*batch, targets)
                logits = translator.model.predictions(output)[0]
            among = logits[:, sorted(set(allowed))].log_softmax(1)
            places = [sorted(set(allowed)).index(piece) for piece in ids]
            total = among[range(len(ids)), places].sum().item()
            if not isinstance(translator.model, Ensemble):  # whose members are normalized before
                assert hypothesis.log_prob == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("top", [dict(), dict(top_k=3), dict(top_p=0.7)], ids=str)
def test_samples_depend_neither_on_the_batch_nor_on_the_width(
    translator: Translator, top: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, sampling = sentences(8, 8), Sampling(seed=5, count=3, **top)
    translator.shortlist = few_candidates(translator.tokenizers)
    expected = _search_in_turn(translator, given, sampling=sampling)
    assert_same(translator.translate(given, sampling=sampling), expected)
    monkeypatch.setattr(AllowedPieces, "narrow", AllowedPieces.widen)
    monkeypatch.setattr(AllowedPieces, "ids", lambda _, places: places)
    assert_same(translator.translate(given, sampling=sampling), expected)


def test_attention_has_the_shape_of_its_translation(translator: Translator) -> None:
    translator.shortlist = few_candidates(translator.tokenizers)
    for one in translator.translate(sentences(5, 9), need_weights=True):
        for hypothesis in one.hypotheses:
            assert hypothesis.weights is not None
            shape = len(hypothesis.ids) + 1, len(one.source_ids) + 1
            assert hypothesis.weights.shape[2:] == shape


@pytest.mark.parametrize("asked", ["prefix", "required"])
def test_the_pieces_of_constraints_are_let_in(translator: Translator, asked: str) -> None:
    given = sentences(6, 10)
    translator = translator.with_settings({"beam_size": 8})
    translator.shortlist = shortlist_of(translator.tokenizers, {})
    wanted = ASKED[asked].prefix or ASKED[asked].required[0]
    for one in translator.translate(given, constraints=[ASKED[asked]] * len(given)):
        assert wanted in one.text


def test_copies_signs_and_frequent_pieces_are_candidates(
    tokenizer_config: Callable[..., TokenizerConfig],
) -> None:
    config = replace(tokenizer_config(), joint=False)
    source = ["Tor, 5 Erden!", *sentences(60, 1)]
    target = ["das , 7 % tor.", *sentences(60, 2)]
    tokenizers = train_tokenizers(config, source, target)
    size = len(tokenizers.target)
    none = np.zeros(0, dtype=np.int64)
    counts = np.zeros(size, dtype=np.int64)
    counts[10], counts[12] = 5, 3
    shortlist = Shortlist.of(tokenizers, (none, none), counts, frequent=2)
    names = tokenizers.target.pieces(range(size))
    signs = {names.index(sign) for sign in ",7%." if sign in names}
    assert signs
    assert {10, 12, *ALWAYS, *signs} <= {*shortlist.always.tolist()}
    for piece, name in enumerate(tokenizers.source.pieces(range(len(tokenizers.source)))):
        if piece > EOS and name in names:
            (allowed,) = shortlist.allowed([[piece]]).pieces.tolist()
            assert names.index(name) in allowed, name


@pytest.mark.parametrize("columns", [False, True])
def test_rows_of_the_output_layer_keep_their_layout(*, columns: bool) -> None:
    layer = torch.nn.Linear(8, 21)
    if columns:
        lay_out_for_search([layer])
    rows = torch.tensor([0, 3, 4, 20])
    found = rows_for_search(layer.weight, rows)
    assert torch.equal(found, layer.weight[rows])
    assert found.t().is_contiguous() == layer.weight.t().is_contiguous()


def test_a_model_that_reads_only_features_has_no_shortlist() -> None:
    """Its candidates would come from a source text that it does not read."""
    encoder, decoder = RegionEncoderConfig(feature_size=3), TransformerDecoderConfig()
    config = ModelConfig(encoder=encoder, decoder=decoder)
    with pytest.raises(UserError, match="model/encoder=regions.* without a shortlist"):
        check_shortlisted_model(config)
