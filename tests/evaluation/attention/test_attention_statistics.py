"""Entropy, mass on EOS and coverage compared with values by hand; padding is excluded."""

import math

import pytest
import torch
from torch import Tensor

from nmt.evaluation.attention.attention_statistics import AttentionStatistics


def _scalars(*batches: tuple[Tensor, Tensor, Tensor]) -> dict[str, float]:
    statistics = AttentionStatistics()
    for batch in batches:
        statistics.add(*batch)
    return {key.removeprefix("attention/"): v for key, v in statistics.scalars().items()}


def _pair(rows: list[list[float]]) -> tuple[Tensor, Tensor, Tensor]:
    weights = torch.tensor(rows)[None, None, None]
    return weights, *(torch.ones(1, n, dtype=torch.bool) for n in (weights.size(4), len(rows)))


def test_values_computed_by_hand() -> None:
    # Columns: two pieces and EOS. Entropies: ln 2, 0 and ln 3.
    # EOS: (0 + 1 + 1/3) / 3 = 4/9. Each piece gets 1/2 + 0 + 1/3 = 5/6, so both deviate by 1/6.
    found = _scalars(_pair([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [1 / 3, 1 / 3, 1 / 3]]))
    assert found == {
        "layer-1/entropy": pytest.approx((math.log(2) + math.log(3)) / 3, abs=1e-6),
        "layer-1/eos_mass": pytest.approx(4 / 9, abs=1e-6),
        "layer-1/coverage_deviation": pytest.approx(1 / 6, abs=1e-6),
    }


def test_rows_that_do_not_sum_to_one_are_normalized_for_entropy_only() -> None:
    found = _scalars(_pair([[0.1, 0.1, 0.2], [0.0, 0.0, 0.0]]))
    entropy = 0.5 * math.log(2) + 2 * 0.25 * math.log(4)
    assert found["layer-1/entropy"] == pytest.approx(entropy / 2, abs=1e-6)
    assert found["layer-1/eos_mass"] == pytest.approx(0.1, abs=1e-6)
    assert found["layer-1/coverage_deviation"] == pytest.approx(0.9, abs=1e-6)


def test_layers_count_from_one_and_heads_are_averaged_first() -> None:
    weights = torch.zeros(1, 2, 2, 1, 2)
    weights[0, 0, 0, 0, 0] = weights[0, 0, 1, 0, 1] = 1  # two one-hot heads that disagree
    weights[0, 1, :, 0, 0] = 1
    found = _scalars((weights, torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 1).bool()))
    assert found["layer-1/entropy"] == pytest.approx(math.log(2))
    assert found["layer-2/entropy"] == pytest.approx(0)
    assert found["layer-1/eos_mass"] == pytest.approx(0.5)
    assert set(found) == {
        f"layer-{n}/{name}"
        for n in (1, 2)
        for name in ("entropy", "eos_mass", "coverage_deviation")
    }


@pytest.mark.parametrize("noise", [0.0, 7.0])
def test_a_padded_batch_equals_its_single_sentences(noise: float) -> None:
    lengths = ((3, 5), (6, 2), (1, 1))  # target, source; the last source is only EOS
    singles = []
    weights = torch.full((3, 2, 4, 6, 5), noise)
    source_mask, target_mask = torch.zeros(3, 5).bool(), torch.zeros(3, 6).bool()
    for row, (rows, columns) in enumerate(lengths):
        real = torch.rand(2, 4, rows, columns).softmax(-1)
        weights[row, :, :, :rows, :columns] = real
        source_mask[row, :columns] = True
        target_mask[row, :rows] = True
        singles.append(
            (real[None], source_mask[row : row + 1, :columns], torch.ones(1, rows).bool())
        )
    assert _scalars((weights, source_mask, target_mask)) == pytest.approx(
        _scalars(*singles), abs=1e-5
    )


def test_no_batch_gives_no_scalars() -> None:
    assert _scalars() == {}
