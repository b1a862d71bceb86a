"""A shortlist's file gives back what was saved, and any other file is refused in one line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.decoding.constrained.shortlist import Shortlist
from nmt.decoding.constrained.shortlist_file import NAME, load_shortlist, save_shortlist
from nmt.errors import UserError
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

TEXT = ["nabe boden rot", "tor orden beton", "erde abend nabe"] * 5


@pytest.fixture(scope="module")
def tokenizers(tokenizer_config: Callable[..., TokenizerConfig]) -> TokenizerPair:
    return train_tokenizers(tokenizer_config(), TEXT, TEXT)


@pytest.fixture
def shortlist(tokenizers: TokenizerPair) -> Shortlist:
    pairs = np.array([4, 4, 7, 9]), np.array([5, 11, 8, 10])
    return Shortlist.of(tokenizers, pairs, np.arange(len(tokenizers.target)), 3)


@pytest.fixture
def file(tmp_path: Path, shortlist: Shortlist) -> Path:
    save_shortlist(shortlist, tmp_path / NAME)
    return tmp_path / NAME


@pytest.mark.parametrize("size", [None, 1 << 17], ids=["16 bits", "32 bits"])
def test_a_file_gives_back_what_was_saved(
    tmp_path: Path, shortlist: Shortlist, tokenizers: TokenizerPair, size: int | None
) -> None:
    if size is not None:
        most = np.array([size - 1])
        shortlist = replace(shortlist, target_size=size, always=most)
    save_shortlist(shortlist, tmp_path / NAME)
    for path in (tmp_path, tmp_path / NAME):
        found = load_shortlist(path, tokenizers)
        for name, value in vars(shortlist).items():
            assert np.array_equal(getattr(found, name), value), name


def test_a_change_of_any_byte_is_refused(file: Path, tokenizers: TokenizerPair) -> None:
    content = file.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        file.write_bytes(bytes(changed))
        with pytest.raises(UserError, match=r"^[^\n]*shortlist\.bin[^\n]*nmt shortlist[^\n]*$"):
            load_shortlist(file, tokenizers)


@pytest.mark.parametrize("size", [0, 3, 14, 60, 200, -1])
def test_a_shortened_file_is_refused(file: Path, tokenizers: TokenizerPair, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(UserError, match="is damaged|is not a shortlist"):
        load_shortlist(file, tokenizers)


def test_sizes_in_the_header_take_no_memory(file: Path, tokenizers: TokenizerPair) -> None:
    magic, header, rest = file.read_bytes().split(b"\n", 2)
    for name in ("source_pieces", "candidates", "always"):
        for value in (1 << 27, 1 << 60, -1, 1.5, True, None, "9"):
            changed = {**json.loads(header), name: value}
            file.write_bytes(b"\n".join([magic, json.dumps(changed).encode(), rest]))
            with pytest.raises(UserError, match="is damaged"):
                load_shortlist(file, tokenizers)


def _resaved(file: Path, shortlist: Shortlist, **changes: object) -> None:
    save_shortlist(replace(shortlist, **changes), file)


def test_pieces_and_offsets_out_of_range_are_refused(
    file: Path, shortlist: Shortlist, tokenizers: TokenizerPair
) -> None:
    offsets = shortlist.offsets.copy()
    offsets[3] = offsets[-1] + 1
    wrong = {
        "candidates": shortlist.candidates + shortlist.target_size,
        "always": shortlist.always + shortlist.target_size,
        "offsets": offsets,
    }
    for name, value in wrong.items():
        _resaved(file, shortlist, **{name: value})
        with pytest.raises(UserError, match="is damaged"):
            load_shortlist(file, tokenizers)


@pytest.mark.parametrize("side", ["source", "target"])
def test_another_vocabulary_is_refused(
    file: Path,
    tokenizers: TokenizerPair,
    tokenizer_config: Callable[..., TokenizerConfig],
    side: str,
) -> None:
    text = [line.replace("b", "x") for line in TEXT]
    other = train_tokenizers(tokenizer_config(), text, text)
    with pytest.raises(UserError, match=f"another {side} vocabulary.*nmt shortlist RUN"):
        load_shortlist(file, replace(tokenizers, **{side: getattr(other, side)}))


def test_another_version_is_refused(file: Path, tokenizers: TokenizerPair) -> None:
    file.write_bytes(file.read_bytes().replace(b'"version": 1', b'"version": 2'))
    with pytest.raises(UserError, match="has shortlist format 2, but this nmt reads 1"):
        load_shortlist(file, tokenizers)


def test_a_missing_file_is_named_with_the_command_that_makes_it(
    tmp_path: Path, tokenizers: TokenizerPair
) -> None:
    with pytest.raises(UserError, match=f"has no {NAME}: make it with nmt shortlist {tmp_path}"):
        load_shortlist(tmp_path, tokenizers)
    with pytest.raises(UserError, match="there is no shortlist .*none: .*nmt shortlist RUN"):
        load_shortlist(tmp_path / "none", tokenizers)


def test_a_failed_write_keeps_the_old_file(file: Path, shortlist: Shortlist) -> None:
    before = file.read_bytes()
    partial = file.with_name(f".{file.name}.partial")
    partial.mkdir()  # so that it cannot be written
    with pytest.raises(UserError, match="cannot write .*the earlier file is unchanged"):
        save_shortlist(shortlist, file)
    assert file.read_bytes() == before
