"""Tags in translations: none is lost or repeated, pairs are nested, words decide their place."""

from random import Random

import pytest
from document_samples import WordTranslator, translated
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.documents.segment_text import segment_text
from nmt.documents.segments import Form, Segment, Tag, TagKind, Text, spelled, tag
from nmt.documents.tag_placement import AlignedText, Link, placed_tags, word_spans


def _by_names(text: str, translation: str) -> list[Link]:
    """Link words that are equal but for their case."""
    there = {translation[a:b].lower(): (a, b) for a, b in word_spans(translation)}
    return [
        ((a, b), there[text[a:b].lower()])
        for a, b in word_spans(text)
        if text[a:b].lower() in there
    ]


def _html(text: str, translation: str, *, linked: bool = True) -> str:
    translator = WordTranslator(lambda _: translation, links=_by_names if linked else None)
    return translated(text, "html", translator).decode()


@pytest.mark.parametrize(
    ("text", "translation", "expected"),
    [
        (
            "we fly to <b>rome</b> in <i>may</i>",
            "WE FLY IN MAY TO ROME",
            "WE FLY IN <i>MAY</i> TO <b>ROME</b>",
        ),
        ("a <b>red old</b> car", "A CAR OLD RED", "A CAR <b>OLD RED</b>"),
        ("<b>all of it</b>", "IT ALL", "<b>IT ALL</b>"),
        ("a <b>big <i>red</i></b> car", "CAR A RED BIG", "CAR A <b><i>RED</i> BIG</b>"),
        ("press <img src=x> now", "NOW PRESS", "<img src=x> NOW PRESS"),
        ("press <img src=x> the key", "PRESS THE KEY", "PRESS <img src=x> THE KEY"),
        ("a <b>x y</b> b", "X A Y B", "<b>X</b> A Y B"),
        ("see <b>it</b>, now", "SEE IT, NOW", "SEE <b>IT</b>, NOW"),
    ],
)
def test_tags_follow_their_words(text: str, translation: str, expected: str) -> None:
    assert _html(text, translation) == expected


def test_without_links_tags_stand_in_proportion() -> None:
    found = _html("one two <b>six</b> ten", "ein zwo sex zen", linked=False)
    assert found == "ein zwo <b>sex</b> zen"


def test_characters_of_a_script_without_spaces_are_words() -> None:
    found = _html("<p>see <b>it</b> now", "\u73fe\u5728\u770b\u5b83", linked=False)
    assert found == "<p>\u73fe\u5728<b>\u770b</b>\u5b83"


def test_tags_that_overlap_keep_their_order() -> None:
    document = (
        '<tmx version="1.4"><body><tu><tuv xml:lang="en"><seg>a <bpt i="1"/>b <bpt i="2"/>c'
        '<ept i="1"/> d<ept i="2"/> e</seg></tuv></tu></body></tmx>'
    )
    backwards = WordTranslator(lambda text: " ".join(reversed(text.split())), links=_by_names)
    found = translated(document, "tmx", backwards).decode().partition('xml:lang="de"')[2]
    places = [
        found.index(mark)
        for mark in ('<bpt i="1"/>', '<bpt i="2"/>', '<ept i="1"/>', '<ept i="2"/>')
    ]
    assert places == sorted(places)


def test_a_translation_without_words_keeps_the_tags() -> None:
    assert _html("a <b>b</b> <br>c", "") == "<b></b> <br>"


WORDS = st.lists(st.sampled_from(["one", "two", ",", "three", "four", "."]), min_size=1, max_size=9)


@st.composite
def tokens(draw: st.DrawFn) -> list[Text | Tag]:
    """Draw a segment: words and tags, of which some are pairs, nested or not."""
    random = Random(draw(st.integers(0, 10**9)))
    found: list[Text | Tag] = []
    count = draw(st.integers(0, 6))
    kinds = [TagKind.OPEN, TagKind.CLOSE, TagKind.SINGLE, TagKind.BREAK]
    for index in range(draw(st.integers(1, 10))):
        if random.random() < 0.5:
            text = " ".join(
                random.sample(["one", "two", "three", "four", ",", "."], random.randint(1, 3))
            )
            text = f"{' ' * random.randint(0, 1)}{text}{' ' * random.randint(0, 1)}"
            found.append(Text(text, text))
        elif count:
            kind = random.choice(kinds)
            key = f"k{random.randint(0, 1)}" if kind in (TagKind.OPEN, TagKind.CLOSE) else ""
            found.append(tag(kind, f"<{kind}{index}>", key))
    return found


def _pairs(tags: list[Tag]) -> dict[str, list[str]]:
    """Return the opening and closing tags of each key in their order."""
    keys = {t.key for t in tags if t.key}
    return {key: [t.kind for t in tags if t.key == key] for key in keys}


@settings(max_examples=400, deadline=None)
@given(tokens(), WORDS, st.integers(0, 10**9), st.booleans())
def test_no_tag_is_lost_or_repeated_and_pairs_stay_in_order(
    drawn: list[Text | Tag], words: list[str], seed: int, linked: bool
) -> None:
    segment = Segment(1, tuple(drawn), Form())
    text = segment_text(segment)
    translation = " ".join(words)
    random = Random(seed)
    sources = word_spans(text.text) or [(0, 1)]
    links: list[Link] = [(random.choice(sources), span) for span in word_spans(translation)]
    placed = placed_tags(text.nodes, text.text, AlignedText(translation, links if linked else None))
    everything = [*text.prefix, *placed, *text.suffix]
    tags = [one for one in everything if isinstance(one, Tag)]
    spellings = "".join(spelled(one.parts) for one in tags)
    wanted = [one for one in drawn if isinstance(one, Tag)]
    for one in wanted:
        assert spellings.count(spelled(one.parts)) == 1
    joined = [one for one in tags if one.kind in (TagKind.OPEN, TagKind.CLOSE)]
    alone = [one for one in wanted if any(one is other for other in joined)]
    assert _pairs(joined) == _pairs(alone)
    assert "".join(one for one in placed if isinstance(one, str)).split() == translation.split()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_pairs_of_elements_are_closed_in_the_right_order(seed: int) -> None:
    random = Random(seed)

    def content(depth: int) -> str:
        parts = []
        for _ in range(random.randint(1, 3)):
            word = random.choice(["one", "two", "three"])
            name = random.choice("biu")
            inside = depth < 3 and random.random() < 0.5
            parts.append(f"<{name}>{content(depth + 1)}</{name}>" if inside else word)
        return " ".join(parts)

    page = content(0)
    shuffled = WordTranslator(
        lambda text: " ".join(random.sample(text.split(), len(text.split()))).upper(),
        links=_by_names,
    )
    found = translated(page, "html", shuffled).decode()
    opened: list[str] = []
    for mark in [part.partition(">")[0] for part in found.split("<")[1:]]:
        if mark.startswith("/"):
            assert opened.pop() == mark[1:], (page, found)
        else:
            opened.append(mark)
    assert opened == []
    assert sorted(found.count(f"<{name}>") for name in "biu") == sorted(
        page.count(f"<{name}>") for name in "biu"
    )
