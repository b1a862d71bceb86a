"""Decides on which shapes of batches a run trains, and builds their order."""

import torch

from nmt.config.packable import packing_obstacle
from nmt.config.schema import Config
from nmt.config.training_settings import BatchShapes
from nmt.data.batching import UpdateBatches
from nmt.data.bucketed_batches import BucketedBatches
from nmt.data.encoded import EncodedCorpus
from nmt.data.packed_batches import PackedBatches


def pick_batch_shapes(config: Config, device: torch.device) -> BatchShapes:
    """Return the shapes of the batches on a device, for ``auto`` the fastest.

    On CUDA, kernels are captured or planned per shape, so few shapes are fast. On other devices
    every batch is as small as its pairs allow.
    """
    chosen = BatchShapes(config.training.batch_shapes)
    if chosen is not BatchShapes.AUTO:
        return chosen
    if device.type != "cuda":
        return BatchShapes.PADDED
    if packing_obstacle(config) is None:
        return BatchShapes.PACKED
    # Sampled segmentations have other lengths in every epoch.
    return BatchShapes.PADDED if config.tokenizer.sampling else BatchShapes.BUCKETED


def build_batches(
    shapes: BatchShapes, corpus: EncodedCorpus, config: Config, *, rank: int = 0, world: int = 1
) -> UpdateBatches:
    """Return the stream of updates of a run, or the share of one process, in these shapes."""
    kinds = {BatchShapes.PACKED: PackedBatches, BatchShapes.BUCKETED: BucketedBatches}
    kind = kinds.get(shapes, UpdateBatches)
    return kind.of_config(corpus, config, rank=rank, world=world)
