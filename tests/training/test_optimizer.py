"""Which weights decay, and how they are averaged."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.config.schema import (
    AdadeltaConfig,
    AdamConfig,
    AdamWConfig,
    OptimizerConfig,
    SgdConfig,
)
from nmt.model.build import build_model
from nmt.training.optimizer import build_optimizer, make_step, state_bytes
from nmt.training.weight_ema import WeightEma


def settings(kind: type[AdamConfig] = AdamWConfig) -> AdamConfig:
    return kind(learning_rate=0.01, beta1=0.8, beta2=0.9, epsilon=1e-7, weight_decay=0.1)


@pytest.mark.parametrize("name", ["rnn", "transformer"])
def test_matrices_decay_vectors_do_not_and_each_is_moved_once(
    tiny_config: Callable[..., ModelConfig], name: str
) -> None:
    model = build_model(tiny_config(name, name, tying="three_way", size=8), 20, 20)
    groups = build_optimizer(settings(), model).param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(decays), (
        "a parameter is in two groups"
    )
    for path, parameter in model.named_parameters():
        expected = 0.1 if parameter.dim() > 1 else 0.0
        assert decays.pop(id(parameter)) == expected, f"{path} decays wrongly"
    assert not decays


@pytest.mark.parametrize(
    ("named", "kind"), [(AdamConfig, torch.optim.Adam), (AdamWConfig, torch.optim.AdamW)]
)
def test_adam_gets_all_its_settings(
    named: type[AdamConfig], kind: type[torch.optim.Optimizer]
) -> None:
    optimizer = build_optimizer(settings(named), nn.Linear(2, 2))
    assert type(optimizer) is kind
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (0.01, (0.8, 0.9), 1e-7)


def moved(
    optimizer: torch.optim.Optimizer, model: nn.Linear, gradients: list[float]
) -> list[float]:
    """Return the change of the weights by each gradient; all weights get the same."""
    steps = []
    for gradient in gradients:
        before = model.weight.detach().clone()
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
        step = model.weight.detach() - before
        torch.testing.assert_close(step, step[0, 0].expand_as(step))
        steps.append(float(step[0, 0]))
    return steps


def test_sgd_subtracts_the_gradient_times_the_learning_rate() -> None:
    model = nn.Linear(2, 2)
    set_to(model, 0.0)
    optimizer = build_optimizer(SgdConfig(learning_rate=0.5, momentum=0, weight_decay=0), model)
    assert moved(optimizer, model, [2.0, -4.0]) == pytest.approx([-1.0, 2.0])


def test_momentum_adds_a_fraction_of_the_previous_step() -> None:
    model = nn.Linear(2, 2)
    set_to(model, 0.0)
    optimizer = build_optimizer(SgdConfig(learning_rate=0.5, momentum=0.9, weight_decay=0), model)
    # Velocities 2, then 0.9 * 2 + 1 = 2.8, then 0.9 * 2.8 = 2.52; half of each is the step.
    assert moved(optimizer, model, [2.0, 1.0, 0.0]) == pytest.approx([-1.0, -1.4, -1.26])


def test_adadelta_follows_zeilers_algorithm_1() -> None:
    model, rho, epsilon = nn.Linear(2, 2), 0.95, 1e-6
    set_to(model, 0.0)
    config = AdadeltaConfig(learning_rate=1.0, rho=rho, epsilon=epsilon, weight_decay=0)
    gradients, expected = [3.0, -0.5, 2.0], []
    squares, steps = 0.0, 0.0  # E[g^2] and E[dx^2]
    for gradient in gradients:
        squares = rho * squares + (1 - rho) * gradient**2
        step = -((steps + epsilon) ** 0.5) / (squares + epsilon) ** 0.5 * gradient
        steps = rho * steps + (1 - rho) * step**2
        expected.append(step)
    taken = moved(build_optimizer(config, model), model, gradients)
    assert taken == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        SgdConfig(learning_rate=1.0, momentum=0.9, weight_decay=0.1),
        AdadeltaConfig(learning_rate=1.0, rho=0.95, epsilon=1e-6, weight_decay=0.1),
    ],
    ids=lambda config: config.name,
)
def test_an_optimizer_resumes_from_its_saved_state(config: SgdConfig | AdadeltaConfig) -> None:
    whole, first, second = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    for model in (whole, first):
        set_to(model, 1.0)
    expected = moved(build_optimizer(config, whole), whole, [1.0, 2.0, -1.0])
    before = build_optimizer(config, first)
    moved(before, first, [1.0, 2.0])
    second.load_state_dict(first.state_dict())
    after = build_optimizer(config, second)
    after.load_state_dict(before.state_dict())
    assert moved(after, second, [-1.0]) == pytest.approx(expected[2:])


@pytest.mark.parametrize(
    "config",
    [
        AdamConfig(learning_rate=1.0, beta1=0.9, beta2=0.98, epsilon=1e-6, weight_decay=0.1),
        SgdConfig(learning_rate=1.0, momentum=0.0, weight_decay=0.1),
        SgdConfig(learning_rate=1.0, momentum=0.9, weight_decay=0.1),
        AdadeltaConfig(learning_rate=1.0, rho=0.95, epsilon=1e-6, weight_decay=0.1),
    ],
    ids=["adam", "sgd", "momentum", "adadelta"],
)
def test_the_bytes_of_the_state_are_known_before_the_first_step(config: OptimizerConfig) -> None:
    model = nn.Linear(3, 5).double()
    optimizer = build_optimizer(config, model)
    expected = state_bytes(optimizer)
    model(torch.ones(1, 3).double()).sum().backward()
    make_step(optimizer)
    kept = [v for values in optimizer.state.values() for k, v in values.items() if k != "step"]
    assert sum(value.nbytes for value in kept if value is not None) == expected
    assert state_bytes(optimizer) == 0


def test_frozen_weights_are_not_optimized() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    found = [p for g in build_optimizer(settings(), model).param_groups for p in g["params"]]
    assert [id(p) for p in found] == [id(model.weight)]


# --------------------------------------------------------------------- average


def line() -> nn.Linear:
    return nn.Linear(3, 2)


def copies(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def set_to(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def test_average_equals_its_formula() -> None:
    model = line()
    set_to(model, 8.0)
    average = WeightEma(model, decay=0.25)
    # Decays: (1 + 1) / (10 + 1) = 2/11, then 3/12 = 1/4, then 4/13, over the limit of 1/4.
    expected = 8.0
    for update, decay in ((1, 2 / 11), (2, 1 / 4), (3, 1 / 4)):
        weight = 10.0 * update
        set_to(model, weight)
        average.update(update)
        expected = decay * expected + (1 - decay) * weight
        for tensor in average.average:
            torch.testing.assert_close(tensor, torch.full_like(tensor, expected))


def test_average_of_constant_weights_is_those_weights() -> None:
    model = line()
    average = WeightEma(model, decay=0.999)
    for update in range(1, 50):
        average.update(update)
    for tensor, parameter in zip(average.average, model.parameters(), strict=True):
        torch.testing.assert_close(tensor, parameter.detach())


def test_swap_exposes_the_average_and_a_second_swap_restores_the_weights() -> None:
    model = line()
    average = WeightEma(model, decay=0.9)
    set_to(model, 3.0)
    average.update(1)
    weights, averages = copies(model), [tensor.clone() for tensor in average.average]
    storages = [parameter.data_ptr() for parameter in model.parameters()]
    average.swap()
    assert all(map(torch.equal, copies(model), averages)), "the average was not swapped in"
    average.swap()
    assert all(map(torch.equal, copies(model), weights)), "swapping changes the weights"
    assert all(map(torch.equal, average.average, averages)), "swapping changes the average"
    found = [parameter.data_ptr() for parameter in model.parameters()]
    assert found == storages, "the optimizer would update other tensors"


def test_a_tied_weight_is_averaged_once(tiny_config: Callable[..., ModelConfig]) -> None:
    model = build_model(tiny_config(tying="three_way", size=8), 20, 20)
    average = WeightEma(model, decay=0.5)
    weights = copies(model)
    set_to(model, 1.0)
    average.swap()
    assert all(map(torch.equal, copies(model), weights)), "a tied weight was swapped back"
    assert model.output.weight is model.encoder.embedding.weight


def test_load_copies_the_average() -> None:
    first, second = line(), line()
    saved, average = WeightEma(first, 0.9), WeightEma(second, 0.9)
    average.load(saved.average)
    assert all(map(torch.equal, average.average, saved.average))
    saved.average[0].fill_(7.0)
    assert not torch.equal(average.average[0], saved.average[0]), "the loaded average is not a copy"
