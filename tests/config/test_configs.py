"""Every YAML file of every group composes to a typed configuration that passes its checks."""

from collections.abc import Callable, Iterator

import pytest
from omegaconf import DictConfig, OmegaConf

from nmt.config.checks.check_config import check_config
from nmt.config.choices import CHOICES, GROUPS
from nmt.config.folders import config_directory
from nmt.config.plain import flatten, from_mapping, to_mapping
from nmt.config.schema import Config

Make = Callable[..., Config]
Fill = Callable[[str], list[str]]

NEEDS = {  # the parent choice of a nested group
    "model/decoder/attention": ["model/decoder=rnn", "model.tying=none"],
    "model/encoder": ["model.tying=none"],
    "model/decoder": ["model.tying=none"],
}


def _choices() -> Iterator[tuple[str, str]]:
    root = config_directory()
    for file in sorted(root.glob("*/**/[!_]*.yaml")):  # _common is not a choice
        group = str(file.parent.relative_to(root))
        if not group.startswith("hydra"):
            yield group, file.stem


CHOSEN = list(_choices())
SWEEPS = [
    choice  # a grid; other sweepers draw their values while they run
    for group, choice in CHOSEN
    if group == "sweep" and not choice.startswith("optuna")
]


def _overrides(group: str, choice: str, fill: Fill) -> list[str]:
    return [*NEEDS.get(group, []), f"{group}={choice}", *fill(choice)]


def test_there_are_choices_in_every_group() -> None:
    groups = {group for group, _ in CHOSEN}
    assert groups >= {*GROUPS.values(), "tokenizer", "model", "optimizer", "training", "experiment"}


@pytest.mark.parametrize(("group", "choice"), CHOSEN)
def test_every_choice_composes_passes_its_checks_and_round_trips_through_plain_values(
    group: str, choice: str, config: Make, fill: Fill
) -> None:
    made = config(*_overrides(group, choice, fill))
    check_config(made)
    assert from_mapping(Config, to_mapping(made)) == made


@pytest.mark.parametrize(("group", "choice"), CHOSEN)
def test_every_setting_stands_in_yaml(
    group: str, choice: str, composed: Callable[..., DictConfig], fill: Fill
) -> None:
    made = composed(*_overrides(group, choice, fill))
    assert not OmegaConf.missing_keys(made)


@pytest.mark.parametrize(("base", "name"), [(b, n) for b, names in CHOICES.items() for n in names])
def test_every_choice_of_the_schema_has_a_file_and_its_own_type(
    base: type, name: str, config: Make, fill: Fill
) -> None:
    group = GROUPS[base]
    made: object = config(*_overrides(group, name, fill))
    for part in group.split("/"):
        made = getattr(made, part)
    assert type(made) is CHOICES[base][name]
    assert getattr(made, "name") == name  # noqa: B009  (the base types are only known here)


@pytest.mark.parametrize("encoder", ["rnn", "transformer"])
@pytest.mark.parametrize("decoder", ["rnn", "transformer"])
def test_any_encoder_goes_with_any_decoder(encoder: str, decoder: str, config: Make) -> None:
    made = config(f"model/encoder={encoder}", f"model/decoder={decoder}")
    check_config(made)
    assert (made.model.encoder.name, made.model.decoder.name) == (encoder, decoder)


def test_an_experiment_overrides_groups_and_the_command_line_overrides_an_experiment(
    config: Make,
) -> None:
    made = config("experiment=multi30k_rnn", "seed=7", "training.max_updates=3")
    assert made.model.encoder.name == "rnn"
    assert made.data.source_language == "en"
    assert (made.seed, made.training.max_updates) == (7, 3)


@pytest.mark.slow
@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_job_of_a_sweep_composes_and_passes_its_checks(
    sweep: str, sweep_jobs: Callable[[str], list[list[str]]], config: Make
) -> None:
    jobs = sweep_jobs(sweep)
    made = [config(f"sweep={sweep}", *job) for job in jobs]
    for one in made:
        check_config(one)
    assert len(made) > 1
    assert all(one not in made[:place] for place, one in enumerate(made)), "a job occurs twice"


@pytest.mark.parametrize("sweep", ["luong2015_table4", "luong2015_table4_full"])
def test_table_4_has_its_rows_in_order(
    sweep: str, sweep_jobs: Callable[[str], list[list[str]]], config: Make
) -> None:
    attentions = [to_mapping(config(*job).model.decoder)["attention"] for job in sweep_jobs(sweep)]
    rows = [(row["name"].removeprefix("luong_"), row.get("window")) for row in attentions]
    assert rows == [
        ("none", None),
        ("location", "global"),
        ("dot", "global"),
        ("general", "global"),
        ("dot", "local_m"),
        ("general", "local_m"),
        ("dot", "local_p"),
        ("general", "local_p"),
    ]


def test_a_sweeps_params_win_over_an_experiment_and_the_command_line_over_both(
    sweep_jobs: Callable[[str], list[list[str]]], config: Make
) -> None:
    job = sweep_jobs("luong2015_table4_full")[-1]
    made = config(*job)
    assert (made.optimizer.name, made.schedule.name) == ("sgd", "halving")
    assert made.model.decoder.num_layers == 4  # type: ignore[attr-defined]
    assert made.model.decoder.attention.window_size == 10  # type: ignore[attr-defined]
    assert config(*job, "training.batch_tokens=64").training.batch_tokens == 64


def test_every_key_is_its_path_in_the_configuration(config: Make) -> None:
    keys = flatten(to_mapping(config()))
    for name in (
        "seed",
        "run.dir",
        "training.max_updates",
        "training.max_minutes",
        "training.batch_tokens",
        "training.validate_every",
        "training.save_every",
        "training.precision",
        "data.source_language",
        "data.target_language",
    ):
        assert name in keys
