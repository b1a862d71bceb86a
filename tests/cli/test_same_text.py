"""What a line becomes depends on no batch, order, neighbour or number of threads."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch
from document_samples import HTML
from hostile_lines import WORDS

import nmt as package

LONG = 500  # pieces at least: each word has one or more


def _lines() -> list[str]:
    """Return short lines, each of them different, and a very long one among them."""
    random = Random(3)
    lines = [" ".join(random.choices(WORDS, k=random.randint(1, 14))) for _ in range(70)]
    return [*lines[:9], " ".join(random.choices(WORDS, k=LONG)), *lines[9:]]


@pytest.fixture
def _threads_again() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads_again")
def test_batches_order_neighbours_and_threads_change_no_line(heads_model: Path) -> None:
    model = package.load(heads_model)
    lines = _lines()
    settings = {"max_length_ratio": 0.1, "max_length_extra": 5}

    def translated(texts: list[str], size: int) -> dict[str, str]:
        found = model.translate(
            texts, beam_size=3, long_lines="whole", settings={**settings, "batch_size": size}
        )
        return dict(zip(texts, found, strict=True))

    torch.set_num_threads(1)
    expected = translated(lines, 64)
    assert len(set(expected.values())) > len(lines) / 4  # so that a wrong order would be found
    assert translated(lines, 1) == expected
    assert translated(lines, 7) == expected
    assert translated(Random(5).sample(lines, len(lines)), 64) == expected
    short = [line for line in lines if len(line.split()) < LONG]
    assert translated(short, 64) == {line: expected[line] for line in short}
    torch.set_num_threads(2)
    assert translated(lines, 64) == expected


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
