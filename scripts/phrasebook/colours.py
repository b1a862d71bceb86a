"""Corpora whose text does not contain all that a translation needs: the rest is in pictures.

Sentences without their colour (Caglayan et al. 2019, section 3.1, colour deprivation): sentences of
the phrasebook with one colour, which a placeholder replaces in the source. Captions: the shapes
in a picture and their places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from phrasebook.pictures import CELLS, COLOURS, SHAPES, Floats, assembled, draw, features

PHRASEBOOK = Path(__file__).resolve().parents[2] / "data" / "phrasebook" / "train"
PLACEHOLDER = "[v]"
STEMS = {
    "red": "rot",
    "blue": "blau",
    "green": "grün",
    "black": "schwarz",
    "white": "weiß",
    "brown": "braun",
    "grey": "grau",
}
HELD_OUT = {"valid": 0.05, "test": 0.1}  # shares of the sentences
_ENGLISH = re.compile(rf"\b({'|'.join(STEMS)})\b")
_GERMAN = re.compile(rf"\b({'|'.join(STEMS.values())})(e|en|er|es|em)\b")
_GENDERS = {"square": "es Quadrat", "circle": "er Kreis", "triangle": "es Dreieck"}
_GENDERS |= {"cross": "es Kreuz"}
_PLACES = ("oben links", "oben rechts", "unten links", "unten rechts")


@dataclass(frozen=True)
class Split:
    """Sentences with their features; line i of all belongs together.

    Attributes:
        source: English text.
        target: German text.
        features: [N, 4, 64].
        pictures: [N, 4, 8, 8, 3], from which the features are made.
    """

    source: list[str]
    target: list[str]
    features: Floats
    pictures: Floats

    def write(self, folder: Path, name: str) -> None:
        """Write NAME.en, NAME.de, NAME.npy and NAME.pictures.npy [N, 16, 16, 3] into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for side, lines in (("en", self.source), ("de", self.target)):
            text = "".join(f"{line}\n" for line in lines)
            (folder / f"{name}.{side}").write_text(text, encoding="utf-8", newline="\n")
        np.save(folder / f"{name}.npy", self.features)
        np.save(folder / f"{name}.pictures.npy", assembled(self.pictures))

    def shuffled(self, seed: int = 1) -> Split:
        """Return the text beside the pictures of other sentences."""
        order = np.random.default_rng(seed).permutation(len(self.source))
        return Split(self.source, self.target, self.features[order], self.pictures[order])


def colour_of(german: str) -> str | None:
    """Return the stem of the first colour word of a German sentence; None: there is none."""
    found = _GERMAN.search(german)
    return None if found is None else found[1]


def colours_struck_out(
    versions: int = 7, longest: int | None = None, seed: int = 1
) -> dict[str, Split]:
    """Make the sentences without their colour: train, valid and test, which share no sentence.

    A sentence of the phrasebook becomes ``versions`` pairs, each with another colour, so that the
    source does not restrict the colour. One cell of its picture has a shape of this colour.

    Args:
        versions: Pairs of each sentence, at most as many as there are colours.
        longest: Words of the longest English sentence; None: all sentences.
        seed: Chooses splits, colours, shapes and noise.
    """
    random = np.random.default_rng(seed)
    pairs = [pair for pair in _sentences() if longest is None or len(pair[0].split()) <= longest]
    random.shuffle(pairs)
    splits, start = {}, 0
    for name, share in (*HELD_OUT.items(), ("train", 1.0)):
        end = len(pairs) if name == "train" else start + round(share * len(pairs))
        splits[name] = _struck_out(pairs[start:end], versions, random)
        start = end
    return splits


def captions(count: int = 4000, seed: int = 2) -> dict[str, Split]:
    """Make captions of one or two shapes: train, valid and test of fresh pictures.

    The source is the name of a picture, which does not describe the picture.
    """
    random = np.random.default_rng(seed)
    sizes = {"valid": count // 40, "test": count // 20, "train": count}
    return {name: _captions(name, size, random) for name, size in sizes.items()}


def _sentences() -> list[tuple[str, str]]:
    sides = (PHRASEBOOK.with_suffix(f".{s}").read_text("utf-8").splitlines() for s in ("en", "de"))
    return [
        pair
        for pair in zip(*sides, strict=True)
        if len(english := _ENGLISH.findall(pair[0])) == len(german := _GERMAN.findall(pair[1])) == 1
        and STEMS[english[0]] == german[0][0]
    ]


def _struck_out(pairs: list[tuple[str, str]], versions: int, random: np.random.Generator) -> Split:
    source, target, pictures = [], [], []
    for english, german in pairs:
        for colour in random.permutation(list(COLOURS))[:versions].tolist():
            source.append(_ENGLISH.sub(PLACEHOLDER, english))
            target.append(_GERMAN.sub(rf"{STEMS[colour]}\2", german))
            shape = str(random.choice(SHAPES))
            pictures.append(draw({int(random.integers(CELLS)): (shape, colour)}, random))
    return _split(source, target, pictures)


def _captions(name: str, count: int, random: np.random.Generator) -> Split:
    source, target, pictures = [], [], []
    for number in range(count):
        cells = sorted(random.permutation(CELLS)[: random.integers(1, 3)].tolist())
        contents = {
            cell: (str(random.choice(SHAPES)), str(random.choice(list(COLOURS)))) for cell in cells
        }
        source.append(f"{name}-{number:05}.png")
        target.append(" und ".join(_phrase(cell, *what) for cell, what in contents.items()))
        pictures.append(draw(contents, random))
    return _split(source, target, pictures)


def _phrase(cell: int, shape: str, colour: str) -> str:
    return f"ein {STEMS[colour]}{_GENDERS[shape]} {_PLACES[cell]}"


def _split(source: list[str], target: list[str], pictures: list[npt.NDArray[np.float32]]) -> Split:
    stacked = np.stack(pictures)
    return Split(source, target, features(stacked), stacked)
