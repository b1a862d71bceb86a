"""`nmt report`, and the page that a finished run has."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def trained(nmt: Nmt, run: Path, tiny: Callable[[Path], list[str]]) -> Path:
    """A run with several validations."""
    settings = [*tiny(run.parent / "corpus"), "training.max_updates=4", "training.validate_every=1"]
    settings += ["logging.samples=2", "logging.log_every=1"]
    folder = run.parent / "reported"
    result = nmt("train", *settings, f"run.dir={folder}")
    assert result.status == 0, result.err
    return folder


def test_a_finished_run_has_its_page(trained: Path) -> None:
    page = (trained / "report.html").read_text(encoding="utf-8")
    summary = json.loads((trained / "summary.json").read_text())
    assert f"{summary['test']['chrf']:.2f} ±" in page
    assert "nrefs:1|bs:1000|seed:12345|case:mixed" in page
    assert page.count("<svg") >= 3
    assert page.count('<table class="map">') == 2
    assert "training.max_updates" in page
    assert summary["torch"] in page
    text = (trained / "report.md").read_text(encoding="utf-8")
    assert summary["test"]["chrf_signature"].split("|")[0] in text
    assert "nmt train" in text
    assert "run.dir=" in text


def test_the_page_loads_nothing(trained: Path) -> None:
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page.replace("&#39;", "'")
    assert not re.findall(r"(?:src|href)=", page)
    assert "http://" not in page
    assert "https://" not in page
    assert len(page.encode()) < 5_000_000


def test_every_change_of_a_sample_is_shown_once(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "samples.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    text = (trained / "report.md").read_text(encoding="utf-8")
    for number in range(2):
        source, reference, _ = lines[0]["rows"][number]
        part = text[text.index(f"source           {source}") :].split("\n\n")[0]
        assert f"reference        {reference}" in part
        shown = [line[len("    update 1         ") :] for line in part.splitlines()[2:]]
        translations = [line["rows"][number][2] for line in lines]
        changed = [t for i, t in enumerate(translations) if i == 0 or t != translations[i - 1]]
        assert shown == changed


def test_the_page_is_made_again_from_the_folder(nmt: Nmt, trained: Path, tmp_path: Path) -> None:
    before = (trained / "report.html").read_text(encoding="utf-8")
    assert str(trained / "report.html") in nmt("report", trained).out
    assert (trained / "report.html").read_text(encoding="utf-8") == before
    assert nmt("report", trained, "--output", tmp_path / "page.md").status == 0
    assert (tmp_path / "page.md").read_text() == (trained / "report.md").read_text()


def test_an_unfinished_run_has_a_page_too(nmt: Nmt, trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "stopped"
    copy.mkdir()
    for name in ("config.json", "metrics.jsonl", "train.log"):
        (copy / name).write_bytes((trained / name).read_bytes())
    (copy / "checkpoints").mkdir()
    assert nmt("report", copy).status == 0
    page = (copy / "report.html").read_text(encoding="utf-8")
    assert "unfinished" in page
    assert "<svg" in page
    assert "Scores</h2>" not in page


def test_text_of_a_run_is_shown_as_it_is(nmt: Nmt, trained: Path, tmp_path: Path) -> None:
    """Sentences with markup, and control characters, do no harm to a page."""
    copy = tmp_path / "hostile"
    copy.mkdir()
    for name in ("config.json", "metrics.jsonl"):
        (copy / name).write_bytes((trained / name).read_bytes())
    (copy / "checkpoints").mkdir()
    hostile = "</td><script>alert(1)</script>\x1b[2J {{ name }} {% if x %}"
    row = {"step": 1, "tag": "valid/samples", "rows": [[hostile, hostile, hostile]]}
    (copy / "samples.jsonl").write_text(f"{json.dumps(row)}\nbroken\n")
    (copy / "attention").mkdir()
    (copy / "attention" / "sample-1.json").write_text("{")
    assert nmt("report", copy).status == 0
    page = (copy / "report.html").read_text(encoding="utf-8")
    assert page.count("<script>") == 1
    assert "\x1b" not in page
    assert "{{ name }}" in page


def test_the_name_of_a_run_is_no_markup(nmt: Nmt, trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "<b>a|b & c"
    copy.mkdir()
    for name in ("config.json", "metrics.jsonl"):
        (copy / name).write_bytes((trained / name).read_bytes())
    (copy / "checkpoints").mkdir()
    assert nmt("report", copy).status == 0
    assert nmt("report", copy, "--output", tmp_path / "page.md").status == 0
    assert "&lt;b&gt;a|b &amp; c" in (copy / "report.html").read_text(encoding="utf-8")
    heading = (tmp_path / "page.md").read_text(encoding="utf-8").splitlines()[0]
    assert heading == r"# &lt;b>a\|b &amp; c"


def _large_run(trained: Path, folder: Path, samples: int, size: int) -> Path:
    """Copy what an unfinished run has; its samples and attention are made up."""
    folder.mkdir()
    for name in ("config.json", "metrics.jsonl"):
        (folder / name).write_bytes((trained / name).read_bytes())
    (folder / "checkpoints").mkdir()
    (folder / "attention").mkdir()
    pieces = ["<&>"] * size
    content = json.loads((trained / "attention" / "sample-1.json").read_text(encoding="utf-8"))
    for number in range(1, samples + 1):
        (sentence,) = content["sentences"]
        weights = [[[[0.125] * size] * size]]
        sentence |= {"source": pieces, "target": pieces, "title": f"map {number}"}
        content["sentences"] = [sentence | {"weights": weights}]
        path = folder / "attention" / f"sample-{number}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
    lines = [
        {
            "step": step,
            "tag": "valid/samples",
            "rows": [[f"s{n}", f"r{n}", f"<{step}>" + "&" * size] for n in range(samples)],
        }
        for step in range(1, 301)
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "samples.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_a_page_stays_small_and_names_what_it_leaves_out(
    nmt: Nmt, trained: Path, tmp_path: Path
) -> None:
    large = _large_run(trained, tmp_path / "large", samples=12, size=120)
    assert nmt("report", large).status == 0
    page = (large / "report.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 5_000_000
    shown = page.count('<table class="map">')
    assert f"no room for {12 - shown} more" in page
    assert 0 < shown < 12
    titles = re.findall(r"<figcaption>(map \d+)</figcaption>", page)
    assert titles == [f"map {number}" for number in range(1, shown + 1)]
    assert page.count("&lt;300&gt;") == 12  # the last translation of each sample
    translations = page.count('<tr><th scope="row">update ')
    hidden = f"{300 * 12 - translations:,} earlier translations are only in samples.jsonl"
    assert hidden in page
    assert hidden in (large / "report.md").read_text(encoding="utf-8")


def test_a_page_of_usual_size_has_everything(nmt: Nmt, trained: Path, tmp_path: Path) -> None:
    usual = _large_run(trained, tmp_path / "usual", samples=11, size=12)
    assert nmt("report", usual).status == 0
    page = (usual / "report.html").read_text(encoding="utf-8")
    titles = re.findall(r"<figcaption>(map \d+)</figcaption>", page)
    assert titles == [f"map {number}" for number in range(1, 12)]  # 10 is not before 2
    assert page.count('<tr><th scope="row">update ') == 300 * 11
    assert "no room" not in page
    assert "samples.jsonl" not in page


def test_several_runs_are_side_by_side(nmt: Nmt, run: Path, trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert nmt("report", run, trained, "--output", page).status == 0
    text = page.read_text(encoding="utf-8")
    assert "<h1>2 runs</h1>" in text
    assert "max_updates" in text
    assert "translated most differently" in text
    written = [
        (folder / "test.translations.txt").read_text().split("\n") for folder in (run, trained)
    ]
    different = text.partition('id="different"')[2].partition("</section>")[0]
    shown = sum(bool(line.strip()) for lines in written for line in lines[:-1])
    assert 0 < different.count('<table class="map">') <= shown
    assert not re.findall(r"(?:src|href)=", text)
    table = tmp_path / "page.md"
    assert nmt("report", run, trained, "--output", table).status == 0
    assert table.read_text().count("| reported") == 1


def test_wrong_files_are_refused(refused: Refused, trained: Path, tmp_path: Path) -> None:
    output = ["--output", tmp_path / "page.pdf"]
    assert "ends with .html or .md" in refused("report", trained, *output)
    assert "there is no run folder" in refused("report", tmp_path / "absent")
