"""Pictures behind the regions of a model: formats, grids, faults."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nmt.errors import UserError
from nmt.evaluation.attention.pictures import open_pictures

RED, HALF = (255, 0, 0), (128, 128, 128)


def _image(path: Path, colour: tuple[int, int, int] = RED) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (3, 2), colour).save(path)
    return path


def test_a_folder_and_a_list_give_the_pictures_in_the_order_of_their_numbers(
    tmp_path: Path,
) -> None:
    for number in (10, 9, 1):
        _image(tmp_path / "all" / f"{number}.png", (number, 0, 255))
    (tmp_path / "list.txt").write_text("all/1.png\nall/9.png\nall/10.png\n")
    for path in (tmp_path / "all", tmp_path / "list.txt"):
        pictures = open_pictures(path, None, 3)
        for index, number in enumerate((1, 9, 10)):
            found = pictures.read(index)
            assert found.shape == (2, 3, 3)
            assert found[0, 0] == pytest.approx([number / 255, 0, 1])


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_every_format_keeps_a_plain_colour(suffix: str, tmp_path: Path) -> None:
    _image(tmp_path / "all" / f"1.{suffix}", HALF)
    found = open_pictures(tmp_path / "all", None, 1).read(0)
    assert found == pytest.approx(np.full((2, 3, 3), 128 / 255), abs=0.02)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64])
def test_an_array_has_values_from_0_to_1(kind: type, tmp_path: Path) -> None:
    largest = 1.0 if kind is np.float64 else 255
    grey = np.linspace(0, largest, 24).astype(kind).reshape(1, 4, 6)
    for pixels in (grey, np.repeat(grey[..., None], 3, axis=3)):
        np.save(tmp_path / "p.npy", pixels)
        found = open_pictures(tmp_path / "p.npy", None, 1).read(0)
        assert found.shape == (4, 6, 3)
        assert (found.min(), found.max()) == (0, 1)


@pytest.mark.parametrize("value", [200.0, -0.5, np.nan, 256, -1])
def test_values_outside_the_range_are_refused(value: float, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.full((1, 2, 2, 3), value))
    with pytest.raises(UserError, match="picture 1 has values from .* they must be whole numbers"):
        open_pictures(tmp_path / "p.npy", None, 1).read(0)


def test_a_grid_has_as_many_regions_as_the_features(tmp_path: Path) -> None:
    _image(tmp_path / "all" / "1.png")
    square = open_pictures(tmp_path / "all", None, 1)
    assert square.grid_of(49) == (7, 7)
    with pytest.raises(UserError, match="50 regions are not a square: give their rows and"):
        square.grid_of(50)
    given = open_pictures(tmp_path / "all", (5, 10), 1)
    assert given.grid_of(50) == (5, 10)
    with pytest.raises(UserError, match="5x10 has 50 regions, but the features have 49"):
        given.grid_of(49)


def test_faulty_pictures_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    _image(folder / "1.png")
    (folder / "2.png").write_bytes((folder / "1.png").read_bytes()[:40])
    (folder / "3.jpg").write_text("no picture")
    for array in (np.zeros(()), np.zeros((1, 2, 2, 3), complex), np.full((1, 2, 2, 3), "a")):
        np.save(tmp_path / "q.npy", array)
        with pytest.raises(UserError, match="q.npy has the shape .* of real numbers"):
            open_pictures(tmp_path / "q.npy", None, 1)
    np.save(tmp_path / "p.npy", np.zeros((1, 2, 2, 5)))
    pictures = open_pictures(folder, None, 3)
    for index in (1, 2):
        with pytest.raises(UserError, match=rf"all, picture {index + 1} cannot be read: "):
            pictures.read(index)
    with pytest.raises(UserError, match=r"has the shape \[2, 2, 5\]; it must be"):
        open_pictures(tmp_path / "p.npy", None, 1).read(0)
    with pytest.raises(UserError, match="has 3 pictures, but there are 2 lines"):
        open_pictures(folder, None, 2)
    with pytest.raises(UserError, match="there is no such file"):
        open_pictures(tmp_path / "none", None, 2)
    with pytest.raises(UserError, match="is not a format of pictures: give a .npy"):
        open_pictures(_image(tmp_path / "x.png"), None, 1)
