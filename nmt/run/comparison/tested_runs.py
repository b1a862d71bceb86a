"""Tests of the differences in BLEU between runs and between their configurations."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nmt.config.plain import to_naming_mapping
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.evaluation.metrics import MetricName, bleu_tokenizer, sacrebleu_metric
from nmt.evaluation.resampling import Numbers, score_of_counts, sentence_counts
from nmt.evaluation.seed_significance import compare_counts
from nmt.evaluation.significance import (
    PairedScore,
    PairedScores,
    PairedTestName,
    bootstrap,
    paired_scores,
)
from nmt.evaluation.test_set import TestSet, of_run
from nmt.run.comparison.same_files import by_configuration, real_names, without_seed
from nmt.run.run_record import RunRecord

_ROUNDING = 0.005  # of a BLEU that is printed with two decimals


@dataclass
class ComparedScores:
    """The results of a test of significance.

    Attributes:
        scores: The score of each tested run, by its position. Runs that differ from the first one
            at most in their seed have no p-value.
        configurations: See `nmt.run.comparison.run_comparison.Comparison`.
        signature: The signature of BLEU; empty: nothing was compared.
        notes: What could not be compared, and why.
    """

    scores: dict[int, PairedScore] = field(default_factory=dict)
    configurations: list[dict[str, Any]] = field(default_factory=list)
    signature: str = ""
    notes: list[str] = field(default_factory=list)


class _Translated(NamedTuple):
    """A run with translations of the test text."""

    number: int
    name: str
    record: RunRecord
    translations: list[str]


def compare_scores(
    names: Sequence[str], records: Sequence[RunRecord], test: PairedTestName
) -> ComparedScores:
    """Compare the BLEU of each run with that of the first run that has test translations.

    Args:
        names: The names of the runs.
        records: The runs.
        test: The test of significance.
    """
    runs = [
        _Translated(n, name, record, record.translations)
        for n, (name, record) in enumerate(zip(names, records, strict=True))
        if record.translations is not None
    ]
    if len(runs) < 2:
        why = "fewer than two runs have translations of a test text, so none is compared"
        return ComparedScores(notes=[why])
    data, training = runs[0].record.config.data, runs[0].record.config.training
    try:
        text = of_run(data, "test")
        words = bleu_tokenizer(data.target_language, training.bleu_tokenizer)
        return _compared(runs, text, words, test)
    except UserError as error:
        return ComparedScores(notes=[f"no test of significance: {error}"])


def _compared(
    runs: Sequence[_Translated], text: TestSet, words: str, test: PairedTestName
) -> ComparedScores:
    metric = sacrebleu_metric(MetricName.BLEU, words, text.references)
    counts: dict[int, Numbers] = {}
    result = ComparedScores()
    for run in runs:
        if len(run.translations) == len(text):
            counts[run.number] = sentence_counts(metric, run.translations, None)
        score = score_of_counts(metric, counts[run.number]) if run.number in counts else None
        if why := _difference(run, runs[0], words, score):
            result.notes.append(why)
            counts.pop(run.number, None)
            if run is runs[0]:
                return result
    equal = [run for run in runs if run.number in counts]
    if len(equal) < 2:
        return result
    found = _paired(equal, counts, metric, text, words, test)
    groups = by_configuration([run.record for run in equal])
    for index, (run, paired) in enumerate(zip(equal, found.scores, strict=True)):
        alike = index in groups[0]
        result.scores[run.number] = replace(paired, p_value=None) if alike else paired
    result.signature = found.signature
    seeds = [first_of_each_seed([run.record for run in equal], members) for members in groups]
    if any(len(members) > 1 for members in seeds):
        of_groups = [[counts[equal[index].number] for index in members] for members in seeds]
        result.configurations = [
            {
                "runs": [equal[index].name for index in members],
                "bleu": one.mean,
                "bleu_difference": one.difference,
                "bleu_p_value": one.p_value,
            }
            for members, one in zip(seeds, compare_counts(metric, of_groups), strict=True)
        ]
    return result


def _paired(
    equal: Sequence[_Translated],
    counts: dict[int, Numbers],
    metric: Any,
    text: TestSet,
    words: str,
    test: PairedTestName,
) -> PairedScores:
    if test is PairedTestName.BOOTSTRAP:
        return bootstrap(metric, [counts[run.number] for run in equal])
    systems = {str(run.number): run.translations for run in equal}
    bleu = [MetricName.BLEU]
    return paired_scores(systems, text.references, bleu, test, tokenizer=words)[MetricName.BLEU]


def _difference(
    run: _Translated, first: _Translated, words: str, score: float | None
) -> str | None:
    """Return why the BLEU of a run cannot be compared with that of the first run; None: it can.

    Args:
        run: The run.
        first: The first run, whose test text and tokenizer are used.
        words: This tokenizer.
        score: The BLEU of the run's translations; None: their number is not that of the sentences.
    """
    name, scores = run.name, run.record.summary.get("test") or {}
    fields = str(scores.get("signature", "")).split("|")
    own = next((one.removeprefix("tok:") for one in fields if one.startswith("tok:")), words)
    if own != words:
        return (
            f"{name} is not compared with {first.name}, because BLEU of {name} counts the words of "
            f"the tokenizer {own}, not of {words}"
        )
    before = float(scores.get("bleu", score or 0.0))
    if score is not None and abs(score - before) <= _ROUNDING:
        return None
    if _test_text(run.record) != _test_text(first.record):
        return f"{name} and {first.name} differ in the test text"
    change = (
        f"{name} has {len(run.translations):,} translations, not one for each sentence"
        if score is None
        else f"its BLEU was {before:.2f} and would now be {score:.2f}"
    )
    return (
        f"{name} is not compared, because the test text of {first.name} or the translations of "
        f"{name} have changed since the training: {change}"
    )


def _test_text(record: RunRecord) -> Any:
    data = real_names(record.config)["data"]
    keys = ("source_language", "target_language", "test", "splits", "stems", "root", "path", "name")
    return {key: data.get(key) for key in keys}


def first_of_each_seed(records: Sequence[RunRecord], members: Sequence[int]) -> list[int]:
    """Return the first run of each seed of one configuration; a copy of a run is no other seed."""
    found: dict[int, int] = {}
    for n in members:
        found.setdefault(records[n].config.seed, n)
    return list(found.values())


def settings_without_seed(config: Config) -> dict[str, Any]:
    """Return the settings that change the model, without the seed; runs of one group share them.

    The number of threads is left out, because it changes a model only by rounding.

    Args:
        config: The settings of a run.
    """
    return without_seed(to_naming_mapping(config))
