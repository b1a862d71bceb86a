"""Memory that runs out: the forward passes of an update are cut smaller, and the update is kept.

Legend: B batch, S source length, T target length.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt import processes
from nmt.data.batch import Batch
from nmt.errors import UserError
from nmt.text.special_tokens import PAD
from nmt.training.parallel import ParallelStrategy
from nmt.training.training_progress import TrainingProgress

Pass = Callable[[Batch, int, bool], Tensor]
"""Adds a batch's part to the gradient, given the tokens that divide it, and whether it is the last;
returns its part of the mean loss."""

_ALLOCATION = (  # what allocators that have no exception of their own say
    "DefaultCPUAllocator",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA out of memory",
    "MPS backend out of memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that memory ran out, on whichever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALLOCATION)


@contextmanager
def memory_for(stage: str, remedy: str) -> Iterator[None]:
    """Say in a line where memory ran out and what helps, where no smaller pass can be tried.

    Raises:
        UserError: Memory ran out inside.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"out of memory {stage}: {remedy}") from error


def places(batch: Batch) -> int:
    """Return the size of a batch: its rows times the places of both sides, pads included."""
    return batch.source_ids.size(0) * (batch.source_ids.size(1) + batch.target_input_ids.size(1))


def shape(batch: Batch) -> str:
    """Describe a batch in words."""
    rows, source = batch.source_ids.shape
    return (
        f"{rows:,} {'pair' if rows == 1 else 'pairs'} of {source} source and "
        f"{batch.target_input_ids.size(1)} target places, {batch.num_tokens:,} target tokens"
    )


def split(batch: Batch, limit: int | None) -> list[Batch]:
    """Cut a batch into parts of as many rows as ``limit`` places hold, at least one row each."""
    rows = batch.source_ids.size(0)
    if limit is None or rows == 1 or places(batch) <= limit:
        return [batch]
    height = max(1, limit // (places(batch) // rows))
    return [_rows(batch, slice(start, start + height)) for start in range(0, rows, height)]


def _rows(batch: Batch, rows: slice) -> Batch:
    """Return some rows, as wide as their longest is: a long pair may stand among short ones."""
    mask, real = batch.source_mask[rows], batch.target_output_ids[rows] != PAD
    source, target = int(mask.sum(1).max()), int(real.sum(1).max())
    alignment = batch.alignment
    return replace(
        batch,
        source_ids=batch.source_ids[rows, :source],
        source_mask=mask[:, :source],
        target_input_ids=batch.target_input_ids[rows, :target],
        target_output_ids=batch.target_output_ids[rows, :target],
        num_tokens=int(real.sum()),
        alignment=None if alignment is None else alignment[rows, :target, :source],
    )


@dataclass(frozen=True)
class Gradient:
    """What the passes of an update left in the parameters.

    Attributes:
        loss: Scalar on the device, the mean over ``tokens``.
        tokens: Target pieces of the pairs that took part.
        batches: The parts that took part.
    """

    loss: Tensor
    tokens: int
    batches: list[Batch]


@dataclass
class MemoryBudget:
    """Runs the passes of an update, in smaller parts after memory has run out.

    The limit holds for the rest of the run and is kept in its progress. An update has the same
    pairs and the same normalisation whatever it is; a pair that does not fit alone is left out.
    Several processes begin an update again together, and share the limit. Where each pass needs
    all of them (FSDP) memory that runs out in one ends the run, naming the batch and what helps.

    Attributes:
        model: Whose gradients are made.
        passes: How processes share an update.
        say: Tells people a line of news.
        begin: Called before every try at an update, to forget what a failed one counted.
    """

    model: nn.Module
    passes: ParallelStrategy
    say: Callable[[str], None]
    begin: Callable[[], None]

    def gradient(
        self, batches: Iterable[Batch], progress: TrainingProgress, run: Pass, device: torch.device
    ) -> Gradient:
        """Make the gradient of an update; a failed pass leaves nothing of itself behind.

        Raises:
            UserError: Memory ran out in a process that the others cannot wait for.
        """
        parts = [part for batch in batches for part in split(batch, progress.pass_limit)]
        while True:
            tokens = int(*processes.total([sum(part.num_tokens for part in parts)]))
            self.begin()
            loss = torch.zeros((), device=device)
            failed = self._try(self.passes.evened(parts) if tokens else [], tokens, run, loss)
            if failed is not None and device.type == "cuda":
                torch.cuda.empty_cache()
            self.passes.finish()  # the others wait for what a failed pass did not send
            if not processes.any(failed is not None):
                return Gradient(loss, tokens, parts)
            self.model.zero_grad(set_to_none=True)
            parts = self._smaller(parts, None if failed is None else parts[failed], progress)

    def _try(self, parts: list[Batch], tokens: int, run: Pass, loss: Tensor) -> int | None:
        """Run all parts; return the one for which memory ran out, whose frames are then gone."""
        for index, part in enumerate(parts):
            try:
                loss += run(part, tokens, index == len(parts) - 1)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if not self.passes.retries:
                    raise UserError(
                        f"out of memory in process {processes.rank()}, in a pass of {shape(part)}; "
                        "the last checkpoint is intact: set training.accumulation higher, or "
                        "training.gradient_checkpointing=true, or choose training.parallel=ddp"
                    ) from error
                return index
        return None

    def _smaller(
        self, parts: list[Batch], failed: Batch | None, progress: TrainingProgress
    ) -> list[Batch]:
        """Return this process's parts as the next try has them, wherever memory ran out."""
        alone = failed is not None and failed.source_ids.size(0) == 1
        limit = math.inf if failed is None or alone else math.ceil(places(failed) / 2)
        limit = -processes.largest(-limit)
        faults = processes.gather(None if failed is None else (shape(failed), alone))
        for rank, fault in enumerate(faults):
            if fault is not None:
                self._tell(progress, rank, *fault)
        if not math.isinf(limit):
            progress.pass_limit = int(limit)
        kept = [part for part in parts if not (alone and part is failed)]
        return [smaller for part in kept for smaller in split(part, progress.pass_limit)]

    def _tell(self, progress: TrainingProgress, rank: int, batch: str, alone: bool) -> None:
        """Say, and where a pair is left out count, what has happened in a process."""
        process = f" in process {rank}" if processes.world() > 1 else ""
        where = f"out of memory at update {progress.update:,}{process}, in a pass of {batch}"
        if alone:
            progress.skipped_pairs += 1
            self.say(
                f"{where}: the pair is left out ({progress.skipped_pairs:,} so far); lower "
                "data.max_length, or set training.gradient_checkpointing=true"
            )
            return
        self.say(
            f"{where}: passes are halved from here on, the update stays as it is; "
            "training.accumulation or training.gradient_checkpointing=true would do it at once"
        )
