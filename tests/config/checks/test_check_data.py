"""Settings of the corpus: invalid ones are refused with a message, similar valid ones pass."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from nmt.config.checks.check_config import check_config
from nmt.config.schema import Config
from nmt.errors import UserError

Make = Callable[..., Config]
Fill = Callable[[str], list[str]]

RULES = [  # a key, values that are refused, values that pass
    ("data.temperature", ["0.9", "inf", "nan"], ["1", "5.0"]),
    ("data.on_doubt", ["go"], ["warn", "stop"]),
    ("data.dropped", ["x.txt", "x.gz", "tsv"], ["x.tsv", "a/x.tsv.gz", "null"]),
    ("data.shuffle_buffer", ["0"], ["1", "null"]),
    ("data.workers", ["0"], ["1", "null"]),
    ("data.loader_workers", ["-1"], ["0", "3"]),
    ("data.source_language", ["''", "' '"], ["de"]),
    ("data.filters.max_words", ["0"], ["1", "null"]),
    ("data.filters.max_ratio", ["0.99", "inf", "nan"], ["1", "null"]),
    ("data.filters.duplicates", ["drop"], ["keep", "exact", "normalized"]),
    ("data.filters.language", ["0", "1", "nan"], ["0.5", "null"]),
    ("data.train.weight", ["0", "-1", "inf"], ["0.5"]),
    ("data.valid.weight", ["2"], ["1"]),
    ("data.train.tag", ["''", "'<a b>'", "'<a>\u00a0<b>'"], ["'<2de>'", "'<bt><2de>'", "null"]),
    ("data.train.split", ["train"], ["null"]),
    ("data.train.subset", ["x"], ["null"]),
    ("data.train.streaming", ["true"], ["false"]),
    ("data.train.format", ["tsv"], ["null"]),
    ("data.train.source_column", ["en"], ["null"]),
]
PATH = ["data=files", "data.source_language=en", "data.target_language=de"]
PATHS = [
    *PATH,
    "data.train.path=train.tsv",
    "data.valid.path=valid.tsv",
    "data.test.path='test.{lang}'",
]
EXTRA = [*PATHS, "data.extra.web.path='web/*.{lang}'"]


@pytest.fixture
def complaint(config: Make) -> Callable[..., str]:
    """Return the message about these overrides; empty if they pass."""

    def check(*overrides: str) -> str:
        added = [f"++{one}" if one.startswith("data.extra.") else one for one in overrides]
        try:
            check_config(config(*added))
        except UserError as error:
            return str(error)
        return ""

    return check


@pytest.mark.parametrize(("key", "refused", "passed"), RULES, ids=[rule[0] for rule in RULES])
def test_a_rule_refuses_some_values_and_lets_others_pass(
    key: str, refused: list[str], passed: list[str], complaint: Callable[..., str], fill: Fill
) -> None:
    files = ["data=files", *fill("files")]
    for value in passed:
        assert complaint(*files, f"{key}={value}") == ""
    for value in refused:
        assert key in complaint(*files, f"{key}={value}")


@pytest.mark.parametrize(
    "overrides",
    [
        PATHS,
        [*PATHS, "data.test.path=null", "data.test.dataset=a/b", "data.test.split=test"],
        [*PATHS, "data.test=null"],
        [*PATHS, "data.train.format=tsv", "data.train.source_column=2", "data.train.tag='<bt>'"],
        [*PATHS, "data.train.path='train.{lang}.gz'", "data.train.format=lines"],
        [*PATHS, "data.alignments.train=train.links"],
        EXTRA,
        [*EXTRA, "data.extra.web.weight=2", "data.temperature=5"],
        ["data.extra.web.source=web.en", "data.extra.web.target=web.de"],
        ["data=multi30k", "data/filters=strict", "data.extra.web.dataset=someone/something"],
    ],
    ids=" ".join,
)
def test_valid_settings_pass(overrides: list[str], complaint: Callable[..., str]) -> None:
    assert complaint(*overrides) == ""


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (PATH, "data=files has no text: set data.train.source=FILE data.train.target=FILE"),
        ([*PATH, "data.test=null"], "data=files has no text"),
        (
            [*PATH, "data.train.path=train.tsv", "data.test=null"],
            "data.valid has no text: give one of data.valid.source with data.valid.target, "
            "data.valid.path, data.valid.dataset",
        ),
        (
            [*PATH, "data.train.path=train.tsv", "data.valid.path=valid.tsv"],
            "data.test has no text: give one of data.test.source with data.test.target, "
            "data.test.path, data.test.dataset, or data.test=null",
        ),
        ([*PATHS, "data.train.source=a"], "data.train has both source and target and path: keep"),
        ([*PATHS, "data.train.dataset=a"], "data.train has both path and dataset: keep one"),
        (
            [*PATHS, "data.train.path=null", "data.train.source=a"],
            "data.train.target is null, but data.train.source is a: set both",
        ),
        ([*PATHS, "data.train.format=xml"], "data.train.format is 'xml'; choose from lines, tsv"),
        ([*PATHS, "data.train.format=lines"], "format=lines has one file per side: write {lang}"),
        ([*PATHS, "data.target_language=en"], "data.test.path is test.{lang}, one file for both"),
        ([*PATHS, "data.train.split=train"], "data.train.split belongs to data.train.dataset"),
        ([*EXTRA, "data.alignments.train=links"], "word links cannot be combined with data.extra"),
        (
            [*PATHS, "data.train.path='shards/*.tsv'", "data.alignments.train=links"],
            "data.alignments.train is links, one file, but data.train.path is the shards",
        ),
        (["data.extra.web={}"], "data.extra.web has no text: give one of data.extra.web.source"),
        (["data.extra.web.pth=a"], "data.extra.web.pth is not a setting of a source; choose from"),
        (["data.extra.web=a.tsv"], "data.extra.web is 'a.tsv', not a mapping"),
        ([*EXTRA, "data.extra.web.weight=0"], "data.extra.web.weight is 0"),
        ([*EXTRA, "data.extra.web.weight=a"], "data.extra.web.weight is 'a', not of type float"),
        ([*EXTRA, "data.extra.web.tag='a b'"], "data.extra.web.tag is 'a b'"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(
    overrides: list[str], said: str, complaint: Callable[..., str]
) -> None:
    complained = complaint(*overrides)
    assert said in complained
    assert "\n" not in complained


@pytest.mark.parametrize("choice", ["minimal", "standard", "strict"])
def test_filters_are_chosen_by_name(choice: str, composed: Callable[..., DictConfig]) -> None:
    filters = composed(f"data/filters={choice}").data.filters
    assert (filters.duplicates == "keep") == (choice == "minimal")
    assert (filters.language is not None) == (choice == "strict")
