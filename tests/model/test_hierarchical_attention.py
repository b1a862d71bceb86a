"""Hierarchical attention over previous sentences, compared with the paper's equations.

Legend: B batch, S length of a row, k previous sentences at most, D model size, H heads.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.config.data import FilesDataConfig
from nmt.config.model import ModelConfig, TransformerEncoderConfig
from nmt.errors import UserError
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.build import build_model
from nmt.model.documents.hierarchical_attention import HierarchicalAttention
from nmt.model.documents.hierarchical_encoder import HierarchicalEncoder
from nmt.model.documents.sentence_segments import ContextPieces, Segments
from nmt.model.transformer.transformer_stacks import TransformerEncoder
from nmt.text.special_tokens import EOS, PAD

BREAK, TAGS, VOCABULARY, K = 4, (5, 6), 30, 3
PIECES = ContextPieces(BREAK, TAGS, K)
ROWS = [  # without a context, with one sentence, with more than k, with an empty one, with tags
    [11, 12, 13],
    [14, 15, BREAK, 16, 17],
    [29, BREAK, 18, BREAK, 19, 20, 21, BREAK, 22, BREAK, 23, 24],
    [25, BREAK, BREAK, 26],
    [5, 6, 27, 28, BREAK, 10, 11],
    [6, 9],
]
POSITIONS = ["sinusoidal", "learned", "relative", "t5_bias", "rotary", "alibi"]
Built = Callable[..., HierarchicalEncoder]


def padded(rows: list[list[int]], width: int = 0) -> tuple[Tensor, Tensor]:
    """Ids [B, S] with EOS, and their mask."""
    width = max(width, *(len(row) + 1 for row in rows))
    ids = torch.tensor([[*row, EOS] + [PAD] * (width - len(row) - 1) for row in rows])
    return ids, ids != PAD


def sentences_of(row: list[int]) -> tuple[list[int], list[list[int]], list[int]]:
    """The tags of a row, its previous sentences with their separators, and the current one."""
    tags = []
    while row and row[0] in TAGS:
        tags, row = [*tags, row[0]], row[1:]
    previous: list[list[int]] = [[]]
    for piece in row:
        previous[-1].append(piece)
        if piece == BREAK:
            previous.append([])
    return tags, previous[:-1], [*previous[-1], EOS]


@pytest.fixture
def encoder_of(tiny_config: Callable[..., ModelConfig]) -> Built:
    """A factory of encoders in float64 with random vectors everywhere."""

    def make(**changes: object) -> HierarchicalEncoder:
        torch.manual_seed(2)
        config = tiny_config("transformer", context="hierarchical", num_layers=2, **changes)
        built = build_model(config, VOCABULARY, VOCABULARY, context=PIECES).double()
        for parameter in built.parameters():
            if parameter.dim() == 1:
                parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
        assert isinstance(built.encoder, HierarchicalEncoder)
        return built.encoder.eval()

    return make


def plain_of(encoder: HierarchicalEncoder, config: TransformerEncoderConfig) -> TransformerEncoder:
    """The encoder of single sentences with the same weights."""
    plain = TransformerEncoder(config, VOCABULARY).double().eval()
    own = plain.state_dict()
    plain.load_state_dict({name: w for name, w in encoder.state_dict().items() if name in own})
    return plain


def close_gate(encoder: HierarchicalEncoder) -> None:
    """Set λ to 1."""
    encoder.hierarchical_attention.state_gate.bias.data.fill_(1e6)


# ------------------------------------------------------------------ the paper's equations


def linear(layer: torch.nn.Linear, vector: Tensor) -> Tensor:
    return layer.weight @ vector + (0 if layer.bias is None else layer.bias)


def multi_head(
    attention: MultiHeadAttention, query: Tensor, values: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """MultiHead of one query and a list of vectors, head by head, and its weights [H, n]."""
    heads, all_weights = [], []
    q = linear(attention.query_projection, query).chunk(attention.num_heads)
    projected = [linear(attention.key_value_projection, value) for value in values]
    keys = [one.chunk(2)[0].chunk(attention.num_heads) for one in projected]
    mapped = [one.chunk(2)[1].chunk(attention.num_heads) for one in projected]
    for head in range(attention.num_heads):
        scores = [q[head] @ one[head] / len(q[head]) ** 0.5 for one in keys]
        weights = torch.stack(scores).softmax(0)
        all_weights.append(weights)
        heads.append(sum(w * one[head] for w, one in zip(weights, mapped, strict=True)))
    return linear(attention.output_projection, torch.cat(heads)), torch.stack(all_weights)


def from_the_paper(
    module: HierarchicalAttention, current: Tensor, previous: list[Tensor]
) -> tuple[Tensor, list[Tensor], Tensor]:
    """h̃_t of one word, the weights of each sentence, and those over sentences, the last first."""
    summaries, word_weights = [], []
    for sentence in previous[::-1]:
        summary, weights = multi_head(
            module.word_attention, linear(module.word_query, current), list(sentence)
        )
        summaries.append(summary)
        word_weights.append(weights)
    context, sentence_weights = multi_head(
        module.sentence_attention, linear(module.sentence_query, current), summaries
    )
    wide, _, _, narrow = module.feed_forward
    assert isinstance(wide, torch.nn.Linear)
    assert isinstance(narrow, torch.nn.Linear)
    d = linear(narrow, linear(wide, context).clamp_min(0))
    gate = torch.sigmoid(linear(module.state_gate, current) + module.context_gate.weight @ d)
    return gate * current + (1 - gate) * d, word_weights, sentence_weights


def test_the_encoder_equals_a_loop_over_sentences_written_from_the_paper(
    encoder_of: Built, tiny_config: Callable[..., ModelConfig]
) -> None:
    encoder = encoder_of()
    config = tiny_config("transformer", num_layers=2).encoder
    assert isinstance(config, TransformerEncoderConfig)
    plain = plain_of(encoder, config)
    ids, mask = padded(ROWS, width=15)
    found = encoder(ids, mask)
    weights = encoder.context_weights(ids, mask)
    for number, row in enumerate(ROWS):
        tags, previous, current = sentences_of(row)
        alone = [plain(*padded_alone(one)).states[0] for one in previous[-K:]]
        words = plain(*padded_alone([*tags, *current])).states[0]
        places = found.mask[number].nonzero()[:, 0].tolist()
        assert len(places) == len(words)
        for place, word in zip(places, words, strict=True):
            if not previous:
                torch.testing.assert_close(found.states[number, place], word)
                continue
            mixed, by_word, by_sentence = from_the_paper(
                encoder.hierarchical_attention, word, alone
            )
            torch.testing.assert_close(found.states[number, place], mixed)
            shown = weights.sentences[number, :, place]
            torch.testing.assert_close(shown[:, : len(alone)], by_sentence)
            assert not shown[:, len(alone) :].any()
            for age, expected in enumerate(by_word, start=1):
                columns = encoder.segments(ids, mask).previous(age)[number]
                shown = weights.words[number, age - 1, :, place]
                torch.testing.assert_close(shown[:, columns], expected)
                assert not shown[:, ~columns].any()
        torch.testing.assert_close(found.summary[number], found.states[number, places].mean(0))


def padded_alone(ids: list[int]) -> tuple[Tensor, Tensor]:
    """One sentence with its own end mark, as a batch."""
    one = torch.tensor([ids])
    return one, torch.ones_like(one, dtype=torch.bool)


# --------------------------------------------------------------------- what is read, and what not


@pytest.mark.parametrize(
    ("kind", "positions"),
    [
        *(("full", positions) for positions in POSITIONS),
        *(("cosine", each) for each in POSITIONS if each not in ("relative", "t5_bias", "alibi")),
    ],  # cosine has no form for distances
)
def test_with_a_closed_gate_a_sentence_is_encoded_as_if_it_were_alone(
    kind: str, positions: str, encoder_of: Built, tiny_config: Callable[..., ModelConfig]
) -> None:
    settings = dict(self_attention=kind, positions=positions)
    encoder = encoder_of(**settings)
    close_gate(encoder)
    config = tiny_config("transformer", num_layers=2, **settings).encoder
    assert isinstance(config, TransformerEncoderConfig)
    plain = plain_of(encoder, config)
    found = encoder(*padded(ROWS[:4]))
    for number, row in enumerate(ROWS[:4]):
        _, previous, current = sentences_of(row)
        alone = plain(*padded_alone(current))
        start = sum(map(len, previous))
        torch.testing.assert_close(
            found.states[number, start : start + len(current)], alone.states[0]
        )
        torch.testing.assert_close(found.summary[number], alone.summary[0])


def test_gradients_reach_k_previous_sentences_and_no_older_one(encoder_of: Built) -> None:
    encoder = encoder_of()
    ids, mask = padded([ROWS[2]])
    embedded: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        embedded.append(output)

    encoder.embedding.register_forward_hook(keep)
    found = encoder(ids, mask)
    found.states[found.mask].square().sum().backward()
    assert embedded[0].grad is not None
    reached = embedded[0].grad[0].abs().amax(-1) > 0
    assert reached.tolist() == [False, False] + [True] * (ids.size(1) - 2)


def test_self_attention_stays_within_a_sentence(encoder_of: Built) -> None:
    encoder = encoder_of()
    ids, mask = padded([ROWS[1]])
    before = encoder(ids, mask)
    changed = ids.clone()
    changed[0, 0] = 8
    after = encoder(changed, mask)
    moved = (after.states - before.states).abs().amax(-1)[0] > 1e-9
    assert moved.all()  # its own sentence by self-attention, the current one by the hierarchy
    changed = ids.clone()
    changed[0, 4] = 8
    moved = (encoder(changed, mask).states - before.states).abs().amax(-1)[0] > 1e-9
    assert moved.tolist() == [False] * 3 + [True] * 3


def test_the_decoder_attends_to_the_current_sentence_alone(encoder_of: Built) -> None:
    ids, mask = padded(ROWS)
    found = encoder_of()(ids, mask)
    for number, row in enumerate(ROWS):
        tags, previous, current = sentences_of(row)
        skipped = sum(map(len, previous))
        seen = [True] * len(tags) + [False] * skipped + [True] * len(current)
        assert found.mask[number, : len(seen)].tolist() == seen
        assert not found.mask[number, len(seen) :].any()


def test_neither_padding_nor_other_rows_change_a_state(encoder_of: Built) -> None:
    encoder = encoder_of()
    together = encoder(*padded(ROWS, width=20))
    for number, row in enumerate(ROWS):
        alone = encoder(*padded([row]))
        found = together.states[number, : alone.states.size(1)]
        torch.testing.assert_close(found[alone.mask[0]], alone.states[0, alone.mask[0]])


def test_weights_of_each_level_sum_to_one(encoder_of: Built) -> None:
    encoder = encoder_of(num_kv_heads=1)
    ids, mask = padded(ROWS)
    weights, segments = encoder.context_weights(ids, mask), encoder.segments(ids, mask)
    H, S = 2, ids.size(1)
    assert weights.words.shape == (len(ROWS), K, H, S, S)
    assert weights.sentences.shape == (len(ROWS), H, S, K)
    for number in (1, 2, 3, 4):
        sums = weights.sentences[number].sum(-1)
        torch.testing.assert_close(sums, torch.ones_like(sums))
        for age in range(1, K + 1):
            columns = segments.previous(age)[number]
            if columns.any():
                sums = weights.words[number, age - 1][..., columns].sum(-1)
                torch.testing.assert_close(sums, torch.ones_like(sums))


def test_segments_by_hand() -> None:
    tagged = Segments.of(*padded([[5, 6, 27, 28, BREAK, 10, BREAK, 5, 11]], width=12), PIECES)
    assert tagged.ages.tolist() == [[0, 0, 2, 2, 2, 1, 1, 0, 0, 0, 0, 0]]
    assert tagged.positions[0, :10].tolist() == [0, 1, 0, 1, 2, 0, 1, 2, 3, 4]
    assert tagged.current.tolist() == [[True] * 2 + [False] * 5 + [True] * 3 + [False] * 2]


# --------------------------------------------------------------------------------- refusals


def test_a_tokenizer_without_the_separator_is_refused(
    tiny_config: Callable[..., ModelConfig],
) -> None:
    config = tiny_config("transformer", context="hierarchical")
    data = FilesDataConfig(source_language="en", target_language="de", context_sentences=2)
    pieces = ContextPieces.of(data, {"<2de>": 5, "<brk>": 4}, {"<brk>": 3})
    assert pieces == ContextPieces(4, (5,), 2, 3, 1)
    with pytest.raises(UserError, match="the source tokenizer has no such symbol"):
        build_model(config, 9, 9, context=replace(pieces, separator=None))


def test_a_model_without_its_separator_reads_no_text(
    tiny_config: Callable[..., ModelConfig],
) -> None:
    model = build_model(tiny_config("transformer", context="hierarchical"), 9, 9)
    with pytest.raises(ValueError, match="without the separator"):
        model.encode(*padded([[7, 8]]))
