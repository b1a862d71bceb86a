"""A defect of nmt while it composes a configuration keeps its traceback; faulty settings do not."""

import pytest

from nmt.errors import UserError
from nmt.sweeps import overrides
from nmt.sweeps.overrides import compose_config


def test_an_error_of_nmt_itself_is_not_taken_for_a_faulty_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overrides, "_HOME", None)  # the next use in nmt's code fails
    with pytest.raises(AttributeError, match="NoneType"):
        compose_config(["seed=1"], {})


@pytest.mark.parametrize(
    "faulty", ["model=nothing", "training.max_updates=many", "seed=[", "x" * 99]
)
def test_an_error_of_the_settings_is_one_line(faulty: str) -> None:
    with pytest.raises(UserError) as caught:
        compose_config([faulty], {})
    assert "\n" not in str(caught.value)
