"""The short and the long report, and the arguments of the command."""

import dataclasses
import json
from pathlib import Path

import pytest

from nmt.cli.data_check import DataCheckOptions, run_check
from nmt.data.locations import Location
from nmt.data.sources.encodings import UNDECODED
from nmt.data.sources.pair_source import DataFault, PairChunk
from nmt.data_check.build_report import build_report
from nmt.data_check.check_report import DataReport, Finding, Severity
from nmt.data_check.collected_faults import CollectedFaults
from nmt.data_check.even_sample import EvenSample
from nmt.data_check.filter_findings import explain_filters, other_language_findings
from nmt.data_check.findings import problem_findings
from nmt.data_check.inspection import Inspection
from nmt.data_check.report_table import report_table
from nmt.data_check.rule_texts import ORDER, RULES
from nmt.errors import UserError

CORPUS = {"name": "mine", "source_language": "en", "target_language": "de"}
SPLIT = {
    "name": "train",
    "pairs": 3,
    "source": {"lines": 3, "words": 9, "characters": 40, "longest_words": 4},
    "target": {"lines": 3, "words": 9, "characters": 40, "longest_words": 4},
}


def _finding(rule: str = "copy", severity: str = "warning") -> Finding:
    locations = [Location("a.de", 7, "the text " * 20)]
    return Finding(
        rule, Severity(severity), "train", None, 3, locations, "3 pairs are bad", "fix them"
    )


def test_status_and_exit_code_follow_the_worst_finding() -> None:
    cases = [([], "clean", 0), (["warning"], "warnings", 1), (["warning", "error"], "refused", 2)]
    for severities, status, code in cases:
        report = DataReport(CORPUS, [SPLIT], [_finding(severity=s) for s in severities])
        assert (report.status, report.exit_code) == (status, code)
        assert report.to_mapping()["status"] == status


def test_the_short_report_is_at_most_eight_lines_with_locations() -> None:
    report = DataReport(CORPUS, [SPLIT], [_finding(f"rule_{i}") for i in range(20)])
    lines = report.short_lines()
    assert len(lines) == 8
    assert "train 3 pairs" in lines[0]
    assert lines[1] == "  warning: rule 0 3 x, first a.de, line 7"
    assert "14 more" in lines[-1]
    assert len(DataReport(CORPUS, [SPLIT], []).short_lines()) == 1
    few = DataReport(CORPUS, [SPLIT], [_finding()]).short_lines()
    assert len(few) == 3
    assert all("nmt data check --data mine and all" in some[-1] for some in (few, lines))


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_the_table_fits_its_width(width: int) -> None:
    table = report_table(DataReport(CORPUS, [SPLIT], [_finding()]), width)
    assert max(map(len, table.splitlines())) <= max(width, 80)
    assert "\x1b" not in table
    assert "fix them" in table


def test_every_rule_has_a_description_and_an_importance() -> None:
    assert {*ORDER} == {
        *RULES,
        "unknown_pieces",
        "changed_characters",
        "looks_reordered",
        "looks_exchanged",
    }
    assert all(rule.why and rule.remedy for rule in RULES.values())


def test_findings_are_sorted_by_severity_and_importance() -> None:
    seen = Inspection()
    chunk = PairChunk("a", "b", [1, 2], ["Tom lebt  hier.", "x"], ["Tom lebt  hier.", "\x01"])
    seen.inspect(chunk, ("en", "de"))
    faults = CollectedFaults()
    faults(DataFault("not_utf8", "b", 2, "b is not UTF-8: line 2"))
    report = build_report(CORPUS, {"train": seen}, {"train": faults})
    rules = [finding.rule for finding in report.findings]
    assert rules == ["not_utf8", "copy", "control_character", "spaces", "spaces"]
    json.dumps(report.to_mapping())


def test_lost_bytes_are_reported_once() -> None:
    seen, faults = Inspection(), CollectedFaults()
    seen.inspect(PairChunk("a", "b", [1], ["x"], [UNDECODED]), ("en", "de"))
    faults(DataFault("not_utf8", "b", 1, "b is not UTF-8: line 1"))
    report = build_report(CORPUS, {"train": seen}, {"train": faults})
    assert [finding.rule for finding in report.findings] == ["not_utf8"]


def test_shifted_sides_are_a_warning_if_so_configured() -> None:
    shifted = Path(__file__).resolve().parents[1] / "data" / "gallery" / "shifted"
    texts = [(shifted / f"train.{ln}").read_text("utf-8").splitlines() for ln in ("en", "de")]
    chunk = PairChunk("a", "b", list(range(1, len(texts[0]) + 1)), *texts)
    seen = Inspection()
    seen.inspect(chunk, ("en", "de"))
    for stop, severity in ((True, "error"), (False, "warning")):
        found = build_report(CORPUS, {"train": seen}, {}, stop=stop).findings
        assert [(f.rule, f.severity) for f in found] == [("looks_shifted", severity)]
        assert "data.on_doubt=warn" in found[0].remedy


@pytest.mark.parametrize("pairs", [1, 9, 10, 11, 1000])
def test_a_sample_is_evenly_spread(pairs: int) -> None:
    sample = EvenSample(10)
    for start in range(0, pairs, 7):
        lines = list(range(start, min(start + 7, pairs)))
        texts = [str(line) for line in lines]
        sample.add(PairChunk("a", "b", lines, texts, texts), range(len(lines)))
    steps = {int(b) - int(a) for a, b in zip(sample.sources, sample.sources[1:], strict=False)}
    assert sample.seen == pairs
    assert sample.sources[0] == "0"
    assert len(steps) <= 1
    assert min(pairs, 5) <= len(sample) <= 10


LANGUAGES = ("de", "en")


def _named(*files: str) -> Inspection:
    seen = Inspection()
    chunk = PairChunk(*files, [1], ["Ein Hund schläft."], ["A dog sleeps."])
    seen.inspect(chunk, LANGUAGES)
    return seen


def _problems(files: tuple[str, str], *, stop: bool) -> list[Finding]:
    faults = CollectedFaults()
    return list(problem_findings("train", _named(*files), faults, LANGUAGES, stop=stop))


def test_files_named_after_the_other_language_are_refused_by_default() -> None:
    for files in (("a.en", "a.de"), ("x/a.EN.gz", "x/a.DE.gz")):
        for stop, severity in ((True, "error"), (False, "warning")):
            (found,) = _problems(files, stop=stop)
            assert (found.rule, found.severity) == ("looks_swapped", severity)
            assert all(file in found.message for file in files)
    for files in (("a.de", "a.en"), ("a.txt", "b.txt"), ("a.tsv", "a.tsv"), ("a.en", "a.fr")):
        assert not _problems(files, stop=True)


def test_findings_that_the_filters_drop_need_no_remedy() -> None:
    found = _finding("duplicate")
    for count, changed in ((2, False), (3, True), (9, True)):
        filters = {"kept": 5, "dropped": [{"rule": "duplicate", "count": count}]}
        assert (explain_filters(found, filters) != found) is changed
    valid = dataclasses.replace(found, split="valid")
    assert explain_filters(valid, filters) == valid
    overlap = dataclasses.replace(valid, rule="overlap")
    assert explain_filters(overlap, filters) == overlap
    filters = {"kept": 5, "dropped": [{"rule": "test_overlap", "count": 2}]}
    assert "drop 2 training pairs" in explain_filters(overlap, filters).remedy


@pytest.mark.parametrize(("count", "found"), [(49, False), (51, True)])
def test_a_corpus_mostly_of_other_languages_is_reported(count: int, found: bool) -> None:
    others = {"rule": "max_ratio", "count": 40}
    filters = {"kept": 60 - count, "dropped": [{"rule": "language", "count": count}, others]}
    assert bool(list(other_language_findings(filters))) is found
    of_another_rule = {"kept": 1, "dropped": [{"rule": "duplicate", "count": 99}]}
    assert not list(other_language_findings(of_another_rule))


# --------------------------------------------------------------------- arguments


def _mapping(capsys: pytest.CaptureFixture[str], options: DataCheckOptions) -> dict[str, object]:
    run_check(options)
    mapping: dict[str, object] = json.loads(capsys.readouterr().out)
    return mapping


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (DataCheckOptions([]), "give two files"),
        (DataCheckOptions(["a.en", "a.de", "b.en"]), "3 files are given"),
        (DataCheckOptions(["a.txt", "a.de"]), "--source-language"),
        (DataCheckOptions(["corpus.tsv"]), "--source-language de --target-language en"),
        (DataCheckOptions(["corpus.de.gz"]), "corpus.de.gz is one side"),
        (DataCheckOptions(["a.de", "a.de"]), "the same file, a.de"),
        (DataCheckOptions(["data.max_length=9"]), "give two files"),
        (DataCheckOptions(["a.en", "a.de", "data.max_length=0"]), "data.max_length is 0"),
        (DataCheckOptions([], data="nonsense"), "there is no data=nonsense"),
        (
            DataCheckOptions([], data="phrasebook", valid=("a", "b")),
            "--data already names",
        ),
        (DataCheckOptions([], data="'"), "cannot parse --data"),
        (DataCheckOptions([], data=" "), "--data is blank"),
        (DataCheckOptions(["data.max_length=0"], data="phrasebook"), "data.max_length"),
    ],
)
def test_bad_usage_is_refused_in_one_line(options: DataCheckOptions, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        run_check(options)


def test_languages_come_from_the_names_of_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.pt-BR").write_text("Bom dia.\n")
    (tmp_path / "x.fr").write_text("Bonjour !\n")
    (tmp_path / "x.fr-nl.tsv").write_text("fr\tnl\nBonjour !\tGoedendag.\n")
    two = DataCheckOptions([str(tmp_path / "x.pt-BR"), str(tmp_path / "x.fr")], as_json=True)
    corpus = _mapping(capsys, two)["corpus"]
    assert isinstance(corpus, dict)
    assert (corpus["source_language"], corpus["target_language"]) == ("pt-BR", "fr")
    one = DataCheckOptions([str(tmp_path / "x.fr-nl.tsv")], as_json=True)
    corpus = _mapping(capsys, one)["corpus"]
    assert isinstance(corpus, dict)
    assert (corpus["source_language"], corpus["target_language"]) == ("fr", "nl")


def test_settings_may_be_quoted_or_follow(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(__file__).resolve().parents[1] / "data" / "gallery" / "clean"
    settings = [
        "data.source_language=en",
        "data.target_language=de",
        f"data.train.path={folder}/train.{{lang}}",
        f"data.valid.path={folder}/train.{{lang}}",
        "data.test=null",
        "tokenizer.vocab_size=400",
    ]
    behind = _mapping(capsys, DataCheckOptions(settings, data="files", as_json=True))
    together = f"data=files {' '.join(settings)}"
    assert behind == _mapping(capsys, DataCheckOptions([], data=together, as_json=True))
    assert behind["tokens"] is not None
    assert behind["cost"] is not None
