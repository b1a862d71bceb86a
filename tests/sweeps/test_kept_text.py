"""A setting whose type is text keeps what was written: on the command line, in YAML, in sweeps."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from nmt import pipeline
from nmt.config.schema import Config
from nmt.config.text_settings import ends_text_setting, text_settings
from nmt.errors import UserError
from nmt.pipeline import Outcome
from nmt.run.folder import RunFolder
from nmt.sweeps.kept_text import keep_override, keep_yaml
from nmt.sweeps.overrides import compose_config

Call = Callable[..., Any]

# Texts that YAML 1.1, OmegaConf or Hydra read as a number, a boolean or null.
WORDS = [
    *("no", "on", "Yes", "off", "y", "true", "FALSE", "Null", "NULL", "nan", "inf", "-inf", ".inf"),
    *("2026_11_27", "2026-11-27", "1_0", "1e3", "1E-3", ".5", "5.", "-1", "+1", "007", "0x1F"),
    *("0b101", "1:30", "190:20:30", "1.5.2", "9" * 50, "1_000.5"),
]
FILES = ["data=files", "data.train.path=a.tsv", "data.valid.path=b.tsv", "data.test=null"]
LANGUAGES = ["data.source_language=en", "data.target_language=de"]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """Replace training; return the configurations that it was given."""
    given: list[Config] = []

    def train(config: Config, *_: Any) -> Outcome:
        given.append(config)
        scores = {"bleu": 1.0, "chrf": 2.0, "perplexity": 3.0, "signature": "tok:13a"}
        scores["chrf_signature"] = ""
        summary = {"parameters": 1, "tokens": 60, "seconds": 6.0, "valid": scores}
        return Outcome(RunFolder.of(config), summary, already_finished=False)

    monkeypatch.setattr(pipeline, "train", train)
    return given


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Write an experiment of the user, and return the arguments that select it."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> list[str]:
        file = tmp_path / "conf" / "experiment" / "mine.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# @package _global_\n{text}", encoding="utf-8")
        return ["--config-dir", "conf", "experiment=mine"]

    return write


@pytest.mark.parametrize("word", WORDS)
def test_the_command_line_keeps_a_text(word: str) -> None:
    extra = "data.extra.back"
    config = compose_config(
        [
            *(*FILES, *LANGUAGES, f"run.dir={word}", f"data.train.source_column={word}"),
            *(f"{extra}.path=c.tsv", f"{extra}.tag={word}", f"training.freeze=[{word}, x{word}]"),
            *(f"tokenizer.symbols=[{word}]", "data.train.target_column=null"),
        ],
        {},
    )
    assert config.run.dir == word
    assert config.data.train.source_column == word  # type: ignore[attr-defined]
    assert config.data.train.target_column is None  # type: ignore[attr-defined]
    assert config.data.extra["back"]["tag"] == word
    assert config.training.freeze == [word, f"x{word}"]
    assert config.tokenizer.symbols == [word]


PLACES = 5  # of a single text in the file below
GROUPS = [WORDS[start : start + PLACES] for start in range(0, len(WORDS), PLACES)]
GROUPS[-1] += WORDS[: PLACES - len(GROUPS[-1])]


@pytest.mark.parametrize("words", GROUPS)
def test_a_file_of_the_user_keeps_texts(
    words: list[str], nmt: Call, trained: list[Config], experiment: Callable[[str], list[str]]
) -> None:
    column, path, tag, start, folder = words
    symbols = ", ".join(words)
    frozen = "".join(f"    - {word}  # a comment\n" for word in words)
    extra = "".join(f"    {word}: {{path: c.tsv, tag: {tag}, weight: 2}}\n" for word in words)
    text = f"""
defaults:
  - override /data: files
data:
  source_language: en
  target_language: de
  train: {{path: a.tsv, source_column: {column}, target_column: null, weight: 1e0}}
  valid: &valid
    path: {path}
  test: *valid
  extra:
{extra}
tokenizer: {{symbols: [{symbols}, "quoted"], vocab_size: 1_000, joint: on}}
training:
  max_updates: 1_000
  init_from: {start}
  freeze:
{frozen}
run:
  dir: {folder}
"""
    result = nmt("train", *experiment(text))
    assert result.status == 0, result.err
    (config,) = trained
    data: Any = config.data
    assert (data.train.source_column, data.train.target_column) == (column, None)
    assert data.valid.path == data.test.path == path
    assert data.extra == dict.fromkeys(words, {"path": "c.tsv", "tag": tag, "weight": 2})
    assert config.tokenizer.symbols == [*words, "quoted"]
    assert (config.tokenizer.vocab_size, config.tokenizer.joint) == (1000, True)
    assert config.training.max_updates == 1000
    assert (config.training.init_from, config.run.dir) == (start, folder)
    assert config.training.freeze == words


@pytest.mark.parametrize("language", ["no", "NO"])
def test_norwegian_is_a_language(
    language: str, nmt: Call, trained: list[Config], experiment: Callable[[str], list[str]]
) -> None:
    text = f"data: {{source_language: en, target_language: {language}}}"
    assert nmt("train", *FILES, *experiment(text)).status == 0
    assert nmt("train", *FILES, *LANGUAGES[:1], f"data.target_language={language}").status == 0
    assert [config.data.target_language for config in trained] == [language, language]


def test_a_grid_keeps_texts(nmt: Call, trained: list[Config], experiment: Any) -> None:
    params = "data.train.subset: >-\n        2023_10,\n        1e3\n"
    arguments = experiment(f"hydra:\n  sweeper:\n    params:\n      {params}seed: 1")
    result = nmt(
        *("train", "-m", *arguments, "data=files", *LANGUAGES, "data.train.dataset=2026_11_27"),
        *("data.valid.path=a.tsv", "data.test=null", "data.valid.tag=true"),
        "tokenizer.symbols=[2_000],[on]",
    )
    assert result.status == 0, result.err
    found = {
        (c.data.train.subset, c.data.valid.tag, *c.tokenizer.symbols)  # type: ignore[attr-defined]
        for c in trained
    }
    assert found == {(s, "true", t) for s in ("2023_10", "1e3") for t in ("2_000", "on")}
    assert {config.data.train.dataset for config in trained} == {"2026_11_27"}  # type: ignore
    assert "'2023_10'" not in result.out
    assert "2023_10" in result.out


@pytest.mark.skipif(not importlib.util.find_spec("optuna"), reason="needs nmt[optuna]")
def test_a_search_keeps_texts(nmt: Call, trained: list[Config], experiment: Any) -> None:
    result = nmt(
        *("train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4"),
        *experiment("hydra: {sweeper: {params: {data.train.subset: 'choice(2023_10,1e3)'}}}"),
        *("data=files", *LANGUAGES, "data.train.dataset=1_0", "data.valid.path=a.tsv"),
        *("data.test=null", "data.valid.tag=true,007"),
    )
    assert result.status == 0, result.err
    assert {c.data.train.dataset for c in trained} == {"1_0"}  # type: ignore[attr-defined]
    assert {c.data.train.subset for c in trained} <= {"2023_10", "1e3"}  # type: ignore[attr-defined]
    assert {c.data.valid.tag for c in trained} <= {"true", "007"}  # type: ignore[attr-defined]


def test_other_values_are_not_quoted() -> None:
    for override in (
        *("seed=1,2", "training.max_updates=1_000", "run.dir=null", "run.dir=runs/${seed}"),
        *("data.test=null", "optimizer.learning_rate=interval(1e-4,1e-2)", "run.dir='1'"),
        *("model=rnn,transformer", "data.train={weight:1_0}", "run.dir=a\\,1"),
    ):
        assert keep_override(override) == override
    assert keep_override("data.train={path: 1_0,weight:1}") == "data.train={path: '1_0',weight:1}"


def test_the_end_of_a_key_shows_whether_it_is_a_text() -> None:
    assert {"data.train.path", "run.dir", "tokenizer.symbols"} <= text_settings()
    for key in ("vocab_size", "tokenizer.vocab_size", "weight", "extra.a.weight", "rate"):
        assert not ends_text_setting(key)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: [1", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("- a\n- b", "not a mapping"),
        ("just text", "not a mapping"),
        ("\0", "not valid YAML"),
        (f"a: {'[' * 5000}", "not valid YAML"),
        (
            "a0: &a0 [x, x]\n"
            + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60)),
            "aliases",
        ),
        ("a: &a [*a]", "aliases"),
    ],
)
def test_a_file_that_is_no_mapping_of_settings_is_refused_in_one_line(
    text: str, part: str, refused: Callable[..., str], experiment: Callable[[str], list[str]]
) -> None:
    message = refused("train", *experiment(text))
    assert "mine.yaml" in message
    assert part in message
    with pytest.raises(UserError, match=part):
        keep_yaml(text, "mine.yaml")


def test_quotes_change_nothing_else() -> None:
    text = "a: {b: [1, 2.5, true, null, ~, x y]}\n? c\n: |\n  block\n  text\nd: multi\n  line\n"
    assert OmegaConf.create(keep_yaml(text, "f")) == OmegaConf.create(text)
