"""Typed configuration to plain values and back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from nmt.config.plain import flatten, from_mapping, to_mapping
from nmt.config.schema import AdamWConfig, Config
from nmt.errors import UserError

Make = Callable[..., Config]


@pytest.fixture
def mapping(config: Make) -> dict[str, Any]:
    return to_mapping(config("model=rnn", "model/decoder/attention=luong_concat"))


def test_a_configuration_survives_json(config: Make, mapping: dict[str, Any]) -> None:
    again = from_mapping(Config, json.loads(json.dumps(mapping)))
    assert again == config("model=rnn", "model/decoder/attention=luong_concat")


def test_an_integer_becomes_a_float_where_a_float_is_required(mapping: dict[str, Any]) -> None:
    mapping["optimizer"]["learning_rate"] = 1
    learning_rate = from_mapping(Config, mapping).optimizer.learning_rate
    assert type(learning_rate) is float


def test_an_adam_section_without_optimizer_choice_is_read(mapping: dict[str, Any]) -> None:
    mapping["optimizer"] = {
        "name": "adamw",
        "learning_rate": 0.01,
        "beta1": 0.8,
        "beta2": 0.9,
        "epsilon": 1e-7,
        "weight_decay": 0.1,
    }
    read = from_mapping(Config, mapping).optimizer
    assert type(read) is AdamWConfig
    assert to_mapping(read) == mapping["optimizer"]


def test_an_optional_section_may_be_null(config: Make, fill: Callable[[str], list[str]]) -> None:
    mapping = to_mapping(config("data=files", *fill("files")))
    mapping["data"]["test"] = None
    assert from_mapping(Config, mapping).data.test is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("section", "key", "value", "complaint"),
    [
        ("training", "max_updates", "many", "training.max_updates is 'many', not of type int"),
        ("training", "max_updates", True, "training.max_updates is True, not of type int"),
        ("training", "max_updates", 1.5, "training.max_updates is 1.5, not of type int"),
        ("training", "max_updates", None, "training.max_updates is None, not of type int"),
        ("training", "max_minutes", "1", "training.max_minutes is '1', not of type float"),
        ("tokenizer", "joint", 1, "tokenizer.joint is 1, not of type bool"),
        ("schedule", "name", "cosinus", "schedule.name is 'cosinus'; choose from constant"),
        ("model", "encoder", "rnn", "model.encoder is 'rnn', not a mapping"),
        ("optimizer", "momentum", 0.9, "optimizer: unknown keys ['momentum']"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_full_key(
    mapping: dict[str, Any], section: str, key: str, value: object, complaint: str
) -> None:
    mapping[section][key] = value
    with pytest.raises(UserError) as raised:
        from_mapping(Config, mapping)
    assert complaint in str(raised.value)


def test_a_missing_key_is_named(mapping: dict[str, Any]) -> None:
    del mapping["model"]["decoder"]["attention"]["size"]
    with pytest.raises(UserError, match=r"model\.decoder\.attention: .*missing keys \['size'\]"):
        from_mapping(Config, mapping)


def test_flatten_names_sections_and_values() -> None:
    flat = flatten({"a": {"b": {"c": 1}}, "d": None})
    assert flat == {"a": {"b": {"c": 1}}, "a.b": {"c": 1}, "a.b.c": 1, "d": None}
