"""Changes of the search settings of a loaded model."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from nmt.config.checks.check_decoding import check_decoding
from nmt.config.schema import DecodingConfig
from nmt.config.setting import Setting, declared
from nmt.errors import UserError


def changed_settings(
    decoding: DecodingConfig, changes: Mapping[str, object], *, attends: bool
) -> DecodingConfig:
    """Return the settings with some changes.

    Args:
        decoding: The settings of the run.
        changes: Values by the names of the settings; None does not change a setting.
        attends: Whether the decoder has attention weights.

    Raises:
        UserError: A setting does not exist, a value is not allowed, or values contradict each
            other.
    """
    known = {field.name: declared(field) for field in fields(DecodingConfig)}
    given: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            raise UserError(f"there is no setting decoding.{name}; choose from {', '.join(known)}")
        setting = known[name]
        assert setting is not None
        if value is not None:
            _check(name.replace("_", " "), value, setting, getattr(decoding, name))
            given[name] = value
    changed = replace(decoding, **given)
    for fault in check_decoding(changed, attends=attends):
        raise UserError(fault)
    return changed


def _check(words: str, value: object, known: Setting, default: object) -> None:
    """Check one value.

    Raises:
        UserError: The value is not allowed.
    """
    if known.choices:
        if value not in known.choices:
            raise UserError(f"the {words} is {value}; choose from {', '.join(known.choices)}")
        return
    whole = not isinstance(default, float)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise UserError(f"the {words} is {value!r}; it must be a {'whole ' * whole}number")
    if known.bounds is not None and not known.bounds.allow(value):
        raise UserError(f"the {words} is {value}; it must be {known.bounds}")
