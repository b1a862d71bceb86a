"""A corpus is prepared once and cached by its inputs; an entry is complete or absent."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.config.data import FilesDataConfig
from nmt.config.plain import from_mapping
from nmt.config.source_settings import SourceConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.encoded import PieceSequences
from nmt.data.preparation import prepared_corpus
from nmt.data.preparation.cache_key import TOKENIZER_SETTINGS
from nmt.data.preparation.encode_training_text import TrainingEncoder
from nmt.data.preparation.prepared_corpus import PreparedCorpus
from nmt.data_check.preparation_report import PreparationReporter
from nmt.errors import UserError

TOKENIZER = from_mapping(
    TokenizerConfig,
    {
        "name": "unigram",
        "vocab_size": 26,
        "joint": True,
        "byte_fallback": False,
        "character_coverage": 1.0,
        "normalization": "nmt_nfkc",
    },
)
ENGLISH = ["one two", "two three four", "", "three one", "four four four four four two", "five"]
GERMAN = ["eins zwei", "zwei drei vier", "nichts", "drei eins", "vier", ""]


def prepare(data: FilesDataConfig, tokenizer: TokenizerConfig, **options: Any) -> PreparedCorpus:
    return prepared_corpus.prepare(data, tokenizer, PreparationReporter(data), **options)


@pytest.fixture
def data(tmp_path: Path) -> FilesDataConfig:
    for split in ("train", "valid"):
        (tmp_path / f"{split}.en").write_text("\n".join(ENGLISH) + "\n")
        (tmp_path / f"{split}.de").write_text("\n".join(GERMAN) + "\n")
    train, valid = (
        {"source": str(tmp_path / f"{split}.en"), "target": str(tmp_path / f"{split}.de")}
        for split in ("train", "valid")
    )
    return from_mapping(
        FilesDataConfig,
        {
            "name": "files",
            "train": train,
            "valid": valid,
            "test": None,
            "source_language": "en",
            "target_language": "de",
            "max_length": 100,
            "cache_dir": str(tmp_path / "cache"),
        },
    )


def _entries(data: FilesDataConfig) -> list[str]:
    folder = Path(data.cache_dir or "")
    names = (path.name for path in folder.iterdir()) if folder.exists() else ()
    return sorted(name for name in names if not name.endswith(".lock"))


def test_the_second_call_finds_what_the_first_made(data: FilesDataConfig) -> None:
    first, second = prepare(data, TOKENIZER), prepare(data, TOKENIZER)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert len(_entries(data)) == 1
    assert first.tokenizers.source.to_bytes() == second.tokenizers.source.to_bytes()
    assert second.tokenizers.joint
    assert first.dropped.to_mapping() == second.dropped.to_mapping()
    assert first.report == second.report
    for side in ("source", "target"):
        before, after = getattr(first.train, side), getattr(second.train, side)
        np.testing.assert_array_equal(before.ids, after.ids)
        np.testing.assert_array_equal(before.offsets, after.offsets)


def test_pairs_with_a_blank_side_are_dropped_and_counted(data: FilesDataConfig) -> None:
    prepared = prepare(data, TOKENIZER)
    assert prepared.dropped.to_mapping() == {
        "kept": 4,
        "dropped": [{"rule": "blank", "count": 2}],
    }
    texts = [prepared.tokenizers.source.decode(ids) for ids in _sequences(prepared.train.source)]
    assert texts == [ENGLISH[i] for i in (0, 1, 3, 4)]


def test_pairs_with_a_long_side_are_dropped_and_counted(data: FilesDataConfig) -> None:
    whole = prepare(data, TOKENIZER).train
    longest = max(whole.source.lengths.max(), whole.target.lengths.max())
    prepared = prepare(replace(data, max_length=int(longest) - 1), TOKENIZER)
    dropped = {row["rule"]: row["count"] for row in prepared.dropped.to_mapping()["dropped"]}
    assert dropped["too_long"] >= 1
    assert len(prepared.train) == len(whole) - dropped["too_long"]
    assert prepared.train.source.lengths.max() < longest


def _sequences(sequences: PieceSequences) -> list[list[int]]:
    return [sequences[i].tolist() for i in range(len(sequences))]


@pytest.mark.parametrize(
    "change",
    [
        {"vocab_size": 25},
        {"name": "bpe"},
        {"joint": False, "vocab_size": 17},
        {"normalization": "identity"},
    ],
)
def test_a_different_tokenizer_prepares_again(
    data: FilesDataConfig, change: dict[str, Any]
) -> None:
    prepare(data, replace(TOKENIZER, vocab_size=26))
    assert not prepare(data, replace(TOKENIZER, **({"vocab_size": 26} | change))).from_cache
    assert len(_entries(data)) == 2


def test_settings_of_sampling_do_not_prepare_again(data: FilesDataConfig) -> None:
    prepare(data, TOKENIZER)
    assert prepare(data, replace(TOKENIZER, sampling=0.1)).from_cache


def test_every_setting_of_the_tokenizer_was_considered() -> None:
    """A new setting changes the segmentation, or is listed here as one that does not."""
    settings = {field.name for field in fields(TokenizerConfig)}
    assert settings == {*TOKENIZER_SETTINGS, "sampling", "model", "target_model"}


def test_a_different_length_or_text_prepares_again(data: FilesDataConfig) -> None:
    prepare(data, TOKENIZER)
    assert not prepare(replace(data, max_length=99), TOKENIZER).from_cache
    Path(data.train.target).write_text("\n".join([*GERMAN[:-1], "fünf"]) + "\n")
    prepared = prepare(data, TOKENIZER)
    assert not prepared.from_cache
    assert prepared.dropped.dropped == 1


def test_swapped_languages_prepare_again(data: FilesDataConfig) -> None:
    there = prepare(data, TOKENIZER)
    train, valid = (
        SourceConfig(source=split.target, target=split.source) for split in (data.train, data.valid)
    )
    swapped = replace(data, source_language="de", target_language="en", train=train, valid=valid)
    back = prepare(swapped, TOKENIZER)
    assert not back.from_cache
    texts = [back.tokenizers.source.decode(ids) for ids in _sequences(back.train.source)]
    assert texts == [there.tokenizers.target.decode(ids) for ids in _sequences(there.train.target)]


def test_validation_text_does_not_change_the_training_data(data: FilesDataConfig) -> None:
    before = prepare(data, TOKENIZER)
    assert data.valid.source is not None
    Path(data.valid.source).write_text("\n".join(["xyz"] * len(ENGLISH)) + "\n")
    after = prepare(data, TOKENIZER)
    assert after.tokenizers.source.to_bytes() == before.tokenizers.source.to_bytes()
    assert _sequences(after.train.source) == _sequences(before.train.source)
    assert after.text.valid.source[0] == "xyz"
    assert not after.from_cache  # the report includes the overlap of training and validation
    assert after.report != before.report


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_preparation_leaves_no_folder(
    data: FilesDataConfig, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise kind

    with monkeypatch.context() as patch:
        patch.setattr(TrainingEncoder, "encode", broken)
        with pytest.raises(kind):
            prepare(data, TOKENIZER)
    assert _entries(data) == []
    assert not prepare(data, TOKENIZER).from_cache
    assert prepare(data, TOKENIZER).from_cache


@pytest.mark.parametrize("name", ["source.model", "train.source.ids.npy", "report.json"])
def test_a_damaged_cache_is_named(data: FilesDataConfig, name: str) -> None:
    prepare(data, TOKENIZER)
    (entry,) = _entries(data)
    folder = Path(data.cache_dir or "") / entry
    (folder / name).write_bytes(b"")
    with pytest.raises(UserError, match=str(folder)):
        prepare(data, TOKENIZER)


def test_every_flipped_bit_and_every_cut_of_the_cache_is_recognised(data: FilesDataConfig) -> None:
    prepare(data, TOKENIZER)
    (entry,) = _entries(data)
    folder = Path(data.cache_dir or "") / entry
    files = sorted(path for path in folder.iterdir() if path.name != "checksums.json")
    assert len(files) > 6
    for path in files:
        whole = path.read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        for damaged in (flipped, whole[:-1], whole[:middle], b""):
            path.write_bytes(damaged)
            with pytest.raises(UserError, match=f"{path.name}.*delete that folder"):
                prepare(data, TOKENIZER)
        path.write_bytes(whole)
    assert prepare(data, TOKENIZER).from_cache
    (folder / "checksums.json").unlink()  # as an earlier version wrote it
    assert prepare(data, TOKENIZER).from_cache


def test_dropping_every_pair_is_refused_with_the_reasons(data: FilesDataConfig) -> None:
    with pytest.raises(
        UserError, match=r"no training pair .* is left.*blank 2, too_long 4|too_long 4, blank 2"
    ):
        prepare(replace(data, max_length=1), TOKENIZER)
    assert _entries(data) == []


def test_the_environment_variable_sets_the_cache_folder(
    data: FilesDataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "elsewhere"))
    prepare(replace(data, cache_dir=None), TOKENIZER)
    assert len(_entries(replace(data, cache_dir=str(tmp_path / "elsewhere")))) == 1


def test_text_that_changes_while_it_is_read_is_not_kept(
    data: FilesDataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the cache would contain other text with the same number of lines."""
    whole = TrainingEncoder.encode

    def change(*arguments: Any) -> Any:
        Path(data.train.target or "").write_text("\n".join(reversed(GERMAN)) + "\n")
        return whole(*arguments)

    monkeypatch.setattr(TrainingEncoder, "encode", change)
    with pytest.raises(UserError, match="changed while it was read"):
        prepare(data, TOKENIZER)
    assert _entries(data) == []


def test_the_text_is_not_overwritten_by_what_is_dropped(data: FilesDataConfig) -> None:
    table = Path(data.train.source or "").with_name("train.tsv")
    lines = [f"{s}\t{t}" for s, t in zip(["en", *ENGLISH], ["de", *GERMAN], strict=True)]
    table.write_text("\n".join(lines))
    config = replace(data, train=SourceConfig(path=str(table)), dropped=str(table))
    with pytest.raises(UserError, match=r"train\.tsv already exists"):
        prepare(config, TOKENIZER)
    assert table.read_text() == "\n".join(lines)


def test_a_tag_does_not_hide_overlap_with_validation(data: FilesDataConfig) -> None:
    filters = replace(data.filters, test_overlap=True)
    telling = "four four four four four two"
    for split in ("train", "valid"):
        for tag in (None, "<bt>"):
            config = replace(data, filters=filters)
            config = replace(config, **{split: replace(getattr(data, split), tag=tag)})
            prepared = prepare(config, replace(TOKENIZER, name="char", vocab_size=60))
            pairs = prepared.train.source
            kept = [prepared.tokenizers.source.decode(ids) for ids in _sequences(pairs)]
            assert not any(telling in text for text in kept)
            rules = {row["rule"]: row["count"] for row in prepared.dropped.to_mapping()["dropped"]}
            assert rules["test_overlap"] == 1


def test_word_links_do_not_count_the_tag(data: FilesDataConfig, tmp_path: Path) -> None:
    (tmp_path / "links").write_text("0-0 1-1\n0-0\n\n0-0\n4-0\n\n")
    alignments = replace(data.alignments, train=str(tmp_path / "links"))
    tokenizer = replace(TOKENIZER, name="char", symbols=["<bt>"], vocab_size=60)
    plain = replace(data, alignments=alignments)
    tagged = replace(plain, train=replace(data.train, tag="<bt>"))
    alone, behind = (prepare(d, tokenizer, with_links=True).train for d in (plain, tagged))
    assert alone.links is not None
    assert behind.links is not None
    for index in range(len(alone)):
        shifted = [(s + 1, t) for s, t in alone.links[index].tolist()]
        assert [tuple(link) for link in behind.links[index].tolist()] == shifted
