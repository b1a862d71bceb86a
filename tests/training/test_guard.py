"""Updates without a finite gradient: skipped, counted and kept; the run stops or rewinds."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.config.schema import Config, SgdConfig
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.training.bad_batches import MAX_FILES, BadBatches
from nmt.training.guard import MAX_REWINDS, BadUpdate, EarlierCheckpoint
from nmt.training.passes.mixed_precision import MixedPrecision
from nmt.training.schedule import ConstantScheduleConfig
from nmt.training.trainer import Trainer

SIZE = 30
Recorder = Any  # of conftest.py


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    lengths = np.random.default_rng(3).integers(1, 9, (2, 60)).tolist()
    return corpus_of(make_pairs(*lengths, SIZE, SIZE))


@pytest.fixture
def config(tiny_config: Callable[..., ModelConfig], run_config: Callable[..., Config]) -> Any:
    return lambda **changes: run_config(tiny_config(), **{"max_skipped": 3, **changes})


def trainer_of(
    config: Config, corpus: EncodedCorpus, run: Recorder, poisoned: tuple[int, ...], **services: Any
) -> Trainer:
    """A trainer whose gradient is not finite at these updates."""
    torch.manual_seed(1)
    model = build_model(config.model, SIZE, SIZE)
    trainer = Trainer(model, corpus, config, replace(run.services(), **services))

    def spoil(gradient: Tensor) -> Tensor:
        return gradient * math.nan if trainer.progress.update in poisoned else gradient

    model.output.weight.register_hook(spoil)
    return trainer


def state_of(trainer: Trainer) -> list[Tensor]:
    found: list[Tensor] = [*trainer.model.parameters()]
    for state in trainer.updater.optimizer.state.values():
        found += [value for value in state.values() if isinstance(value, Tensor)]
    if trainer.updater.average is not None:
        found += trainer.updater.average.average
    return [tensor.detach().clone() for tensor in found]


def test_a_skipped_update_changes_nothing_and_is_counted(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    bad: list[BadUpdate] = []
    settings = config(ema_decay=0.9)
    trainer = trainer_of(settings, corpus, recorder(), (2, 4), keep_bad_update=bad.append)
    updates, states = iter(trainer._loader), []
    for _ in range(4):
        trainer._update(next(updates)[0])
        states.append(state_of(trainer))
    trainer._loader.close()
    for before, after, same in zip(states[:-1], states[1:], (True, False, True), strict=True):
        assert all(map(torch.equal, before, after)) is same
    assert (trainer.progress.skipped_updates, trainer.progress.skipped_in_row) == (2, 1)
    assert [found.update for found in bad] == [2, 4]
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


def test_a_skipped_batch_equals_an_update_without_a_step(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    poisoned = trainer_of(config(), corpus, recorder(), (3,))
    clean = trainer_of(config(), corpus, recorder(), ())
    optimizer: Any = clean.updater.optimizer
    step = optimizer.step

    def step_but_once(*_: Any) -> None:
        if clean.progress.update != 3:
            step()

    optimizer.step = step_but_once
    poisoned.train()
    clean.train()
    assert all(map(torch.equal, state_of(poisoned), state_of(clean)))


def test_only_too_many_consecutive_skipped_updates_stop_the_run(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    run, where = recorder(), Path("bad_batches/update-2.json")
    trainer = trainer_of(
        config(max_updates=9, save_every=1),
        corpus,
        run,
        (2, 5, 6, 7, 8),
        keep_bad_update=lambda _: where,
    )
    with pytest.raises(UserError, match="update 8 is not finite") as raised:
        trainer.train()
    for word in ("3 before it", str(where), "checkpoint is intact"):
        assert word in str(raised.value)
    assert "\n" not in str(raised.value)
    saved = run.saved["last.pt"]["training"]["progress"]
    assert saved["update"] == 4, "a checkpoint was written among skipped updates"
    assert saved["skipped_updates"] == 1


def test_the_message_of_a_divergence_names_the_settings_with_their_values(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    settings = config(max_skipped=0, schedule=ConstantScheduleConfig(warmup=50))
    with pytest.raises(UserError) as raised:  # in the warm-up, the rate is below the setting
        trainer_of(settings, corpus, recorder(), (1,)).train()
    assert f"lower optimizer.learning_rate (now {settings.optimizer.learning_rate:g})" in str(
        raised.value
    )
    assert "raise schedule.warmup (now 50)" in str(raised.value)


def test_a_resumed_run_restores_the_counts(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    first = recorder(stop_after=1)  # counts reported updates; the last one was skipped
    trainer = trainer_of(config(), corpus, first, (2, 3))
    trainer.progress.rate_scale = 0.25
    assert trainer.train() == "interrupted"
    state = first.saved["last.pt"]["training"]
    again = trainer_of(config(), corpus, recorder(), (2, 3, 4, 5, 6))
    again.resume(first.saved["last.pt"]["weights"], state)
    assert again.progress.skipped_updates == state["progress"]["skipped_updates"]
    assert again.progress.rate_scale == 0.25
    with pytest.raises(UserError, match="not finite"):
        again.train()


def test_rewinding_takes_the_checkpoint_and_a_lower_rate(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    run, asked, rates = recorder(), [], []

    def reload(back: int) -> EarlierCheckpoint | None:
        asked.append(back)
        saved = run.saved["last.pt"]
        return EarlierCheckpoint("last.pt", saved["weights"], saved["training"])

    settings = config(
        max_updates=8, max_skipped=0, on_divergence="rewind", rewind_rate=0.5, save_every=2
    )
    poisoned = (4, 5)
    trainer = trainer_of(settings, corpus, run, poisoned, reload_checkpoint=reload)
    updates, reached = iter(trainer._loader), {}
    for update in range(1, 6):
        trainer._update(next(updates)[0])
        reached[update] = state_of(trainer)
        rates.append(trainer.updater.optimizer.param_groups[0]["lr"])
        if update == 2:
            trainer._save("last.pt")
    trainer._update(next(updates)[0])
    trainer._loader.close()
    assert all(map(torch.equal, reached[4], reached[2])), (
        "the run is not at the checkpoint's update"
    )
    assert not all(map(torch.equal, reached[3], reached[2]))
    assert asked == [0, 1], "the second rewind should try an older checkpoint"
    assert trainer.updater.optimizer.param_groups[0]["lr"] == 0.25 * rates[0]
    assert trainer.progress.update == 6
    assert trainer.progress.rewinds == 2


@pytest.mark.parametrize("bad", [(2,), (2, 3)])
def test_a_validation_that_is_not_finite_rewinds_the_run(
    config: Any, corpus: EncodedCorpus, recorder: Recorder, bad: tuple[int, ...]
) -> None:
    run, reports, said = recorder(), [], list[str]()

    @dataclass(frozen=True)
    class Told:
        loss: float
        samples: Any = field(default_factory=dict)
        heatmaps: Any = field(default_factory=dict)

        def scalars(self) -> dict[str, float]:
            return {"loss": self.loss, "perplexity": self.loss, "bleu": 0.0, "chrf": 0.0}

    def validate() -> Any:
        reports.append(trainer.progress.update)
        return Told(math.nan if len(reports) in bad else 1.0 / len(reports))

    def reload(_: int) -> EarlierCheckpoint:
        saved = run.saved["last.pt"]
        return EarlierCheckpoint("last.pt", saved["weights"], saved["training"])

    settings = config(
        max_updates=6, validate_every=2, save_every=1, on_divergence="rewind", ema_decay=0.9
    )
    world: dict[str, Any] = dict(validate=validate, reload_checkpoint=reload, report=said.append)
    trainer = trainer_of(settings, corpus, run, (), **world)
    assert trainer.train() == "max_updates"
    assert trainer.progress.rewinds == len(bad)
    assert trainer.progress.rate_scale == 0.5 ** len(bad)
    assert trainer.progress.validated_update == 6
    assert trainer.progress.best_update == 6
    assert any("the validation loss of update 4 is nan; rewound to" in line for line in said), said
    stopping = trainer_of(config(validate_every=2, max_updates=6), corpus, run, (), **world)
    reports.clear()
    trainer = stopping
    with pytest.raises(UserError, match=r"validation loss of update 4 is nan; .*=rewind"):
        stopping.train()


def test_a_run_rewinds_a_limited_number_of_times_and_then_stops(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    run = recorder()

    def reload(_: int) -> EarlierCheckpoint:
        saved = run.saved["last.pt"]
        return EarlierCheckpoint("last.pt", saved["weights"], saved["training"])

    settings = config(max_updates=50, max_skipped=0, on_divergence="rewind", save_every=1)
    trainer = trainer_of(settings, corpus, run, tuple(range(2, 50)), reload_checkpoint=reload)
    with pytest.raises(UserError, match=f"rewound {MAX_REWINDS} times"):
        trainer.train()
    without = trainer_of(settings, corpus, recorder(), (1,))
    with pytest.raises(UserError, match="update 1 is not finite"):
        without.train()


def texts(ids: list[int]) -> str:
    return " ".join(map(str, ids))


def test_bad_batches_are_readable_and_few(tmp_path: Path, ragged_batch: Any) -> None:
    keep = BadBatches(tmp_path / "bad_batches", texts, texts)
    bad = BadUpdate(1, 0, math.nan, math.inf, 0.1, [ragged_batch])
    path = keep(bad)
    assert path is not None
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["loss"], content["gradient_norm"]) == ("nan", "inf")
    pairs = content["batches"][0]
    assert [len(pair["source_ids"]) for pair in pairs] == [4, 7, 2, 1]
    assert [len(pair["target_ids"]) for pair in pairs] == [3, 1, 6, 2]
    assert pairs[0]["source"] == texts(pairs[0]["source_ids"])
    for update in range(2, 2 * MAX_FILES):
        found = keep(replace(bad, update=update))
        assert (found is not None) == (update <= MAX_FILES)
    assert keep(bad) == path, "an update repeated after resuming was not written"
    assert len(list(path.parent.iterdir())) == MAX_FILES


def test_a_float16_scale_halves_and_goes_back_up(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    sgd = SgdConfig(learning_rate=0.1, momentum=0.0, weight_decay=0.0)
    plain = trainer_of(config(optimizer=sgd), corpus, recorder(), ())
    scaled = trainer_of(config(optimizer=sgd, max_skipped=0), corpus, recorder(), ())
    scaled.updater.precision = MixedPrecision(scaled.model, torch.float16, torch.device("cpu"))
    scaled.updater.precision.dtype = torch.float32  # a CPU has no float16 products
    plain.train()
    scaled.train()
    for one, other in zip(plain.model.parameters(), scaled.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    engine = scaled.updater.precision
    before = engine.scalars()["loss_scale"]
    norm = torch.tensor(math.inf)
    assert engine.update_scale(torch.tensor(1.0), norm)
    assert not engine.update_scale(torch.tensor(math.nan), norm), (
        "no scale can make this loss finite"
    )
    assert engine.scalars()["loss_scale"] == before / 2
    again = MixedPrecision(scaled.model, torch.float16, torch.device("cpu"))
    again.load_state_dict(engine.state_dict())
    assert again.scalars() == engine.scalars()
    for _ in range(2000):
        again.update_scale(torch.tensor(1.0), torch.tensor(1.0))
    assert again.scalars()["loss_scale"] == before
