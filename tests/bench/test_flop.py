"""The formula for FLOP, compared with the count of torch for every kind of model."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nmt.bench.counts import Counts
from nmt.bench.flop import attended_pairs, forward_flop, training_flop
from nmt.config.model import ModelConfig, TransformerEncoderConfig
from nmt.config.self_attention import SelfAttention
from nmt.data.batches.batch import Batch
from nmt.model.documents.hierarchical_attention import HierarchicalAttention
from nmt.model.losses.loss import sequence_loss
from nmt.model.self_attention.kinds import KINDS
from nmt.model.self_attention.pattern import PatternAttention
from nmt.model.seq2seq import TranslationModel

Make = Callable[..., ModelConfig]
MakeModel = Callable[..., TranslationModel]
Pairs = list[tuple[list[int], list[int]]]

SOURCE_LENGTH, TARGET_LENGTH, ROWS = 4, 9, 3  # without EOS
TARGET_SIZE = 29

pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")


@pytest.fixture(autouse=True)
def _products_in_sight() -> Iterator[None]:
    """Make torch compute an LSTM by matrix products, which it counts, not by oneDNN's kernel."""
    with torch.backends.mkldnn.flags(enabled=False):  # type: ignore[no-untyped-call]
        yield


@pytest.fixture
def full_batch(make_pairs: Callable[..., Pairs], batch_of: Callable[[Pairs], Batch]) -> Batch:
    """A batch without pads."""
    return batch_of(make_pairs([SOURCE_LENGTH] * ROWS, [TARGET_LENGTH] * ROWS))


def counted(work: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


NO_PAIRS = dict(source_squares=0, target_squares=0)


def predicted(model: TranslationModel, batch: Batch) -> Tensor:
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
    return model.predictions(output)


def test_flop_equal_the_count_of_torch(
    model_config: ModelConfig, model: TranslationModel, full_batch: Batch
) -> None:
    sides = model_config.encoder, model_config.decoder
    if {getattr(side, "self_attention", "full") for side in sides} - {"full", "cosine"}:
        # Blocks have masked pairs, which are counted by no formula; a pattern is less than all.
        full = copy.deepcopy(model_config)
        for side in (full.encoder, full.decoder):
            if hasattr(side, "self_attention"):
                side.self_attention = "full"
        counts = Counts.of(full_batch)
        least = forward_flop(full, TARGET_SIZE, replace(counts, **NO_PAIRS))
        assert forward_flop(model_config, TARGET_SIZE, counts) > least
        return
    for part in model.modules():
        if isinstance(part, HierarchicalAttention):
            part.sentences = 1  # as the formula counts
    with FlopCounterMode(display=False) as counter:
        total = predicted(model.train(), full_batch).sum()
        forward = counter.get_total_flops()
        total.backward()
        found = counter.get_total_flops()
    assert forward_flop(model_config, TARGET_SIZE, Counts.of(full_batch)) == forward
    formula = training_flop(model_config, TARGET_SIZE, Counts.of(full_batch))
    if {model_config.encoder.name, model_config.decoder.name} == {"transformer"}:
        assert found == formula
    else:  # initial states are constants without a gradient; that saves less than this tolerance
        assert formula * (1 - 1 / (SOURCE_LENGTH + 1)) < found <= formula


@pytest.mark.parametrize("kind", ["transformer", "rnn"])
def test_what_training_computes_is_in_it(
    kind: str, tiny_config: Make, tiny_model: MakeModel, full_batch: Batch
) -> None:
    config = tiny_config(kind, kind, attention="luong_general")
    model = tiny_model(config).train()
    found = counted(lambda: sequence_loss(model, full_batch, 0.1).smoothed.backward())
    formula = training_flop(config, TARGET_SIZE, Counts.of(full_batch))
    assert found == pytest.approx(formula, rel=0.05)


@pytest.mark.parametrize("kind", ["local", "strided", "fixed"])
@pytest.mark.parametrize("length", [64, 256])
def test_the_pairs_of_a_sparse_kind_are_those_of_its_mask(kind: str, length: int) -> None:
    # The formula has no borders: a position near an end counts neighbours that do not exist. With
    # windows of w to each side these are at most w (w + 1). Pairs of both parts of a kind count
    # twice: 3 per position in strided attention, and the c summaries of the own block in fixed.
    sparse = TransformerEncoderConfig(
        self_attention=kind, attention_window=4, attention_stride=8, attention_summaries=2
    )
    layer = KINDS[SelfAttention(kind)].of(sparse)
    assert isinstance(layer, PatternAttention)
    places = torch.arange(length)
    allowed = layer.allows(places[:, None], places[None, :], torch.tensor([length]))
    exact = int(allowed.sum()) // (len(allowed) if allowed.ndim == 3 else 1)  # of one head
    counted = attended_pairs(sparse, length, length**2)
    overlaps = {"local": 0, "strided": 3 * length, "fixed": 2 * length}[kind]
    assert exact <= counted <= exact + overlaps + 8 * 9


def test_pads_need_no_flop(tiny_config: Make) -> None:
    config = tiny_config("transformer", "transformer")
    alone = [Counts.of_lengths(torch.tensor([n]), torch.tensor([m])) for n, m in ((3, 5), (8, 2))]
    together = Counts.of_lengths(torch.tensor([3, 8]), torch.tensor([5, 2]))
    assert Counts.total(alone) == together
    assert training_flop(config, TARGET_SIZE, together) == sum(
        training_flop(config, TARGET_SIZE, counts) for counts in alone
    )
