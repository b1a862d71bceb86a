"""Errors of the user in `nmt train`: a one-line message, exit status 2, no traceback."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Refused = Callable[..., str]
Tiny = Callable[[Path], list[str]]


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("training.max_update=5", ["training.max_update", "training.max_updates"]),
        ("max_updates=5", ["training.max_updates"]),
        ("trainign.max_updates=5", ["training.max_updates"]),
        ("qqqq.zzzz=5", ["qqqq.zzzz", "--cfg job"]),
        ("model=transformr", ["model=transformr", "transformer", "rnn"]),
        ("training=5", ["training=5", "default"]),
        ("experiment=multi30k", ["experiment=multi30k", "multi30k_rnn"]),
        ("training.max_updates=many", ["training.max_updates", "many"]),
        ("training.max_updates=1.5", ["training.max_updates", "1.5"]),
        ("training.max_updates=null", ["training.max_updates"]),
        ("tokenizer.joint=perhaps", ["tokenizer.joint", "perhaps"]),
        ("training.max_updates", ["training.max_updates"]),
        ("training.max_updates=", ["training.max_updates"]),
        ("+training.new=1", ["training.new"]),
        ("~training.max_updates", ["training.max_updates"]),
        ("seed=[1", ["seed=[1"]),
        ("run.dir={a=b", ["run.dir={a=b", "quotes"]),
        ("seed=${nothing}", ["seed", "nothing"]),
        ("training.precision=half", ["training.precision", "'half'", "bfloat16"]),
        ("training.device=nonsense", ["nonsense", "cpu"]),
        ("training.device=meta", ["meta", "cpu"]),
        ("--nonsense", ["--nonsense"]),
        ("data.filters=strict", ["data/filters=strict"]),
        ("data.extra=a.tsv", ["data.extra.NAME.path=a.tsv"]),
        ("training.guided_alignment=1", ["weight", "layer"]),
        (
            "logging.trackers=wandb",
            ["logging.trackers is a list; write 'logging.trackers=[wandb]'"],
        ),
        ("training.freeze=encoder", ["is a list; write 'training.freeze=[encoder]'"]),
        ("model/encoder.num_layers=1", ["did you mean model.encoder.num_layers=1?"]),
        ("data=nonsense", ["choose from files, "]),
        ("data=files", ["data.source_language", "data.target_language"]),
    ],
)
def test_an_invalid_override_is_reported_with_a_remedy(
    override: str, parts: list[str], refused: Refused
) -> None:
    message = refused("train", override)
    assert all(part in message for part in parts), message


def test_a_file_assigned_to_a_section_is_refused_with_the_right_key(refused: Refused) -> None:
    message = refused("train", "data=files", "data.train=a.tsv")
    assert "set the file with data.train.path=a.tsv" in message
    assert "training requires this section" in refused("train", "data=files", "data.valid=null")


def test_the_suggested_key_belongs_to_the_chosen_model(refused: Refused) -> None:
    message = refused("train", "model=rnn", "model.decoder.atention.size=5")
    assert "did you mean model.decoder.attention.size?" in message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "optimizer=sgd optimizer.beta1=0.8",
            "optimizer.beta1 belongs to optimizer=adam or adamw, not to optimizer=sgd; "
            "choose that, or remove the setting",
        ),
        (
            "schedule.factor=0.3",
            "schedule.factor belongs to schedule=plateau or halving, not to schedule=cosine; "
            "choose that, or remove the setting",
        ),
        (
            "model.decoder.bridge=zero",
            "model.decoder.bridge belongs to model/decoder=rnn, not to model/decoder=transformer; "
            "choose that, or remove the setting",
        ),
        (
            "data.train.source=a.en",
            "data.train.source belongs to data=files, not to data=phrasebook; "
            "choose that, or remove the setting",
        ),
        (
            "experiment=multi30k_rnn model/decoder/attention=none model.decoder.attention.size=3",
            "model.decoder.attention.size belongs to model/decoder/attention=bahdanau or "
            "luong_concat, not to model/decoder/attention=none; choose that, or remove the setting",
        ),
        (  # a Transformer decoder has no attention choice; the default of model=rnn has the setting
            "model.decoder.attention.window=local_p",
            "model.decoder.attention.window is a setting of the attention of model/decoder=rnn; "
            "this configuration has model/decoder=transformer: add model=rnn, or remove "
            "the setting",
        ),
        (  # the default of model=rnn lacks the setting, so the attention must be chosen as well
            "model/encoder=rnn model.decoder.attention.num_heads=2",
            "model.decoder.attention.num_heads is a setting of model/decoder/attention=multi_head; "
            "this configuration has model/decoder=transformer: "
            "add model=rnn model/decoder/attention=multi_head, or remove the setting",
        ),
        ("optimizer=sgd optimizer.momentun=0.9", "did you mean optimizer.momentum?"),
        ("sweep.nothing=1", "no setting sweep.nothing; nmt train --cfg job lists all settings"),
        ("model.encoder.layers.num_layer=1", "did you mean model.encoder.num_layers?"),
        ("optimizer.name=sgd", "optimizer.name cannot be set; choose with optimizer=..."),
        ("sweep=luong2015_table4", "sweep=luong2015_table4 trains several models: add -m"),
        ("hydra/launcher=joblib", "hydra/launcher=joblib applies only to sweeps: add -m"),
    ],
)
def test_a_setting_of_another_choice_names_the_choice(
    arguments: str, expected: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a sweep creates its folder before it composes its jobs
    assert expected in refused("train", *arguments.split())


def test_an_unknown_attention_names_the_known_ones(refused: Refused) -> None:
    message = refused("train", "model=rnn", "model/decoder/attention=luong")
    assert "luong_dot" in message
    assert "bahdanau" in message


def test_an_attention_for_a_decoder_without_a_choice_of_attention(refused: Refused) -> None:
    message = refused("train", "model/decoder/attention=luong_dot")
    assert message == "model/decoder/attention belongs to model/decoder=rnn; also choose that"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nonsense"], "nonsense"),
        (["--nonsense"], "--nonsense"),
        (["train", "--cfg", "jobs"], "jobs"),
        (["translate"], "--model"),
        (["translate", "--model"], "--model"),
        (["translate", "--model", "x", "--nonsense"], "--nonsense"),
        (["translate", "--model", "x", "--beam-size", "two"], "--beam-size"),
        (["score", "--model", "x"], "--source"),
    ],
)
def test_a_usage_error_refers_to_the_help(
    arguments: list[str], part: str, refused: Refused
) -> None:
    message = refused(*arguments)
    assert part in message
    assert "--help" in message


def test_all_invalid_values_are_reported_at_once(refused: Refused) -> None:
    message = refused("train", "seed=-1", "training.max_updates=0", "optimizer.beta1=1")
    assert all(key in message for key in ("seed", "training.max_updates", "optimizer.beta1"))


def test_a_missing_file_is_named(refused: Refused, corpus: Path, tiny: Tiny) -> None:
    (corpus / "valid.de").unlink()
    message = refused("train", *tiny(corpus), f"run.dir={corpus / 'run'}", after_progress=True)
    assert f"{corpus / 'valid.de'}" in message
    assert not (corpus / "run").exists()


def test_unequal_lines_name_both_files_and_counts(
    refused: Refused, corpus: Path, tiny: Tiny
) -> None:
    with (corpus / "train.de").open("a") as file:
        file.write("noch eine\n")
    message = refused("train", *tiny(corpus), f"run.dir={corpus / 'run'}", after_progress=True)
    for part in ("train.en has 100 lines", "train.de has 101"):
        assert part in message
    assert not (corpus / "run").exists()


@pytest.mark.parametrize("content", ["", "\n\n", " \n\t\n"])
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_split_without_text_is_refused(
    split: str, content: str, refused: Refused, corpus: Path, tiny: Tiny
) -> None:
    for language in ("en", "de"):
        (corpus / f"{split}.{language}").write_text(content)
    message = refused("train", *tiny(corpus), after_progress=True)
    assert f"{corpus / split}.en contains no text" in message


def test_text_that_is_not_utf_8_names_the_line(
    nmt: Callable[..., Any], refused: Refused, corpus: Path, tiny: Tiny
) -> None:
    lines = (corpus / "train.de").read_bytes().split(b"\n")
    lines[2] = "fünf".encode("latin-1")
    (corpus / "train.de").write_bytes(b"\n".join(lines))
    message = refused("train", *tiny(corpus), "data.max_faulty=0", after_progress=True)
    assert f"{corpus / 'train.de'} is not UTF-8: line 3" in message
    left_out = nmt("train", *tiny(corpus), f"run.dir={corpus / 'run'}")
    assert left_out.status == 0
    place = f"{corpus / 'train.de'}, line 3"
    assert f"left out: 1 faulty line: 1 x not utf8 ({place})" in left_out.err


def test_a_folder_in_place_of_a_file(refused: Refused, corpus: Path, tiny: Tiny) -> None:
    message = refused("train", *tiny(corpus), f"data.train.source={corpus}", after_progress=True)
    assert f"{corpus}" in message


def test_a_file_that_is_not_gzip(refused: Refused, corpus: Path, tiny: Tiny) -> None:
    (corpus / "train.en.gz").write_text("one two")
    source = f"data.train.source={corpus / 'train.en.gz'}"
    assert "train.en.gz" in refused("train", *tiny(corpus), source, after_progress=True)


def test_one_file_cannot_be_both_sides(refused: Refused, corpus: Path, tiny: Tiny) -> None:
    message = refused("train", *tiny(corpus), f"data.train.target={corpus / 'train.en'}")
    assert "same file" in message


@pytest.mark.parametrize("name", ["unigram", "bpe"])
@pytest.mark.parametrize("size", [100_000, 8])
def test_a_vocabulary_of_an_impossible_size(
    name: str, size: int, refused: Refused, corpus: Path, tiny: Tiny
) -> None:
    overrides = [f"tokenizer={name}", *tiny(corpus), f"tokenizer.vocab_size={size}"]
    message = refused("train", *overrides, after_progress=True)
    assert f"tokenizer.vocab_size={size}" in message


def test_no_training_pairs_left(refused: Refused, corpus: Path, tiny: Tiny) -> None:
    message = refused("train", *tiny(corpus), "data.max_length=1", after_progress=True)
    assert "too_long 100" in message
    assert "raise data.max_length" in message


def test_a_folder_that_is_not_a_run_is_kept(refused: Refused, corpus: Path, tiny: Tiny) -> None:
    before = sorted(corpus.iterdir())
    message = refused("train", *tiny(corpus), f"run.dir={corpus}")
    assert f"{corpus} exists and is not a run of nmt" in message
    assert sorted(corpus.iterdir()) == before


def test_a_run_folder_that_is_a_file(refused: Refused, corpus: Path, tiny: Tiny) -> None:
    file = corpus / "train.en"
    assert str(file) in refused("train", *tiny(corpus), f"run.dir={file}")
    inside = f"run.dir={file / 'run'}"
    assert str(file) in refused("train", *tiny(corpus), inside, after_progress=True)


def test_changed_settings_of_a_run_are_reported(refused: Refused, run: Path, tiny: Tiny) -> None:
    corpus = run.parent / "corpus"
    message = refused("train", *tiny(corpus), f"run.dir={run}", "seed=2", "optimizer.beta1=0.8")
    assert "seed was 1, now 2" in message
    assert "optimizer.beta1 was 0.9, now 0.8" in message


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that cannot be written; for root, who may write anywhere, this is simulated."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        for name in ("mkdir", "open"):
            monkeypatch.setattr(os, name, _denied(getattr(os, name), folder))
    return folder


def _denied(make: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    def call(path: Any, *arguments: Any, **named: Any) -> Any:
        if Path(os.fsdecode(path)).parent == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return make(path, *arguments, **named)

    return call


def test_a_run_folder_that_cannot_be_written(
    refused: Refused, closed: Path, corpus: Path, tiny: Tiny
) -> None:
    message = refused("train", *tiny(corpus), f"run.dir={closed / 'run'}", after_progress=True)
    assert str(closed / "run") in message
    message = refused("train", *tiny(corpus), f"data.cache_dir={closed}", after_progress=True)
    assert "data.cache_dir" in message


def test_a_cache_that_is_a_file(refused: Refused, corpus: Path, tiny: Tiny) -> None:
    file = f"data.cache_dir={corpus / 'train.en'}"
    assert "data.cache_dir" in refused("train", *tiny(corpus), file, after_progress=True)


def test_the_installed_command_refuses_in_the_same_way(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("nmt"), "train", "model=transfomer"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("nmt: there is no model=transfomer; did you mean transformer?")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
