"""What a step of search launches and copies, on a CPU and in the shapes of a GPU.

The model: 2 layers, 8 sentences, 5 beams, 8 source pieces. A step's cost is the difference of two
searches, one of them four steps longer.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from counted_operations import CountedOperations
from torch import Tensor, nn

from nmt.config.schema import DecodingConfig
from nmt.decoding.search import beam_search
from nmt.kernels import dispatch, private_torch
from nmt.kernels.attention import step_attention
from nmt.model.beams import rows_that_stay
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import EOS

SENTENCES, BEAMS, SOURCE, LAYERS = 8, 5, 8, 2
HIDDEN = 16  # of the decoder
STEPS = 10

# One operation each, where no other number is given. When the beams had memories of their own, a
# step took 89 operations for the Transformer below and copied 339 kB, and 61 for the GRU and copied
# 66 kB; the host read the device several times in each.
SELECTION = (
    2  # the limit: the next length, a comparison
    + 4  # log-softmax, PAD and BOS excluded, the best of each beam
    + 5  # only EOS at the limit: pad, choose, pieces; sum, best of each sentence
    + 2  # their beams and pieces
    + 5  # ended: EOS, finite, and; not done, and
    + 6  # found: sum, add; the next beams: mask, best, pieces, parents
    + 5  # record: log-probabilities, stack, two writes; the finished count
    + 4  # done: compare, or, or; the next step
    + 4  # the best finished score: divisor, best that ended, its score, the better
    + 6  # the likely bound: divisor, best of the live, its score; the best; compare, and
)
ATTENTION_LAYER = (
    3  # norms
    + 3  # residual sums
    + 6  # products: query, keys with values, output; query, output; and no keys of the source
    + 3  # feed-forward: product, ReLU, product
    + 2  # keys and values into their slot
    + 2  # attention
)
COLUMNS = (  # what attention by columns on a CPU has instead of one fused operation
    2  # queries, those of a head side by side: copy, shape
    + 2  # room for the scores, which begin as the mask
    + 1  # scores
    + 5  # softmax of few keys
    + 1  # contexts
    + 2  # those of all heads side by side
    - 1
)
TRANSFORMER = (
    LAYERS * ATTENTION_LAYER
    + 4  # embedding, scale, its position, their sum
    + 3  # the mask: the own piece, and its beams after the choice: rows
    + 3  # of these rows
    + 3  # last norm, output layer, next position
)


@pytest.fixture(autouse=True)
def products_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiply by torch on every processor: where oneDNN is faster, its products pad their rows."""
    monkeypatch.setattr(private_torch, "onednn_product", None)


def longer(model: TranslationModel, ids: Tensor, mask: Tensor, steps: int) -> CountedOperations:
    settings = DecodingConfig(beam_size=BEAMS, max_length_ratio=0.0, max_length_extra=steps)
    with CountedOperations() as counted:
        beam_search(model, ids, mask, settings)
    return counted


def cost_of_a_step(model: TranslationModel, *, accelerated: bool) -> tuple[float, float]:
    """Return the operations and the copied bytes of a step."""

    def discourage(_module: nn.Module, _inputs: Any, logits: Tensor) -> None:
        logits[:, EOS] = -1e9

    ids = torch.randint(4, 20, (SENTENCES, SOURCE))
    mask = torch.ones_like(ids, dtype=torch.bool)
    hook = model.output.register_forward_hook(discourage)
    try:
        with ExitStack() as stack:
            if accelerated:
                stack.enter_context(dispatch.as_on_accelerator())
            few, many = (longer(model, ids, mask, steps) for steps in (STEPS, STEPS + 4))
    finally:
        hook.remove()
    hooked = 1  # the operation of `discourage`
    return (many.total - few.total) / 4 - hooked, (many.copied - few.copied) / 4


@pytest.mark.parametrize("kind", ["few heads", "many heads", "gpu"])
def test_a_transformer_step_launches_little_and_moves_nothing(
    monkeypatch: pytest.MonkeyPatch,
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    kind: str,
) -> None:
    monkeypatch.setattr(step_attention, "FEWEST_HEADS", 1 if kind == "many heads" else 1000)
    accelerated = kind == "gpu"
    config = tiny_config("transformer", "transformer", num_layers=LAYERS)
    operations, copied = cost_of_a_step(tiny_model(config), accelerated=accelerated)
    attentions = 2 * LAYERS if kind == "many heads" else 0
    assert operations <= SELECTION + TRANSFORMER + attentions * COLUMNS
    rows = SENTENCES * BEAMS
    written = rows * LAYERS * 2 * HIDDEN * 4  # the new keys and values, in float32
    places = 32 * BEAMS  # the room of a GPU; a CPU has fewer
    masks = 2 * rows * places * 4  # written once, and selected once
    others = rows * 3 * 8 * 8  # pieces, beams and log-probabilities of at most 8 candidates a beam
    attended = attentions * rows * (2 * HIDDEN + 2 * places) * 4  # queries, contexts, two heads
    assert copied <= written + masks + others + attended
    moved = 2 * rows * STEPS * LAYERS * 2 * HIDDEN * 4  # a cache that is extended and reordered
    assert copied < moved


@pytest.mark.parametrize("accelerated", [False, True], ids=["cpu", "gpu"])
def test_a_recurrent_step_copies_only_its_states(
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    *,
    accelerated: bool,
) -> None:
    model = tiny_model(tiny_config(attention="luong_general", size=HIDDEN))
    operations, copied = cost_of_a_step(model, accelerated=accelerated)
    # embedding, its gates, the fed gates, their sum; the cell: product and 7; scores, softmax with
    # mask and emptiness (5), context; attentional state: cat, product, tanh; outputs joined (2);
    # output layer; next position; the states of the parents: rows (3), two selections
    step = 4 + 8 + 7 + 3 + 2 + 2 + 5
    assert operations <= SELECTION + step
    rows = SENTENCES * BEAMS
    states = rows * HIDDEN * 4 * 7  # joined (2 parts, twice), selected (2), the output's copy
    others = rows * 3 * 8 * 8
    assert copied <= states + others
    source = rows * SOURCE * 2 * HIDDEN * 4  # keys and values, if each beam had its own
    assert copied < source


def dropping_cost(model: TranslationModel, gone: set[int]) -> tuple[float, int]:
    """Return the bytes copied when sentences leave after some steps, and those of their keys."""
    ids = torch.randint(4, 20, (SENTENCES, SOURCE))
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.inference_mode():
        state = model.start(model.encode(ids, mask))
        for number in range(STEPS):
            rows = SENTENCES * (BEAMS if number else 1)
            _, _, state = model.step(torch.full((rows,), 5), state)
            beams = torch.arange(BEAMS).expand(SENTENCES, -1)
            state = state.reorder(beams if number else torch.zeros_like(beams))
        stay = torch.tensor(rows_that_stay([i not in gone for i in range(SENTENCES)]))
        with CountedOperations() as counted:
            state.keep(stay)
    return counted.copied, len(gone) * 2 * HIDDEN * 4


def test_sentences_that_leave_a_transformer_move_no_more_than_as_many(
    tiny_model: Callable[..., TranslationModel], tiny_config: Callable[..., Any]
) -> None:
    model = tiny_model(tiny_config("transformer", "transformer", num_layers=LAYERS))
    copied, of_place = dropping_cost(model, {2, 5})
    moved = 2 * of_place * LAYERS * (SOURCE + STEPS * BEAMS)  # read into a copy, then written
    masks = SENTENCES * (BEAMS * BEAMS * STEPS + LAYERS * 8) * 4
    assert copied <= moved + masks + SENTENCES * 8


def test_sentences_that_leave_a_recurrent_model_move_no_source(
    tiny_model: Callable[..., TranslationModel], tiny_config: Callable[..., Any]
) -> None:
    model = tiny_model(tiny_config(attention="luong_general", size=HIDDEN))
    copied, of_place = dropping_cost(model, {2, 5})
    states = SENTENCES * BEAMS * 2 * HIDDEN * 4  # of the cell, and the fed one
    masks = SENTENCES * SOURCE
    assert copied <= 2 * of_place * SOURCE + states + masks + SENTENCES * BEAMS * 8
