"""Settings with which a model cannot learn give a warning; the usual ones do not."""

from collections.abc import Callable

import pytest

from nmt.config.checks.check_config import check_config
from nmt.config.checks.doubtful_settings import doubtful_settings
from nmt.config.schema import Config
from nmt.errors import UserError

Make = Callable[..., Config]


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("schedule.warmup=601", "schedule.warmup=601 is longer than the run"),
        ("training.clip_norm=1e-30", "training.clip_norm"),
        ("training.ema_decay=0.9999999999", "training.ema_decay"),
        ("optimizer.learning_rate=1e-30", "optimizer.learning_rate"),
        ("optimizer.weight_decay=1e9", "optimizer.weight_decay"),
        ("optimizer.beta1=0.9999999", "averages over about 10,000,000 updates"),
        ("optimizer.epsilon=2", "optimizer.epsilon"),
        ("model.encoder.dropout=0.99", "model.encoder.dropout"),
        ("training.label_smoothing=0.99", "training.label_smoothing"),
        ("training.max_minutes=1e-6", "training.max_minutes"),
        (
            "model.encoder.attention_window=8",
            "model.encoder.attention_window=8 has no effect with model.encoder.self_attention=full:"
            " remove it, or choose local",
        ),
        ("model.decoder.attention_block=8", "remove it, or choose random_global or lsh"),
        (
            "model.decoder.depth_loss=0.2",
            "model.decoder.depth_loss=0.2 has no effect with model.decoder.depth=full: "
            "remove it, or choose adaptive",
        ),
    ],
)
def test_a_setting_that_cannot_learn_is_named(override: str, part: str, config: Make) -> None:
    made = config(override)
    check_config(made)  # it is allowed
    (line,) = doubtful_settings(made)
    assert part in line


def test_usual_settings_give_no_warning(config: Make) -> None:
    for overrides in (
        *([], ["model=rnn"], ["optimizer=sgd", "optimizer.learning_rate=1"]),
        ["training.ema_decay=0.999"],
        ["optimizer=adadelta", "optimizer.epsilon=2"],  # the steps are about those of SGD
        ["model.encoder.self_attention=local", "model.encoder.attention_window=8"],
        ["model.decoder.depth=adaptive", "model.decoder.depth_loss=0.2"],
        ["experiment=multi30k_transformer", "data.root=x"],
        ["experiment=multi30k_rnn", "data.root=x"],
    ):
        assert not list(doubtful_settings(config(*overrides)))


@pytest.mark.parametrize(
    "override",
    [
        *("tokenizer.vocab_size=2147483648", "model.encoder.hidden_size=10000000"),
        *("model.decoder.num_layers=100000", "decoding.beam_size=10000"),
        *("training.validation_beam_size=10000", "decoding.max_length_ratio=1e12"),
        *("training.max_updates=9223372036854775808", "data.workers=1000000"),
    ],
)
def test_sizes_that_no_machine_holds_are_refused_by_a_stated_bound(
    override: str, config: Make
) -> None:
    key = override.partition("=")[0]
    with pytest.raises(UserError, match=rf"{key} is .*it must be (finite and )?(from|at least)"):
        check_config(config(override))


@pytest.mark.parametrize(
    "code", ["../../etc", "/tmp", "a b", "de/../en", "de.en", "é", "-", "x" * 36]
)
def test_a_language_code_is_no_path(code: str, config: Make) -> None:
    made = config()
    made.data.source_language = code
    with pytest.raises(UserError, match="is not a language code"):
        check_config(made)
    for good in ("de", "pt-BR", "zh_Hans", "eng_Latn", "sr@latin", "es-419"):
        made.data.name, made.data.source_language = "files", good
        with pytest.raises(UserError) as error:
            check_config(made)
        assert "not a language code" not in str(error.value)


@pytest.mark.parametrize("text", ["a\0b", "a\udcffb"])
def test_a_text_that_no_file_can_contain_is_refused(text: str, config: Make) -> None:
    made = config()
    made.run.dir = text
    with pytest.raises(UserError, match=r"run\.dir is .* write it without"):
        check_config(made)
