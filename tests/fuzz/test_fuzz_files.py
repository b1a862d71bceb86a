"""Random corpora and archives through the commands that read text: read, or refused in one line.

See `fuzzing` for the number of inputs.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzzing import COUNT, Faults, draws
from hostile_archives import compressed, random_archive
from hostile_corpora import CORPORA, random_corpus

from nmt.config.schema import Config
from nmt.sweeps import overrides

LANGUAGES = ("--source-language", "en", "--target-language", "de")


@pytest.fixture
def composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose the settings of `nmt data check` once; `test_fuzz_settings` tries others."""
    compose = overrides.compose_config
    known: dict[str, Config] = {}

    def composed(arguments: list[str], settings: dict[str, Any]) -> Config:
        key = repr((arguments, sorted(settings)))
        if key not in known:
            known[key] = compose(arguments, settings)
        config = copy.deepcopy(known[key])
        for name, value in settings.items():
            *sections, last = name.split(".")
            place: Any = config
            for section in sections:
                place = getattr(place, section)
            setattr(place, last, value)
        return config

    monkeypatch.setattr(overrides, "compose_config", composed)


def _reading(random: Random, run: Path, first: Path, second: Path) -> list[object]:
    """Return a command that reads one file or two."""
    model = ("--model", run, "--device", "cpu")
    return random.choice(
        [
            ["data", "check", first, *LANGUAGES],
            ["data", "check", first, *LANGUAGES, "--json"],
            ["data", "check", first, second, *LANGUAGES],
            [
                "translate",
                *model,
                "--input",
                first,
                "--errors",
                random.choice(["strict", "skip-blank"]),
            ],
            ["score", *model, "--source", first, "--target", second],
            ["align", *model, "--source", first, "--target", second],
            ["align", *model, "--source", first, "--target", first, "--gold", second],
            ["evaluate", *model, "--source", first, "--reference", second],
            ["attention", *model, "--source", first, "--reference", second],
        ]
    )


@pytest.mark.slow
@pytest.mark.usefixtures("composed_once")
@pytest.mark.filterwarnings("ignore:Duplicate name")  # an archive may have two files of one name
def test_random_archives(nmt: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    nmt("translate", "--model", run, "one")
    faults = Faults("archives")
    for number, random in draws():
        (first, one), (second, two) = random_archive(random), random_archive(random)
        paths = tmp_path / f"a.{first}", tmp_path / f"b.{second}"
        paths[0].write_bytes(one)
        paths[1].write_bytes(two)
        inside = random.choice(["", "", "c.en", "x.en.gz", "../../x.de", "\0", "\udc80"])
        read = paths[0] / inside if inside and first == "zip" else paths[0]
        arguments = _reading(random, run, read, paths[1])
        faults.try_call(lambda a=arguments: nmt(*a), f"{number}: {arguments}")
        for path in paths:
            path.unlink()
    assert faults.report() == ""


@pytest.mark.slow
@pytest.mark.usefixtures("composed_once")
@pytest.mark.parametrize("form", CORPORA)
def test_random_corpora(nmt: Callable[..., Any], tmp_path: Path, form: str) -> None:
    file = tmp_path / f"c.{form}"
    file.write_bytes(CORPORA[form]([("a b", "c d")]))
    nmt("data", "check", file, *LANGUAGES)
    faults = Faults(f"{form} files, one of {len(CORPORA)} formats that share the number")
    for number, random in draws(max(10, COUNT // len(CORPORA))):
        content = random_corpus(random, form)
        path = file
        if random.random() < 0.1 and form != "parquet":
            path = tmp_path / f"c.{form}.gz"
            content = compressed(random, content, "gz")
        path.write_bytes(content)
        options = random.choice([[], ["--json"], ["--vocab-size", "50"]])
        faults.try_call(
            lambda p=path, o=options: nmt("data", "check", p, *LANGUAGES, *o),
            f"{number}: {path.name} {content[:500]!r}",
        )
    assert faults.report() == ""
