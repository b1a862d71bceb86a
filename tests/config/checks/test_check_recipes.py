"""Invalid combinations of recipes are refused, each with a one-line message and its remedy."""

from collections.abc import Callable

import pytest

from nmt.config.checks.check_config import check_config
from nmt.config.schema import Config
from nmt.errors import UserError

T = "training"
D = f"{T}.distillation"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([f"{T}.r_drop=-1"], "training.r_drop is -1.0"),
        ([f"{T}.average_last=-1"], "training.average_last is -1"),
        ([f"{T}.average_last=5"], "set training.keep_last=5"),
        ([f"{T}.init_vocabulary=some"], "choose from keep, new"),
        ([f"{T}.l2_sp=0.1"], "set training.init_from=RUN"),
        ([f"{T}.ewc=0.1"], "set training.init_from=RUN"),
        (
            [f"{D}.weight=1.5"],
            "training.distillation.weight is 1.5; it must be finite and from 0 to 1",
        ),
        ([f"{D}.temperature=0"], "training.distillation.temperature is 0.0"),
        ([f"{D}.attention_measure=cosine"], "choose from kl, mse"),
        (
            [f"{D}.teacher=a", f"{D}.attention_weight=1", f"{D}.attention_layer=3"],
            "attention_layer is 3, but the decoder attends in 2 layers",
        ),
        (
            [
                *("model=rnn", "model/decoder/attention=none"),
                *(f"{D}.teacher=a", f"{D}.attention_weight=1"),
            ],
            "needs a decoder with attention",
        ),
        (["model.encoder.word_dropout=1"], "model.encoder.word_dropout is 1.0"),
        (["model=rnn", "model.decoder.word_dropout=-1"], "model.decoder.word_dropout is -1.0"),
        (["model.decoder.layer_drop=1"], "model.decoder.layer_drop is 1.0"),
    ],
)
def test_is_refused(overrides: list[str], said: str, config: Callable[..., Config]) -> None:
    with pytest.raises(UserError) as refusal:
        check_config(config(*overrides))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "overrides",
    [
        [f"{T}.r_drop=5", f"{T}.average_last=3", f"{T}.keep_last=3"],
        [f"{T}.init_from=a", f"{T}.l2_sp=0.1", f"{T}.ewc=2", f"{T}.freeze=[encoder,'*.norm*']"],
        [f"{D}.teacher=a", f"{D}.attention_weight=1", f"{D}.attention_layer=-2"],
        ["model.encoder.layer_drop=0.2", "model.decoder.word_dropout=0.1"],
    ],
)
def test_is_accepted(overrides: list[str], config: Callable[..., Config]) -> None:
    check_config(config(*overrides))


def test_experiments_of_two_recipes_combine(config: Callable[..., Config]) -> None:
    plain = config("experiment=multi30k_transformer")
    made = config("experiment=[multi30k_transformer,r_drop]")
    assert made.training.r_drop == 5
    made.training.r_drop = 0.0
    assert made == plain


@pytest.mark.parametrize("kind", ["multi30k_transformer", "multi30k_rnn"])
def test_a_student_has_the_text_and_the_pieces_of_its_teachers_experiment(
    kind: str, config: Callable[..., Config]
) -> None:
    teacher = config(f"experiment={kind}")
    student = config(f"experiment=[{kind},student]", f"{D}.teacher=a")
    check_config(student)
    assert (student.data, student.tokenizer) == (teacher.data, teacher.tokenizer)
    assert type(student.model.decoder) is type(teacher.model.decoder)
    assert student.model.decoder.num_layers == 1 < student.model.encoder.num_layers
    assert student.training.distillation.weight > 0
