"""Which weights decay, and how they are averaged."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.config.schema import OptimizerConfig
from nmt.model.build import build_model
from nmt.training.optimizer import MovingAverage, build_optimizer


def settings(name: str = "adamw", weight_decay: float = 0.1) -> OptimizerConfig:
    return OptimizerConfig(
        name=name, learning_rate=0.01, beta1=0.8, beta2=0.9, epsilon=1e-7, weight_decay=weight_decay
    )


@pytest.mark.parametrize("name", ["rnn", "transformer"])
def test_matrices_decay_vectors_do_not_and_each_is_moved_once(
    tiny_config: Callable[..., ModelConfig], name: str
) -> None:
    model = build_model(tiny_config(name, name, tying="three_way", size=8), 20, 20)
    groups = build_optimizer(settings(), model).param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(decays), "one is moved twice"
    for path, parameter in model.named_parameters():
        expected = 0.1 if parameter.dim() > 1 else 0.0
        assert decays.pop(id(parameter)) == expected, f"{path} decays wrongly"
    assert not decays


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_named_optimizer_gets_all_its_settings(
    name: str, kind: type[torch.optim.Optimizer]
) -> None:
    optimizer = build_optimizer(settings(name), nn.Linear(2, 2))
    assert type(optimizer) is kind
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (0.01, (0.8, 0.9), 1e-7)


def test_frozen_weights_are_left_alone() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    moved = [p for g in build_optimizer(settings(), model).param_groups for p in g["params"]]
    assert [id(p) for p in moved] == [id(model.weight)]


# --------------------------------------------------------------------- average


def line() -> nn.Linear:
    return nn.Linear(3, 2)


def copies(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def set_to(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def test_average_follows_its_formula() -> None:
    model = line()
    set_to(model, 8.0)
    average = MovingAverage(model, decay=0.25)
    # Decays: (1 + 1) / (10 + 1) = 2/11, then 3/12 = 1/4, then 4/13, over the limit of 1/4.
    expected = 8.0
    for update, decay in ((1, 2 / 11), (2, 1 / 4), (3, 1 / 4)):
        weight = 10.0 * update
        set_to(model, weight)
        average.update(update)
        expected = decay * expected + (1 - decay) * weight
        for tensor in average.average:
            torch.testing.assert_close(tensor, torch.full_like(tensor, expected))


def test_average_of_weights_that_rest_is_those_weights() -> None:
    model = line()
    average = MovingAverage(model, decay=0.999)
    for update in range(1, 50):
        average.update(update)
    for tensor, parameter in zip(average.average, model.parameters(), strict=True):
        torch.testing.assert_close(tensor, parameter.detach())


def test_swap_shows_the_average_and_a_second_one_is_as_before() -> None:
    model = line()
    average = MovingAverage(model, decay=0.9)
    set_to(model, 3.0)
    average.update(1)
    weights, averages = copies(model), [tensor.clone() for tensor in average.average]
    storages = [parameter.data_ptr() for parameter in model.parameters()]
    average.swap()
    assert all(map(torch.equal, copies(model), averages)), "validated without the average"
    average.swap()
    assert all(map(torch.equal, copies(model), weights)), "validation changes the weights"
    assert all(map(torch.equal, average.average, averages)), "validation changes the average"
    found = [parameter.data_ptr() for parameter in model.parameters()]
    assert found == storages, "the optimizer would move weights no one reads"


def test_a_tied_weight_is_averaged_once(tiny_config: Callable[..., ModelConfig]) -> None:
    model = build_model(tiny_config(tying="three_way", size=8), 20, 20)
    average = MovingAverage(model, decay=0.5)
    weights = copies(model)
    set_to(model, 1.0)
    average.swap()
    assert all(map(torch.equal, copies(model), weights)), "a tied weight was swapped back"
    assert model.output.weight is model.encoder.embedding.weight


def test_load_takes_over_a_copy() -> None:
    first, second = line(), line()
    saved, average = MovingAverage(first, 0.9), MovingAverage(second, 0.9)
    average.load(saved.average)
    assert all(map(torch.equal, average.average, saved.average))
    saved.average[0].fill_(7.0)
    assert not torch.equal(average.average[0], saved.average[0]), "two runs share an average"
