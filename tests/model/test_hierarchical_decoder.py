"""The decoder with hierarchical attention, compared with the paper's equations and with its steps.

Legend: B batch, T length of a target row, k previous sentences at most, D model size, H heads.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import collate, pad
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.model.documents.hierarchical_decoder import HierarchicalDecoder
from nmt.model.documents.sentence_segments import ContextPieces, Segments
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD

BREAK, TAG, TARGET_BREAK, VOCABULARY, K = 4, 5, 7, 30, 2
PIECES = ContextPieces(BREAK, (TAG,), 3, TARGET_BREAK, K)
PAIRS = [  # without a context, with one sentence, more than k, fewer targets, an empty one
    ([11, 12, 13], [8, 9]),
    ([14, 15, BREAK, 16, 17], [20, 21, 22, TARGET_BREAK, 23, 24, 25, 26]),
    (
        [TAG, 29, BREAK, 18, BREAK, 19, 20, BREAK, 22],
        [8, TARGET_BREAK, 9, 10, TARGET_BREAK, 11, TARGET_BREAK, 12, 13],
    ),
    ([25, BREAK, 26, 27, BREAK, 28], [14, 15, TARGET_BREAK, 16]),
    ([25, BREAK, 26], [TARGET_BREAK, 17, 18, 19]),
]
CONTEXTS = ["hierarchical", "concatenated"]
Built = Callable[..., TranslationModel]


@pytest.fixture
def model_of(tiny_config: Callable[..., ModelConfig]) -> Built:
    """A factory of models in float64 with random vectors everywhere."""

    def make(encoder: str = "transformer", **changes: object) -> TranslationModel:
        torch.manual_seed(2)
        changes = dict(num_layers=2) | changes
        config = tiny_config(
            encoder, "transformer", decoder_context="hierarchical", size=8, **changes
        )
        model = build_model(config, VOCABULARY, VOCABULARY, context=PIECES).double()
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
        return model.eval()

    return make


def parts_of(target: list[int]) -> tuple[list[int], list[int]]:
    """The previous sentences of a target with their separators, and its own sentence."""
    own = len(target)
    while own and target[own - 1] != TARGET_BREAK:
        own -= 1
    return target[:own], target[own:]


def forced(model: TranslationModel, pairs: list[tuple[list[int], list[int]]]) -> list[Tensor]:
    """The logits [T, V] of each target's own sentence with EOS, from rows of known targets."""
    batch = collate([source for source, _ in pairs], [target for _, target in pairs])
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
    logits = model.predictions(output)
    found = []
    for row, (_, target) in zip(logits, pairs, strict=True):
        before, own = parts_of(target)
        found.append(row[len(before) : len(before) + len(own) + 1])
    return found


def stepped(model: TranslationModel, pairs: list[tuple[list[int], list[int]]]) -> list[Tensor]:
    """The same, step by step from a start with the previous sentences."""
    parts = [parts_of(target) for _, target in pairs]
    batch = collate([source for source, _ in pairs], [own for _, own in parts])
    previous = pad([before for before, _ in parts])
    encoded = model.encode(batch.source_ids, batch.source_mask, previous_targets=previous)
    state, logits = model.start(encoded), []
    for pieces in batch.target_input_ids.unbind(1):
        step, _, state = model.step(pieces, state)
        logits.append(step)
    rows = torch.stack(logits, dim=1)
    return [row[: len(own) + 1] for row, (_, own) in zip(rows, parts, strict=True)]


# ------------------------------------------------------------------ the paper's equations


def linear(layer: torch.nn.Linear, vector: Tensor) -> Tensor:
    return layer.weight @ vector + (0 if layer.bias is None else layer.bias)


def multi_head(attention: torch.nn.Module, query: Tensor, values: list[Tensor]) -> Tensor:
    """MultiHead of one query and a list of vectors, head by head."""
    H = int(attention.num_heads)  # type: ignore[arg-type]
    q = linear(attention.query_projection, query).chunk(H)  # type: ignore[arg-type]
    both = [linear(attention.key_value_projection, one).chunk(2) for one in values]  # type: ignore[arg-type]
    heads = []
    for head in range(H):
        keys = [key.chunk(H)[head] for key, _ in both]
        scores = torch.stack([q[head] @ key / len(key) ** 0.5 for key in keys])
        pairs = zip(scores.softmax(0), both, strict=True)
        heads.append(torch.stack([w * value.chunk(H)[head] for w, (_, value) in pairs]).sum(0))
    return linear(attention.output_projection, torch.cat(heads))  # type: ignore[arg-type]


def from_the_paper(decoder: HierarchicalDecoder, word: Tensor, previous: list[Tensor]) -> Tensor:
    """h̃_t of one state from the states [T, D] of each previous sentence, the last first."""
    module = decoder.hierarchical_attention
    query = linear(module.word_query, word)
    summaries = [multi_head(module.word_attention, query, list(one)) for one in previous]
    query = linear(module.sentence_query, word)
    context = multi_head(module.sentence_attention, query, summaries)
    wide, _, _, narrow = module.feed_forward
    assert isinstance(wide, torch.nn.Linear)
    assert isinstance(narrow, torch.nn.Linear)
    d = linear(narrow, linear(wide, context).clamp_min(0))
    gate = torch.sigmoid(linear(module.state_gate, word) + module.context_gate.weight @ d)
    return gate * word + (1 - gate) * d


def plain_of(model: TranslationModel, config: ModelConfig) -> TranslationModel:
    """The model of single sentences with the same weights."""
    plain = build_model(config, VOCABULARY, VOCABULARY).double().eval()
    own = plain.state_dict()
    plain.load_state_dict({name: w for name, w in model.state_dict().items() if name in own})
    return plain


def split(row: list[int], separator: int) -> list[list[int]]:
    sentences: list[list[int]] = [[]]
    for piece in row:
        if piece == separator:
            sentences.append([])
        else:
            sentences[-1].append(piece)
    return sentences


def test_the_decoder_equals_a_loop_over_sentences_written_from_the_paper(
    model_of: Built, tiny_config: Callable[..., ModelConfig]
) -> None:
    """The gate of the encoder is closed, so that its states are those of single sentences."""
    model = model_of(context="hierarchical")
    model.encoder.hierarchical_attention.state_gate.bias.data.fill_(1e6)  # a source alone
    plain = plain_of(model, tiny_config("transformer", "transformer", num_layers=2, size=8))
    decoder = model.decoder
    assert isinstance(decoder, HierarchicalDecoder)

    def states(source: list[int], target: list[int]) -> Tensor:
        ids = torch.tensor([source])
        encoded = plain.encode(ids, torch.ones_like(ids, dtype=torch.bool))
        inputs = torch.tensor([[BOS, *target]])
        return plain.decoder(inputs, encoded, need_weights=False).hidden[0]

    batch = collate([source for source, _ in PAIRS], [target for _, target in PAIRS])
    found = model(batch.source_ids, batch.source_mask, batch.target_input_ids).hidden
    for row, (source, target) in zip(found, PAIRS, strict=True):
        tags = [TAG] if source[0] == TAG else []
        sources = split(source[len(tags) :], BREAK)
        sources = [[*one, BREAK] for one in sources[:-1]] + [[*tags, *sources[-1], EOS]]
        targets = split(target, TARGET_BREAK)
        sources = sources[-len(targets) :]
        alone = [states(*one) for one in zip(sources, targets, strict=True)]
        previous = alone[:-1][::-1][:K]
        start = len(target) - len(targets[-1])
        for place, word in enumerate(alone[-1], start=start):
            expected = from_the_paper(decoder, word, previous) if previous else word
            torch.testing.assert_close(row[place], expected)
        torch.testing.assert_close(row[:start], torch.cat([*alone[:-1], row[:0]]))


# ------------------------------------------------------------------------- steps, rows, search


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(
    "settings",
    [
        dict(),
        *(dict(positions=kind) for kind in ("learned", "relative", "t5_bias", "rotary", "alibi")),
        dict(self_attention="cosine", norm="post", num_kv_heads=1),
        dict(depth="adaptive", num_layers=4, qk_norm=True),
    ],
    ids=str,
)
def test_steps_after_previous_sentences_equal_rows_of_known_targets(
    context: str, settings: dict[str, object], model_of: Built
) -> None:
    model = model_of(context=context, **settings)
    with torch.no_grad():
        for found, expected in zip(stepped(model, PAIRS), forced(model, PAIRS), strict=True):
            torch.testing.assert_close(found, expected)


def test_an_rnn_encoder_can_be_read(model_of: Built) -> None:
    model = model_of("rnn", num_layers=1)
    with torch.no_grad():
        for found, expected in zip(stepped(model, PAIRS), forced(model, PAIRS), strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("run", [forced, stepped])
def test_neither_padding_nor_other_rows_change_a_result(
    run: Callable[..., list[Tensor]], model_of: Built
) -> None:
    model = model_of(context="hierarchical")
    with torch.no_grad():
        for pair, together in zip(PAIRS, run(model, PAIRS), strict=True):
            torch.testing.assert_close(run(model, [pair])[0], together)


@pytest.mark.parametrize("move", ["select", "keep", "reorder", "reserve"])
def test_a_state_keeps_the_context_of_its_sentences(move: str, model_of: Built) -> None:
    model = model_of(context="hierarchical")
    batch = collate([source for source, _ in PAIRS], [[]] * len(PAIRS))
    previous = pad([parts_of(target)[0] for _, target in PAIRS])
    first, second = torch.full((len(PAIRS),), BOS), torch.arange(10, 10 + len(PAIRS))
    places = torch.tensor([0, 4, 2]) if move != "reorder" else torch.arange(len(PAIRS))
    with torch.no_grad():
        encoded = model.encode(batch.source_ids, batch.source_mask, previous_targets=previous)
        _, _, state = model.step(first, model.start(encoded))
        expected = model.step(second, state)[0][places]
        if move == "reorder":  # two equal beams of each sentence
            state = state.reorder(torch.zeros(len(PAIRS), 2, dtype=torch.long))
            found = model.step(second.repeat_interleave(2), state)[0][::2]
        elif move == "reserve":
            found = model.step(second, state.reserve(8))[0][places]
        else:
            found = model.step(second[places], getattr(state, move)(places))[0]
    torch.testing.assert_close(found, expected)


def test_gradients_reach_k_previous_sentences_and_no_older_one(model_of: Built) -> None:
    model = model_of(context="hierarchical")
    batch = collate([PAIRS[2][0]], [PAIRS[2][1]])
    embedded: list[Tensor] = []

    def retain(_module: object, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        embedded.append(output)

    model.decoder.embedding.register_forward_hook(retain)
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
    output.hidden[0, -3:].square().sum().backward()  # of the own sentence
    assert embedded[0].grad is not None
    reached = embedded[0].grad[0].abs().amax(-1) > 0
    assert reached.tolist() == [False] * 2 + [True] * 8


def test_a_previous_sentence_attends_to_its_own_source_sentence(model_of: Built) -> None:
    model = model_of(context="hierarchical")
    batch = collate([PAIRS[1][0]], [PAIRS[1][1]])
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids, need_weights=True)
    seen = (output.weights[0].amax((0, 1)) > 0).tolist()
    assert seen[:4] == [[True] * 3 + [False] * 3] * 4  # BOS and three pieces
    assert seen[4:] == [[False] * 3 + [True] * 3] * 5


def test_previous_sentences_end_with_eos_in_the_loss(model_of: Built) -> None:
    model = model_of(context="hierarchical")
    batch = collate([[14, 15, BREAK, 16]], [[20, 21, TARGET_BREAK, 22]])
    loss = sequence_loss(model, batch, 0.0)
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
    log_probs = model.predictions(output)[0].log_softmax(-1)
    expected = -log_probs[torch.arange(5), torch.tensor([20, 21, EOS, 22, EOS])].sum()
    torch.testing.assert_close(loss.smoothed, expected)
    assert loss.num_tokens == 5


def test_segments_of_targets_by_hand() -> None:
    row = [BOS, 8, TARGET_BREAK, 9, 10, TARGET_BREAK, 11, PAD]
    found = Segments.of_targets(torch.tensor([row]), TARGET_BREAK)
    assert found.ages.tolist() == [[2, 2, 1, 1, 1, 0, 0, 0]]
    assert found.positions.tolist() == [[0, 1, 0, 1, 2, 0, 1, 2]]


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("missing", "side"), [("separator", "source"), ("target_separator", "target")]
)
def test_a_tokenizer_without_the_separator_is_refused(
    missing: str, side: str, tiny_config: Callable[..., ModelConfig]
) -> None:
    config = tiny_config("transformer", "transformer", decoder_context="hierarchical")
    with pytest.raises(UserError, match=f"the {side} tokenizer has no such symbol"):
        build_model(config, 9, 9, context=replace(PIECES, **{missing: None}))
