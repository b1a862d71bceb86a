"""docs/training.md lists the settings that may change when a run is resumed: no more, no fewer."""

import re
from copy import deepcopy
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from nmt.config.plain import changeable_settings, file_settings, flatten, to_mapping
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.run.folder import RunFolder
from nmt.sweeps.overrides import compose_config

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "training.md"
LANGUAGES = ["data.source_language=en", "data.target_language=de"]
CONFIGS: list[Config] = [
    compose_config(overrides, {})
    for overrides in (
        [
            *("data=files", *LANGUAGES, "data.train.path=a.tsv", "data.valid.path=b.tsv"),
            *("data.test.path=c.tsv", "+data.extra.more={source: d.en, target: d.de}"),
            "+data.extra.other.path=e.tsv",
        ],
        ["data=huggingface", *LANGUAGES, "data.path=corpus"],
        ["model=rnn", "schedule=plateau"],
    )
]
KEYS = {
    key
    for config in CONFIGS
    for key, value in flatten(to_mapping(config)).items()
    if not isinstance(value, dict)
}
NOT_FOR_USERS = {"count_from"}


def _documented(beginning: str) -> set[str]:
    """Return the settings of an item of the list, which begins with these words."""
    text = DOCUMENT.read_text(encoding="utf-8")
    item = text.partition(f"    - {beginning}")[2].partition("\n    - ")[0].partition("\n- ")[0]
    patterns = re.findall(r"`([a-z]+\.[a-z_.*]+)`", item)
    found = {pattern: {key for key in KEYS if fnmatch(key, pattern)} for pattern in patterns}
    assert all(found.values()), found
    return set().union(*found.values())


ALWAYS = _documented("You may always change")
UNFINISHED = _documented("In an unfinished run, you may also change")
FILES = _documented("In an unfinished run, these settings may name other files")


def _changeable(*, finished: bool) -> set[str]:
    sections = {key for c in CONFIGS for key in changeable_settings(c, finished=finished)}
    return {key for key in KEYS if any(f"{key}.".startswith(f"{one}.") for one in sections)}


def test_the_document_has_the_settings_that_may_always_change() -> None:
    assert _changeable(finished=True) - NOT_FOR_USERS == ALWAYS


def test_the_document_has_the_settings_that_may_change_in_an_unfinished_run() -> None:
    found = _changeable(finished=False) - NOT_FOR_USERS
    assert found - FILES == ALWAYS | UNFINISHED


def test_the_document_has_the_settings_that_may_name_other_files() -> None:
    assert {key for config in CONFIGS for key in file_settings(config)} & KEYS == FILES


def _set(config: Config, key: str, value: Any) -> None:
    *parts, last = key.split(".")
    section: Any = config
    for part in parts:
        section = section[part] if isinstance(section, dict) else getattr(section, part)
    if isinstance(section, dict):
        section[last] = value
    else:
        setattr(section, last, value)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, list[RunFolder]]:
    """Folders of an unfinished and of a finished run of each configuration."""
    place = tmp_path_factory.mktemp("runs")
    found = {
        finished: [RunFolder(place / f"{finished}-{n}") for n in range(len(CONFIGS))]
        for finished in (False, True)
    }
    for finished, runs in found.items():
        for folder, config in zip(runs, CONFIGS, strict=True):
            folder.create(config, "")
            if finished:
                folder.summary.touch()
    return found


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_run_folder_refuses_all_other_changes(
    key: str, finished: bool, folders: dict[bool, list[RunFolder]]
) -> None:
    number = next(n for n, one in enumerate(CONFIGS) if key in flatten(to_mapping(one)))
    folder, changed = folders[finished][number], deepcopy(CONFIGS[number])
    value = flatten(to_mapping(changed))[key]
    _set(changed, key, [*value, "x"] if isinstance(value, list) else f"{value}x")
    allowed = ALWAYS | NOT_FOR_USERS | (set() if finished else UNFINISHED | FILES)
    if key in allowed:
        folder.check(changed)
    else:
        with pytest.raises(UserError, match=f"{re.escape(key)} was"):
            folder.check(changed)
