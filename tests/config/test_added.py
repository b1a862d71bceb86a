"""What was written before a setting existed still loads, and means what was done then."""

import copy
import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nmt.config.added import ADDED, as_before
from nmt.config.choices import CHOICES
from nmt.config.plain import from_mapping, to_mapping
from nmt.config.schema import Config
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
    """Return a configuration's mapping without the settings added, or with their old values."""
    mapping = to_mapping(config)
    for kind, section in list(_sections(config, mapping)):
        for key, value in as_before(kind).items():
            del section[key]
            if with_value:
                section[key] = copy.deepcopy(value)
    return mapping


@pytest.mark.parametrize("overrides", RUNS)
def test_a_mapping_from_before_loads_and_means_as_before(
    overrides: list[str], config: Make
) -> None:
    made = config(*overrides)
    old = _written_before(made, with_value=False)
    assert "coverage_loss" not in old["training"]
    loaded = from_mapping(Config, old)
    assert to_mapping(loaded) == _written_before(made, with_value=True)


def test_what_is_given_is_not_replaced(config: Make) -> None:
    made = config("training.guided_alignment.weight=0.5", "training.coverage_loss=2")
    assert from_mapping(Config, to_mapping(made)) == made


def test_a_mapping_is_not_changed_by_being_read(config: Make) -> None:
    old = _written_before(config(), with_value=False)
    kept = copy.deepcopy(old)
    from_mapping(Config, old)
    assert old == kept


def test_a_key_of_an_added_section_is_still_missed(config: Make) -> None:
    mapping = to_mapping(config())
    del mapping["training"]["guided_alignment"]["head"]
    with pytest.raises(UserError, match=r"training\.guided_alignment: .*missing keys \['head'\]"):
        from_mapping(Config, mapping)


@pytest.mark.parametrize("base", list(ADDED), ids=lambda kind: kind.__name__)
def test_every_row_names_settings_that_exist(base: type) -> None:
    kinds = [base, *(kind for kinds in CHOICES.values() for kind in kinds.values())]
    for kind in kinds:
        if issubclass(kind, base):
            assert set(ADDED[base]) <= set(typing.get_type_hints(kind))
