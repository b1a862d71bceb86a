"""Measurements before a run: the largest batch that fits in memory, and the cost of an update."""

import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from nmt import processes
from nmt.config.schema import Config
from nmt.config.training_settings import BatchShapes
from nmt.data.batches.batch import Batch
from nmt.data.batches.batching import BatchingState, UpdateBatches
from nmt.data.batches.loader_process import UpdateMaker
from nmt.data.batches.packed_batches import PackedBatches
from nmt.data.batches.regions import Regions
from nmt.data.encoded import EncodedCorpus
from nmt.data.features import Features
from nmt.errors import UserError
from nmt.reporting.progress_line import format_duration
from nmt.text.special_tokens import BOS, EOS
from nmt.training.passes.batch_shapes import build_batches
from nmt.training.passes.budget import is_out_of_memory

SMALLEST, LARGEST = 512, 65_536
LARGEST_ON_CPU = 8_192  # larger passes are not faster on a CPU
_ROUNDS = 3
_SHARE = {"cpu": 0.5}  # of the memory; other programs need some too
_SHARE_OF_DEVICE = 0.8

Attempt = Callable[[Batch], None]
"""Computes the gradient of a batch and discards it."""


def full_batch(
    rows: int, source: int, target: int, *, aligned: bool, features: Features | None = None
) -> Batch:
    """Return a batch without padding, for measurements.

    Inputs of the decoder are BOS, all other pieces are EOS. An alignment has no links. If there are
    features, each sentence has the greatest number of regions, filled with zeros.
    """
    regions = None
    if features is not None:
        values = torch.zeros(rows, features.most_regions, features.size)
        regions = Regions(values, torch.ones_like(values[:, :, 0], dtype=torch.bool))
    ids = torch.full((rows, source), EOS)
    return Batch(
        source_ids=ids,
        source_mask=torch.ones_like(ids, dtype=torch.bool),
        target_input_ids=torch.full((rows, target), BOS),
        target_output_ids=torch.full((rows, target), EOS),
        num_tokens=rows * target,
        alignment=torch.zeros(rows, target, source) if aligned else None,
        regions=regions,
    )


def longest_batch(corpus: EncodedCorpus, budget: int, *, aligned: bool) -> Batch:
    """Return the batch of a token budget that needs the most memory: all pairs are the longest."""
    source = int(corpus.source.lengths.max()) + 1
    target = int(corpus.target.lengths.max()) + 1
    rows = max(1, min(budget // target, 2 * budget // source))
    return full_batch(rows, source, target, aligned=aligned, features=corpus.features)


def _packed_batch(batches: UpdateBatches) -> Batch:
    """Return the first packed batch; all batches have its shape, so they need the same memory."""
    updates = UpdateMaker(batches).updates(BatchingState())
    return Batch.of_arrays(next(update.batches[0] for update in updates if update.batches))


def find_batch_tokens(
    attempt: Attempt,
    corpus: EncodedCorpus,
    config: Config,
    device: torch.device,
    shapes: BatchShapes = BatchShapes.PADDED,
    *,
    reserved: int = 0,
) -> int:
    """Return the target tokens per update for ``training.batch_tokens=auto``.

    The tokens per forward pass are doubled while the longest batch needs no more than a fixed share
    of the memory. The random generators are restored.

    Args:
        attempt: Tries a batch.
        corpus: The training pairs.
        config: The run's configuration.
        device: The device whose memory is measured.
        shapes: The shapes of the batches.
        reserved: Bytes that the first update will allocate in addition: the optimizer state.

    Raises:
        UserError: Not even the smallest batch fits.
    """
    training = config.training
    most = LARGEST_ON_CPU if device.type == "cpu" else LARGEST
    allowed = _SHARE.get(device.type, _SHARE_OF_DEVICE) * memory(device) - reserved
    found, budget = 0, SMALLEST
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        while budget <= most:
            if shapes is BatchShapes.PACKED:
                batch = _packed_batch(PackedBatches(corpus, budget, 1, config.seed))
            else:
                batch = longest_batch(corpus, budget, aligned=training.guided_alignment.weight > 0)
            if processes.any(not _fits(attempt, batch, allowed, device)):
                break
            found, budget = budget, 2 * budget
    if not found:
        raise UserError(
            f"training.batch_tokens=auto: not even {SMALLEST} target tokens fit in the memory of "
            f"{device}: choose a smaller model, or set training.gradient_checkpointing=true"
        )
    return found * training.accumulation * processes.world()


def _fits(attempt: Attempt, batch: Batch, allowed: float, device: torch.device) -> bool:
    try:
        attempt(batch)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return peak_memory(device) <= allowed


def memory(device: torch.device) -> int:
    """Return the bytes of memory of a GPU; for a CPU, those of the machine or its container."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def peak_memory(device: torch.device) -> int:
    """Return the peak memory of this process on a device, in bytes; on MPS, the current memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@dataclass(frozen=True)
class Rehearsal:
    """The measured cost of an update.

    Attributes:
        largest_batch: The largest batch of a process, in words.
        tokens_per_second: Target tokens per second, over all processes.
        peak_memory: Bytes, gradients and optimizer state included.
        updates_per_epoch: Optimizer steps per epoch.
        seconds_per_update: Seconds for an update of mean size.
    """

    largest_batch: str
    tokens_per_second: float
    peak_memory: int
    updates_per_epoch: int
    seconds_per_update: float


def rehearse(
    step: Attempt,
    corpus: EncodedCorpus,
    config: Config,
    device: torch.device,
    shapes: BatchShapes = BatchShapes.PADDED,
) -> Rehearsal:
    """Train on a batch as large as the largest of an epoch, and time it.

    Args:
        step: Makes an optimizer step with a batch.
        corpus: The training pairs.
        config: The run's configuration.
        device: The model's device.
        shapes: The shapes of the batches.
    """
    world = processes.world()
    batches = build_batches(shapes, corpus, config, rank=processes.rank(), world=world)
    cost = batches.cost()
    rows, width = -(-cost.largest_batch[0] // world), cost.largest_batch[1]
    if cost.packed:
        batch = _packed_batch(batches)
        largest = f"{batch.source_ids.size(1):,} + {batch.target_input_ids.size(1):,} positions"
    else:
        aligned = config.training.guided_alignment.weight > 0
        batch = full_batch(rows, width, width, aligned=aligned, features=corpus.features)
        largest = f"{rows:,} pairs of {width} positions"
    times: list[float] = []
    for _ in range(_ROUNDS):  # the first also allocates memory and the optimizer state
        began = time.perf_counter()
        step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    speed = world * batch.num_tokens / max(1e-9, min(times))
    mean = (len(corpus.target.ids) + len(corpus)) / cost.updates
    return Rehearsal(largest, speed, peak_memory(device), cost.updates, mean / speed)


def rehearsal_lines(found: Rehearsal, config: Config, search_seconds: float) -> list[str]:
    """Return the expected cost of a run, in lines of text.

    Args:
        found: The result of `rehearse`.
        config: The run's configuration.
        search_seconds: Seconds of a greedy search over all validation sentences.
    """
    training = config.training
    validations = -(-training.max_updates // training.validate_every)
    seconds = training.max_updates * found.seconds_per_update + validations * search_seconds
    limit = training.max_minutes
    stopped = limit is not None and 60 * limit < seconds
    return [
        f"largest batch {found.largest_batch}",
        f"peak memory {found.peak_memory / 2**30:.2f} GiB, optimizer included",
        f"speed {found.tokens_per_second:,.0f} target tokens per second, on that batch",
        f"updates per epoch {found.updates_per_epoch:,}",
        f"validation {format_duration(search_seconds)}, by greedy search with untrained weights",
        f"time to update {training.max_updates:,}: about {format_duration(seconds)}"
        + (f", but training.max_minutes={limit:g} ends it earlier" if stopped else ""),
    ]
