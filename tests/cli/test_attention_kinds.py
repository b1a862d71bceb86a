"""`nmt attention --kinds`: the page and the pictures of the kinds of self-attention."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from nmt.config.self_attention import LIMITS, SelfAttention
from nmt.evaluation.attention.kind_pictures import (
    PICTURE_SETTINGS,
    WORDS,
    KindPicture,
    kind_pictures,
)
from nmt.reporting.kind_texts import KIND_TEXTS

Nmt = Callable[..., Any]
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images" / "kinds"


@pytest.fixture(scope="module")
def pictures() -> dict[tuple[str, bool], KindPicture]:
    return {(picture.kind, picture.causal): picture for picture in kind_pictures()}


def test_the_page_and_the_pictures_need_no_model(nmt: Nmt, tmp_path: Path) -> None:
    page, base = tmp_path / "new" / "kinds.html", tmp_path / "kinds.svg"
    result = nmt("attention", "--kinds", "--output", page, "--output", base)
    assert (result.status, result.out, result.err) == (0, "", "")
    text = page.read_text(encoding="utf-8")
    assert len(text) < 5_000_000
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)|src=|@import", text) == []
    decoders = [kind for kind in SelfAttention if LIMITS[kind].decoder]
    assert text.count("<svg") == len(SelfAttention) + len(decoders)
    for kind in SelfAttention:
        assert f'<article id="{kind}">' in text
        picture = ElementTree.parse(tmp_path / f"kinds-{kind}.svg").getroot()
        shown = [label.text for label in picture.iter("{http://www.w3.org/2000/svg}text")]
        assert shown[::2] == shown[1::2] == list(WORDS)
        assert (IMAGES / f"kinds-{kind}.svg").is_file()


def test_without_a_file_there_is_a_table(nmt: Nmt) -> None:
    lines = nmt("attention", "--kinds").out.splitlines()
    assert [line.split()[0] for line in lines] == [kind.value for kind in SelfAttention]
    assert KIND_TEXTS.keys() == set(SelfAttention)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kinds", "--output", "map.png"), "with --kinds give a .html or .svg file"),
        (("--kinds", "--model", "runs/mine"), "leave out --model"),
        (("--kinds", "one two"), "leave out SENTENCE"),
        (("--kinds", "--grid"), "leave out --grid"),
        (("one two",), "Missing option '--model'"),
    ],
)
def test_what_is_refused(nmt: Nmt, arguments: tuple[str, ...], message: str) -> None:
    result = nmt("attention", *arguments)
    assert result.status == 2
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("causal", [False, True])
def test_pictures_show_what_the_texts_claim(
    pictures: dict[tuple[str, bool], KindPicture], causal: bool
) -> None:
    weights = {name: one.weights for (name, of), one in pictures.items() if of == causal}
    for found in weights.values():
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-9)
        assert (found >= 0).all()
        assert not causal or not np.triu(found, 1).any()
    places = np.arange(len(WORDS))
    apart = np.abs(places[:, None] - places)
    visible = places <= places[:, None] if causal else apart >= 0
    window, stride = PICTURE_SETTINGS["attention_window"], PICTURE_SETTINGS["attention_stride"]
    assert ((weights["local"] > 0) == ((apart <= window) & visible)).all()
    strided = (apart <= stride) | (apart % stride == 0)
    assert ((weights["strided"] > 0) == (strided & visible)).all()
    assert ((weights["full"] > 0) == visible).all()
    reach = 2 + PICTURE_SETTINGS["attention_span_ramp"]  # the span, and where the mask falls to 0
    assert ((weights["adaptive_span"] > 0) == ((apart < reach) & visible)).all()
    dog = [place for place, word in enumerate(WORDS) if word == "dog"]
    assert np.argsort(weights["full"][dog[1]])[-2:].tolist() == dog  # equal words find each other
    sharpness = {name: found.max(1).mean() for name, found in weights.items()}
    assert sharpness["linear"] < sharpness["favor"] < sharpness["full"]


def test_the_docs_have_the_texts() -> None:
    text = (IMAGES.parents[1] / "attention.md").read_text(encoding="utf-8")
    for kind, about in KIND_TEXTS.items():
        row = next(line for line in text.splitlines() if f"kinds/kinds-{kind}.svg" in line)
        for part in (about.idea, about.cost, about.loses, about.take, about.search):
            assert part in row
