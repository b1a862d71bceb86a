"""What a line becomes depends on no batch, order, neighbour or number of threads."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch
from document_samples import HTML
from hostile_lines import WORDS

import nmt as package
from nmt import runtime

LONG = 500  # pieces at least: each word has one or more


def _lines() -> list[str]:
    """Return short lines, each of them different, and a very long one among them."""
    random = Random(3)
    lines = [" ".join(random.choices(WORDS, k=random.randint(1, 14))) for _ in range(70)]
    long = " ".join(random.choices(WORDS, k=LONG))
    return list(dict.fromkeys([*lines[:9], long, *lines[9:]]))


@pytest.fixture
def _threads_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(runtime, "PRODUCTS_PER_THREAD", 1)  # a tiny model uses all threads, too
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads_again")
def test_batches_order_neighbours_and_threads_change_no_line(heads_model: Path) -> None:
    model = package.load(heads_model)
    lines = _lines()
    settings = {"max_length_ratio": 0.1, "max_length_extra": 5}

    def translated(texts: list[str], size: int) -> dict[str, tuple[str, float]]:
        found = model.search(
            texts, beam_size=3, long_lines="whole", settings={**settings, "batch_size": size}
        )
        return {
            text: (one.text, one.candidates[0].score)
            for text, one in zip(texts, found, strict=True)
        }

    torch.set_num_threads(1)
    expected = translated(lines, 64)
    assert len(set(expected.values())) > len(lines) / 2  # so that a wrong order would be found
    short = [line for line in lines if len(line.split()) < LONG]
    ways = [(lines, 1), (lines, 7), (Random(5).sample(lines, len(lines)), 64), (short, 64)]
    results = [translated(*way) for way in ways]
    torch.set_num_threads(2)
    results.append(translated(lines, 64))
    for found in results:
        assert len(found) in (len(lines), len(short))
        for line, (text, score) in found.items():
            assert text == expected[line][0]
            assert score == pytest.approx(expected[line][1], abs=1e-4)


@pytest.mark.usefixtures("_threads_again")
def test_threads_change_no_document(heads_model: Path, tmp_path: Path) -> None:
    model = package.load(heads_model)
    source, output = tmp_path / "in.html", tmp_path / "out.html"
    source.write_text(HTML + "".join(f"<p>{line}</p>\n" for line in _lines()[:9]))
    found = set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        model.translate_document(source, output)
        found.add(output.read_bytes())
    assert len(found) == 1
    assert found != {source.read_bytes()}
