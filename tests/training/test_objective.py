"""R-Drop and distillation equal the papers' losses; disabled, they change nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.config.recipe_settings import DistillationConfig, GuidedAlignmentConfig
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch
from nmt.model.build import build_model
from nmt.model.losses.loss import sequence_loss, target_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD
from nmt.training.distillation import Teacher, attention_distance
from nmt.training.objective import Objective

SIZE = 30

Configs = Callable[..., ModelConfig]
RunConfigs = Callable[..., Config]
STACKS: dict[str, Any] = dict(encoder="transformer", decoder="transformer", num_layers=2)


def fresh(config: ModelConfig, seed: int = 1) -> TranslationModel:
    torch.manual_seed(seed)
    return build_model(config, SIZE, SIZE)


def log_probs(model: TranslationModel, batch: Batch, temperature: float = 1.0) -> Tensor:
    """Return the values of every real target piece, [N, V]."""
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
    real = batch.target_output_ids != PAD
    return (model.logits(output.hidden[real]) / temperature).log_softmax(-1)


def gradients(loss: Tensor, model: TranslationModel) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
def test_without_recipes_the_loss_and_random_numbers_are_unchanged(
    tiny_config: Configs, run_config: RunConfigs, ragged_batch: Batch, kind: str
) -> None:
    config = run_config(tiny_config(kind, kind, dropout=0.3))
    model = fresh(config.model).train()
    torch.manual_seed(3)
    plain = sequence_loss(model, ragged_batch, 0.1)
    expected, state = gradients(plain.smoothed, model), torch.get_rng_state()
    torch.manual_seed(3)
    loss = Objective(config.training)(model, ragged_batch)
    assert torch.equal(loss.smoothed, plain.smoothed)
    assert torch.equal(torch.get_rng_state(), state)
    found = gradients(loss.smoothed, model)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("alpha", [0.5, 5.0])
def test_r_drop_is_half_of_equation_4(
    tiny_config: Configs, run_config: RunConfigs, ragged_batch: Batch, alpha: float
) -> None:
    config = run_config(tiny_config(dropout=0.4, **STACKS), r_drop=alpha, label_smoothing=0.0)
    model = fresh(config.model).train()
    torch.manual_seed(3)
    loss = Objective(config.training)(model, ragged_batch)
    doubled = Batch(
        *(
            torch.cat([part, part])
            for part in (
                ragged_batch.source_ids,
                ragged_batch.source_mask,
                ragged_batch.target_input_ids,
                ragged_batch.target_output_ids,
            )
        ),
        num_tokens=2 * ragged_batch.num_tokens,
    )
    torch.manual_seed(3)
    p, q = log_probs(model, doubled).chunk(2)
    assert not torch.equal(p, q), "both copies have the same dropout mask"
    gold = ragged_batch.target_output_ids[ragged_batch.target_output_ids != PAD][:, None]
    nll = -(p.gather(1, gold) + q.gather(1, gold)).sum()
    divergence = ((p.exp() * (p - q)).sum() + (q.exp() * (q - p)).sum()) / 2
    expected = nll + alpha * divergence  # eq. 4
    torch.testing.assert_close(2 * loss.smoothed, expected)
    torch.testing.assert_close(loss.extra["r_drop_loss"], divergence.detach())
    assert loss.num_tokens == ragged_batch.num_tokens
    found, wanted = gradients(loss.smoothed, model), gradients(expected / 2, model)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)


def test_r_drop_without_dropout_is_the_plain_loss(
    tiny_config: Configs, run_config: RunConfigs, ragged_batch: Batch
) -> None:
    config = run_config(tiny_config(), r_drop=3.0)
    model = fresh(config.model).train()
    plain = Objective(replace(config.training, r_drop=0.0))(model, ragged_batch)
    loss = Objective(config.training)(model, ragged_batch)
    torch.testing.assert_close(loss.smoothed, plain.smoothed)
    torch.testing.assert_close(loss.negative_log_likelihood, plain.negative_log_likelihood)
    assert loss.extra["r_drop_loss"].item() == pytest.approx(0, abs=1e-4)


def test_r_drop_combines_with_attention_losses(
    tiny_config: Configs, run_config: RunConfigs, ragged_batch: Batch
) -> None:
    links = torch.zeros(*ragged_batch.target_output_ids.shape, ragged_batch.source_ids.size(1))
    links[:, 0, 0] = 1
    batch = replace(ragged_batch, alignment=links)
    guided = GuidedAlignmentConfig(weight=0.5, layer=None, head=1, shift=False)
    config = run_config(tiny_config(), r_drop=1.0, guided_alignment=guided, coverage_loss=0.2)
    model = fresh(config.model).train()
    plain = Objective(replace(config.training, r_drop=0.0))(model, batch)
    loss = Objective(config.training)(model, batch)
    torch.testing.assert_close(loss.smoothed, plain.smoothed)
    for name in ("guided_alignment_loss", "coverage_loss"):
        torch.testing.assert_close(loss.extra[name], plain.extra[name])


def taught(**changes: Any) -> DistillationConfig:
    settings: dict[str, Any] = dict(
        teacher="a run",
        weight=0.5,
        temperature=1.0,
        attention_weight=0.0,
        attention_layer=-1,
        attention_measure="kl",
    )
    return DistillationConfig(**{**settings, **changes})


@pytest.mark.parametrize("r_drop", [0.0, 1.0])
@pytest.mark.parametrize(("weight", "temperature"), [(0.5, 1.0), (0.3, 2.0), (1.0, 1.0)])
def test_distillation_is_the_interpolation_of_section_3_1(
    tiny_config: Configs,
    run_config: RunConfigs,
    ragged_batch: Batch,
    weight: float,
    temperature: float,
    r_drop: float,
) -> None:
    settings = taught(weight=weight, temperature=temperature)
    config = run_config(tiny_config(), distillation=settings, label_smoothing=0.1, r_drop=r_drop)
    student, master = fresh(config.model), fresh(tiny_config(**STACKS), seed=2)
    loss = Objective(config.training, Teacher(master, settings))(student.train(), ragged_batch)
    plain = sequence_loss(student, ragged_batch, 0.1)
    q = log_probs(master, ragged_batch, temperature).exp()
    distilled = -(temperature**2) * (q * log_probs(student, ragged_batch, temperature)).sum()
    expected = (1 - weight) * plain.smoothed + weight * distilled
    torch.testing.assert_close(loss.smoothed, expected)
    torch.testing.assert_close(loss.extra["distillation_loss"], distilled.detach())
    torch.testing.assert_close(loss.negative_log_likelihood, plain.negative_log_likelihood)
    found, wanted = gradients(loss.smoothed, student), gradients(expected, student)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)
    assert all(parameter.grad is None for parameter in master.parameters())


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_the_weight_of_a_teacher_changes_no_other_weight(
    tiny_config: Configs, run_config: RunConfigs, ragged_batch: Batch, weight: float
) -> None:
    """The penalties of spans and depths, guided alignment and coverage have their own weights."""
    links = torch.zeros(*ragged_batch.target_output_ids.shape, ragged_batch.source_ids.size(1))
    links[:, 0, 0] = 1
    batch = replace(ragged_batch, alignment=links)
    spans = dict(self_attention="adaptive_span", attention_span=9, attention_span_loss=0.3)
    model = tiny_config(**STACKS, **spans, depth="adaptive", depth_loss=0.4)
    guided = GuidedAlignmentConfig(weight=0.5, layer=None, head=1, shift=False)
    losses = dict(guided_alignment=guided, coverage_loss=0.2)
    config = run_config(model, distillation=taught(weight=weight), label_smoothing=0.1, **losses)
    student, master = fresh(model), fresh(tiny_config(**STACKS), seed=2)
    for name, parameter in student.named_parameters():
        if "span_shares" in name:
            nn.init.constant_(parameter, 0.5)
    loss = Objective(config.training, Teacher(master, config.training.distillation))(student, batch)
    output = student(batch.source_ids, batch.source_mask, batch.target_input_ids)
    reference = target_loss(student, output, batch, 0.1).smoothed
    extra = loss.extra
    expected = (1 - weight) * reference + weight * extra["distillation_loss"]
    expected = expected + 4 * 0.3 * extra["span_loss"]  # 4 layers with a penalty each
    expected = expected + 0.4 * (extra["encoder_depth_loss"] + extra["decoder_depth_loss"])
    expected = expected + 0.5 * extra["guided_alignment_loss"] + 0.2 * extra["coverage_loss"]
    torch.testing.assert_close(loss.smoothed, expected)


def test_a_student_equal_to_its_teacher_has_no_distillation_gradient(
    tiny_config: Configs, run_config: RunConfigs, ragged_batch: Batch
) -> None:
    settings = taught(weight=1.0, attention_weight=1.0)
    config = run_config(tiny_config(**STACKS), distillation=settings)
    student, master = fresh(config.model), fresh(config.model)
    loss = Objective(config.training, Teacher(master, settings))(student, ragged_batch)
    assert loss.extra["attention_distillation_loss"].item() == pytest.approx(0, abs=1e-4)
    for gradient in gradients(loss.smoothed, student).values():
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-4)


@pytest.mark.parametrize("layer", [-1, 1])
def test_the_student_learns_the_attention_of_its_teacher(
    tiny_config: Configs, run_config: RunConfigs, ragged_batch: Batch, layer: int
) -> None:
    settings = taught(weight=0.0, attention_weight=1.0, attention_layer=layer)
    config = run_config(tiny_config(), distillation=settings)
    student, master = fresh(config.model), fresh(tiny_config(**STACKS), seed=2)
    objective = Objective(config.training, Teacher(master, settings))
    optimizer = torch.optim.Adam(student.parameters(), 0.02)
    costs = []
    for _ in range(30):
        loss = objective(student, ragged_batch)
        optimizer.zero_grad()
        (loss.smoothed).backward()
        optimizer.step()
        costs.append(loss.extra["attention_distillation_loss"].item())
    assert costs[-1] < 0.5 * costs[0]


def test_the_distance_between_attentions_equals_its_formula() -> None:
    student = torch.rand(2, 3, 4, 5, dtype=torch.float64).softmax(-1)
    teacher = torch.rand(2, 6, 4, 5, dtype=torch.float64).softmax(-1)
    real = torch.tensor([[True] * 4, [True, True, False, False]])
    a, g = student.mean(1)[real], teacher.mean(1)[real]
    kl = attention_distance(student, teacher, real, "kl")
    torch.testing.assert_close(kl, (g * (g / a).log()).sum())
    mse = attention_distance(student, teacher, real, "mse")
    torch.testing.assert_close(mse, (g - a).square().sum())


@pytest.mark.parametrize("measure", ["kl", "mse"])
def test_missing_layers_and_masked_positions_give_finite_losses(measure: str) -> None:
    teacher = torch.rand(1, 2, 3, 5).softmax(-1)
    student = torch.rand(1, 2, 3, 5).softmax(-1)
    student[:, :, 0] = 0
    student[:, :, 1, 3:] = 0
    student.requires_grad_()
    cost = attention_distance(student, teacher, torch.ones(1, 3, dtype=torch.bool), measure)
    cost.backward()
    assert cost.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert not student.grad[:, :, 0].any()


def test_a_teacher_is_frozen_and_has_no_dropout(tiny_config: Configs, ragged_batch: Batch) -> None:
    teacher = Teacher(fresh(tiny_config(dropout=0.5)).train(), taught())
    assert torch.equal(teacher.forward(ragged_batch).hidden, teacher.forward(ragged_batch).hidden)
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
