"""Trains as one of several processes, for test_parallel.py; torchrun's environment is set for it.

Called with a folder: it reads a list of `Job` from jobs.pickle and writes the outcomes to
rank-N.pickle.
"""

import io
import math
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from nmt import processes
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch
from nmt.data.batches.loader_process import UpdateMaker
from nmt.data.encoded import EncodedCorpus
from nmt.model.build import build_model
from nmt.model.documents.sentence_segments import ContextPieces
from nmt.reporting.metric_log import MetricLogs
from nmt.training.distillation import Teacher
from nmt.training.fine_tuning.anchor import Anchor
from nmt.training.fine_tuning.freezing import freeze
from nmt.training.guard import EarlierCheckpoint
from nmt.training.objective import AuxiliaryTargets
from nmt.training.passes.budget import positions
from nmt.training.services import TrainerServices
from nmt.training.trainer import Trainer

CONTEXT = ContextPieces(5, (), 1, target_separator=5)
"""Models of documents take a piece of the random text for the end of a previous sentence."""


@dataclass
class Job:
    """A training.

    Attributes:
        resume: A saved state, or the index of the job that saved it.
        taught: Whether the model learns from a teacher.
        anchored: Whether L2-SP keeps weights near initial ones.
        room: Maximum positions of a pass; beyond it, the last process runs out of memory.
        read_every: Updates between two reads of results from the device.
        poisoned: Updates whose loss is not finite in the last process.
    """

    config: Config
    corpus: EncodedCorpus
    size: int
    stop_after: int | None = None
    interrupted_rank: int = 0
    resume: Any = None
    taught: bool = False
    anchored: bool = False
    room: int | None = None
    poisoned: tuple[int, ...] = ()
    read_every: int | None = None


@dataclass
class Outcome:
    reason: str = ""
    losses: list[float] = field(default_factory=list)
    gradients: list[list[Tensor | None]] = field(default_factory=list)
    saved: dict[str, Any] = field(default_factory=dict)
    pairs: list[tuple[int, list[int]]] = field(default_factory=list)
    tokens: int = 0
    rewinds: int = 0
    pass_limit: int | None = None


@dataclass(frozen=True)
class Report:
    loss: float = 0.0
    samples: Mapping[str, str] = field(default_factory=dict)
    heatmaps: Mapping[str, Any] = field(default_factory=dict)

    def scalars(self) -> dict[str, float]:
        return {"loss": 0.0, "perplexity": 1.0, "bleu": 0.0, "chrf": 0.0}


class Line:
    def __init__(self, losses: list[float]) -> None:
        self.losses = losses

    def update(self, status: Any) -> None:
        self.losses.append(status.loss)


class Recording(UpdateMaker):
    """Records the pairs of this process."""

    seen: list[tuple[int, list[int]]] = []

    def _pad(self, indices: Any, epoch: int) -> Any:
        self.seen.append((epoch, indices.tolist()))
        return super()._pad(indices, epoch)


def train(job: Job, before: list[Outcome]) -> Outcome:
    outcome = Outcome()
    torch.manual_seed(1)
    model = build_model(job.config.model, job.size, job.size, context=CONTEXT)
    freeze(model, job.config.training.freeze)

    def save(name: str, _: int, weights: Any, training: Any, scores: Any) -> None:
        file = io.BytesIO()
        torch.save({"weights": dict(weights), "training": training}, file)
        outcome.saved[name] = torch.load(io.BytesIO(file.getvalue()), weights_only=True)

    def interrupted() -> bool:
        mine = processes.rank() == min(job.interrupted_rank, processes.world() - 1)
        return mine and trainer.progress.update == job.stop_after

    line = cast("Any", Line(outcome.losses))

    def reload(_: int) -> EarlierCheckpoint:
        saved = outcome.saved["last.pt"]
        return EarlierCheckpoint("last.pt", saved["weights"], saved["training"])

    services = TrainerServices(
        validate=Report,
        save=save,
        metric_log=MetricLogs([]),
        progress_line=line,
        report=lambda _: None,
        interrupted=interrupted,
        reload_checkpoint=reload,
    )
    targets = _targets(job, model)
    trainer = Trainer(
        model, job.corpus, job.config, services, targets=targets, read_every=job.read_every
    )
    _disturb(trainer, job)
    loader = trainer._loader
    loader._maker = Recording(loader._maker.batches, None, loader._maker.max_length)
    Recording.seen = outcome.pairs
    resume = before[job.resume].saved["last.pt"] if isinstance(job.resume, int) else job.resume
    if resume is not None:
        trainer.resume(resume["weights"], resume["training"])

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        found = [p.grad for group in optimizer.param_groups for p in group["params"]]
        whole = trainer.updater.strategy.gather(found)
        outcome.gradients.append([None if g is None else g.clone() for g in whole])

    trainer.updater.optimizer.register_step_pre_hook(note)
    outcome.reason = trainer.train()
    outcome.tokens, outcome.rewinds = trainer.progress.tokens, trainer.progress.rewinds
    outcome.pass_limit = trainer.progress.pass_limit
    return outcome


def _targets(job: Job, model: nn.Module) -> AuxiliaryTargets:
    teacher = anchor = None
    if job.taught:
        torch.manual_seed(2)
        other = build_model(job.config.model, job.size, job.size)
        teacher = Teacher(other, job.config.training.distillation)
    if job.anchored:
        held = dict(model.named_parameters())
        start = {name: p.detach() + 0.1 for name, p in held.items()}
        stiffness = {}
        for name, p in held.items():  # one number per row, as for new pieces, or one for all
            rows = torch.arange(p.size(0)).reshape(-1, *[1] * (p.dim() - 1)) % 3
            stiffness[name] = rows.float() if p.dim() > 1 else torch.tensor(0.5)
        anchor = Anchor(model, start, stiffness)
    return AuxiliaryTargets(teacher, anchor)


def _disturb(trainer: Trainer, job: Job) -> None:
    """Inject faults into the last process."""
    if processes.rank() < processes.world() - 1:
        return
    backward, objective = trainer.updater._backward, trainer.updater._objective

    def limited(batch: Batch, tokens: int, last: bool) -> Tensor:
        full = job.room is not None and positions(batch) > job.room
        if full and trainer.progress.update % 2:
            raise MemoryError
        loss = backward(batch, tokens, last)
        if full:  # raised after all gradients were sent
            raise MemoryError
        return loss

    def poisoned(model: Any, batch: Batch) -> Any:
        loss = objective(model, batch)
        share = math.nan if trainer.progress.update in job.poisoned else 1.0
        return replace(loss, smoothed=loss.smoothed * share)

    trainer.updater._backward = limited  # type: ignore[method-assign]
    trainer.updater._objective = poisoned  # type: ignore[assignment]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    processes.join()
    outcomes: list[Outcome] = []
    for job in pickle.loads((folder / "jobs.pickle").read_bytes()):
        outcomes.append(train(job, outcomes))
    plain = [vars(outcome) for outcome in outcomes]
    (folder / f"rank-{processes.rank()}.pickle").write_bytes(pickle.dumps(plain))
    processes.barrier()


if __name__ == "__main__":
    sys.modules["parallel_worker"] = sys.modules["__main__"]  # as the test pickled its jobs
    main(Path(sys.argv[1]))
