"""Which batches a run trains on, and a training on packed ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.config.checks.check_training import check_training
from nmt.config.checks.packable import packing_obstacle
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.config.training_settings import BatchShapes
from nmt.data.encoded import EncodedCorpus
from nmt.kernels import dispatch
from nmt.kernels.attention.packed_check import Heads
from nmt.model.build import build_model
from nmt.training.bad_batches import BadBatches
from nmt.training.guard import BadUpdate
from nmt.training.passes.batch_shapes import (
    pick_batch_shapes,
    settle_batch_shapes,
    shapes_without_packing,
)
from nmt.training.passes.budget import describe, positions, split
from nmt.training.trainer import Trainer

SIZE = 30
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
HALF = torch.bfloat16

Configs = Callable[..., Config]


@pytest.fixture
def config(tiny_config: Callable[..., ModelConfig], run_config: Configs) -> Configs:
    """A factory of configurations of a Transformer; keywords are of the training."""
    return lambda **changes: run_config(tiny_config("transformer", "transformer"), **changes)


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """60 pairs of 1 to 8 pieces."""
    lengths = np.random.default_rng(3).integers(1, 9, (2, 60)).tolist()
    return corpus_of(make_pairs(*lengths, SIZE, SIZE))


def trainer_of(config: Config, corpus: EncodedCorpus, run: Any) -> Trainer:
    torch.manual_seed(1)
    return Trainer(build_model(config.model, SIZE, SIZE), corpus, config, run.services())


# ------------------------------------------------------------------------------- the choice


def test_auto_packs_on_cuda_and_pads_on_a_cpu(config: Configs) -> None:
    assert pick_batch_shapes(config(), CPU) is BatchShapes.PADDED
    assert pick_batch_shapes(config(), CUDA) is BatchShapes.PACKED


def test_a_chosen_shape_is_used_on_every_device(config: Configs) -> None:
    for shape in (BatchShapes.PADDED, BatchShapes.PACKED):
        for device in (CPU, CUDA):
            assert pick_batch_shapes(config(batch_shapes=shape.value), device) is shape


def test_plain_kernels_are_not_packed(config: Configs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch._Selection, "kernels", dispatch.Kernels.PLAIN)
    assert pick_batch_shapes(config(), CUDA) is not BatchShapes.PACKED


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        (dict(encoder="rnn"), "model/encoder=rnn"),
        (dict(decoder="rnn"), "model/decoder=rnn"),
        (dict(positions="alibi"), "model.encoder.positions=alibi"),
        (dict(positions="t5_bias"), "model.encoder.positions=t5_bias"),
        (dict(positions="relative"), "model.encoder.positions=relative"),
        (dict(context="hierarchical"), "model.encoder.context=hierarchical"),
        (dict(word_dropout=0.1), "model.encoder.word_dropout=0.1"),
        (dict(r_drop=2.0), "training.r_drop=2.0"),
        (dict(coverage_loss=0.5), "training.coverage_loss=0.5"),
    ],
)
def test_what_cannot_be_packed_is_not(
    changes: dict[str, Any],
    obstacle: str,
    tiny_config: Callable[..., ModelConfig],
    run_config: Configs,
) -> None:
    names = ("r_drop", "coverage_loss")
    training = {name: value for name, value in changes.items() if name in names}
    kind = {name: value for name, value in changes.items() if name not in names}
    both = dict(encoder="transformer", decoder="transformer") | kind
    config = run_config(tiny_config(**both), **training)
    assert packing_obstacle(config) == obstacle
    assert pick_batch_shapes(config, CUDA) is not BatchShapes.PACKED
    asked = replace(config, training=replace(config.training, batch_shapes="packed"))
    assert list(check_training(asked))[0] == (
        f"training.batch_shapes=packed does not support {obstacle}: choose auto, which packs where "
        "it can"
    )


def test_sampled_segmentations_cannot_be_packed(config: Configs) -> None:
    sampled = config()
    sampled = replace(sampled, tokenizer=replace(sampled.tokenizer, sampling=0.1))
    assert packing_obstacle(sampled) == "tokenizer.sampling=0.1"


# ------------------------------------------------------------------- the check on the device


def test_packed_batches_are_used_if_the_attention_of_both_stacks_passes(config: Configs) -> None:
    checked: list[Any] = []

    def check(*args: Any) -> None:
        checked.append(args)

    shapes = settle_batch_shapes(config(), CUDA, HALF, pytest.fail, check)
    assert shapes is BatchShapes.PACKED
    assert checked == [
        (Heads(2, 2, 6), HALF, CUDA, 0.0),
        (Heads(4, 4, 4), HALF, CUDA, 0.0),
    ]


@pytest.mark.parametrize("faulty", ["encoder", "decoder"])
def test_a_fault_is_told_in_one_line_and_other_batches_are_used(
    config: Configs, faulty: str
) -> None:
    def check(heads: Heads, *_: Any) -> str | None:
        wrong = heads.queries == (2 if faulty == "encoder" else 4)
        return "the result differs by 0.7" if wrong else None

    lines: list[str] = []
    found = settle_batch_shapes(config(), CUDA, HALF, lines.append, check)
    assert found is shapes_without_packing(config(), CUDA)
    assert found is not BatchShapes.PACKED
    assert lines == [
        "warning: attention in packed batches failed its check on cuda: the result differs by 0.7; "
        f"the run uses {found} batches, which are slower"
    ]


def test_a_cpu_needs_no_check(config: Configs) -> None:
    asked = config(batch_shapes="packed")
    shapes = settle_batch_shapes(asked, CPU, torch.float32, pytest.fail, pytest.fail)
    assert shapes is BatchShapes.PACKED


# ------------------------------------------------------------------------------ a training


def test_updates_of_all_pairs_have_the_same_losses_packed_and_padded(
    config: Configs, corpus: EncodedCorpus, recorder: Any
) -> None:
    results = []
    for shape in ("padded", "packed"):
        run = recorder()
        settings = dict(batch_tokens=1024, max_updates=3, batch_shapes=shape)
        trainer_of(config(**settings), corpus, run).train()
        results.append(run.losses)
    padded, packed = results
    assert packed == pytest.approx(padded, rel=1e-4)
    assert len(packed) == 3


def test_a_packed_run_resumes_bit_for_bit(
    config: Configs, corpus: EncodedCorpus, recorder: Any
) -> None:
    asked = config(batch_shapes="packed", max_updates=9)
    whole = recorder()
    trainer_of(asked, corpus, whole).train()
    begun, rest = recorder(stop_after=5), recorder()
    trainer_of(asked, corpus, begun).train()
    resumed = trainer_of(asked, corpus, rest)
    resumed.resume(begun.saved["last.pt"]["weights"], begun.saved["last.pt"]["training"])
    resumed.train()
    assert begun.losses + rest.losses == whole.losses
    assert len(set(whole.losses)) == 9


def test_a_run_that_resumes_on_other_shapes_starts_the_next_epoch_and_reports_it(
    config: Configs, corpus: EncodedCorpus, recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, lines = recorder(stop_after=2), []
    trainer_of(config(), corpus, begun).train()
    saved = begun.saved["last.pt"]
    assert saved["training"]["progress"]["batch_shapes"] == "padded"
    services = begun.services
    monkeypatch.setattr(begun, "services", lambda: replace(services(), report=lines.append))
    resumed = trainer_of(config(batch_shapes="packed"), corpus, begun)
    resumed.resume(saved["weights"], saved["training"])
    assert (resumed._loader.state.epoch, resumed._loader.state.position) == (1, 0)
    assert lines == [
        "the batches were padded so far and are packed now, in another order of the pairs: "
        "training continues with epoch 2"
    ]


@pytest.mark.parametrize("room", [500, 300, 100])
def test_a_packed_update_in_smaller_passes_has_the_same_gradient(
    config: Configs, corpus: EncodedCorpus, recorder: Any, room: int
) -> None:
    gradients = []
    for limit in (None, room):
        trainer = trainer_of(config(batch_shapes="packed", batch_tokens=300), corpus, recorder())
        trainer.progress.pass_limit = limit
        batches = next(iter(trainer._loader))[0]
        made = trainer.updater.memory.gradient(
            batches, trainer.progress, trainer.updater._backward, CPU
        )
        assert (len(made.batches) > 1) == (limit is not None)
        assert all(positions(part) <= room for part in made.batches) or limit is None
        assert sum(part.num_tokens for part in made.batches) == made.tokens
        gradients.append([part.grad for part in trainer.model.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-6)


def test_a_packed_batch_is_described_by_its_pairs(
    config: Configs, corpus: EncodedCorpus, recorder: Any
) -> None:
    trainer = trainer_of(config(batch_shapes="packed", batch_tokens=300), corpus, recorder())
    batch = next(iter(trainer._loader))[0][0]
    assert batch.packing is not None
    assert describe(batch).startswith(f"{batch.packing.sentences} pairs of 320 source")
    assert [part.num_tokens for part in split(batch, None)] == [batch.num_tokens]


def test_a_skipped_packed_update_is_written_pair_by_pair(
    config: Configs, corpus: EncodedCorpus, recorder: Any, tmp_path: Path
) -> None:
    trainer = trainer_of(config(batch_shapes="packed", batch_tokens=300), corpus, recorder())
    batch = next(iter(trainer._loader))[0][0]
    keep = BadBatches(tmp_path, lambda ids: f"s{len(ids)}", lambda ids: f"t{len(ids)}")
    bad = BadUpdate(1, 0, float("nan"), 1.0, 0.1, [batch])
    (pairs,) = keep._content(bad)["batches"]
    assert batch.packing is not None
    sources, targets = (side.tolist() for side in batch.packing.lengths())
    assert [pair["source"] for pair in pairs] == [f"s{length - 1}" for length in sources]
    assert [pair["target"] for pair in pairs] == [f"t{length - 1}" for length in targets]


def test_a_packed_batch_needs_no_device_read_for_its_targets(
    config: Configs, corpus: EncodedCorpus, recorder: Any
) -> None:
    trainer = trainer_of(config(batch_shapes="packed"), corpus, recorder())
    batch = next(iter(trainer._loader))[0][0].to(CPU)
    hidden: Tensor = torch.zeros(*batch.target_output_ids.shape, 3)
    assert batch.target_positions is None
    assert batch.at_targets(hidden).shape == (batch.target_output_ids.numel(), 3)
    assert int((batch.targets() >= 0).sum()) == batch.num_tokens
