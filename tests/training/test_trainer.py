"""The training loop: exact when resumed, exact per token, and safe when it fails."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.config.schema import AdamConfig, Config
from nmt.data.batches.batching import BatchingState
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.training.schedule import CosineScheduleConfig
from nmt.training.trainer import Trainer

SIZE = 30

Configs = Callable[..., ModelConfig]
RunConfigs = Callable[..., Config]
Recorder = Any  # of conftest.py


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """60 pairs: with 64 tokens per update, about six updates per epoch."""
    lengths = np.random.default_rng(3).integers(1, 9, (2, 60)).tolist()
    return corpus_of(make_pairs(*lengths, SIZE, SIZE))


def fresh(config: Config, seed: int = 1) -> TranslationModel:
    torch.manual_seed(seed)
    return build_model(config.model, SIZE, SIZE)


def snapshot(model: TranslationModel) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def assert_bitwise(found: Any, expected: Any, path: str = "") -> None:
    """Compare nested containers of tensors and plain values bit for bit; time spent may differ."""
    assert type(found) is type(expected), path
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key, value in expected.items():
            if key not in ("seconds", "validation_seconds"):
                assert_bitwise(found[key], value, f"{path}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), path
        for index, value in enumerate(expected):
            assert_bitwise(found[index], value, f"{path}[{index}]")
    elif isinstance(expected, Tensor):
        assert torch.equal(found, expected), f"{path} differs after resuming"
    else:
        assert found == expected, f"{path} differs after resuming"


@pytest.mark.parametrize("stop_after", [3, 7])
@pytest.mark.parametrize(
    "name",
    ["rnn", "transformer", "transformer-favor", "transformer-lsh", "transformer-random_global"],
)
def test_a_resumed_run_is_bit_identical_to_an_uninterrupted_one(
    tiny_config: Configs,
    run_config: RunConfigs,
    corpus: EncodedCorpus,
    recorder: Recorder,
    name: str,
    stop_after: int,
) -> None:
    name, _, kind = name.partition("-")
    attention = dict(self_attention=kind, attention_block=2) if kind else {}
    config = run_config(
        tiny_config(name, name, dropout=0.3, num_layers=2, **attention),
        max_updates=10,
        accumulation=2,
        ema_decay=0.9,
        validate_every=2,
        schedule=CosineScheduleConfig(warmup=2, final_factor=0.1),
    )
    whole = recorder()
    Trainer(fresh(config), corpus, config, whole.services()).train()
    assert len(whole.losses) == 10

    first = recorder(stop_after=stop_after)
    reason = Trainer(fresh(config), corpus, config, first.services()).train()
    assert reason == "interrupted"
    assert len(first.losses) == stop_after
    checkpoint = first.saved["last.pt"]

    second = recorder()
    trainer = Trainer(fresh(config, seed=2), corpus, config, second.services())
    trainer.resume(checkpoint["weights"], checkpoint["training"])
    assert trainer.train() == "max_updates"

    assert first.losses + second.losses == whole.losses
    assert_bitwise(second.saved["last.pt"], whole.saved["last.pt"])


def test_two_runs_with_the_same_seed_are_identical(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    config = run_config(tiny_config(dropout=0.3))
    runs = [recorder(), recorder()]
    for run in runs:
        Trainer(fresh(config), corpus, config, run.services()).train()
    assert_bitwise(runs[0].saved, runs[1].saved)


@pytest.mark.parametrize(
    ("name", "attention"), [("rnn", "bahdanau"), ("rnn", "luong_dot"), ("transformer", "none")]
)
def test_one_batch_is_memorized(
    tiny_config: Configs,
    run_config: RunConfigs,
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
    recorder: Recorder,
    name: str,
    attention: str,
) -> None:
    pairs = make_pairs((3, 5, 2, 6), (4, 2, 6, 5), SIZE, SIZE)
    config = run_config(
        tiny_config(name, name, attention=attention, size=32),
        max_updates=150,
        label_smoothing=0.0,
        batch_tokens=1000,
        optimizer=AdamConfig(
            learning_rate=0.01, beta1=0.9, beta2=0.98, epsilon=1e-9, weight_decay=0.0
        ),
    )
    run = recorder()
    Trainer(fresh(config), corpus_of(pairs), config, run.services()).train()
    assert run.losses[0] > 2, "the loss was low before the first update"
    assert run.losses[-1] < 0.05, f"still {run.losses[-1]:.2f} nats per piece after 150 updates"


def test_accumulation_moves_the_weights_as_one_batch_does(
    tiny_config: Configs,
    run_config: RunConfigs,
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
    recorder: Recorder,
) -> None:
    # Pairs of 1 to 4 target pieces: the parts have different numbers of tokens. The whole epoch is
    # one update, in one batch or in up to four, so that the same pairs meet either way.
    corpus = corpus_of(make_pairs((3, 5, 2, 6, 1, 4), (1, 1, 2, 3, 4, 4), SIZE, SIZE))
    # A large epsilon keeps Adam from amplifying rounding errors to full steps.
    optimizer = AdamConfig(learning_rate=0.1, beta1=0.9, beta2=0.98, epsilon=0.01, weight_decay=0.0)
    weights, batches = [], []
    for accumulation, budget in ((1, 1000), (4, 40)):
        config = run_config(
            tiny_config(),
            max_updates=3,
            accumulation=accumulation,
            batch_tokens=budget,
            optimizer=optimizer,
        )
        trainer = Trainer(fresh(config), corpus, config, recorder().services())
        update, after = next(iter(trainer._loader))
        assert after == BatchingState(1, 0), "the epoch is more than one update"
        batches.append(len(update))
        trainer = Trainer(fresh(config), corpus, config, recorder().services())
        start = snapshot(trainer.model)
        trainer.train()
        assert trainer.progress.tokens == 3 * (15 + 6)
        weights.append(snapshot(trainer.model))
    assert batches[0] == 1 < batches[1], "nothing is accumulated, so this test checks nothing"
    moved = max((weights[0][name] - start[name]).abs().max().item() for name in start)
    assert moved > 0.05
    for name, expected in weights[0].items():
        torch.testing.assert_close(
            weights[1][name], expected, rtol=0, atol=1e-4 * moved, msg=lambda t, n=name: f"{n}: {t}"
        )


def test_a_gradient_that_is_not_finite_stops_the_run_and_changes_nothing(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    for clip_norm in (1.0, None):
        config = run_config(tiny_config(), ema_decay=0.9, clip_norm=clip_norm)
        run = recorder()
        trainer = Trainer(fresh(config), corpus, config, run.services())
        embedding = trainer.model.decoder.embedding.weight
        calls: list[int] = []

        def spoil(gradient: Tensor, calls: list[int] = calls) -> Tensor:
            calls.append(1)
            return gradient * (float("nan") if len(calls) == 3 else 1.0)

        embedding.register_hook(spoil)
        reached: list[dict[str, Tensor]] = []
        update = run.update

        def keep(
            status: Any, update: Any = update, trainer: Trainer = trainer, reached: Any = reached
        ) -> None:
            update(status)
            reached.append(snapshot(trainer.model))

        run.update = keep
        with pytest.raises(UserError, match="update 3 is not finite"):
            trainer.train()
        assert len(reached) == 2, "the run should fail at its third update"
        assert_bitwise(snapshot(trainer.model), reached[-1])
        assert not run.saved, "a model that is not finite was saved"


def test_validation_uses_the_average_and_training_does_not(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    def run(**changes: Any) -> tuple[Any, list[Tensor]]:
        config = run_config(tiny_config(), max_updates=4, **changes)
        model, seen = fresh(config), []

        def validate() -> float:
            seen.append(model.output.weight.detach().clone())
            return 1.0 / len(seen)  # better every time

        record = recorder(validate=validate)
        Trainer(model, corpus, config, record.services()).train()
        return record, seen

    plain, weights = run(validate_every=1)
    averaged, averages = run(validate_every=1, ema_decay=0.5)
    unlooked, _ = run()
    last = plain.saved["last.pt"]["weights"]
    assert_bitwise(averaged.saved["last.pt"]["weights"], last)
    assert_bitwise(unlooked.saved["last.pt"]["weights"], last)
    # Decays 2/11, 3/12, 4/13, 5/14, all under the limit of 0.5.
    start = fresh(run_config(tiny_config())).output.weight.detach()
    expected = start
    for weight, average, decay in zip(
        weights, averages, (2 / 11, 3 / 12, 4 / 13, 5 / 14), strict=True
    ):
        expected = decay * expected + (1 - decay) * weight
        torch.testing.assert_close(average, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(averaged.saved["best.pt"]["weights"]["output.weight"], averages[-1]), (
        "best.pt is not what was validated"
    )


def test_a_run_without_improvement_stops_by_patience(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    perplexities = iter([9.0, 5.0, 6.0, 5.0, 4.0])
    config = run_config(tiny_config(), max_updates=100, validate_every=2, patience=2)
    run = recorder(validate=lambda: next(perplexities))
    trainer = Trainer(fresh(config), corpus, config, run.services())
    # The best is the second validation, after update 4; two without improvement follow.
    assert trainer.train() == "patience"
    assert (trainer.progress.update, trainer.progress.best_update) == (8, 4)
    assert run.saved["last.pt"]["training"]["progress"]["update"] == 8


def test_the_last_update_is_validated_and_saved(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    for validate_every, expected in ((2, 3), (3, 2), (5, 1), (100, 1)):
        validations: list[int] = []

        def validate(validations: list[int] = validations) -> float:
            validations.append(1)
            return 1.0

        config = run_config(tiny_config(), max_updates=5, validate_every=validate_every)
        run = recorder(validate=validate)
        Trainer(fresh(config), corpus, config, run.services()).train()
        assert len(validations) == expected, f"every {validate_every} of 5 updates"
        assert run.saved["last.pt"]["training"]["progress"]["update"] == 5
        assert run.saved["last.pt"]["training"]["progress"]["best_score"] == -1.0


def test_a_finished_run_makes_no_update(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    config = run_config(tiny_config(), max_updates=4, validate_every=2)
    run, again = recorder(), recorder()
    Trainer(fresh(config), corpus, config, run.services()).train()
    trainer = Trainer(fresh(config), corpus, config, again.services())
    trainer.resume(run.saved["last.pt"]["weights"], run.saved["last.pt"]["training"])
    assert trainer.train() == "max_updates"
    assert not again.losses
    assert_bitwise(snapshot(trainer.model), run.saved["last.pt"]["weights"])
