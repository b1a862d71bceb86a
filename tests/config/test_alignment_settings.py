"""Settings of word links and of attention losses: invalid ones are refused with a message."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.config.checks.check_config import check_config
from nmt.config.folders import corpora_directory
from nmt.config.schema import Config
from nmt.config.word_link_settings import GoldAlignments
from nmt.errors import UserError

Make = Callable[..., Config]
Fill = Callable[[str], list[str]]

RNN = "model=rnn"
NO_ATTENTION = [RNN, "model/decoder/attention=none"]
GUIDED = "training.guided_alignment.weight=0.05"
COVERED = "training.coverage_loss=1"
HEAD, LAYER = "training.guided_alignment.head", "training.guided_alignment.layer"
GOLD = {"source": "gold.en", "target": "gold.de", "links": "gold.align"}
TWO_LAYERS = "model.decoder.num_layers=2"


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["training.guided_alignment.weight=-1"], "training.guided_alignment.weight is -1"),
        (["training.guided_alignment.weight=inf"], "training.guided_alignment.weight is inf"),
        (["training.coverage_loss=-0.1"], "training.coverage_loss is -0.1"),
        (["training.coverage_loss=nan"], "training.coverage_loss is nan"),
        ([*NO_ATTENTION, GUIDED], "guided_alignment.weight=0.05 needs a decoder with attention"),
        ([*NO_ATTENTION, COVERED], "training.coverage_loss=1.0 needs a decoder with attention"),
        ([RNN, GUIDED, f"{HEAD}=2"], f"{HEAD} is 2, but the decoder's attention has 1 head:"),
        ([GUIDED, f"{HEAD}=5"], f"{HEAD} is 5, but the decoder's attention has 4 heads"),
        ([GUIDED, f"{HEAD}=-6"], "choose from 1 to 4, or from -4 to -1"),
        ([GUIDED, f"{HEAD}=-5"], f"{HEAD} is -5"),
        ([GUIDED, f"{HEAD}=0"], f"{HEAD} is 0"),
        (
            [RNN, GUIDED, f"{LAYER}=2"],
            f"{LAYER} is 2, but the decoder attends in 1 layer: choose 1",
        ),
        ([RNN, GUIDED, f"{LAYER}=0"], f"{LAYER} is 0"),
        ([GUIDED, TWO_LAYERS, f"{LAYER}=3"], f"{LAYER} is 3, but the decoder attends in 2 layers"),
        ([GUIDED, TWO_LAYERS, f"{LAYER}=-3"], f"{LAYER} is -3"),
        (["data=multi30k", GUIDED], "set data.alignments.train=FILE"),
        (["data.alignments.valid=x"], "data.alignments.valid is x, but data=phrasebook has links"),
    ],
)
def test_invalid_settings_are_refused(overrides: list[str], complaint: str, config: Make) -> None:
    with pytest.raises(UserError) as raised:
        check_config(config(*overrides))
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    "overrides",
    [
        [GUIDED, "model.decoder.num_heads=4", f"{HEAD}=4"],
        [GUIDED, TWO_LAYERS, f"{LAYER}=2", f"{HEAD}=-1"],
        [GUIDED, TWO_LAYERS, f"{LAYER}=-2"],
        [RNN, GUIDED, COVERED, f"{LAYER}=1"],
        [RNN, "model/decoder/attention=multi_head", GUIDED, f"{HEAD}=2"],
        ["data=multi30k", GUIDED, "data.alignments.train=train.align"],
        [*NO_ATTENTION, f"{HEAD}=3"],  # switched off, so its other settings do not matter
    ],
)
def test_valid_settings_pass(overrides: list[str], config: Make) -> None:
    check_config(config(*overrides))


def test_links_of_a_split_that_is_not_there_are_refused(config: Make, fill: Fill) -> None:
    files = ["data=files", *fill("files"), "data.alignments.test=test.align"]
    check_config(config(*files))
    with pytest.raises(UserError, match=r"data\.alignments\.test is test\.align, but data\.test"):
        check_config(config(*files, "data.test=null"))


@pytest.mark.parametrize("missing", list(GOLD))
def test_half_a_gold_set_is_refused(missing: str, config: Make) -> None:
    given = [f"data.gold.{key}={value}" for key, value in GOLD.items() if key != missing]
    with pytest.raises(UserError, match=rf"data\.gold\.{missing} is null"):
        check_config(config(*given))


def test_gold_is_given_on_the_command_line(config: Make, fill: Fill) -> None:
    given = [f"data.gold.{key}={value}" for key, value in GOLD.items()]
    made = config("data=files", *fill("files"), *given, "data.gold.flip=true")
    check_config(made)
    expected = GoldAlignments(source="gold.en", target="gold.de", links="gold.align", flip=True)
    assert made.data.gold == expected


def test_a_file_of_an_embedded_corpus_has_a_name_in_any_setting(config: Make) -> None:
    given = [
        f"data.gold.{key}=${{corpora:phrasebook/test.{Path(file).suffix[1:]}}}"
        for key, file in GOLD.items()
    ]
    made = config("data=multi30k", *given).data.gold
    assert made.links == str(corpora_directory() / "phrasebook" / "test.align")
    for file in (made.source, made.target, made.links):
        assert file is not None
        assert len(Path(file).read_text(encoding="utf-8").splitlines()) == 500
