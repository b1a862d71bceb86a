"""The page of a data check: its content, escaped texts, and that it loads nothing."""

import base64
import copy
import hashlib
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from shutil import which

import pytest

from nmt.reporting.pages.bar_chart import histogram
from nmt.reporting.pages.data_page import save_data_page

ATTACK = "<script>alert(1)</script><!-- {{script}} & \"'> \x00\ud800"
SHOWN = ATTACK.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
VOID = {"meta", "link", "br", "img", "input", "hr", "base", "rect", "line"}


class Page(HTMLParser):
    """The elements of a page, and the text of each."""

    def __init__(self, source: str):
        super().__init__(convert_charrefs=True)
        self.source = source
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.comments: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_data(self, data):
        if self.open and data.strip():
            self.texts.append((self.open[-1], data))

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]

    @property
    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]


def finding(rule: str, severity: str, **more) -> dict:
    made = {"split": "train", "side": None, "count": 1, "places": []}
    made |= {"message": f"about {rule}", "remedy": f"fix {rule}"}
    return {"rule": rule, "severity": severity, **made, **more}


@pytest.fixture
def report() -> dict:
    """Return a report with every part."""
    side = {
        "lines": 1234,
        "words": 6170,
        "characters": 30_000,
        "longest_words": 77,
        "words_histogram": [[3, 3, 234], [4, 5, 0], [6, 77, 1000]],
    }
    pieces = {
        "vocabulary": 3000,
        "pieces": 9876,
        "pieces_per_word": 1.6,
        "unknown_share": 0.00125,
        "pieces_histogram": [[6, 7, 1234]],
    }
    split = {"name": "train", "pairs": 1234, "source": side, "target": copy.deepcopy(side)}
    place = {"file": "web/train.de", "unit": "line", "line": 4321, "text": "seltsam"}
    return {
        "nmt": "0.1.0",
        "corpus": {"name": "web", "source_language": "de", "target_language": "en"},
        "status": "refused",
        "splits": [split | {"ratio_histogram": [[0.5, 0.8, 34], [0.8, 1.0, 1200]]}],
        "findings": [
            finding("crlf", "warning", side="source", count=4567, places=[place]),
            finding("not_utf8", "error"),
            finding("blank", "warning"),
            finding("looks_shifted", "error", places=[place | {"line": None}]),
        ],
        "filters": {
            "kept": 1000,
            "dropped": [{"rule": "copy", "count": 34}, {"rule": "max_ratio", "count": 200}],
        },
        "tokens": {"source": pieces, "target": copy.deepcopy(pieces)},
        "cost": {
            "batch_tokens": 8192,
            "updates_per_epoch": 5678,
            "padding_share": 0.0213,
            "encoded_bytes": 3 * 1024**2,
            "order_bytes": 512,
            "largest_batch": [256, 32],
        },
    }


@pytest.fixture
def save(tmp_path):
    def save_page(report: dict) -> Page:
        path = tmp_path / "new" / "page.html"
        save_data_page(report, path)
        assert list(path.parent.iterdir()) == [path]
        return Page(path.read_text(encoding="utf-8"))

    return save_page


def test_findings_have_locations_and_errors_come_first(save, report):
    page = save(report)
    severities = [a["class"] for tag, a in page.elements if tag == "li"]
    assert severities == [f"finding {name}" for name in ("error", "error", "warning", "warning")]
    shown_text = "\n".join(text for _, text in page.texts)
    order = ["not utf8", "looks shifted", "crlf", "blank"]
    places = [shown_text.index(f"\n{rule}\n") for rule in order]
    assert places == sorted(places)
    for shown in ("about crlf", "fix crlf", "train, source · 4,567 ×", "web/train.de, line 4,321"):
        assert shown in shown_text
    assert page.text("code") == ["seltsam", "seltsam"]


@pytest.mark.parametrize(
    "commands",
    ["sed -i 's/  */ /g' 'web/train.de'", "unzip 'a.zip' 'b'\ntr -d '\\000' < 'b' > FILE"],
)
def test_the_commands_of_a_remedy_are_in_a_box_exactly_as_they_are_to_be_copied(
    save, report, commands
):
    remedy = f"clean the file:\n{commands}"
    report["findings"] = [finding("spaces", "warning", remedy=remedy) | {"places": []}]
    page = save(report)
    assert page.text("code") == [commands]
    assert "clean the file:" in page.text("p")
    assert page.text("button") == ["Copy"]
    assert "\ufffd" not in page.source


def test_a_setting_at_the_end_of_a_remedy_is_in_a_box(save, report):
    remedy = "check them; or drop them: data.filters.max_ratio=5"
    report["findings"] = [finding("ratio", "warning", remedy=remedy) | {"places": []}]
    page = save(report)
    assert page.text("code") == ["data.filters.max_ratio=5"]
    assert "check them; or drop them:" in page.text("p")


def test_a_remedy_without_a_command_has_no_box(save, report):
    report["findings"] = [finding("spaces", "warning") | {"places": []}]
    assert save(report).text("button") == []


def test_wide_tables_scroll_by_keyboard_and_have_names(save, report):
    scrolled = [a for tag, a in save(report).elements if a.get("class") == "scroll"]
    assert [a["aria-label"] for a in scrolled] == ["Sizes", "Removed by filters", "Pieces"]
    assert all((a["tabindex"], a["role"]) == ("0", "region") for a in scrolled)


@pytest.mark.parametrize("status", ["clean", "warnings", "refused"])
def test_the_status_is_in_the_header(save, report, status):
    page = save(report | {"status": status, "findings": []})
    assert [a["class"] for _, a in page.elements if "status" in (a.get("class") or "")] == [
        f"status {status}"
    ]


def test_numbers_of_every_part_are_shown(save, report):
    shown_text = "\n".join(text for _, text in save(report).texts)
    for shown in ("1,234", "6,170", "5.0", "30,000", "77"):  # sizes
        assert f"\n{shown}\n" in shown_text
    assert "1,000 of 1,234 pairs are kept" in shown_text
    assert shown_text.index("max ratio\n200\n16.21%") < shown_text.index("copy\n34\n2.76%")
    for shown in ("3,000", "9,876", "1.60", "0.125%"):  # pieces
        assert f"\n{shown}\n" in shown_text
    for shown in ("5,678", "8,192", "2.1%", "256 × 32 pieces", "3.0 MiB", "512 B"):  # cost
        assert f"\n{shown}" in shown_text


def test_bars_have_tooltips_with_their_numbers(save, report):
    titles = save(report).text("title")[1:]
    assert "3 words\nde: 234 lines (19.0 %)\nen: 234 lines (19.0 %)" in titles
    assert "4–5 words\nde: 0 lines (0.0 %)\nen: 0 lines (0.0 %)" in titles
    assert "0.5–0.8 to 1\npairs: 34 pairs (2.8 %)" in titles
    assert "6–7 pieces\nde: 1,234 lines (100.0 %)\nen: 1,234 lines (100.0 %)" in titles


def test_missing_parts_are_omitted(save, report):
    bare = report | {"filters": None, "tokens": None, "cost": None, "splits": [], "findings": []}
    page = save(bare)
    assert page.text("h2") == ["Findings", "Sizes"]
    report["splits"][0]["source"]["words_histogram"] = []
    report["splits"][0]["target"]["words_histogram"] = []
    report["splits"][0]["ratio_histogram"] = []
    assert save(report | {"tokens": None}).source.count("<figure") == 0


def test_texts_of_the_corpus_are_escaped(save, report):
    plain = save(report)
    hostile = copy.deepcopy(report)
    hostile["nmt"] = hostile["corpus"]["name"] = ATTACK
    hostile["corpus"]["source_language"] = ATTACK
    hostile["splits"][0]["name"] = "train"
    for one in hostile["findings"]:
        one |= {"rule": ATTACK, "message": ATTACK, "remedy": ATTACK, "split": ATTACK}
        one["places"] = [place | {"file": ATTACK, "text": ATTACK} for place in one["places"]]
    for row in hostile["filters"]["dropped"]:
        row["rule"] = ATTACK
    page = save(hostile)
    assert page.skeleton == plain.skeleton
    assert not page.comments
    assert page.text("code") == [SHOWN, SHOWN]
    assert page.text("h1") == [f"{SHOWN}, {SHOWN} to en"]
    assert page.text("script") == plain.text("script")


def test_the_page_makes_no_requests(save, report):
    page = save(report)
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "base", "object", "embed", "a", "image", "use"}
        assert not attributes.keys() & {"src", "href", "srcset", "action", "data", "style"}
        assert not [name for name in attributes if name.startswith("on")]
    for word in ("http:", "https:", "url(", "@import", "fetch", "import(", "innerHTML"):
        assert word not in page.source, word
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        content = page.source.split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


@pytest.mark.skipif(which("node") is None, reason="node parses the script")
def test_the_script_is_javascript(tmp_path, save, report):
    script = tmp_path / "page.js"
    script.write_text("".join(save(report).text("script")), encoding="utf-8")
    result = subprocess.run(["node", "--check", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_failed_save_keeps_the_previous_page(tmp_path: Path, report):
    path = tmp_path / "page.html"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyError):
        save_data_page(report | {"status": "unheard of"}, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def heights(svg: str, name: str) -> list[float]:
    return [float(h) for h in re.findall(rf'class="{name}"[^>]* height="([0-9.]+)"', svg)]


@pytest.mark.parametrize("highest", [1, 3, 7, 10, 99, 12_345, 3 * 10**9])
def test_bar_heights_are_proportional_and_ticks_are_round(highest):
    rows = [[n, n, count] for n, count in enumerate([highest, highest / 2, 0])]
    svg = histogram("label", {"a": rows}, "words", "lines")
    whole, half = heights(svg, "series-1")
    assert half == pytest.approx(whole / 2, abs=0.02)
    (room, *_) = heights(svg, "back")
    assert room / 2.1 <= whole <= room
    ticks = re.findall(r'class="count"[^>]*>([0-9.]+)[kMG]?<', svg)
    assert 2 <= len(ticks) <= 6
    assert all(len(tick) <= 4 for tick in ticks)


def test_series_share_their_bins_even_if_their_last_bins_differ():
    series = {"a": [[1, 1, 5], [2, 9, 5]], "b": [[2, 30, 1], [31, 31, 1]]}
    svg = histogram("label", series, "words", "lines")
    assert re.findall(r"<title>(\S+) words\n", svg) == ["1", "2–30", "31"]
    assert "a: 0 lines (0.0 %)\nb: 1 lines (50.0 %)" in svg


def test_the_smallest_bar_is_visible_and_zero_has_no_bar():
    svg = histogram("label", {"a": [[1, 1, 1], [2, 2, 10**9], [3, 3, 0]]}, "words", "lines")
    assert heights(svg, "series-1")[0] == 1
    assert len(heights(svg, "series-1")) == 2


def test_a_row_of_a_table_is_called_a_row(save, report):
    place = {"file": "sheet.csv", "unit": "row", "line": 487, "text": "a"}
    report["findings"] = [finding("copy", "warning", places=[place])]
    assert "sheet.csv, row 487" in "\n".join(text for _, text in save(report).texts)
