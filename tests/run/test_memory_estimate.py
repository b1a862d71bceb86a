"""A model that is too large for the machine is refused before any work."""

from collections.abc import Callable

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.model_shapes import weight_shapes
from nmt.run.memory_estimate import check_memory, count_parameters_without_memory


@pytest.mark.parametrize(("encoder", "decoder"), [("rnn", "rnn"), ("transformer", "transformer")])
@pytest.mark.parametrize("layers", [1, 2, 7])
def test_the_number_of_parameters_is_exact(
    encoder: str,
    decoder: str,
    layers: int,
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
) -> None:
    config = run_config(tiny_config(encoder, decoder, num_layers=layers))
    size = config.tokenizer.vocab_size
    model = build_model(config.model, size, size)
    built = sum(parameter.numel() for parameter in model.parameters())
    assert count_parameters_without_memory(config) == built
    shapes, count = weight_shapes(config.model, size, size)
    assert shapes == {name: weight.shape for name, weight in model.state_dict().items()}
    assert count == built


def test_a_model_beyond_the_memory_is_refused(
    tiny_config: Callable[..., ModelConfig], run_config: Callable[..., Config]
) -> None:
    small = run_config(tiny_config("transformer", "transformer"))
    check_memory(small, torch.device("cpu"))
    huge = run_config(
        tiny_config("transformer", "transformer", size=1 << 16, num_layers=1000, num_heads=1)
    )
    with pytest.raises(UserError, match=r"parameters, which take .* GB .*lower the sizes"):
        check_memory(huge, torch.device("cpu"))
