"""What cannot be combined with features is refused, and the message names the settings."""

from collections.abc import Callable

import pytest

from nmt.config.checks.check_config import check_config
from nmt.config.checks.packable import packing_obstacle
from nmt.config.schema import Config
from nmt.errors import UserError

Make = Callable[..., Config]

FILES = [f"data.features.{split}={split}.npy" for split in ("train", "valid", "test")]
GATED = ["model.features.combination=gated", "model.features.size=8"]
JOINT = ["model.features.combination=joint", "model.features.size=8"]
REGIONS = ["model/encoder=regions", "model.encoder.feature_size=8", "model.tying=decoder"]


@pytest.mark.parametrize("reader", [GATED, JOINT, REGIONS])
def test_features_with_a_model_that_reads_them_are_accepted(
    reader: list[str], config: Make
) -> None:
    made = config(*reader, *FILES)
    check_config(made)
    assert packing_obstacle(made) is not None


REFUSED = {
    "no reader": (FILES, "data.features.train is train.npy, but the model reads only text"),
    "no file": (GATED, "needs features: set data.features.train=FILE"),
    "no test file": ([*GATED, *FILES[:2]], "data.features.test=FILE, or data.test=null"),
    "no size": ([GATED[0], *FILES], "set model.features.size"),
    "size alone": (["model.features.size=8"], "model.features.size=8 has no effect"),
    "both": ([*REGIONS, *GATED, *FILES], "model/encoder=regions reads no text"),
    "tied": ([*REGIONS[:2], *FILES], "set model.tying=decoder"),
    "teacher": (
        [*GATED, *FILES, "training.distillation.teacher=runs/t"],
        "training.distillation.teacher=runs/t cannot be combined",
    ),
    "fsdp": ([*GATED, *FILES, "training.parallel=fsdp"], "training.parallel=fsdp cannot be"),
    "packed": ([*GATED, *FILES, "training.batch_shapes=packed"], "does not support model.features"),
    "no attention": (
        ["model=rnn", "model/decoder/attention=none", *GATED, *FILES],
        "needs a decoder with attention",
    ),
    "window": (
        [
            *("model=rnn", "model/decoder/attention=luong_general", *JOINT, *FILES),
            "model.decoder.attention.window=local_p",
        ],
        "attends by position",
    ),
    "guided": (
        [*REGIONS, *FILES, "training.guided_alignment.weight=0.1"],
        "links words of the source",
    ),
    "extra": ([*GATED, *FILES, "+data.extra.more.path=m.tsv"], "data.extra.more has none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_impossible_combination_is_refused(case: str, config: Make) -> None:
    overrides, message = REFUSED[case]
    with pytest.raises(UserError, match=message) as refused:
        check_config(config(*overrides))
    assert "\n" not in str(refused.value)


def test_a_part_of_the_training_text_has_no_features_of_its_own(
    config: Make, fill: Callable
) -> None:  # type: ignore[type-arg]
    data = [one for one in fill("files") if not one.startswith("data.valid")]
    made = config("data=files", *data, "data.valid.held_out=5", *GATED, *FILES)
    with pytest.raises(UserError, match="data.valid=split divides the file"):
        check_config(made)
