"""Positions added to embeddings: equal to the paper's, from any start and to any length."""

import math

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import LEARNED_POSITIONS
from nmt.model.transformer.positions import PositionedEmbedding, sinusoidal_positions


def paper(position: int, size: int) -> Tensor:
    """PE of Vaswani et al. 2017, section 3.5, sines before cosines."""
    angles = [position / 10_000 ** (2 * i / size) for i in range(size // 2)]
    return torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles])


@pytest.mark.parametrize("size", [2, 6, 64])
def test_signals_are_those_of_the_paper(size: int) -> None:
    found = sinusoidal_positions(300, size)
    expected = torch.stack([paper(position, size) for position in range(300)])
    # An angle of up to 300 has an error of 300 * 2^-24 in float32, and its rate adds some.
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)


def test_embeddings_are_scaled_and_get_positions() -> None:
    embedding = nn.Embedding(10, 6)
    positioned = PositionedEmbedding(embedding)
    ids = torch.randint(10, (2, 4))
    expected = embedding.weight[ids] * 6**0.5 + sinusoidal_positions(4, 6)
    torch.testing.assert_close(positioned(ids), expected)
    expected = embedding.weight[ids] * 6**0.5 + sinusoidal_positions(4, 6)[3:]
    torch.testing.assert_close(positioned(ids, torch.tensor([3]), 4), expected)


def test_the_table_grows_and_is_not_saved() -> None:
    positioned = PositionedEmbedding(nn.Embedding(10, 6))
    assert list(positioned.state_dict()) == ["embedding.weight"], (
        "a saved table would tie checkpoints to the longest sentence seen"
    )
    ids = torch.zeros(1, 1, dtype=torch.long)
    plain = positioned.embedding(ids)[0] * 6**0.5
    for position in (0, 255, 256, 5000, 3):
        found = positioned(ids, torch.tensor([position]), position + 1)[0] - plain
        expected = sinusoidal_positions(position + 1, 6)[position:]
        torch.testing.assert_close(found, expected, msg=f"position {position} is out of place")


def test_training_continues_after_a_long_search() -> None:
    positioned = PositionedEmbedding(nn.Embedding(10, 6))
    with torch.inference_mode():
        positioned(torch.zeros(1, 1000, dtype=torch.long))
    positioned(torch.zeros(1, 3, dtype=torch.long)).square().sum().backward()
    assert positioned.embedding.weight.grad is not None


def test_learned_positions_are_scaled_like_embeddings_and_the_last_one_repeats() -> None:
    positioned = PositionedEmbedding(nn.Embedding(10, 6), "learned")
    ids = torch.zeros(1, 3, dtype=torch.long)
    plain = positioned.embedding(ids) * 6**0.5
    places = positioned.position_embedding.weight * 6**0.5
    torch.testing.assert_close(positioned(ids) - plain, places[None, :3])
    for position, place in ((4, 4), (LEARNED_POSITIONS + 1, -1)):
        found = positioned(ids, torch.tensor([position]), position + 1) - plain
        torch.testing.assert_close(found, places[place].expand(1, 3, 6))


@pytest.mark.parametrize("kind", ["relative", "t5_bias", "rotary", "alibi"])
def test_positions_inside_attention_do_not_change_the_embeddings(kind: str) -> None:
    positioned = PositionedEmbedding(nn.Embedding(10, 6), kind)
    ids = torch.randint(10, (2, 4))
    assert torch.equal(positioned(ids, torch.tensor([7]), 8), positioned.embedding(ids) * 6**0.5)
