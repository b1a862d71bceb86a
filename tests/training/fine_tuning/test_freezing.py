"""Frozen parameters stay bit-identical and have no optimizer state."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import AdamWConfig, Config
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.training.fine_tuning.freezing import freeze
from nmt.training.trainer import Trainer

SIZE = 30

Configs = Callable[..., ModelConfig]
STACKS: dict[str, Any] = dict(encoder="transformer", decoder="transformer", num_layers=2)


@pytest.mark.parametrize(
    ("patterns", "kind", "tying"),
    [
        (["encoder"], "rnn", "none"),
        (["encoder"], "transformer", "none"),
        (["decoder.embedding"], "transformer", "decoder"),
        (["encoder.layers.0", "*.norm*"], "transformer", "none"),
        (["decoder", "output"], "transformer", "none"),
    ],
)
def test_frozen_parameters_stay_bit_identical_and_the_others_change(
    tiny_config: Configs,
    run_config: Callable[..., Config],
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
    recorder: Any,
    patterns: list[str],
    kind: str,
    tying: str,
) -> None:
    config = run_config(
        tiny_config(kind, kind, num_layers=2, size=12, tying=tying),
        ema_decay=0.9,
        max_updates=3,
        optimizer=AdamWConfig(
            learning_rate=0.01, beta1=0.9, beta2=0.98, epsilon=1e-9, weight_decay=0.1
        ),
    )
    model = build_model(config.model, SIZE, SIZE)
    named = dict(model.named_parameters(remove_duplicate=False))
    count = freeze(model, patterns)
    frozen = {name for name, parameter in named.items() if not parameter.requires_grad}
    assert 0 < len(frozen) < len(named)
    assert count == sum(p.numel() for p in model.parameters() if not p.requires_grad)
    start = {name: parameter.detach().clone() for name, parameter in named.items()}
    corpus = corpus_of(make_pairs((3, 5, 2, 6), (4, 2, 6, 5), SIZE, SIZE))
    run = recorder()
    trainer = Trainer(model, corpus, config, run.services())
    trainer.train()
    still = {name for name in named if torch.equal(named[name], start[name])}
    assert frozen <= still
    assert any(name not in still for name in named)
    best = run.saved["best.pt"]["weights"]
    assert all(torch.equal(best[name], start[name]) for name in frozen)
    state = trainer.updater.optimizer.state
    assert not any(named[name] in state for name in frozen)
    assert any(p in state for p in model.parameters())


def test_a_shared_parameter_is_frozen_by_any_of_its_names(tiny_config: Configs) -> None:
    model = build_model(tiny_config(size=12, tying="three_way", **STACKS), SIZE, SIZE)
    freeze(model, ["output"])
    assert not model.encoder.embedding.weight.requires_grad
    assert model.encoder.layers[0].feed_forward[0].weight.requires_grad  # type: ignore[index, union-attr]


def test_a_pattern_without_matches_is_refused_with_the_existing_names(tiny_config: Configs) -> None:
    model = build_model(tiny_config(), SIZE, SIZE)
    with pytest.raises(
        UserError, match=r"'encoders' matches no part .*encoder\.embedding.*decoder"
    ):
        freeze(model, ["encoder", "encoders"])
    with pytest.raises(UserError, match="nothing to train"):
        freeze(build_model(tiny_config(), SIZE, SIZE), ["*"])
