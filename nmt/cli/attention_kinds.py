"""`nmt attention --kinds`: a picture of each kind of self-attention, without a model."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import nmt
from nmt.durable_file import atomic_write
from nmt.errors import UserError
from nmt.written_file import written_file

Drawing = Callable[..., str]
"""Returns a picture as SVG; ``in_page`` says whether an HTML page contains it."""

_SUFFIXES = (".html", ".svg")


def show_kinds(outputs: Sequence[Path]) -> None:
    """Write a page (.html) or one picture for each kind (.svg); without a file, print a table.

    Raises:
        UserError: A file has another suffix, or cannot be written.
    """
    for path in outputs:
        if path.suffix.lower() not in _SUFFIXES:
            raise UserError(f"--output {path}: with --kinds give a .html or .svg file")
    from nmt.reporting.kind_texts import KIND_TEXTS

    if not outputs:
        width = max(len(kind) for kind in KIND_TEXTS)
        for kind, text in KIND_TEXTS.items():
            print(f"{kind.value:<{width}}  {text.cost:<20}  {text.take}")
        return
    encoder, decoder = _pictures()
    for path in outputs:
        with written_file(f"--output {path}", path):
            if path.suffix.lower() == ".html":
                from nmt.reporting.pages.kinds_page import save_kinds_page

                save_kinds_page(encoder, decoder, path, nmt.__version__)
                continue
            for name, draw in encoder.items():
                with atomic_write(path.with_name(f"{path.stem}-{name}{path.suffix}")) as file:
                    file.write_text(f"{draw(in_page=False)}\n", encoding="utf-8", newline="\n")


def _pictures() -> tuple[dict[str, Drawing], dict[str, Drawing]]:
    """Return functions that draw each kind: first as in an encoder, then as in a decoder."""
    from nmt.evaluation.attention.kind_pictures import WORDS, kind_pictures
    from nmt.reporting.kind_drawing import kind_svg

    sides: tuple[dict[str, Drawing], dict[str, Drawing]] = ({}, {})
    for picture in kind_pictures():
        title = f"{picture.kind}, {'decoder' if picture.causal else 'encoder'}"
        draw = partial(kind_svg, WORDS, picture.weights, title)
        sides[picture.causal][picture.kind] = draw
    return sides
