"""`nmt bench` trains and translates as a run does and reports figures; times are not tested."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]
Refused = Callable[..., str]

SHORT = ["--warmup", "1", "--no-validate"]


@pytest.fixture(autouse=True)
def _short_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.bench.training._CEILING_SECONDS", 0.0)
    monkeypatch.setattr("nmt.bench.ceiling.SHAPES", ((64, 64, 64),))


@pytest.fixture
def settings(
    corpus: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    monkeypatch.chdir(tmp_path)  # a run folder would be created here
    return tiny(corpus)


def test_a_training_is_measured_and_writes_only_its_figures(
    nmt: Nmt, settings: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.json"
    result = nmt("bench", "train", *settings, "--updates", 3, *SHORT, "--json", file)
    assert result.status == 0, result.err
    assert "target tokens/s" in result.out
    assert "run folder" not in result.err
    assert {path.name for path in tmp_path.iterdir()} == {"corpus", "numbers.json"}
    found = json.loads(file.read_text())
    assert found["machine"]["cores"] >= 1
    (run,) = found["runs"]
    assert (run["precision"], run["device"]) == ("float32", "cpu")
    assert run["overrides"] == settings
    speed = run["speed"]
    assert speed["updates"] == 3
    assert 0 < speed["counts"]["target_tokens"] <= 3 * 256
    assert 0 <= speed["target_padding"] < 1
    assert all(seconds > 0 for seconds in speed["phases"].values())
    counted = speed["quiet_updates"] or speed["updates"]
    assert sum(speed["phases"].values()) == pytest.approx(speed["seconds"] / counted)
    done = run["flop_per_token"] * speed["tokens_per_second"]
    assert run["ceiling_share"] == pytest.approx(done / run["ceiling"]["flop_per_second"])
    assert run["validation"] is None


def test_a_validation_is_timed_unless_turned_off(
    nmt: Nmt, settings: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.json"
    result = nmt("bench", "train", *settings, "--updates", 1, "--warmup", 1, "--json", file)
    assert result.status == 0, result.err
    validation = json.loads(file.read_text())["runs"][0]["validation"]
    assert validation["seconds"] > 0
    assert 0 < validation["share"] < 1


def test_a_profile_reports_the_own_time_of_each_operation(
    nmt: Nmt, settings: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.json"
    flags = ["--updates", 1, *SHORT, "--profile", 2, "--json", file]
    result = nmt("bench", "train", *settings, *flags)
    assert result.status == 0, result.err
    assert "between them" in result.out
    shares = json.loads(file.read_text())["runs"][0]["operations"]
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert 0 < sum(shares.values()) <= 1  # own times do not overlap
    assert "aten::bmm" in shares


def test_blocks_of_updates_as_on_a_gpu_give_the_same_counts(
    nmt: Nmt, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for updates_per_step in (1, 3):
        monkeypatch.setattr(
            "nmt.bench.measured_run.updates_per_step", lambda _, n=updates_per_step: n
        )
        file = tmp_path / "numbers.json"
        flags = ["--updates", 5, "--warmup", 2, "--no-validate", "--json", file]
        result = nmt("bench", "train", *settings, *flags)
        assert result.status == 0, result.err
        run = json.loads(file.read_text())["runs"][0]
        assert run["speed"]["updates"] == 5
        assert run["first_update"] > 0
        if run["speed"]["quiet_updates"] in (0, 5):
            counts.append(run["speed"]["counts"])
    assert all(one == counts[0] for one in counts)


def test_two_configurations_alternate_on_the_same_batches(
    nmt: Nmt, settings: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.json"
    flags = ["--updates", 5, "--block", 2, *SHORT, "--json", file]
    against = "model.decoder.attention.size=24 training.precision=bfloat16"
    result = nmt("bench", "train", *settings, "--against", against, *flags)
    assert result.status == 0, result.err
    assert f"B  {against}" in result.out
    found = json.loads(file.read_text())
    one, other = found["runs"]
    assert (one["precision"], other["precision"]) == ("float32", "bfloat16")
    assert one["parameters"] < other["parameters"]
    assert one["speed"]["updates"] == other["speed"]["updates"] == 6  # whole blocks
    ratio = found["ratio"]
    assert 1 <= len(ratio["pairs"]) + ratio["left_out"] <= 3
    assert ratio["low"] <= ratio["median"] <= ratio["high"]
    if one["speed"]["quiet_updates"] == other["speed"]["quiet_updates"] == 6:
        assert one["speed"]["counts"] == other["speed"]["counts"]


def test_a_model_with_random_weights_translates_to_an_exact_length(
    nmt: Nmt, settings: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.json"
    flags = ["--exact", 4, "--longer", 9, "--rounds", 2, "--sentences", 3, "--json", file]
    result = nmt("bench", "decode", *settings, *flags)
    assert result.status == 0, result.err
    figures = json.loads(file.read_text())
    found, cost = figures["decoding"], figures["length_cost"]
    assert cost["pieces"] == [4, 9]
    assert 0 < cost["low"] <= cost["ratio"] <= cost["high"]
    assert f"{cost['ratio']:.2f}, from" in result.out
    assert found["sentences"] == 3
    assert found["mean_length"] == 5
    assert found["tokens_per_second"] == pytest.approx(5 * found["sentences_per_second"])


def test_a_run_translates_its_validation_text_or_a_given_text(
    nmt: Nmt, run: Path, tmp_path: Path
) -> None:
    source, file = tmp_path / "source.txt", tmp_path / "numbers.json"
    source.write_text("one two\n\nthree\n")
    flags = ["--rounds", 1, "--beam-size", 3, "--batch-size", 2, "--json", file]
    result = nmt("bench", "decode", "--model", run, "--source", source, *flags)
    assert result.status == 0, result.err
    found = json.loads(file.read_text())["decoding"]
    assert (found["sentences"], found["beam_size"], found["batch_size"]) == (2, 3, 2)
    assert nmt("bench", "decode", "--model", run, "--rounds", 1).status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "-m", "seed=1,2"], "-m"),
        (["train", "model=cnn"], "cnn"),
        (["train", "training.max_updates=0"], "training.max_updates is 0"),
        (["train", "--updates", "0"], "--updates"),
        (["train", "--against", "model=cnn"], "cnn"),
        (["train", "--against", "'open"], "--against"),
        (["train", "--against", "seed=2", "--profile", "1"], "use it without --against"),
        (["decode", "--model", "nowhere", "seed=2"], "give only one of them"),
        (["decode", "--model", "nowhere", "--longer", "9"], "--exact: give both"),
        (["decode", "--model", "nowhere"], "nowhere"),
    ],
)
def test_errors_are_one_line(refused: Refused, arguments: list[str], message: str) -> None:
    assert message in refused("bench", *arguments)


def test_a_file_that_cannot_be_written_is_named(
    nmt: Nmt, settings: list[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file in place of the folder")
    file = tmp_path / "taken" / "numbers.json"
    result = nmt("bench", "train", *settings, "--updates", 1, *SHORT, "--json", file)
    assert result.status == 2
    assert f"cannot write --json {file}" in result.err.splitlines()[-1]
