"""Configurations written before a setting existed load with the behavior of that time."""

import copy
import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nmt.config.choices import CHOICES
from nmt.config.plain import from_mapping, to_mapping
from nmt.config.schema import Config
from nmt.config.setting import declared, values_before
from nmt.config.source_settings import SourceConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.config.training_settings import TrainingConfig
from nmt.errors import UserError

Make = Callable[..., Config]

RUNS = [
    [],
    ["model=rnn"],
    ["model=rnn", "model/decoder/attention=luong_concat"],
    ["model=rnn", "model/decoder/attention=none"],
    ["data=multi30k"],
]


def _sections(section: Any, mapping: dict[str, Any]) -> Iterator[tuple[type, dict[str, Any]]]:
    """Yield every section of a configuration by its type, with its plain mapping."""
    yield type(section), mapping
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from _sections(value, mapping[field.name])


def _written_before(config: Config, *, with_value: bool) -> dict[str, Any]:
    """Return a mapping without the settings that were added, or with their old values."""
    mapping = to_mapping(config)
    for cls, section in list(_sections(config, mapping)):
        for key, value in values_before(cls).items():
            del section[key]
            if with_value:
                section[key] = copy.deepcopy(value)
    return mapping


@pytest.mark.parametrize("overrides", RUNS)
def test_an_older_mapping_loads_with_the_behavior_of_its_time(
    overrides: list[str], config: Make
) -> None:
    made = config(*overrides)
    old = _written_before(made, with_value=False)
    assert "coverage_loss" not in old["training"]
    loaded = from_mapping(Config, old)
    assert to_mapping(loaded) == _written_before(made, with_value=True)


def test_a_given_value_is_not_replaced(config: Make) -> None:
    made = config("training.guided_alignment.weight=0.5", "training.coverage_loss=2")
    assert from_mapping(Config, to_mapping(made)) == made


def test_reading_does_not_change_a_mapping(config: Make) -> None:
    old = _written_before(config(), with_value=False)
    kept = copy.deepcopy(old)
    from_mapping(Config, old)
    assert old == kept


def test_a_missing_key_of_an_added_section_is_refused(config: Make) -> None:
    mapping = to_mapping(config())
    del mapping["training"]["guided_alignment"]["head"]
    with pytest.raises(UserError, match=r"training\.guided_alignment: .*missing keys \['head'\]"):
        from_mapping(Config, mapping)


def _settings_classes() -> list[type]:
    choices = [cls for names in CHOICES.values() for cls in names.values()]
    return [*choices, SourceConfig, TokenizerConfig, TrainingConfig]


@pytest.mark.parametrize("cls", _settings_classes(), ids=lambda cls: cls.__name__)
def test_every_default_for_older_files_fits_its_setting(cls: type) -> None:
    settings = {field.name: field for field in dataclasses.fields(cls)}
    for name, value in values_before(cls).items():
        known = declared(settings[name])
        assert known is not None
        assert known.sentence
        if value is None:
            assert type(None) in typing.get_args(typing.get_type_hints(cls)[name])
        elif not isinstance(value, dict | list):
            assert type(value) is type(settings[name].default) or settings[name].default is None
            assert not known.choices or value in known.choices
            assert known.bounds is None or known.bounds.allow(value)
    assert cls is not TrainingConfig or values_before(cls)["keep_last"] == 1
