"""Out of memory: the same update in smaller passes, and the search for the largest batch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt import processes
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.model.transformer.recompute import recompute_layers
from nmt.text.special_tokens import PAD
from nmt.training.passes import rehearsal
from nmt.training.passes.budget import is_out_of_memory, memory_for, positions, split
from nmt.training.passes.rehearsal import LARGEST_ON_CPU, SMALLEST, find_batch_tokens
from nmt.training.trainer import Trainer

SIZE = 30
FULL = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
Recorder = Any  # of conftest.py


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """Six pairs, all in one update of 1,000 tokens."""
    return corpus_of(make_pairs((3, 5, 2, 6, 1, 4), (2, 1, 2, 3, 4, 4), SIZE, SIZE))


@pytest.fixture
def config(tiny_config: Callable[..., ModelConfig], run_config: Callable[..., Config]) -> Any:
    return lambda **changes: run_config(tiny_config(), **{"batch_tokens": 1000, **changes})


def trainer_of(config: Config, corpus: EncodedCorpus, run: Recorder, room: int | None) -> Trainer:
    """A trainer whose model raises during its backward pass above this number of positions."""
    torch.manual_seed(1)
    model = build_model(config.model, SIZE, SIZE)
    trainer = Trainer(model, corpus, config, run.services())
    backward = trainer.updater._backward

    def limited(batch: Batch, tokens: int, last: bool) -> Tensor:
        if room is not None and positions(batch) > room:
            next(iter(model.parameters())).grad = torch.full_like(next(iter(model.parameters())), 9)
            raise RuntimeError(FULL)
        return backward(batch, tokens, last)

    trainer.updater._backward = limited  # type: ignore[method-assign]
    return trainer


def gradients(trainer: Trainer) -> list[Tensor]:
    trainer.model.train()
    batches = next(iter(trainer._loader))[0]
    budget = trainer.updater.memory
    made = budget.gradient(
        batches, trainer.progress, trainer.updater._backward, torch.device("cpu")
    )
    assert made.tokens == sum(batch.num_tokens for batch in made.batches)
    return [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]


@pytest.mark.parametrize("room", [60, 30, 16])
def test_an_update_in_smaller_passes_has_the_same_gradient(
    config: Any, corpus: EncodedCorpus, recorder: Recorder, room: int
) -> None:
    whole = gradients(trainer_of(config(), corpus, recorder(), None))
    said: list[str] = []
    trainer = trainer_of(config(), corpus, recorder(), room)
    trainer.updater.memory.report = said.append
    parts = gradients(trainer)
    assert len(whole) == len(parts)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert trainer.progress.pass_limit is not None
    assert trainer.progress.skipped_pairs == 0
    assert all("out of memory at update" in line and "pairs of" in line for line in said)
    before = len(said)
    trainer.model.zero_grad()
    gradients(trainer)
    assert len(said) == before, "the limit was not kept"


def test_passes_are_not_halved_where_memory_of_something_else_was_freed(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    whole = gradients(trainer_of(config(), corpus, recorder(), None))
    trainer = trainer_of(config(), corpus, recorder(), None)
    backward, calls = trainer.updater._backward, 0

    def fails_once(batch: Batch, tokens: int, last: bool) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError(FULL)
        return backward(batch, tokens, last)

    trainer.updater._backward = fails_once  # type: ignore[method-assign]
    trainer.updater.memory.has_freed = lambda: calls == 1
    for one, other in zip(whole, gradients(trainer), strict=True):
        assert torch.equal(one, other)
    assert trainer.progress.pass_limit is None


def test_a_limit_is_saved_and_restored(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    run = recorder()
    trainer = trainer_of(config(), corpus, run, 30)
    assert trainer.train() == "max_updates"
    saved = run.saved["last.pt"]
    again = trainer_of(config(), corpus, recorder(), 30)
    again.resume(saved["weights"], saved["training"])
    assert again.progress.pass_limit == trainer.progress.pass_limit is not None


def test_a_pair_that_does_not_fit_alone_is_left_out(
    config: Any,
    corpus: EncodedCorpus,
    recorder: Recorder,
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
) -> None:
    pairs = make_pairs((3, 40, 2), (2, 45, 2), SIZE, SIZE)
    said: list[str] = []
    trainer = trainer_of(config(), corpus_of(pairs), recorder(), 40)
    trainer.updater.memory.report = said.append
    found = gradients(trainer)
    assert trainer.progress.skipped_pairs == 1
    assert "1 pair of 41 source and 46 target positions" in said[-1]
    rest = trainer_of(config(), corpus_of([pairs[0], pairs[2]]), recorder(), None)
    for one, other in zip(found, gradients(rest), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    alone = trainer_of(config(max_updates=2), corpus_of(pairs[1:2]), recorder(), 40)
    start = [p.detach().clone() for p in alone.model.parameters()]
    alone.train()
    assert all(map(torch.equal, start, alone.model.parameters()))


def test_running_out_of_memory_ends_the_run_if_retries_are_impossible(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    trainer = trainer_of(config(), corpus, recorder(), 30)
    trainer.updater.strategy.retries = False  # as if every process had a shard of each weight
    with pytest.raises(UserError, match=r"out of memory in process 0.*training\.accumulation"):
        gradients(trainer)


@pytest.mark.parametrize("other", [-40.0, -20.0])
def test_processes_share_the_smallest_limit(
    config: Any,
    corpus: EncodedCorpus,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    other: float,
) -> None:
    """Process 1 runs out of memory too; ``other`` is its limit, negated to take a maximum."""
    trainer = trainer_of(config(), corpus, recorder(), None)
    said: list[str] = []
    trainer.updater.memory.report = said.append
    batch = next(iter(trainer._loader))[0][0]
    half = -(-positions(batch) // 2)
    monkeypatch.setattr(processes, "world", lambda: 2)
    monkeypatch.setattr(processes, "largest", lambda mine: max(mine, other))
    monkeypatch.setattr(processes, "gather", lambda mine: [mine, ("3 pairs of it", False)])
    parts = trainer.updater.memory._smaller([batch], batch, trainer.progress)
    assert trainer.progress.pass_limit == min(half, -other)
    assert len(parts) > 1
    assert ["in process 0" in said[0], "in process 1, in a pass of 3 pairs" in said[1]] == [
        True
    ] * 2
    trainer.progress.pass_limit = None
    assert len(trainer.updater.memory._smaller([batch], None, trainer.progress)) > 1
    assert trainer.progress.pass_limit == -other


def test_a_process_that_drops_a_pair_adopts_the_limit_of_another(
    config: Any,
    corpus: EncodedCorpus,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs out of memory over a single pair, and process 1 over several."""
    trainer = trainer_of(config(), corpus, recorder(), None)
    batch = next(iter(trainer._loader))[0][0]
    pair, *others = split(batch, 1)
    limit = positions(batch) // 2
    monkeypatch.setattr(processes, "world", lambda: 2)
    monkeypatch.setattr(processes, "largest", lambda mine: max(mine, -limit))
    monkeypatch.setattr(processes, "gather", lambda mine: [mine, ("3 pairs of it", False)])
    parts = trainer.updater.memory._smaller([pair, *others, batch], pair, trainer.progress)
    assert trainer.progress.pass_limit == limit
    assert trainer.progress.skipped_pairs == 1
    assert all(part is not pair for part in parts)
    assert all(positions(part) <= limit for part in parts)
    rows = sum(len(part.source_ids) for part in parts)
    assert rows == len(others) + len(batch.source_ids)


def test_parts_hold_all_rows_in_order_within_the_limit(ragged_batch: Batch) -> None:
    for limit in (1, 20, 35, 1000):
        parts = split(ragged_batch, limit)
        rows = [row[row != PAD] for part in parts for row in part.target_output_ids]
        whole = [row[row != PAD] for row in ragged_batch.target_output_ids]
        assert all(map(torch.equal, rows, whole))
        assert all(part.source_mask.any(0).all() for part in parts), "a column with only pads"
        assert sum(part.num_tokens for part in parts) == ragged_batch.num_tokens
        assert all(positions(part) <= limit or len(part.source_ids) == 1 for part in parts)


def test_only_out_of_memory_errors_are_recognized() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError(FULL))
    assert not is_out_of_memory(RuntimeError("shape '[3]' is invalid for input of size 4"))
    with (
        pytest.raises(UserError, match="out of memory here: do that"),
        memory_for("here", "do that"),
    ):
        raise RuntimeError(FULL)
    with pytest.raises(RuntimeError, match="other"), memory_for("here", "do that"):
        raise RuntimeError("other")


@pytest.mark.parametrize("name", ["transformer"])
def test_recomputed_layers_give_the_same_gradient(
    tiny_config: Callable[..., ModelConfig], ragged_batch: Batch, name: str
) -> None:
    found = []
    for on in (False, True):
        torch.manual_seed(1)
        model = build_model(tiny_config(name, name, dropout=0.3, num_layers=2), SIZE, SIZE).train()
        recompute_layers(model, on)
        torch.manual_seed(2)
        source = ragged_batch.source_ids % SIZE, ragged_batch.source_mask
        model(*source, ragged_batch.target_input_ids % SIZE).hidden.square().sum().backward()
        found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        found[-1].append(torch.rand(3))  # the generator continues from the same state
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_budget_found_is_the_largest_that_fits(
    config: Any, corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, tried = torch.device("cpu"), []
    settings = config(batch_tokens=0, accumulation=2)

    def attempt(batch: Batch) -> None:
        tried.append(batch.num_tokens)
        torch.rand(1)
        if batch.num_tokens > 2048:
            raise RuntimeError(FULL)

    monkeypatch.setattr(rehearsal, "peak_memory", lambda _: 0)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert find_batch_tokens(attempt, corpus, settings, device) == 2 * 2048
    assert torch.equal(torch.rand(1), expected), "the search changed the state of the generator"
    assert find_batch_tokens(lambda _: None, corpus, settings, device) == 2 * LARGEST_ON_CPU
    half = rehearsal.memory(device) // 2
    with pytest.raises(UserError, match=f"not even {SMALLEST} target tokens"):
        find_batch_tokens(lambda _: None, corpus, settings, device, reserved=half + 1)
    monkeypatch.setattr(rehearsal, "peak_memory", lambda _: 1 << 62)
    with pytest.raises(UserError, match=f"not even {SMALLEST} target tokens"):
        find_batch_tokens(lambda _: None, corpus, settings, device)


def test_an_adopted_budget_reaches_the_loader(
    config: Any, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    trainer = trainer_of(config(batch_tokens=0), corpus, recorder(), None)
    trainer.set_batch_tokens(1000)
    assert trainer.progress.batch_tokens == 1000
    assert trainer.train() == "max_updates"
    other = trainer_of(config(), corpus, recorder(), None)
    other.train()
    assert all(map(torch.equal, trainer.model.parameters(), other.model.parameters()))
