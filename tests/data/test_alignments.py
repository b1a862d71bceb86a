"""Word links belong to a corpus and a cache entry; links of another text are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nmt.config.data import DataConfig, FilesDataConfig
from nmt.config.plain import from_mapping, to_mapping
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.config.word_link_settings import AlignmentFiles, GoldAlignments
from nmt.data.corpus import ParallelText, open_corpus
from nmt.data.preparation import prepared_corpus
from nmt.data.preparation.prepared_corpus import PreparedCorpus
from nmt.data.word_links import FirstWordCheck, check_links, parse_links
from nmt.data_check.preparation_report import PreparationReporter
from nmt.errors import UserError
from nmt.text.tokenizer import split_words

TOKENIZER = from_mapping(
    TokenizerConfig,
    {
        "name": "unigram",
        "vocab_size": 17,
        "joint": True,
        "byte_fallback": False,
        "character_coverage": 1.0,
        "normalization": "nmt_nfkc",
    },
)


def prepare(data: DataConfig, tokenizer: TokenizerConfig, **options: Any) -> PreparedCorpus:
    return prepared_corpus.prepare(data, tokenizer, PreparationReporter(data), **options)


SPLITS = ("train", "valid", "test")
SOURCE = ["one two", "", "two two one"]
TARGET = ["zwei eins", "nichts", "zwei  zwei eins"]
LINKS = ["0-1 1-0", "", "0-0 1-1 2p2"]


@pytest.fixture
def data(tmp_path: Path) -> FilesDataConfig:
    """Three splits of the same text; their links are in ``<split>.align`` but not configured."""
    for split in SPLITS:
        for suffix, lines in (("en", SOURCE), ("de", TARGET), ("align", LINKS)):
            (tmp_path / f"{split}.{suffix}").write_text("\n".join(lines) + "\n")
    files = {
        split: {"source": str(tmp_path / f"{split}.en"), "target": str(tmp_path / f"{split}.de")}
        for split in SPLITS
    }
    return from_mapping(
        FilesDataConfig,
        {
            "name": "files",
            **files,
            "source_language": "en",
            "target_language": "de",
            "max_length": 100,
            "cache_dir": str(tmp_path / "cache"),
        },
    )


@pytest.fixture
def named(data: FilesDataConfig, tmp_path: Path) -> FilesDataConfig:
    """The same corpus with its links configured."""
    names = {split: str(tmp_path / f"{split}.align") for split in SPLITS}
    return replace(data, alignments=AlignmentFiles(**names))


def test_links_are_read_where_they_are_named(data: FilesDataConfig, named: FilesDataConfig) -> None:
    parsed = [parse_links(line) for line in LINKS]
    without, corpus = open_corpus(data), open_corpus(named)
    assert without.valid.alignment is None
    assert corpus.valid.alignment == parsed
    assert corpus.test is not None
    assert corpus.test.alignment == parsed


def test_training_links_are_read_with_their_pairs(named: FilesDataConfig) -> None:
    (source,) = open_corpus(named).train
    assert source.links is not None
    reader = source.links.open()
    found = reader.read(SOURCE[:2], TARGET[:2]) + reader.read(SOURCE[2:], TARGET[2:])
    reader.finish()
    assert found == [parse_links(line) for line in LINKS]


def test_a_dataset_folder_may_contain_links(named: FilesDataConfig, tmp_path: Path) -> None:
    names = {split: split for split in SPLITS}
    hub = from_mapping(
        DataConfig,
        {
            "name": "huggingface",
            "path": "someone/something",
            "subset": None,
            "splits": names,
            "root": str(tmp_path),
            "stems": names,
            "source_language": "en",
            "target_language": "de",
            "max_length": 100,
            "alignments": to_mapping(named.alignments),
            "cache_dir": None,
        },
    )
    assert open_corpus(hub).valid.alignment == open_corpus(named).valid.alignment


def test_the_phrasebook_has_links_in_both_directions() -> None:
    there, back = (
        open_corpus(
            from_mapping(
                DataConfig,
                {
                    "name": "phrasebook",
                    "source_language": source,
                    "target_language": target,
                    "max_length": 100,
                    "cache_dir": None,
                },
            )
        )
        for source, target in (("en", "de"), ("de", "en"))
    )
    assert there.test is not None
    assert back.test is not None
    for one, other in ((there.valid, back.valid), (there.test, back.test)):
        assert one.alignment is not None
        assert other.alignment is not None
        assert [links.flipped() for links in one.alignment] == other.alignment
        assert one.alignment != other.alignment


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("0-0\n\n", "valid.align ends before pair 3"),
        ("0-0\n\n0-0\n\n", "valid.align continues after the last of 3 pairs"),
        ("0-0\n\n3-0\n", r"valid.align, line 3: the link 3-0 points outside .* 3 source and 3"),
        ("0-2\n\n\n", r"valid.align, line 1: the link 0-2 points outside .* 2 source and 2 target"),
        ("\n0-0\n\n", r"valid.align, line 2: the link 0-0 points outside .* 0 source and 1 target"),
        ("0p2\n\n\n", "valid.align, line 1: the link 0-2 points outside"),
        ("0-0\n\n0_0\n", "valid.align, line 3: '0_0' is not a link"),
    ],
)
def test_links_of_another_text_are_refused(
    named: FilesDataConfig, tmp_path: Path, content: str, complaint: str
) -> None:
    (tmp_path / "valid.align").write_text(content)
    with pytest.raises(UserError, match=complaint):
        open_corpus(named)


def test_a_missing_file_of_links_is_named(named: FilesDataConfig, tmp_path: Path) -> None:
    (tmp_path / "test.align").unlink()
    with pytest.raises(UserError, match=f"there is no file {tmp_path / 'test.align'}"):
        open_corpus(named)


@pytest.mark.parametrize("flip", [False, True])
def test_a_separate_gold_set_is_read_in_its_direction(
    data: FilesDataConfig, tmp_path: Path, flip: bool
) -> None:
    source, target, links = (tmp_path / f"gold.{suffix}" for suffix in ("en", "de", "align"))
    source.write_text("a b c\n")
    target.write_text("d e\n")
    links.write_text("0-2 1?0\n" if flip else "2-0 0?1\n")
    gold = GoldAlignments(source=str(source), target=str(target), links=str(links), flip=flip)
    found = open_corpus(replace(data, gold=gold)).gold
    assert found == ParallelText(["a b c"], ["d e"], [parse_links("2-0 0p1")])
    remedy = f"set data.gold.flip={str(flip).lower()}"
    with pytest.raises(UserError, match=rf"gold\.align, line 1: .* target word first: {remedy};"):
        open_corpus(replace(data, gold=replace(gold, flip=not flip)))


def test_the_error_is_measured_on_gold_then_test_then_validation(named: FilesDataConfig) -> None:
    whole = replace(open_corpus(named), gold=ParallelText(["a"], ["b"], [parse_links("0-0")]))
    without_gold = replace(whole, gold=None)
    without_test = replace(without_gold, test=None)
    neither = replace(without_test, valid=replace(whole.valid, alignment=None))
    assert whole.aligned_split() == ("gold", whole.gold)
    assert without_gold.aligned_split() == ("test", whole.test)
    assert without_test.aligned_split() == ("valid", whole.valid)
    assert neither.aligned_split() is None


# ------------------------------------------------------------------- prepared


def test_prepared_links_belong_to_the_remaining_pairs(named: FilesDataConfig) -> None:
    made, found = (prepare(named, TOKENIZER, with_links=True) for _ in range(2))
    assert (made.from_cache, found.from_cache) == (False, True)
    for prepared in (made, found):
        links = prepared.train.links
        assert links is not None
        assert len(links) == len(prepared.train) == 2  # the blank pair is dropped
        for row, number in enumerate((0, 2)):
            words = parse_links(LINKS[number]).sure
            sides = prepared.tokenizers.source, prepared.tokenizers.target
            source, target = (
                tokenizer.encode_words(text[number])[1]
                for tokenizer, text in zip(sides, (SOURCE, TARGET), strict=True)
            )
            assert links[row].tolist() == [
                [s, t]
                for s in range(len(source))
                for t in range(len(target))
                if (source[s], target[t]) in words
            ]


def test_links_do_not_change_an_unguided_run(data: FilesDataConfig, named: FilesDataConfig) -> None:
    prepare(data, TOKENIZER)
    again = prepare(named, TOKENIZER)
    assert again.from_cache
    assert again.train.links is None


def test_changed_links_are_prepared_again(named: FilesDataConfig, tmp_path: Path) -> None:
    prepare(named, TOKENIZER)
    assert not prepare(named, TOKENIZER, with_links=True).from_cache
    (tmp_path / "train.align").write_text("0-0\n\n\n")
    other = prepare(named, TOKENIZER, with_links=True)
    assert not other.from_cache
    assert other.train.links is not None
    assert other.train.links[1].tolist() == []
    assert prepare(named, TOKENIZER).from_cache


def test_guidance_without_links_is_refused_with_the_remedy(data: FilesDataConfig) -> None:
    with pytest.raises(UserError, match=r"set data\.alignments\.train=FILE"):
        prepare(data, TOKENIZER, with_links=True)


def test_damaged_links_are_named(named: FilesDataConfig) -> None:
    prepare(named, TOKENIZER, with_links=True)
    folder = prepare(named, TOKENIZER, with_links=True).folder
    (folder / "train.links.npy").write_bytes(b"")
    with pytest.raises(UserError, match=str(folder)):
        prepare(named, TOKENIZER, with_links=True)


@pytest.mark.parametrize(
    ("links", "words", "reason"),
    [
        ("1-1 2-3", (2, 3), "the file may count from 1: subtract 1, e.g. with: perl -pe"),
        ("0-0 1-2", (3, 2), "it may name the target word first"),
        ("0-0 7-9", (2, 3), "it may align other sentences, or words that a tab"),
    ],
)
def test_a_link_outside_its_pair_names_possible_reasons(
    links: str, words: tuple[int, int], reason: str
) -> None:
    with pytest.raises(UserError, match=f"counted from 0; .*{reason}"):
        check_links(parse_links(links), *words, where="x.align, line 1")


def test_links_of_training_have_no_option_that_exchanges_them(named: FilesDataConfig) -> None:
    source, links = Path(str(named.valid.source)), Path(str(named.alignments.valid))
    source.write_text("one two three\n\ntwo two one\n")
    links.write_text("0-2\n\n\n")
    with pytest.raises(UserError, match="line 1: .* first: exchange the two words of every link"):
        open_corpus(named)


def test_links_that_count_from_one_are_refused_even_if_all_are_inside() -> None:
    check = FirstWordCheck("x.align")
    for _ in range(9):
        check.add(parse_links("1-1 2-3"))
        check.add(parse_links(""))
    check.finish()
    check.add(parse_links("1-1"))
    with pytest.raises(UserError, match="no link of 10 pairs has word 0, .* perl -pe"):
        check.finish()
    check.add(parse_links("5-0"))
    check.finish()


@pytest.mark.parametrize("space", ["\t", "\u00a0", "\u3000", "  ", " \t "])
def test_words_are_split_at_any_white_space(space: str) -> None:
    assert split_words(f"{space}a{space}b c{space}") == ["a", "b", "c"]
