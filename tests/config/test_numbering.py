"""One numbering of layers and heads, from 1; files that counted from 0 are converted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.numbering import default_layer_head, drawn_layer_head, exists, index_of, number_of
from nmt.config.plain import from_mapping, to_mapping, to_naming_mapping
from nmt.config.schema import Config

Make = Callable[..., Config]
GUIDED = "training.guided_alignment"
THREE = "model.decoder.num_layers=3"


def test_numbers_and_indices_are_inverse_and_name_the_same_member() -> None:
    members = list("abc")
    for number in (1, 2, 3, -1, -2, -3):
        assert exists(number, 3)
        assert number_of(index_of(number)) == number
    assert [members[index_of(n)] for n in (1, 3, -1, -3)] == ["a", "c", "c", "a"]
    assert not any(exists(number, 3) for number in (0, 4, -4))


def _written_by_an_older_version(config: Config) -> dict[str, Any]:
    mapping = to_mapping(config)
    del mapping["count_from"]
    return mapping


def test_an_older_mapping_is_counted_from_1(config: Make) -> None:
    old = _written_by_an_older_version(config(THREE))
    old["training"]["guided_alignment"] |= {"layer": 1, "head": 0}
    old["training"]["distillation"]["attention_layer"] = 2
    old["logging"]["heatmap_layer"] = 0
    read = from_mapping(Config, old)
    assert (read.training.guided_alignment.layer, read.training.guided_alignment.head) == (2, 1)
    assert (read.training.distillation.attention_layer, read.logging.heatmap_layer) == (3, 1)
    assert from_mapping(Config, to_mapping(read)) == read  # converted only once


def test_negative_and_missing_numbers_of_an_older_mapping_stay(config: Make) -> None:
    old = _written_by_an_older_version(config())
    old["training"]["guided_alignment"] |= {"layer": -2, "head": 0}
    old["logging"]["heatmap_layer"] = -1
    read = from_mapping(Config, old)
    assert (read.training.guided_alignment.layer, read.logging.heatmap_layer) == (-2, -1)


def test_a_folder_keeps_the_name_of_the_version_that_counted_from_0(config: Make) -> None:
    named = to_naming_mapping(config(THREE, f"{GUIDED}.layer=3"))
    assert named["training"]["guided_alignment"]["layer"] == 2
    assert named["training"]["guided_alignment"]["head"] == 0
    assert "count_from" not in named


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ([THREE], (1, None)),
        (["model=rnn"], (0, None)),
        ([THREE, f"{GUIDED}.weight=1", f"{GUIDED}.layer=3", f"{GUIDED}.head=2"], (2, 1)),
    ],
)
def test_heatmaps_of_training_show_what_nmt_attention_shows(
    settings: list[str], drawn: tuple[int, int | None], config: Make
) -> None:
    made = config(*settings)
    assert drawn_layer_head(made) == drawn
    assert default_layer_head(made, getattr(made.model.decoder, "num_layers", 1)) == drawn


def test_the_setting_chooses_another_layer_for_heatmaps(config: Make) -> None:
    made = config(THREE, "logging.heatmap_layer=3")
    assert drawn_layer_head(made) == (2, None)
    assert default_layer_head(made, 3) == (1, None)


SECTIONS = ("run", "data", "tokenizer", "model", "decoding", "logging")
WHOLE = "seed: 2\n" + "".join(f"{name}: {{}}\n" for name in SECTIONS)


@pytest.mark.parametrize(
    ("others", "number"), [(WHOLE, 3), (f"count_from: 1\n{WHOLE}", 2), ("", 2)]
)
def test_only_the_whole_configuration_of_an_older_run_is_converted_as_an_experiment(
    others: str, number: int, tmp_path: Path
) -> None:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from nmt.config.folders import config_directory
    from nmt.sweeps.registration import register_with_hydra

    section = "{weight: 1, layer: 2, head: 2, shift: false}"
    text = f"# @package _global_\n{others}training:\n  guided_alignment: {section}\n"
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "old.yaml").write_text(text)
    register_with_hydra()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        made = compose(
            "train", overrides=["experiment=old", f"hydra.searchpath=[file://{tmp_path}]"]
        )
    assert made.training.guided_alignment.layer == number
    assert made.training.guided_alignment.head == number
