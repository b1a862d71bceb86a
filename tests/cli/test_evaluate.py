"""`nmt evaluate` on files of translations and on runs."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]
Refused = Callable[..., str]

SOURCE = ["a small dog runs", "two men wait", "Berlin", "a girl eats ice cream"] * 5
REFERENCE = [
    "ein kleiner Hund läuft über die Wiese",
    "zwei Männer warten am Fluss",
    "Berlin",
    "ein Mädchen isst ein Eis im Garten",
] * 5
GOOD = [line.replace("kleiner", "großer") for line in REFERENCE]
BAD = ["ein Hund", "zwei zwei zwei zwei", "Berlin", ""] * 5


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], Path]:
    """Write the texts above, and return the path of one by its name."""
    texts = {"source": SOURCE, "reference": REFERENCE, "good": GOOD, "bad": BAD}
    for name, lines in texts.items():
        text = "".join(f"{line}\n" for line in lines)
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    return lambda name: tmp_path / f"{name}.txt"


def test_files_are_compared_with_the_first(nmt: Nmt, files: Callable[[str], Path]) -> None:
    arguments = [files("good"), files("bad"), "--reference", files("reference")]
    found = json.loads(nmt("evaluate", *arguments, "--json").out)
    good, bad = found["systems"]
    assert (good["name"], bad["name"], found["test"]) == ("good.txt", "bad.txt", "bootstrap")
    assert good["bleu"] > bad["bleu"]
    assert bad["bleu_p_value"] < 0.05
    assert "bleu_p_value" not in good
    out = nmt("evaluate", *arguments).out
    assert "bad.txt is significantly worse than good.txt by BLEU, chrF2 and TER" in out
    assert good["bleu_signature"] in out
    alone = json.loads(nmt("evaluate", *arguments[1:], "--json").out)
    assert alone["bleu"] == pytest.approx(bad["bleu"])


def test_a_system_does_not_differ_from_its_copy(
    nmt: Nmt, files: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "copy.txt").write_bytes(files("good").read_bytes())
    arguments = [files("good"), tmp_path / "copy.txt", "--reference", files("reference")]
    out = nmt("evaluate", *arguments, "--paired", "randomization").out
    assert "copy.txt has the same scores as good.txt" in out
    assert "p = " not in out
    assert "±" not in out  # randomization gives no interval


def test_resamples_are_those_of_the_paired_test(nmt: Nmt, files: Callable[[str], Path]) -> None:
    arguments = [files("good"), files("bad"), "--reference", files("reference"), "--json"]
    found = json.loads(nmt("evaluate", *arguments, "--resamples", "50").out)["systems"]
    assert "bs:50" in found[0]["bleu_signature"]
    assert found[1]["bleu_p_value"] >= 1 / 51
    none = json.loads(nmt("evaluate", *arguments, "--resamples", "0").out)
    assert none["test"] is None
    assert not any("interval" in key or "p_value" in key for key in none["systems"][1])


def test_details_name_the_metric_that_they_have(nmt: Nmt, files: Callable[[str], Path]) -> None:
    test = ["--source", files("source"), "--reference", files("reference")]
    for systems in ([files("bad")], [files("good"), files("bad")]):
        out = nmt("evaluate", *systems, *test, "--metrics", "ter", "--detail").out
        assert "TER by source length" in out
        assert "BLEU" not in out


def test_a_single_sentence_has_no_confidence(
    nmt: Nmt, files: Callable[[str], Path], tmp_path: Path
) -> None:
    """All resamples of one sentence are equal: ± 0.00 and p = 0.001 would mislead."""
    for name, lines in (("one", GOOD), ("other", BAD), ("of-one", REFERENCE)):
        (tmp_path / name).write_text(f"{lines[0]}\n", encoding="utf-8")
    test = ["--reference", tmp_path / "of-one"]
    for systems in ([tmp_path / "one"], [tmp_path / "one", tmp_path / "other"]):
        out = nmt("evaluate", *systems, *test).out
        assert "±" not in out
        assert "p = " not in out
        assert "significantly" not in out
        assert "note: no confidence interval and no test of significance" in out
    few = nmt("evaluate", files("good"), "--reference", files("reference")).out
    assert "note: confidence intervals and p-values of 20 sentences are not reliable" in few


def test_empty_translations_are_noted(nmt: Nmt, files: Callable[[str], Path]) -> None:
    out = nmt("evaluate", files("bad"), "--reference", files("reference")).out
    assert "note: 5 of 20 translations of bad.txt are empty" in out


def test_words_without_spaces_are_noted_if_the_language_is_unknown(
    nmt: Nmt, tmp_path: Path
) -> None:
    texts = {"reference": "我在学校里看书，很高兴。", "output": "我在家里看书。"}
    for name, line in texts.items():
        (tmp_path / name).write_text(f"{line}\n" * 40, encoding="utf-8")
    arguments = ["evaluate", tmp_path / "output", "--reference", tmp_path / "reference"]
    assert "note: BLEU's tokenizer 13a separates words at spaces" in nmt(*arguments).out
    assert "note" not in nmt(*arguments, "--language", "zh").out


def test_details_name_faulty_translations(nmt: Nmt, files: Callable[[str], Path]) -> None:
    test = ["--source", files("source"), "--reference", files("reference")]
    arguments = ["evaluate", files("bad"), *test, "--detail", "--worst", "2"]
    found = json.loads(nmt(*arguments, "--json").out)
    assert found["statistics"]["empty"] == 5
    assert found["statistics"]["repetitive"] == 5
    assert found["statistics"]["copies"] == 0  # the reference equals the source, too
    assert [group["sentences"] for group in found["groups"]["source length"]] == [20]
    assert [one["reference"] for one in found["worst"]] == [REFERENCE[3]] * 2
    assert "by source length" in nmt(*arguments).out


def test_groups_are_scored_by_themselves(
    nmt: Nmt, files: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "groups").write_text("news\ntalks\n" * 10, encoding="utf-8")
    test = ["--reference", files("reference"), "--groups", tmp_path / "groups"]
    found = json.loads(nmt("evaluate", files("good"), *test, "--detail", "--json").out)
    rows = found["groups"]["group"]
    assert [(row["name"], row["sentences"]) for row in rows] == [("news", 10), ("talks", 10)]
    assert rows[1]["scores"] == [pytest.approx(100)]


def test_several_references_and_metrics(nmt: Nmt, files: Callable[[str], Path]) -> None:
    one = ["evaluate", files("bad"), "--reference", files("good")]
    several = [*one, "--reference", files("reference"), "--metrics", "chrf++,bleu"]
    found = json.loads(nmt(*several, "--json").out)
    assert found["references"] == 2
    assert "nrefs:2" in found["bleu_signature"]
    assert "nw:2" in found["chrf++_signature"]
    assert "ter" not in found
    assert found["bleu"] >= json.loads(nmt(*one, "--json").out)["bleu"]


def test_saved_texts_are_those_that_were_scored(
    nmt: Nmt, files: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    test = ["--source", files("source"), "--reference", files("reference")]
    nmt("evaluate", files("good"), files("bad"), *test, "--save", folder)
    for saved, name in (("system-2", "bad"), ("reference-1", "reference"), ("source", "source")):
        assert (folder / f"{saved}.txt").read_bytes() == files(name).read_bytes()


def test_the_score_of_older_papers_is_named(nmt: Nmt, files: Callable[[str], Path]) -> None:
    pytest.importorskip("sacremoses", reason="needs the extra sacremoses")
    arguments = [files("good"), "--reference", files("reference"), "--language", "de"]
    out = nmt("evaluate", *arguments, "--tokenized-lowercase").out
    assert "tokenized lower-cased BLEU, for comparison with older papers only" in out
    assert "case:lc|eff:no|tok:moses-de" in out


def test_without_its_tokenizer_the_score_of_older_papers_is_refused(
    refused: Refused, files: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sacremoses", None)
    arguments = [files("good"), "--reference", files("reference"), "--tokenized-lowercase"]
    assert "--language CODE" in refused("evaluate", *arguments)


def test_rouge_and_exact_match_are_printed(nmt: Nmt, files: Callable[[str], Path]) -> None:
    """The figures are those of the package on the same files."""
    scorers = pytest.importorskip("rouge_score.rouge_scorer", reason="needs the extra rouge")
    kinds = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
    scorer = scorers.RougeScorer(list(kinds))
    arguments = ["evaluate", files("bad"), "--reference", files("reference")]
    report = json.loads(nmt(*arguments, "--rouge", "--exact-match", "--json").out)
    out = nmt(*arguments, "--rouge", "--exact-match").out
    for kind, label in kinds.items():
        pairs = zip(REFERENCE, BAD, strict=True)
        each = [scorer.score(*pair)[kind].fmeasure for pair in pairs]
        assert report[kind] == pytest.approx(100 * sum(each) / len(each))
        assert f"{label} {report[kind]:6.2f}  {report['rouge_signature']}" in out
    assert report["exact_match"] == 25
    assert "exact match 25.00 %" in out
    plain = json.loads(nmt(*arguments, "--json").out)
    assert not {"rouge1", "exact_match"} & plain.keys()


def test_without_its_package_rouge_is_refused_before_any_work(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    message = refused("evaluate", tmp_path / "absent", "--reference", tmp_path, "--rouge")
    assert message.endswith("pip install 'nmt[rouge]'")


def test_wrong_options_are_refused_in_one_line(
    refused: Refused, files: Callable[[str], Path], tmp_path: Path
) -> None:
    good, reference = files("good"), ["--reference", files("reference")]
    cases = [
        ([], "name at least one system"),
        ([good], "translations need references"),
        ([good, good, *reference], "is named twice"),
        ([good, *reference, "--metrics", "bleu,meteor"], "--metrics has meteor; choose from bleu"),
        ([good, *reference, "--groups", good], "--groups needs --detail"),
        ([good, *reference, "--resamples", "1"], "--resamples is 1; give 0"),
        ([good, *reference, "--worst", "-1"], "--worst is -1; give 0 or more"),
        ([good, *reference, "--test-set", "wmt19"], "--test-set replaces"),
        ([good, *reference, "--split", "valid"], "--split selects text of the run"),
        ([good, "--source", files("source")], "--source needs the translations"),
        ([good, "--test-set", "wmt19"], "give the languages, e.g. --test-set wmt19:en-de"),
        ([good, "--test-set", "wmt1:en-de"], "sacreBLEU has no test set wmt1"),
        ([good, "--test-set", "wmt19:en-xx"], "has no en-xx; it has"),
        ([tmp_path / "absent", *reference], "absent"),
    ]
    for arguments, message in cases:
        assert message in refused("evaluate", *arguments)
    (tmp_path / "short.txt").write_text("one\n", encoding="utf-8")
    message = refused("evaluate", tmp_path / "short.txt", *reference)
    assert "short.txt has 1 lines but the test set" in message


def test_runs_and_files_are_compared_on_the_test_set_of_the_run(
    nmt: Nmt, run: Path, tmp_path: Path
) -> None:
    alone = json.loads(nmt("evaluate", run, "--json").out)
    summary = json.loads((run / "summary.json").read_text())["test"]
    assert alone["bleu"] == pytest.approx(summary["bleu"])
    assert alone["ter"] == pytest.approx(summary["ter"])
    assert alone["test_set"] == "data.test of the run"
    valid = json.loads(nmt("evaluate", "--model", run, "--split", "valid", "--json").out)
    assert valid["chrf"] == pytest.approx(
        json.loads((run / "summary.json").read_text())["valid"]["chrf"]
    )
    written = run / "test.translations.txt"
    both = json.loads(nmt("evaluate", run, written, "--json", "--detail").out)
    assert both["systems"][0]["bleu"] == both["systems"][1]["bleu"]
    assert "bleu_p_value" not in both["systems"][1]
    assert "rare words" in both["groups"]
    best = run / "checkpoints" / "best.pt"
    assert len(json.loads(nmt("evaluate", run, best, "--json").out)["systems"]) == 2
