"""An HTML page of the kinds of self-attention: a picture, the cost and the use of each.

The page is one file that works offline; see `self_contained`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from markupsafe import Markup

from nmt.durable_file import atomic_write
from nmt.reporting.kind_texts import KIND_TEXTS
from nmt.reporting.pages.self_contained import render_page


def save_kinds_page(
    encoder: Mapping[str, Callable[..., str]],
    decoder: Mapping[str, Callable[..., str]],
    path: Path,
    version: str,
) -> None:
    """Write the page. The file appears complete or not at all.

    Args:
        encoder: For each kind, a function that draws it in an encoder; see `kind_drawing.kind_svg`.
        decoder: The same for a decoder, without the kinds that a decoder cannot use.
        path: The file; missing folders are created.
        version: The version of nmt.
    """
    kinds = [
        {
            "name": kind.value,
            "text": text,
            "encoder": Markup(encoder[kind](in_page=True)),
            "decoder": Markup(decoder[kind](in_page=True)) if kind in decoder else None,
        }
        for kind, text in KIND_TEXTS.items()
    ]
    command = (
        "The settings model.encoder.self_attention and model.decoder.self_attention select a kind."
    )
    page = render_page("kinds_page", {"kinds": kinds, "command": command, "version": version})
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
