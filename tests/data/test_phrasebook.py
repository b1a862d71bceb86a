"""Properties of the embedded phrasebook corpus and of its generator."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
CORPUS = REPO / "data" / "phrasebook"
sys.path.insert(0, str(REPO / "scripts"))

from phrasebook import german  # noqa: E402
from phrasebook.generate import Drawn, generate, write  # noqa: E402
from phrasebook.measure import crosses, report, word_forms  # noqa: E402

SPLITS = ("train", "valid", "test")
FINITE_LAST = [
    "bin",
    "bist",
    "ist",
    "sind",
    "seid",
    "habe",
    "hast",
    "hat",
    "haben",
    "habt",
    "kann",
    "will",
    "wollen",
    "muss",
    "müssen",
    "war",
    "hatte",
    "wurde",
    "gibt",
    "schließen",
    "öffnet",
    "hält",
    "regnet",
    "schneit",
    "scheint",
    "bleibt",
    "geht",
]
Pair = tuple[str, str, str]


def _lines(name: str) -> list[str]:
    return (CORPUS / name).read_text(encoding="utf-8").removesuffix("\n").split("\n")


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[Pair]]:
    """Read the committed files."""
    return {
        split: list(zip(*(_lines(f"{split}.{x}") for x in ("en", "de", "align")), strict=True))
        for split in SPLITS
    }


@pytest.fixture(scope="module")
def generated() -> dict[str, list[Drawn]]:
    """Compose the corpus once."""
    return generate()


def _all(corpus: dict[str, list[Pair]]) -> list[Pair]:
    return [pair for split in SPLITS for pair in corpus[split]]


def _bare(sentence: str) -> list[str]:
    return [word.strip(".,!?;:") for word in sentence.split()]


def test_the_splits_have_the_documented_sizes(corpus: dict[str, list[Pair]]) -> None:
    """The splits have the sizes the documentation promises."""
    assert len(corpus["train"]) >= 24_000
    assert len(corpus["valid"]) == len(corpus["test"]) == 500


def test_no_sentence_occurs_twice(corpus: dict[str, list[Pair]]) -> None:
    """No sentence is repeated on either side, within a split or between splits."""
    pairs = _all(corpus)
    assert len({en for en, _, _ in pairs}) == len(pairs)
    assert len({de for _, de, _ in pairs}) == len(pairs)


def test_links_are_in_range_and_sorted(corpus: dict[str, list[Pair]]) -> None:
    """Every link names a word on each side, in order and once."""
    for en, de, align in _all(corpus):
        links = [tuple(map(int, link.split("-"))) for link in align.split()]
        assert links
        assert links == sorted(set(links))
        assert max(i for i, _ in links) < len(en.split())
        assert max(j for _, j in links) < len(de.split())


def test_nearly_every_word_is_linked(corpus: dict[str, list[Pair]]) -> None:
    """Only function words of a closed list may stay without a link."""
    free_en = {"to", "a", "an", "of", "the", "get", "for", "please"}
    free_de = {"dem", "die", "der", "das", "uhr", "man", "hier"}
    for en, de, align in _all(corpus):
        links = [tuple(map(int, link.split("-"))) for link in align.split()]
        left, right = {i for i, _ in links}, {j for _, j in links}
        loose = [w.lower() for i, w in enumerate(_bare(en)) if i not in left]
        assert set(loose) <= free_en, (en, de, loose)
        loose = [w.lower() for j, w in enumerate(_bare(de)) if j not in right]
        assert set(loose) <= free_de, (en, de, loose)


def test_word_forms(corpus: dict[str, list[Pair]]) -> None:
    """Both sides have a rich vocabulary."""
    assert len(word_forms([en for en, _, _ in corpus["train"]])) >= 700
    assert len(word_forms([de for _, de, _ in corpus["train"]])) >= 700


def test_word_order_crosses(corpus: dict[str, list[Pair]]) -> None:
    """More than half of the pairs have crossing links."""
    crossing = 0
    for _, _, align in corpus["train"]:
        links = [(int(i), int(j)) for i, j in (link.split("-") for link in align.split())]
        crossing += crosses(tuple(links))
    assert crossing > len(corpus["train"]) / 2


def test_frames_in_every_split(generated: dict[str, list[Drawn]]) -> None:
    """At least sixty frames are used, each with enough examples and in every split."""
    counts: dict[str, int] = {}
    for drawn in generated["train"]:
        counts[drawn.frame] = counts.get(drawn.frame, 0) + 1
    assert len(counts) >= 60
    assert min(counts.values()) >= 90
    for split in ("valid", "test"):
        assert {drawn.frame for drawn in generated[split]} == set(counts)


def test_regeneration_is_deterministic(generated: dict[str, list[Drawn]], tmp_path: Path) -> None:
    """Composing again yields the committed files byte for byte."""
    write(generated, tmp_path)
    for split in SPLITS:
        for suffix in ("en", "de", "align"):
            name = f"{split}.{suffix}"
            assert (tmp_path / name).read_bytes() == (CORPUS / name).read_bytes(), name


def test_readme_states_the_measures(generated: dict[str, list[Drawn]]) -> None:
    """The documentation gives the measured numbers."""
    assert report(generated) in (CORPUS / "README.md").read_text(encoding="utf-8")


def test_dative_after_mit(corpus: dict[str, list[Pair]]) -> None:
    """A determiner after 'mit' ends like a dative."""
    stems = ("d", "ein", "mein", "dein", "sein", "ihr", "unser", "eur")
    seen = 0
    for _, de, _ in _all(corpus):
        words = _bare(de)
        for before, word in zip(words, words[1:], strict=False):
            stem = word.lower().rstrip("emnrs")
            if before.lower() == "mit" and stem in stems and word.islower():
                seen += 1
                assert word.endswith(("em", "er", "en")), de
    assert seen > 100


def test_accusative_masculine(corpus: dict[str, list[Pair]]) -> None:
    """Masculine nouns take 'einen' and 'keinen', never 'eine', as objects."""
    text = " ".join(de for _, de, _ in _all(corpus))
    for noun in ("Mantel", "Salat", "Schlüssel", "Termin", "Tisch"):
        assert f" einen {noun}" in text or f" keinen {noun}" in text
        assert f" eine {noun}" not in text.replace(f" eine {noun}s", "")
    for wrong in ("in dem Hotel ", "zu dem ", "zu der Arbeit", "bei dem ", "von dem Bahnhof"):
        assert wrong not in text.replace(", " + wrong, ""), wrong


def test_finite_verb_is_last_in_subordinate_clauses(corpus: dict[str, list[Pair]]) -> None:
    """After weil, dass, ob and wenn the clause ends in a finite verb."""
    seen = 0
    for _, de, _ in _all(corpus):
        clauses = [clause.strip(" .!?") for clause in de.split(",")]
        for clause in clauses:
            words = clause.split()
            if words and words[0].lower() in ("weil", "dass", "ob", "wenn", "obwohl"):
                seen += 1
                last = words[-1]
                assert last in FINITE_LAST or last.endswith(("t", "n", "e")), de
                assert last.islower(), de
    assert seen > 1000


def test_nouns_and_politeness(corpus: dict[str, list[Pair]]) -> None:
    """Titles go with Sie and first names with du, which is written small."""
    titles, names = ("Herr ", "Frau "), ("Anna, ", "Lukas, ", "Mama, ", "Opa, ")
    for _, de, _ in _all(corpus):
        words = set(_bare(de))
        if de.startswith(titles) and de.split()[1].endswith(","):
            assert not words & {"du", "dich", "dir", "ihr", "euch"} - {"ihr"}, de
        if de.startswith(names):
            assert not words & {"Sie", "Ihnen", "Ihr", "Ihre", "Ihren"}, de


@pytest.mark.parametrize(
    ("infinitive", "third", "second", "plural"),
    [
        ("fahren", "fährt", "fährst", "fahrt"),
        ("nehmen", "nimmt", "nimmst", "nehmt"),
        ("essen", "isst", "isst", "esst"),
        ("lesen", "liest", "liest", "lest"),
        ("arbeiten", "arbeitet", "arbeitest", "arbeitet"),
        ("öffnen", "öffnet", "öffnest", "öffnet"),
        ("waschen", "wäscht", "wäschst", "wascht"),
    ],
)
def test_conjugation(infinitive: str, third: str, second: str, plural: str) -> None:
    """Stem changes and e-insertion are correct."""
    forms = german.conjugate(infinitive, third)
    assert (forms[1], forms[2], forms[4]) == (second, third, plural)


@pytest.mark.parametrize(
    ("kind", "gender", "case", "expected"),
    [
        ("the", "m", "nom", "rote"),
        ("a", "m", "nom", "roter"),
        ("a", "n", "acc", "rotes"),
        ("no", "pl", "acc", "roten"),
        ("", "pl", "acc", "rote"),
        ("", "m", "dat", "rotem"),
        ("this", "f", "dat", "roten"),
    ],
)
def test_adjective_endings(kind: str, gender: str, case: str, expected: str) -> None:
    """Weak, mixed and strong endings follow the determiner."""
    assert german.adjective("rot", kind, gender, case) == expected
