"""The declaration of one setting: default, meaning, unit and allowed values, in one place.

A field of a settings dataclass is declared as::

    patience: int | None = setting(
        None, "Validations without an improvement after which the run stops.", at_least=1
    )

Hydra reads its type and default. The range check (`nmt.config.checks.check_ranges`),
`nmt train --help`, ``docs/settings.md`` and the reader of old files (`nmt.config.plain`) read the
rest from its metadata. A new setting therefore touches its field and the code that uses it.
"""

import copy
import dataclasses
import math
import types
from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any

_KEY = "setting"


class Absent(Enum):
    """Marks an argument of `setting` that was not given; None may be a value of it."""

    VALUE = "absent"


ABSENT = Absent.VALUE


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The range of a number. None: no bound on that side.

    Attributes:
        at_least: Smallest allowed value.
        above: All allowed values are larger than this.
        at_most: Largest allowed value.
        below: All allowed values are smaller than this.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def allow(self, value: float) -> bool:
        """Return whether a number is in the range; infinity and NaN never are."""
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"from {_number(self.at_least)} to {_number(self.at_most)}"
        bounds = {
            "at least": self.at_least,
            "above": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        given = [f"{word} {_number(at)}" for word, at in bounds.items() if at is not None]
        return " and ".join(given)


@dataclasses.dataclass(frozen=True)
class Setting:
    """The declaration of a setting, besides its name, type and default.

    Attributes:
        sentence: What the setting does, in one sentence.
        unit: Unit of the number; None: it has none.
        bounds: Allowed range of the number; None: every value of the type is allowed.
        choices: Allowed values of a text; empty: every text is allowed.
        before: The value for files that were written before the setting existed; `ABSENT`: every
            file has the setting.
        in_names: Whether the value ``before`` is part of a run folder's default name.
        resumable: Whether it may change when an unfinished run is resumed.
        indifferent: Whether it has no effect on the trained model.
        names_file: Whether it names a file whose content is compared when a run is resumed.
        numbered: Whether it is the number of a layer or head; see `nmt.config.numbering`.
    """

    sentence: str
    unit: str | None = None
    bounds: Bounds | None = None
    choices: tuple[str, ...] = ()
    before: Any = ABSENT
    in_names: bool = True
    resumable: bool = False
    indifferent: bool = False
    names_file: bool = False
    numbered: bool = False


def setting(
    default: Any,
    sentence: str,
    *,
    unit: str | None = None,
    choices: type[StrEnum] | None = None,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    neutral: Any = ABSENT,
    before: Any = ABSENT,
    resumable: bool = False,
    indifferent: bool = False,
    names_file: bool = False,
    numbered: bool = False,
) -> Any:
    """Return a dataclass field that declares a setting.

    Values of ``choices`` are kept as plain text, which equals the members of the enum.

    Args:
        default: Its default; `REQUIRED`: the user has to give a value.
        sentence: What it does; it explains null and 0 where they have a special meaning.
        unit: Unit of the number.
        choices: The enum of the allowed values.
        at_least, above, at_most, below: The range of allowed numbers; see `Bounds`.
        neutral: The value that changes nothing; every new setting has one. Files written before the
            setting existed are read with this value. A run folder's default name omits the setting
            while it has this value, so that adding a setting renames no folder.
        before: Replaces ``neutral`` for older settings, which are always part of default names.
        resumable: Whether it may change when an unfinished run is resumed.
        indifferent: Whether it has no effect on the trained model. Such a setting may change even
            when the run is finished, and is not part of a run folder's default name.
        names_file: Whether it names a file; if its content is the same, it may change on resuming.
        numbered: Whether it is the number of a layer or head; see `nmt.config.numbering`.
    """
    known = Setting(
        sentence=sentence,
        unit=unit,
        bounds=_bounds(at_least, above, at_most, below),
        choices=tuple(choices) if choices else (),
        before=_plain(before if neutral is ABSENT else neutral),
        in_names=neutral is ABSENT,
        resumable=resumable or indifferent or names_file,
        indifferent=indifferent,
        names_file=names_file,
        numbered=numbered,
    )
    return _field(_plain(default), known)


def section(
    make: Callable[[], Any],
    sentence: str,
    *,
    added: bool = False,
    neutral: bool = False,
    optional: bool = False,
    indifferent: bool = False,
) -> Any:
    """Return a dataclass field that holds a section of settings.

    Args:
        make: Returns the section with its defaults; the dataclass itself, in most cases.
        sentence: What the section is about.
        added: Whether older files lack the section; they get its present defaults.
        neutral: Whether the section is added, and all of its settings are declared with ``neutral``
            values. A run folder's default name then omits it while it has these values.
        optional: Whether the section may be null.
        indifferent: Whether all of its settings are indifferent; see `setting`.
    """
    before = dataclasses.asdict(make()) if added or neutral else ABSENT
    suffix = " May be null." if optional else ""
    known = Setting(
        f"{sentence}{suffix}",
        before=before,
        in_names=not neutral,
        resumable=indifferent,
        indifferent=indifferent,
    )
    return dataclasses.field(default_factory=make, metadata={_KEY: known})


def group(sentence: str, *, indifferent: bool = False) -> Any:
    """Return a dataclass field that a choice of a config group fills, e.g. ``optimizer=adam``."""
    known = Setting(sentence, resumable=indifferent, indifferent=indifferent)
    return dataclasses.field(metadata={_KEY: known})


REQUIRED = dataclasses.MISSING
"""Default of a setting that the user has to give."""


def declared(field: "dataclasses.Field[Any]") -> Setting | None:
    """Return the declaration of a dataclass field; None: it is not declared by `setting`."""
    found: Setting | None = field.metadata.get(_KEY)
    return found


def values_before(cls: type) -> dict[str, Any]:
    """Return the settings that older files may lack, with the values that such files get."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        known = declared(field)
        if known is not None and known.before is not ABSENT:
            found[field.name] = copy.deepcopy(known.before)
    return found


def _bounds(*limits: float | None) -> Bounds | None:
    """Return the range between these limits; None: there are none."""
    return None if limits == (None,) * len(limits) else Bounds(*limits)


def _plain(value: Any) -> Any:
    """Return the text of a member of a `StrEnum`, and any other value unchanged."""
    return value.value if isinstance(value, StrEnum) else value


def _field(default: Any, known: Setting) -> Any:
    metadata = {_KEY: known}
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _number(value: float) -> str:
    if value >= 2**32 and value == 2 ** (int(value).bit_length() - 1):
        return f"2^{int(value).bit_length() - 1}"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def without_none(hint: Any) -> Any:
    """Return the type of a setting without ``None``, e.g. int for ``int | None``."""
    if isinstance(hint, types.UnionType):
        return next(member for member in hint.__args__ if member is not type(None))
    return hint
