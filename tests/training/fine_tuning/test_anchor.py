"""L2-SP and EWC equal their formulas, and Fisher information its definition."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import Config, SgdConfig
from nmt.data.batches.batch import Batch
from nmt.data.encoded import EncodedCorpus
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD
from nmt.training.fine_tuning.anchor import Anchor, fisher_information
from nmt.training.objective import AuxiliaryTargets
from nmt.training.trainer import Trainer

SIZE = 12

Configs = Callable[..., ModelConfig]


@pytest.fixture
def small(tiny_config: Configs) -> TranslationModel:
    return build_model(tiny_config(attention="none"), SIZE, SIZE)


def test_the_pull_is_the_gradient_of_the_penalty(small: TranslationModel) -> None:
    start = {name: p.detach().clone() for name, p in small.named_parameters()}
    stiffness = {name: torch.rand_like(p) for name, p in start.items()}
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.add_(torch.randn_like(parameter))
    named = dict(small.named_parameters())
    expected = sum(
        (stiffness[name] / 2 * (named[name] - start[name]).square()).sum() for name in named
    )
    wanted = torch.autograd.grad(expected, list(named.values()))  # type: ignore[arg-type]
    first = next(iter(named.values()))
    first.grad = torch.ones_like(first)  # of the loss
    penalty = Anchor(small, start, stiffness).add_gradient(lambda gradient: 4 * gradient)
    torch.testing.assert_close(penalty, expected)
    for (name, parameter), gradient in zip(named.items(), wanted, strict=True):
        assert parameter.grad is not None, name
        loss = 1.0 if parameter is first else 0.0
        torch.testing.assert_close(parameter.grad, 4 * gradient + loss)


def test_l2_sp_takes_one_step_per_update_with_any_accumulation(
    tiny_config: Configs,
    run_config: Callable[..., Config],
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
    recorder: Any,
) -> None:
    corpus = corpus_of(make_pairs((3, 5, 2, 6, 1, 4), (1, 1, 2, 3, 4, 4), SIZE, SIZE))
    rate, alpha = 0.1, 0.7
    moved = []
    for accumulation, held in ((1, False), (1, True), (3, True)):
        config = run_config(
            tiny_config(),
            max_updates=1,
            accumulation=accumulation,
            batch_tokens=1000 if accumulation == 1 else 60,
            clip_norm=None,
            optimizer=SgdConfig(learning_rate=rate, momentum=0.0, weight_decay=0.0),
        )
        torch.manual_seed(1)
        model = build_model(config.model, SIZE, SIZE)
        begin = model.output.weight.detach().clone()
        start = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
        stiffness = {name: torch.tensor(alpha) for name in start}
        guides = AuxiliaryTargets(anchor=Anchor(model, start, stiffness) if held else None)
        run = recorder()
        Trainer(model, corpus, config, run.services(), targets=guides).train()
        moved.append((model.output.weight.detach() - begin) + (rate * alpha * begin if held else 0))
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(moved[2], moved[0], rtol=1e-4, atol=1e-6)


def test_frozen_parameters_have_no_penalty(small: TranslationModel) -> None:
    start = {name: p.detach().clone() for name, p in small.named_parameters()}
    stiffness = dict.fromkeys(start, torch.ones(()))
    small.encoder.requires_grad_(False)
    Anchor(small, start, stiffness).add_gradient()
    assert small.encoder.embedding.weight.grad is None
    assert small.output.weight.grad is not None


def test_fisher_information_is_the_mean_square_gradient_of_sampled_pieces(
    small: TranslationModel, ragged_pairs: Any, batch_of: Callable[[Any], Batch]
) -> None:
    pairs = [
        ([i % SIZE for i in source], [i % 8 + 4 for i in target]) for source, target in ragged_pairs
    ]
    batch = batch_of(pairs)
    output = small.eval()(batch.source_ids, batch.source_mask, batch.target_input_ids)
    hidden = output.hidden[batch.target_output_ids != PAD].detach()
    # For the output layer, E[g²] is the sum over positions of p_v (1 - p_v) h_o².
    p = small.logits(hidden).softmax(-1).detach()
    expected = ((p * (1 - p)).T @ hidden.square()) / batch.num_tokens
    rounds = 100
    found = fisher_information(small, [batch] * rounds, torch.Generator().manual_seed(1))
    assert found.keys() == dict(small.named_parameters()).keys()
    assert all((squares >= 0).all() for squares in found.values())
    ratio = found["output.weight"].sum() / expected.sum()
    assert ratio.item() == pytest.approx(1, abs=0.35)
    large = expected > expected.median()
    relative = (found["output.weight"] / expected)[large]
    assert relative.mean().item() == pytest.approx(1, abs=0.35)


def test_fisher_information_does_not_depend_on_how_pairs_are_batched_on_average(
    small: TranslationModel, make_pairs: Callable[..., Any], batch_of: Callable[[Any], Batch]
) -> None:
    pairs = make_pairs((3, 4), (3, 2), SIZE, SIZE)
    generator = torch.Generator().manual_seed(1)
    together = fisher_information(small, [batch_of(pairs)] * 80, generator)
    alone = fisher_information(small, [batch_of([pair]) for pair in pairs] * 80, generator)
    for name in ("output.weight", "decoder.embedding.weight"):
        assert (together[name].sum() / alone[name].sum()).item() == pytest.approx(1, abs=0.4)
