"""If memory runs out, splits the passes of an update; the update itself does not change.

Legend: B batch, S source length, T target length.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt import processes
from nmt.data.batches.batch import Batch
from nmt.data.batches.repack import split_packed, unpacked
from nmt.errors import UserError
from nmt.text.special_tokens import PAD
from nmt.training.parallel.parallel_strategy import ParallelStrategy
from nmt.training.training_progress import TrainingProgress

Pass = Callable[[Batch, int, bool], Tensor]
"""Accumulates the gradient of a batch and returns the batch's share of the mean loss.

Its other arguments are the number of tokens by which the loss is divided, and whether the batch is
the last one of the update.
"""

_ALLOCATION_ERRORS = (  # messages of allocators that raise a plain RuntimeError
    "DefaultCPUAllocator",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA out of memory",
    "MPS backend out of memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in _ALLOCATION_ERRORS
    )


@contextmanager
def memory_for(stage: str, remedy: str) -> Iterator[None]:
    """Turn an out-of-memory error into a one-line message, where no smaller pass can be tried.

    Args:
        stage: The stage in which memory ran out, such as "in a validation batch".
        remedy: What the user can do.

    Raises:
        UserError: Memory ran out inside the block.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"out of memory {stage}: {remedy}") from error


def positions(batch: Batch) -> int:
    """Return the size of a batch: B · (S + T), padding included."""
    return batch.source_ids.size(0) * (batch.source_ids.size(1) + batch.target_input_ids.size(1))


def pairs(batch: Batch) -> int:
    """Return the number of pairs of a batch."""
    return batch.source_ids.size(0) if batch.packing is None else batch.packing.sentences


def describe(batch: Batch) -> str:
    """Describe the size of a batch in words."""
    rows, source = pairs(batch), batch.source_ids.size(1)
    return (
        f"{rows:,} {'pair' if rows == 1 else 'pairs'} of {source} source and "
        f"{batch.target_input_ids.size(1)} target positions, {batch.num_tokens:,} target tokens"
    )


def split(batch: Batch, limit: int | None) -> list[Batch]:
    """Split a batch into parts of at most ``limit`` positions, but at least one pair.

    The parts of a packed batch are packed if the longest pair of the run fits into ``limit``
    positions; otherwise they are padded.
    """
    rows = pairs(batch)
    if limit is None or rows == 1 or positions(batch) <= limit:
        return [batch]
    if batch.packing is not None:
        return split_packed(batch, limit) or split(unpacked(batch), limit)
    height = max(1, limit // (positions(batch) // rows))
    return [_rows(batch, slice(start, start + height)) for start in range(0, rows, height)]


def _rows(batch: Batch, rows: slice) -> Batch:
    """Return some rows without the padding that none of them needs."""
    mask, real = batch.source_mask[rows], batch.target_output_ids[rows] != PAD
    source, target = int(mask.sum(1).max()), max(1, int(real.sum(1).max()))
    alignment = batch.alignment
    return replace(
        batch,
        source_ids=batch.source_ids[rows, :source],
        source_mask=mask[:, :source],
        target_input_ids=batch.target_input_ids[rows, :target],
        target_output_ids=batch.target_output_ids[rows, :target],
        num_tokens=int(real.sum()),
        alignment=None if alignment is None else alignment[rows, :target, :source],
        target_positions=None,
        source_lengths=None,
        fixed_shape=False,
        regions=None if batch.regions is None else batch.regions.map(lambda one: one[rows]),
    )


@dataclass(frozen=True)
class Gradient:
    """What the passes of an update accumulated in the parameters.

    Attributes:
        loss: This process's share of the mean over ``tokens``, a scalar on the device.
        tokens: Target tokens of the pairs that took part, in all processes.
        batches: This process's batches that took part.
    """

    loss: Tensor
    tokens: int
    batches: list[Batch]


@dataclass
class MemoryBudget:
    """Runs the passes of an update, in smaller batches after memory has run out.

    The limit stays for the rest of the run and is stored in its progress. At any limit, an update
    has the same pairs and the same normalization. Only a pair that does not fit alone is dropped.
    Several processes restart an update together and share the limit. With FSDP, each pass needs all
    processes. So if memory runs out in one process, the run ends with a message that names the
    batch and the remedy.

    Attributes:
        model: The model whose gradients are computed.
        strategy: How processes share an update.
        report: Prints one line.
        begin: Called before each attempt at an update; discards what a failed attempt counted.
        has_freed: Returns whether other memory was freed after a failed pass, so that the same
            passes may fit now.
    """

    model: nn.Module
    strategy: ParallelStrategy
    report: Callable[[str], None]
    begin: Callable[[], None]
    has_freed: Callable[[], bool] = lambda: False

    def gradient(
        self, batches: Iterable[Batch], progress: TrainingProgress, run: Pass, device: torch.device
    ) -> Gradient:
        """Accumulate the gradient of an update; a failed pass adds nothing to it.

        Args:
            batches: The batches of this process, on the CPU.
            progress: The run's progress, which stores the limit and the number of dropped pairs.
            run: Runs the forward and the backward pass of one batch.
            device: The device on which the loss is summed.

        Raises:
            UserError: Memory ran out in a process and the strategy cannot restart the update.
        """
        parts = [part for batch in batches for part in split(batch, progress.pass_limit)]
        while True:
            tokens = int(*processes.total([sum(part.num_tokens for part in parts)]))
            self.begin()
            loss = torch.zeros((), device=device)
            failed = self._try(self.strategy.equalize(parts) if tokens else [], tokens, run, loss)
            if failed is not None and device.type == "cuda":
                torch.cuda.empty_cache()
            self.strategy.finish()  # sends what a failed pass did not; other processes wait for it
            if not processes.any(failed is not None):
                return Gradient(loss, tokens, parts)
            self.strategy.restart()
            self.model.zero_grad(set_to_none=True)
            if processes.any(self.has_freed()):
                continue
            parts = self._smaller(parts, None if failed is None else parts[failed], progress)

    def _try(self, parts: list[Batch], tokens: int, run: Pass, loss: Tensor) -> int | None:
        """Run all parts; return the index of the part that ran out of memory, None if all fit."""
        for index, part in enumerate(parts):
            try:
                loss += run(part, tokens, index == len(parts) - 1)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if not self.strategy.retries:
                    raise UserError(
                        f"out of memory in process {processes.rank()}, in a pass of "
                        f"{describe(part)}; the last checkpoint is intact: set "
                        "training.accumulation higher, or training.gradient_checkpointing=true, "
                        "or choose training.parallel=ddp"
                    ) from error
                return index
        return None

    def _smaller(
        self, parts: list[Batch], failed: Batch | None, progress: TrainingProgress
    ) -> list[Batch]:
        """Return this process's parts for the next attempt, after memory ran out in any process."""
        alone = failed is not None and pairs(failed) == 1
        limit = math.inf if failed is None or alone else math.ceil(positions(failed) / 2)
        limit = -processes.largest(-limit)
        faults = processes.gather(None if failed is None else (describe(failed), alone))
        for rank, fault in enumerate(faults):
            if fault is not None:
                self._report(progress, rank, *fault)
        if not math.isinf(limit):
            progress.pass_limit = int(limit)
        kept = [part for part in parts if not (alone and part is failed)]
        return [smaller for part in kept for smaller in split(part, progress.pass_limit)]

    def _report(self, progress: TrainingProgress, rank: int, batch: str, alone: bool) -> None:
        """Report what happened in a process, and count a dropped pair."""
        process = f" in process {rank}" if processes.world() > 1 else ""
        where = f"out of memory at update {progress.update:,}{process}, in a pass of {batch}"
        if alone:
            progress.skipped_pairs += 1
            self.report(
                f"{where}: the pair is dropped ({progress.skipped_pairs:,} so far); lower "
                "data.max_length, or set training.gradient_checkpointing=true"
            )
            return
        self.report(
            f"{where}: forward passes are halved from now on, the update stays the same; "
            "training.accumulation or training.gradient_checkpointing=true avoids the retries"
        )
