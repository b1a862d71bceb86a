"""The attention page: well-formed, safe, self-contained, and accurate to the stated precision."""

import base64
import hashlib
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from nmt.reporting.heatmaps.colors import DARK_TO_WHITE, WHITE_TO_NAVY
from nmt.reporting.pages.attention_page import save_attention_page

ATTACKS = [
    "</script><b>x</b>",
    "<script>alert(1)</script>",
    "<!--",
    "-->",
    "]]>",
    "\"'`",
    "&lt;&amp;",
    "\u2028\u2029",
    "\ud800",
    "\x00\x1f\r\n",
    "\\u003c/script>",
    "{{data}}",
    "\u202eabc",
    "",
    "你好",
    "مرحبا",
]
VOID = {"meta", "link", "br", "img", "input", "hr", "base"}


class Page(HTMLParser):
    """The elements of a page with their texts."""

    def __init__(self, path: Path):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.comments: list[str] = []
        self.open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.append((tag, ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_data(self, data):
        if self.open:
            self.texts.append((self.open[-1], data))

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag and text.strip()]

    @property
    def data(self) -> dict:
        content, _ = self.text("script")
        return json.loads(content)

    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]


@pytest.fixture
def save(tmp_path):
    def save_page(records, title="Attention", layer=0, head=None) -> Page:
        path = tmp_path / "new" / "page.html"
        save_attention_page(records, path, title, layer, head)
        assert list(path.parent.iterdir()) == [path]
        return Page(path)

    return save_page


def decode(record: dict) -> np.ndarray:
    codes = np.frombuffer(base64.b64decode(record["weights"]), "<u2").astype(np.float64)
    weights = np.where(codes == 65535, np.nan, codes / 65534)
    sizes = (record["layers"], record["heads"], len(record["target"]), len(record["source"]))
    return weights.reshape(sizes)


def test_the_embedded_weights_have_the_precision_stated_on_the_page(save, make_record):
    records = [make_record(2, 3, 5, 4), make_record(1, 1, 1, 7)]
    records[0].weights[0, 0, 0, :3] = [0, 1, np.nan]
    page = save(records)
    (stated,) = re.findall(r"accurate to\s+within ([0-9.]+[0-9])", page.source)
    for record, embedded in zip(records, page.data["records"], strict=True):
        np.testing.assert_allclose(decode(embedded), record.weights, rtol=0, atol=float(stated))
        assert embedded["source"] == record.source
        assert embedded["target"] == record.target
    assert decode(page.data["records"][0])[0, 0, 0, :2].tolist() == [0, 1]


def test_weights_outside_the_scale_are_clipped(save, make_record):
    record = make_record(1, 1, 2, 1)
    record.weights[:] = [-0.5, 7]
    assert decode(save([record]).data["records"][0]).ravel().tolist() == [0, 1]


def test_the_page_opens_with_the_given_layer_and_head(save, make_record):
    records = [make_record(3, 4)]
    for layer, head, opened in [(1, 2, (1, 2)), (-1, -1, (2, 3)), (0, None, (0, -1))]:
        data = save(records, layer=layer, head=head).data
        assert (data["layer"], data["head"]) == opened


def test_colors_are_those_of_the_pictures(save, make_record):
    assert save([make_record()]).data["colors"] == WHITE_TO_NAVY


def test_the_dark_scale_begins_with_the_color_of_a_dark_page(save, make_record):
    page = save([make_record()])
    dark = page.source[page.source.index("prefers-color-scheme: dark") :]
    paper = re.search(r"--paper: (#[0-9a-f]{6})", dark)
    assert page.data["darkColors"] == DARK_TO_WHITE
    assert paper is not None
    assert paper[1] == DARK_TO_WHITE[0]


def test_tokens_and_texts_are_kept_exactly_and_change_only_the_data(save, make_record):
    plain = save([make_record(1, 1, len(ATTACKS), len(ATTACKS))], title="Attention")
    record = make_record(
        source=ATTACKS,
        target=ATTACKS[::-1],
        title=ATTACKS[0],
        source_text="".join(ATTACKS),
        target_text=ATTACKS[1],
    )
    page = save([record], title="".join(ATTACKS))
    assert page.skeleton() == plain.skeleton()
    assert page.comments == plain.comments == []
    (embedded,) = page.data["records"]
    assert embedded["source"] == ATTACKS
    assert embedded["target"] == ATTACKS[::-1]
    assert embedded["sourceText"] == record.source_text
    assert embedded["title"] == record.title
    expected = "".join(ATTACKS)
    for unprintable in "\ud800\x00\x1f\r\n":
        expected = expected.replace(unprintable, "\ufffd")
    assert "".join(page.text("h1")) == expected
    raw = page.source[page.source.index('id="data">') + 10 :].split("</script>")[0]
    assert raw.isascii()
    assert not set(raw) & set("<>&")


def test_the_page_makes_no_requests(save, make_record):
    page = save([make_record(2, 2)])
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "base", "object", "embed", "a", "svg"}
        assert not attributes.keys() & {"src", "href", "srcset", "action", "data", "style"}
        assert not [name for name in attributes if name.startswith("on")]
    code = "".join(page.text("style") + page.text("script")[1:])
    for word in ("http", "//www", "url(", "@import", "fetch", "XMLHttp", "import(", "innerHTML"):
        assert word not in code, word
    assert "http:" not in page.source
    assert "https:" not in page.source


def test_the_policy_allows_only_this_style_and_this_script(save, make_record):
    page = save([make_record()])
    (policy,) = [a["content"] for tag, a in page.elements if a.get("http-equiv")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    _, script = page.text("script")
    for name, text in [("script-src", script), ("style-src", page.text("style")[0])]:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


def test_every_element_used_by_the_script_exists(save, make_record):
    page = save([make_record()])
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(set(identifiers)) == len(identifiers)
    looked_up = set(re.findall(r'element\("([\w-]+)"\)', page.text("script")[1]))
    assert looked_up
    assert looked_up <= set(identifiers)
    labelled = {a.get("for") for tag, a in page.elements if tag == "label"}
    assert labelled == {a["id"] for tag, a in page.elements if tag == "select"}


@pytest.mark.skipif(which("node") is None, reason="node parses the script")
def test_the_script_is_javascript(tmp_path, save, make_record):
    script = tmp_path / "page.js"
    script.write_text(save([make_record()]).text("script")[1], encoding="utf-8")
    result = subprocess.run(["node", "--check", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_large_model_makes_a_small_page(save, make_record):
    page = save([make_record(12, 16, 20, 20)])
    weights = 12 * 16 * 20 * 20
    assert len(page.source) < weights * 2 * 4 / 3 + 50_000  # 16 bits in base64, and the page itself


@pytest.mark.parametrize(
    ("layer", "head", "message"),
    [
        (2, None, r"layer 2: sentence 1 has 2, counted from 0"),
        (-3, None, r"layer -3"),
        (0, 3, r"head 3: sentence 1 has 3"),
        (1, 0, r"layer 1: sentence 2 has 1"),
    ],
)
def test_a_missing_layer_or_head_raises(save, make_record, layer, head, message):
    with pytest.raises(ValueError, match=message):
        save([make_record(2, 3), make_record(1, 3)], layer=layer, head=head)


def test_a_page_without_records_raises(save):
    with pytest.raises(ValueError, match="at least one sentence"):
        save([])


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
def test_empty_sentences_are_allowed(save, make_record, sizes):
    assert decode(save([make_record(1, 2, *sizes)]).data["records"][0]).size == 0


def test_a_failed_save_keeps_the_previous_page(tmp_path, make_record, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old", encoding="utf-8")

    def fail_halfway(self, text, **_):
        with self.open("w") as file:
            file.write("half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fail_halfway)
        with pytest.raises(OSError, match="disk full"):
            save_attention_page([make_record()], path, "", 0, None)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
