"""Broken files in every format give clean pairs or faults; pairs never become shifted."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.encodings import marked_encoding, utf16_without_mark
from nmt.data.sources.open_source import open_source
from nmt.data.sources.pair_source import DataFault, PairSource
from nmt.data.sources.text_lines import other_kind
from nmt.errors import UserError

Pairs = list[tuple[str, str]]

FEW, MANY = 12, 600  # examples per test and format: by default, and without a time limit


def _csv(pairs: Pairs) -> str:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("en", "de"), *pairs])
    return file.getvalue()


def _tmx(pairs: Pairs) -> str:
    units = "".join(
        f'<tu><tuv xml:lang="en"><seg>{escape(s)}</seg></tuv>'
        f'<tuv xml:lang="de"><seg>{escape(t)}</seg></tuv></tu>\n'
        for s, t in pairs
    )
    return f'<?xml version="1.0"?>\n<tmx version="1.4"><header/><body>\n{units}</body></tmx>\n'


def _xliff(pairs: Pairs) -> str:
    units = "".join(
        f'<trans-unit id="{n}"><source>{escape(s)}</source>'
        f'<target state="final"><g id="1">{escape(t)}</g></target></trans-unit>\n'
        for n, (s, t) in enumerate(pairs)
    )
    return (
        '<?xml version="1.0"?>\n<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">'
        f'\n<file source-language="en" target-language="de"><body>\n{units}</body></file></xliff>\n'
    )


def _po(pairs: Pairs) -> str:
    header = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
    quoted = [[json.dumps(text, ensure_ascii=False) for text in pair] for pair in pairs]
    return header + "".join(f"\n#: a.c:1\nmsgid {s}\nmsgstr {t}\n" for s, t in quoted)


RENDER: dict[str, Callable[[Pairs], str]] = {
    "en": lambda pairs: "".join(f"{source}\n" for source, _ in pairs),
    "tsv": lambda pairs: "".join(f"{s}\t{t}\n" for s, t in [("en", "de"), *pairs]),
    "csv": _csv,
    "jsonl": lambda pairs: "".join(f"{json.dumps({'en': s, 'de': t})}\n" for s, t in pairs),
    "tmx": _tmx,
    "xliff": _xliff,
    "po": _po,
}
FORMATS = list(RENDER)

PIECES = [
    *(
        b"\n",
        b"\r",
        b"\t",
        b"\0",
        b'"',
        b"'",
        b",",
        b"\\",
        b"\xff",
        b"\xfe",
        b"\xc3",
        b"\xef\xbb\xbf",
    ),
    *(b"{", b"}", b"[", b":", b"null", b"\\ud800", b"en", b"de", b"translation", b'{"en": "'),
    *(
        b"<",
        b">",
        b"&",
        b"&#0;",
        b"&x;",
        b"]]>",
        b"<!--",
        b"<tu>",
        b"</seg>",
        b"<!DOCTYPE tmx [",
        b"<?",
    ),
    *(b'<!ENTITY x "y">', b"<target>", b' xml:lang="en"', b"version", b"1.0", b"2.0"),
    *(b"#", b"#~ ", b"#| ", b"#, fuzzy", b"msgid ", b"msgstr ", b"msgstr[", b"]", b"msgid_plural "),
    *(b"msgctxt", b"charset=", b"\\n", b"Language: ", b"\xe2\x80\xa8", b"\x85", b"\x1c", b"a b"),
]

texts = st.text("ab äß漢\U0001f44d'<&,\u2028", min_size=1, max_size=8).filter(str.strip)
pairs_strategy = st.lists(st.tuples(texts, texts), min_size=1, max_size=6)
pieces = st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))
noise = st.one_of(st.binary(max_size=200), st.lists(pieces, max_size=40).map(b"".join))
edits = st.lists(
    st.tuples(
        st.floats(0, 1), st.sampled_from(["insert", "replace", "cut", "end", "twice"]), pieces
    ),
    min_size=1,
    max_size=4,
)
quick = settings(max_examples=FEW, deadline=None, suppress_health_check=[HealthCheck.too_slow])
thorough = settings(quick, max_examples=MANY)


def _mutated(content: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    for share, kind, piece in changes:
        at = int(share * len(content))
        match kind:
            case "insert":
                content = content[:at] + piece + content[at:]
            case "replace":
                content = content[:at] + piece + content[at + len(piece) :]
            case "cut":
                content = content[:at] + content[at + 3 :]
            case "end":
                content = content[:at]
            case "twice":
                content += content[at:]
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def _source(folder: Path, form: str, content: bytes, other: bytes) -> PairSource:
    (folder / f"text.{form}").write_bytes(content)
    (folder / "text.de").write_bytes(other)
    path = str(folder / ("text.{lang}" if form == "en" else f"text.{form}"))
    return open_source(SourceConfig(path=path), ("en", "de"), "data.train")


def _read(
    source: PairSource, size: int
) -> tuple[dict[int, list[tuple[str, str]]], list[DataFault]]:
    """Read all pairs by line, and the faults, whose order may depend on the chunk size."""
    faults: list[DataFault] = []
    pairs: dict[int, list[tuple[str, str]]] = {}
    last = 0
    for chunk in source.chunks(size, faults.append):
        assert 0 < len(chunk) <= size
        for line, *pair in zip(chunk.lines, chunk.sources, chunk.targets, strict=True):
            assert line >= last
            last = line
            for text in pair:
                text.encode("utf-8")
            pairs.setdefault(line, []).append((pair[0], pair[1]))
    return pairs, sorted(faults, key=lambda fault: (fault.file, fault.line or 0, fault.rule))


def _check(folder: Path, form: str, content: bytes, other: bytes) -> None:
    """Faults have messages, and a reader that stops at faults stops if there are any."""
    source = _source(folder, form, content, other)
    pairs, faults = _read(source, 2)
    for fault in faults:
        assert "text." in fault.message
        assert len(fault.message.splitlines()) == 1
        assert fault.line is None or fault.line > 0
    assert pairs or faults
    assert (pairs, faults) == _read(source, 1000)
    if faults:
        with pytest.raises(UserError, match="text"):
            list(source.chunks(2))
    else:
        assert sum(map(len, source.chunks(2))) == sum(map(len, pairs.values()))


def _check_mutated(
    folder: Path, form: str, pairs: Pairs, changes: list[tuple[float, str, bytes]]
) -> None:
    other = RENDER["en"]([(target, source) for source, target in pairs]).encode()
    _check(folder, form, _mutated(RENDER[form](pairs).encode(), changes), other)


def _check_neighbours(folder: Path, form: str, pairs: Pairs, at: int, line: bytes) -> None:
    """If one record is replaced by arbitrary bytes, all others keep their content and lines."""
    at %= len(pairs)
    other = RENDER["en"]([(target, source) for source, target in pairs]).encode()
    lines = RENDER[form](pairs).encode().split(b"\n")
    first = 2 if form in ("tsv", "csv") else 1  # the line of the first pair
    whole, _ = _read(_source(folder, form, b"\n".join(lines), other), 3)
    assert whole == {number: [pair] for number, pair in enumerate(pairs, start=first)}
    lines[at + first - 1] = line.replace(b"\n", b"")
    if form == "csv":  # a quote may include the records after it
        lines[at + first - 1] = lines[at + first - 1].replace(b'"', b"")
    content = b"\n".join(lines)
    if marked_encoding(content) or utf16_without_mark(content) or other_kind(content):
        return  # the first bytes say what the whole file is
    found, _ = _read(_source(folder, form, content, other), 3)
    del whole[at + first]
    found.pop(at + first, None)
    assert found == whole


@pytest.mark.parametrize("form", FORMATS)
@quick
@given(content=noise, other=noise)
def test_random_bytes_are_read_or_refused(
    folder: Path, form: str, content: bytes, other: bytes
) -> None:
    _check(folder, form, content, other)


@pytest.mark.parametrize("form", FORMATS)
@quick
@given(pairs=pairs_strategy, changes=edits)
def test_mutated_files(
    folder: Path, form: str, pairs: Pairs, changes: list[tuple[float, str, bytes]]
) -> None:
    _check_mutated(folder, form, pairs, changes)


@pytest.mark.parametrize("form", ["en", "tsv", "csv", "jsonl"])
@quick
@given(pairs=pairs_strategy, at=st.integers(0, 9), line=noise)
def test_a_broken_record_leaves_its_neighbours_alone(
    folder: Path, form: str, pairs: Pairs, at: int, line: bytes
) -> None:
    _check_neighbours(folder, form, pairs, at, line)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@thorough
@given(content=noise, other=noise)
def test_more_random_bytes_are_read_or_refused(
    folder: Path, form: str, content: bytes, other: bytes
) -> None:
    _check(folder, form, content, other)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@thorough
@given(pairs=pairs_strategy, changes=edits)
def test_many_mutated_files(
    folder: Path, form: str, pairs: Pairs, changes: list[tuple[float, str, bytes]]
) -> None:
    _check_mutated(folder, form, pairs, changes)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["en", "tsv", "csv", "jsonl"])
@thorough
@given(pairs=pairs_strategy, at=st.integers(0, 9), line=noise)
def test_many_broken_records_leave_their_neighbours_alone(
    folder: Path, form: str, pairs: Pairs, at: int, line: bytes
) -> None:
    _check_neighbours(folder, form, pairs, at, line)
