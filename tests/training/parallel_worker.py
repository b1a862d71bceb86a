"""Trains as one of several processes, for test_parallel.py; torchrun's environment is set for it.

Called with a folder: jobs.pickle there holds a list of `Job`; rank-N.pickle becomes the outcomes.
"""

import io
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from nmt import processes
from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.data.loader_process import UpdateMaker
from nmt.model.build import build_model
from nmt.reporting.metric_log import MetricLogs
from nmt.training.surroundings import Surroundings
from nmt.training.trainer import Trainer


@dataclass
class Job:
    """A training; ``resume`` is a saved state, or the number of the job that left it."""

    config: Config
    corpus: EncodedCorpus
    size: int
    stop_after: int | None = None
    interrupted_rank: int = 0
    resume: Any = None


@dataclass
class Outcome:
    reason: str = ""
    losses: list[float] = field(default_factory=list)
    gradients: list[list[Tensor | None]] = field(default_factory=list)
    saved: dict[str, Any] = field(default_factory=dict)
    pairs: list[tuple[int, list[int]]] = field(default_factory=list)
    tokens: int = 0


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
    """Notes which pairs this process has been given."""

    seen: list[tuple[int, list[int]]] = []

    def _pad(self, indices: Any, epoch: int) -> Any:
        self.seen.append((epoch, indices.tolist()))
        return super()._pad(indices, epoch)


def train(job: Job, before: list[Outcome]) -> Outcome:
    outcome = Outcome()
    torch.manual_seed(1)
    model = build_model(job.config.model, job.size, job.size)

    def save(name: str, _: int, weights: Any, training: Any, scores: Any) -> None:
        file = io.BytesIO()
        torch.save({"weights": dict(weights), "training": training}, file)
        outcome.saved[name] = torch.load(io.BytesIO(file.getvalue()), weights_only=True)

    def interrupted() -> bool:
        mine = processes.rank() == min(job.interrupted_rank, processes.world() - 1)
        return mine and trainer.progress.update == job.stop_after

    line = cast("Any", Line(outcome.losses))
    around = Surroundings(Report, save, MetricLogs([]), line, lambda _: None, interrupted)
    trainer = Trainer(model, job.corpus, job.config, around)
    loader = trainer._loader
    loader._maker = Recording(loader._maker.batches, None, loader._maker.max_length)
    Recording.seen = outcome.pairs
    resume = before[job.resume].saved["last.pt"] if isinstance(job.resume, int) else job.resume
    if resume is not None:
        trainer.resume(resume["weights"], resume["training"])

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        found = [p.grad for group in optimizer.param_groups for p in group["params"]]
        whole = trainer._passes.gathered(found)
        outcome.gradients.append([None if g is None else g.clone() for g in whole])

    trainer._optimizer.register_step_pre_hook(note)
    outcome.reason = trainer.train()
    outcome.tokens = trainer.progress.tokens
    return outcome


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
