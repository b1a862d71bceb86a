"""The options of `nmt attention` that draw weights on pictures."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.data.features import Features
    from nmt.evaluation.attention.pictures import Pictures

PicturesFile = Annotated[
    Path | None,
    typer.Option(
        "--pictures",
        help="With --regions, draw the weights on these pictures: picture i belongs to line i. A "
        "folder of .png or .jpg files, a .txt file of their names, or a .npy file [lines, height, "
        "width, 3].",
    ),
]
PictureGrid = Annotated[
    str | None,
    typer.Option(
        metavar="ROWSxCOLUMNS",
        help="How the regions divide each picture, row by row. [as many rows as columns]",
    ),
]


@dataclass(frozen=True)
class PictureOptions:
    """The pictures and their grid, as given."""

    path: Path | None
    grid: str | None

    def check(self, *, regions: bool, drawn: bool) -> None:
        """Check that the options belong to pictures of regions.

        Args:
            regions: Whether --regions is given.
            drawn: Whether an output file is a picture.

        Raises:
            UserError: An option does not apply, or the grid is not two numbers.
        """
        if self.path is None:
            if self.grid is not None:
                raise UserError("--picture-grid divides pictures: add --pictures FILE")
            return
        if not regions:
            raise UserError("--pictures shows the attention to regions: add --regions")
        if not drawn:
            raise UserError("--pictures draws pictures: add --output with .png, .svg or .pdf")
        self._shape()

    def open(self, features: "Features") -> "Pictures | None":
        """Open the pictures of the lines that have these features; None: there are none.

        Raises:
            UserError: The pictures cannot be read, their number differs from the number of lines,
                or the grid does not have one cell per region.
        """
        if self.path is None:
            return None
        from nmt.evaluation.attention.pictures import open_pictures

        pictures = open_pictures(self.path, self._shape(), len(features))
        for row in range(len(features)):
            pictures.grid_of(len(features.read(row)))
        return pictures

    def _shape(self) -> tuple[int, int] | None:
        if self.grid is None:
            return None
        found = re.fullmatch(r"([1-9][0-9]{0,3})[xX]([1-9][0-9]{0,3})", self.grid)
        if found is None:
            raise UserError(
                f"--picture-grid {self.grid} is not ROWSxCOLUMNS: give two numbers, such as 7x7"
            )
        return int(found[1]), int(found[2])
