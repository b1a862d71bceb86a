"""Chooses the shapes of a run's batches, and builds the stream of batches."""

from collections.abc import Callable

import torch

from nmt import processes
from nmt.config.checks.packable import packing_obstacle
from nmt.config.model import DecoderConfig, EncoderConfig, TransformerStackConfig
from nmt.config.schema import Config
from nmt.config.training_settings import BatchShapes
from nmt.data.batches.batching import UpdateBatches
from nmt.data.batches.bucketed_batches import BucketedBatches
from nmt.data.batches.packed_batches import PackedBatches
from nmt.data.encoded import EncodedCorpus
from nmt.kernels import dispatch
from nmt.kernels.attention.packed_check import Heads, packed_attention_fault
from nmt.training.services import Report

Check = Callable[[Heads, torch.dtype, torch.device, float], str | None]


def pick_batch_shapes(config: Config, device: torch.device) -> BatchShapes:
    """Return the shapes of the batches on a device; ``auto`` selects the fastest.

    On CUDA, kernels are captured or planned per shape, so few shapes are fast. On other devices,
    less padding is faster, so every batch is as small as its pairs allow.
    """
    chosen = BatchShapes(config.training.batch_shapes)
    if chosen is not BatchShapes.AUTO:
        return chosen
    has_kernels = device.type == "cuda" and not dispatch.only_plain()
    if has_kernels and packing_obstacle(config) is None:
        return BatchShapes.PACKED
    return shapes_without_packing(config, device)


def shapes_without_packing(config: Config, device: torch.device) -> BatchShapes:
    """Return the fastest shapes of batches on a device, other than packed ones."""
    # With sampled segmentations, the lengths of the pairs differ in every epoch.
    few = device.type == "cuda" and not config.tokenizer.sampling
    return BatchShapes.BUCKETED if few else BatchShapes.PADDED


def settle_batch_shapes(
    config: Config,
    device: torch.device,
    dtype: torch.dtype,
    report: Report,
    check: Check = packed_attention_fault,
) -> BatchShapes:
    """Return the shapes of the batches of a run, the same in all of its processes.

    Packed batches on a GPU need kernels of torch, so these are compared with the formula first. If
    a kernel differs in any process, one line is reported, and other shapes are used.

    Args:
        config: The run's configuration.
        device: The device on which this process trains.
        dtype: The dtype of matrix products.
        report: Prints a line.
        check: Describes a fault of packed attention; see `packed_attention_fault`.
    """
    shapes = pick_batch_shapes(config, device)
    if shapes is not BatchShapes.PACKED or device.type == "cpu":
        return shapes
    parts: list[EncoderConfig | DecoderConfig] = [config.model.encoder, config.model.decoder]
    found = [_fault(part, dtype, device, check) for part in parts]
    faults = [fault for both in processes.gather(found) for fault in both if fault is not None]
    if not faults:
        return shapes
    shapes = shapes_without_packing(config, device)
    report(
        f"warning: attention in packed batches failed its check on {device}: {faults[0]}; "
        f"the run uses {shapes} batches, which are slower"
    )
    return shapes


def _fault(
    part: EncoderConfig | DecoderConfig, dtype: torch.dtype, device: torch.device, check: Check
) -> str | None:
    assert isinstance(part, TransformerStackConfig)
    size = part.hidden_size // part.num_heads
    heads = Heads(part.num_heads, part.num_kv_heads or part.num_heads, size)
    return check(heads, dtype, device, part.attention_dropout)


def build_batches(
    shapes: BatchShapes, corpus: EncodedCorpus, config: Config, *, rank: int = 0, world: int = 1
) -> UpdateBatches:
    """Return the updates of a run, or the share of one process, as batches of these shapes."""
    kinds = {BatchShapes.PACKED: PackedBatches, BatchShapes.BUCKETED: BucketedBatches}
    kind = kinds.get(shapes, UpdateBatches)
    return kind.of_config(corpus, config, rank=rank, world=world)
