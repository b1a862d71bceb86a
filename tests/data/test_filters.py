"""Which pairs are dropped, by which rule, and how this is reported."""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.filter_settings import FiltersConfig
from nmt.data.filters import (
    RULES,
    FilterRule,
    PairFilters,
    duplicate_keys,
    first_only,
    held_out_hashes,
)
from nmt.data.preparation.dropped_pairs import DropTable, check_dropped, dropped_pairs_file
from nmt.errors import UserError

Make = Callable[..., FiltersConfig]
GOOD = ("Ein Hund schläft auf dem Sofa.", "A dog is asleep on the sofa.")


@pytest.fixture
def filters() -> Make:
    """Settings with every rule off except the given ones."""
    off = {
        "max_words": None,
        "max_ratio": None,
        "duplicates": "keep",
        "copies": False,
        "scripts": False,
        "language": None,
        "test_overlap": False,
    }
    return lambda **on: FiltersConfig(**{**off, **on})


def rule_of(config: FiltersConfig, pair: tuple[str, str], languages=("de", "en"), held_out=None):
    verdicts = PairFilters(config, languages, held_out).verdicts([pair[0]], [pair[1]])
    assert verdicts.dtype == np.uint8
    return RULES[verdicts[0]]


BREAKING = [  # settings, a pair that breaks the rule, a similar pair that does not, the rule
    ({}, ("", "A dog."), GOOD, "blank"),
    ({}, ("Ein Hund.", " \u3000\t"), GOOD, "blank"),
    ({"max_words": 3}, ("Das ist ein Hund", "A dog"), ("Ein Hund ist", "A dog is"), "max_words"),
    ({"max_words": 3}, ("Hund", "a b c d"), ("Hund", "a bb cc"), "max_words"),
    ({"max_ratio": 2.0}, ("x" * 41, "y" * 20), ("x" * 40, "y" * 20), "max_ratio"),
    ({"max_ratio": 2.0}, ("x" * 20, "y" * 41), ("x" * 20, "y" * 40), "max_ratio"),
    ({"max_ratio": 2.0}, ("x" * 21, "y"), ("x" * 20, "y"), "max_ratio"),
    ({"copies": True}, ("Ein Hund.", "Ein Hund. "), ("Ein Hund.", "ein Hund."), "copy"),
    ({"scripts": True}, ("Собака спит", GOOD[1]), ("Hund Бим schläft", GOOD[1]), "script"),
    ({"scripts": True}, (GOOD[0], "Собака ab"), (GOOD[0], "12:30 ..."), "script"),
]


@pytest.mark.parametrize(("on", "breaking", "passing", "rule"), BREAKING)
def test_a_rule_drops_only_the_pairs_that_break_it(
    on: dict[str, object],
    breaking: tuple[str, str],
    passing: tuple[str, str],
    rule: str,
    filters: Make,
) -> None:
    assert rule_of(filters(**on), breaking) == rule
    assert rule_of(filters(**on), passing) == "kept"
    if rule != "blank":
        assert rule_of(filters(), breaking) == "kept"


def test_each_pair_is_judged_alone_and_the_first_broken_rule_is_counted(filters: Make) -> None:
    config = filters(max_words=8, max_ratio=2.0, copies=True, scripts=True, test_overlap=True)
    pairs = [
        GOOD,
        ("Собака", "Собака"),
        ("Eins zwei drei vier fünf", "One two three four five"),
        ("", ""),
        ("Eins zwei drei vier fünf", "Ноль один два три четыре"),
        ("ein " * 9, "ein " * 9),
    ]
    held_out = held_out_hashes([(["eins, zwei, drei, vier, fünf"], ["Lorem ipsum dolor sit"])])
    chosen = PairFilters(config, ("de", "en"), held_out)
    rules = ["kept", "copy", "test_overlap", "blank", "script", "max_words"]
    sources, targets = zip(*pairs, strict=True)
    for copy in (chosen, pickle.loads(pickle.dumps(chosen))):
        assert [RULES[verdict] for verdict in copy.verdicts(sources, targets)] == rules
    assert chosen.verdicts([], []).shape == (0,)


def test_a_character_of_chinese_counts_for_several_of_an_alphabet(filters: Make) -> None:
    pair = (
        "我们昨天在公园里看见了一只很大的黑色的狗。",
        "Yesterday we saw a very big black dog in the park.",
    )
    config = filters(max_ratio=1.5)
    assert rule_of(config, pair, ("zh", "en")) == "kept"
    assert rule_of(config, pair[::-1], ("en", "zh")) == "kept"
    assert rule_of(config, pair, ("xx", "en")) == "max_ratio"


def test_a_language_of_two_scripts_may_be_in_either(filters: Make) -> None:
    for text in ("Pas spava.", "Пас спава."):
        assert rule_of(filters(scripts=True), (text, "A dog."), ("sr", "en")) == "kept"


def test_overlap_is_either_side_ignoring_case_and_punctuation(filters: Make) -> None:
    config = filters(test_overlap=True)
    held_out = held_out_hashes([([GOOD[0]], [GOOD[1]]), (["Ja."], ["Yes."])])
    assert len(held_out) == 2
    assert (np.diff(held_out.astype(object)) > 0).all()
    for pair in (GOOD, (GOOD[0].upper(), "?"), ("...", " a dog is asleep, on the sofa")):
        assert rule_of(config, pair, held_out=held_out) == "test_overlap"
    assert rule_of(config, ("Ja.", "Yes."), held_out=held_out) == "kept"
    assert rule_of(config, ("Kein Hund schläft", "No dog is asleep"), held_out=held_out) == "kept"
    assert rule_of(filters(), GOOD, held_out=held_out) == "kept"
    assert rule_of(config, GOOD, held_out=held_out_hashes([])) == "kept"


def test_overlap_is_found_where_words_are_not_separated(filters: Make) -> None:
    long, short = "我们昨天在公园里看见了一只狗。", "你好。"
    held_out = held_out_hashes([([long, short], ["12 345-678-901", "Hi."])])
    config = filters(test_overlap=True)
    assert rule_of(config, (long, "x"), ("zh", "en"), held_out) == "test_overlap"
    assert rule_of(config, (short, "x"), ("zh", "en"), held_out) == "kept"
    assert rule_of(config, ("x", "12 345-678-901"), ("zh", "en"), held_out) == "kept"


def test_duplicates_are_exact_or_nearly(filters: Make) -> None:
    sources = ["Ja.", "Ja.", "ja", "Ja.", "Yes."]
    targets = ["Yes.", "Yes.", "YES!", "Yeah.", "Ja."]
    assert duplicate_keys(filters(), sources, targets) is None
    expected = {
        "exact": [True, False, True, True, True],
        "normalized": [True, False, False, True, True],
    }
    for kind, firsts in expected.items():
        keys = duplicate_keys(filters(duplicates=kind), sources, targets)
        assert keys is not None
        assert first_only(keys).tolist() == firsts


@given(st.lists(st.integers(0, 5)))
def test_the_first_of_equal_keys_is_kept(keys: list[int]) -> None:
    firsts = [key not in keys[:index] for index, key in enumerate(keys)]
    assert first_only(np.array(keys, dtype=np.uint64)).tolist() == firsts


def test_a_table_lists_the_largest_counts_first() -> None:
    table = DropTable()
    assert table.lines() == []
    table.count(np.zeros(1988, dtype=np.uint8))
    assert table.lines() == []
    table.count(np.array([RULES.index("copy")] + 11 * [RULES.index("blank")], dtype=np.uint8))
    table.add(FilterRule.DUPLICATE, 1000)
    dropped = [("duplicate", 1000), ("blank", 11), ("copy", 1)]
    assert table.to_mapping() == {
        "kept": 1988,
        "dropped": [{"rule": rule, "count": count} for rule, count in dropped],
    }
    head, *rows = table.lines()
    assert "1,012" in head
    assert "3,000" in head
    assert [row.split()[:2] for row in rows] == [[rule, f"{count:,}"] for rule, count in dropped]
    assert ["33.3 %" in rows[0], "0.4 %" in rows[1], "< 0.1 %" in rows[2]] == [True] * 3
    assert (table.kept, table.dropped) == (1988, 1012)


def test_every_rule_has_a_description() -> None:
    table = DropTable()
    for rule in RULES[1:]:
        table.add(rule, 1)
    assert all(len(line.split()) > 5 for line in table.lines())


@pytest.mark.parametrize("name", ["dropped.tsv", "dropped.tsv.gz"])
def test_dropped_pairs_are_a_line_each(name: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / name
    with dropped_pairs_file(path) as table:
        table.write("copy", "a.de", 7, "tab\there", "a\r\nb\u2028c\x85d\ud800")
        table.write("blank", "b.tsv", 10**7, "", "ä漢")
        assert not path.exists()
    assert list(path.parent.iterdir()) == [path]
    content = path.read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode("utf-8")
    assert [line.split("\t") for line in text.splitlines()] == [
        ["rule", "file", "line", "source", "target"],
        ["copy", "a.de", "7", "tab here", "a  b c d\\ud800"],
        ["blank", "b.tsv", "10000000", "", "ä漢"],
    ]
    with dropped_pairs_file(path) as table:
        pass
    assert path.read_bytes() != content


@pytest.mark.parametrize("error", [UserError("of another file"), OSError("no space")])
@pytest.mark.parametrize("name", ["dropped.tsv", "dropped.tsv.gz"])
def test_a_failed_write_keeps_only_the_old_table(
    name: str, error: Exception, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text("old")

    def write() -> None:
        with dropped_pairs_file(path) as table:
            table.write("copy", "a", 1, "b", "c")
            raise error

    with pytest.raises(UserError, match=str(error)):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"data\.dropped=.*file/dropped\.tsv cannot be written"),
        dropped_pairs_file(tmp_path / "file" / "dropped.tsv"),
    ):
        pass


@pytest.mark.parametrize("name", ["text.tsv", "text.tsv.gz"])
def test_a_file_that_is_not_a_table_is_not_overwritten(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with dropped_pairs_file(path) as table:
        table.write("copy", "a", 1, "b", "c")
    check_dropped(path)
    path.write_text("en\tde\none\teins\n")
    with pytest.raises(UserError, match=rf"{name} already exists .* choose another file"):
        check_dropped(path)
