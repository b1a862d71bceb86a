"""The average is the arithmetic mean, accumulated checkpoint by checkpoint."""

import torch

from nmt.training.checkpoints.checkpoint_mean import CheckpointMean


def test_the_average_equals_the_mean() -> None:
    models = [
        {"a": torch.randn(3, 2), "b": torch.randn(4, dtype=torch.float64), "n": torch.tensor(i)}
        for i in range(5)
    ]
    kept = [{name: weight.clone() for name, weight in model.items()} for model in models]
    average = CheckpointMean()
    for model in models:
        average.add(model)
    mean = average.mean()
    for name in ("a", "b"):
        assert mean[name].dtype == models[0][name].dtype
        torch.testing.assert_close(mean[name], torch.stack([m[name] for m in models]).mean(0))
    assert mean["n"].item() == 4
    assert all(
        torch.equal(w, k[n]) for m, k in zip(models, kept, strict=True) for n, w in m.items()
    )


def test_the_average_of_one_checkpoint_is_bit_identical() -> None:
    weights = {"a": torch.randn(50), "h": torch.randn(9).to(torch.bfloat16)}
    average = CheckpointMean()
    average.add(weights)
    assert all(torch.equal(mean, weights[name]) for name, mean in average.mean().items())


def test_incompatible_checkpoints_are_named() -> None:
    average = CheckpointMean()
    assert average.differs({"a": torch.zeros(2)}) is None
    average.add({"a": torch.zeros(2), "b": torch.zeros(3)})
    assert average.differs({"a": torch.zeros(2), "b": torch.zeros(3)}) is None
    assert (
        average.differs({"a": torch.zeros(2), "b": torch.zeros(4)}) == "b is [4] here and [3] there"
    )
    assert average.differs({"a": torch.zeros(2)}) == "b is missing here and [3] there"
