"""Everything that `nmt evaluate` measures of one or several systems on one test set."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nmt.data.writing_systems import LEAST_SHARE, share_in_script
from nmt.errors import UserError
from nmt.evaluation import score_groups
from nmt.evaluation.comet import comet_score
from nmt.evaluation.metrics import DEFAULT_METRICS, MetricName, Score, ScoreOptions, corpus_score
from nmt.evaluation.older_papers import tokenized_lowercase_bleu
from nmt.evaluation.output_statistics import OutputStatistics, output_statistics
from nmt.evaluation.rouge import Rouge, exact_match, rouge
from nmt.evaluation.score_groups import GroupScore
from nmt.evaluation.sentence_ranking import RankedSentence, most_different, rank_sentences, worst
from nmt.evaluation.significance import PairedScore, PairedScores, PairedTestName, paired_scores
from nmt.evaluation.system_output import SystemOutput
from nmt.evaluation.test_set import TestSet

RESAMPLES = 1000
_BYTES_PER_SENTENCE = 160_000  # that sacreBLEU holds for 10,000 trials
_FEW_SENTENCES = 30
_SENTENCES_OF_SCRIPT = 1000
_OTHER_WORDS = ("Japanese", "Hangul", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
"""Scripts whose words sacreBLEU's default tokenizer does not find; Japanese includes Han."""
_MEMORY = 3 << 30


@dataclass(frozen=True)
class Comet:
    """Arguments of `nmt.evaluation.comet.comet_score`."""

    model: str
    program: str
    on_gpu: bool


@dataclass(frozen=True)
class Measure:
    """What is measured.

    Attributes:
        metrics: The sacreBLEU scores.
        tokenizer: BLEU's tokenizer.
        resamples: Number of resamples for intervals and the bootstrap test; 0: neither of them.
        test: The test that compares each system with the first one; None: no comparison.
        older_papers: Language code for `tokenized_lowercase_bleu`; None: it is not computed.
        comet: How COMET is computed; None: it is not computed.
        rouge: Whether ROUGE is computed.
        exact_match: Whether the texts that equal a reference are counted.
        detail: Whether parts of the test set are also scored.
        worst: Number of sentences to list with the lowest chrF2 of the first system.
        different: Number of sentences to list where the first two systems differ most in chrF2.
    """

    metrics: tuple[MetricName, ...] = DEFAULT_METRICS
    tokenizer: str = "13a"
    resamples: int = RESAMPLES
    test: PairedTestName | None = PairedTestName.BOOTSTRAP
    older_papers: str | None = None
    comet: Comet | None = None
    rouge: bool = False
    exact_match: bool = False
    detail: bool = False
    worst: int = 0
    different: int = 0


@dataclass(frozen=True)
class SystemReport:
    """The figures of one system.

    Attributes:
        name: Name of the system.
        scores: The score by each metric.
        paired: The comparison with the first system by each metric; empty without a comparison.
        statistics: Counts of faulty translations, and the length ratio.
        older_papers: BLEU of tokenized, lower-cased text; None: not computed.
        comet: The mean score of COMET's model; None: not computed.
        rouge: ROUGE; None: not computed.
        exact_match: The percentage of texts that equal a reference; None: not computed.
    """

    name: str
    scores: dict[MetricName, Score]
    paired: dict[MetricName, PairedScore]
    statistics: OutputStatistics
    older_papers: Score | None = None
    comet: float | None = None
    rouge: Rouge | None = None
    exact_match: float | None = None

    def plain(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        values: dict[str, Any] = {"name": self.name}
        for metric, score in self.scores.items():
            values |= {metric.value: score.value, f"{metric}_signature": score.signature}
            if score.interval is not None:
                values |= {f"{metric}_mean": score.mean, f"{metric}_interval": score.interval}
            if metric in self.paired and self.paired[metric].p_value is not None:
                values[f"{metric}_p_value"] = self.paired[metric].p_value
        if self.older_papers is not None:
            values["tokenized_lowercase_bleu"] = self.older_papers.value
            values["tokenized_lowercase_bleu_signature"] = self.older_papers.signature
        if self.comet is not None:
            values["comet"] = self.comet
        if self.rouge is not None:
            values |= self.rouge.values | {"rouge_signature": self.rouge.signature}
        if self.exact_match is not None:
            values["exact_match"] = self.exact_match
        return values | {"statistics": vars(self.statistics)}


@dataclass(frozen=True)
class EvaluationReport:
    """The figures of all systems.

    Attributes:
        test_set: Name of the test set.
        sentences: Number of its sentences.
        references: Number of references of each sentence.
        systems: One report per system; the first system is the one compared with.
        test: The test of the comparisons; None: nothing was compared.
        groups: Scores of the parts of the test set, by the criterion that divides it.
        worst: The sentences with the lowest chrF2 of the first system.
        different: The sentences where the first two systems differ most in chrF2.
        notes: What could not be measured, and why.
    """

    test_set: str
    sentences: int
    references: int
    systems: list[SystemReport]
    test: PairedTestName | None = None
    groups: dict[str, list[GroupScore]] = field(default_factory=dict)
    worst: list[RankedSentence] = field(default_factory=list)
    different: list[RankedSentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON values; the figures of a single system are also at the top."""
        systems = [system.plain() for system in self.systems]
        alone = systems[0] if len(systems) == 1 else {}
        return {
            "test_set": self.test_set,
            "sentences": self.sentences,
            "references": self.references,
            **{name: value for name, value in alone.items() if name != "name"},
            "systems": systems,
            "test": self.test,
            "groups": {name: [_plain_group(g) for g in rows] for name, rows in self.groups.items()},
            "worst": [vars(one) for one in self.worst],
            "different": [vars(one) for one in self.different],
            "notes": self.notes,
        }


def evaluate_systems(
    outputs: Sequence[SystemOutput],
    test_set: TestSet,
    measure: Measure,
    training_text: Iterable[str] | None = None,
) -> EvaluationReport:
    """Score systems and compare each with the first one.

    Args:
        outputs: One per system, at least one; their names differ.
        test_set: The sentences and references.
        measure: What is measured.
        training_text: The source side of the training text, from which words are counted.

    Raises:
        UserError: A tokenizer, a package or COMET is not available, COMET lacks the source, or the
            numbers of sentences differ.
    """
    measure, notes = _possible(measure, len(test_set))
    paired = _paired(outputs, test_set, measure)
    systems = [
        SystemReport(
            output.name,
            _paired_values(paired, number) or _scores(output, test_set, measure),
            {metric: found.scores[number] for metric, found in paired.items()},
            output_statistics(
                output.translations, test_set.references, test_set.source, output.truncated
            ),
            _older_papers(output, test_set, measure),
            _comet(output, test_set, measure),
            rouge(output.translations, test_set.references) if measure.rouge else None,
            exact_match(output.translations, test_set.references) if measure.exact_match else None,
        )
        for number, output in enumerate(outputs)
    ]
    translations = [output.translations for output in outputs]
    wanted = measure.worst or measure.different
    ranked = rank_sentences(translations, test_set.references, test_set.source) if wanted else []
    return EvaluationReport(
        test_set=test_set.name,
        sentences=len(test_set),
        references=len(test_set.references),
        systems=systems,
        test=measure.test if paired else None,
        groups=_groups(translations, test_set, measure, training_text) if measure.detail else {},
        worst=worst(ranked, measure.worst),
        different=most_different(ranked, measure.different) if len(outputs) > 1 else [],
        notes=[*notes, *_unfit_words(measure, test_set), *filter(None, map(_empty, systems))],
    )


def _possible(measure: Measure, sentences: int) -> tuple[Measure, list[str]]:
    """Leave out resampling that has no meaning or takes more than 3 GiB, and return notes."""
    if measure.test is PairedTestName.BOOTSTRAP and not measure.resamples:
        measure = replace(measure, test=None)
    if not (measure.resamples or measure.test):
        return measure, []
    if sentences < 2:
        note = "no confidence interval and no test of significance: they need several sentences"
        return replace(measure, resamples=0, test=None), [note]
    if measure.test is PairedTestName.RANDOMIZATION and sentences * _BYTES_PER_SENTENCE > _MEMORY:
        note = (
            f"no test of significance: randomization of {sentences:,} sentences would take about "
            f"{sentences * _BYTES_PER_SENTENCE / 1e9:.0f} GB of memory; use --paired bootstrap"
        )
        return replace(measure, test=None), [note]
    if sentences < _FEW_SENTENCES:
        note = f"confidence intervals and p-values of {sentences} sentences are not reliable"
        return measure, [note]
    return measure, []


def _unfit_words(measure: Measure, test_set: TestSet) -> list[str]:
    """Return a note if BLEU's tokenizer needs spaces that the references do not have."""
    if measure.tokenizer != "13a" or MetricName.BLEU not in measure.metrics:
        return []
    text = "".join(test_set.references[0][:_SENTENCES_OF_SCRIPT])
    script = next((one for one in _OTHER_WORDS if share_in_script(text, one) >= LEAST_SHARE), None)
    if script is None:
        return []
    return [
        f"BLEU's tokenizer 13a separates words at spaces, but the references are in {script} "
        "script: give --language, e.g. zh, ja or ko, or --bleu-tokenizer char or flores200"
    ]


def _empty(system: SystemReport) -> str | None:
    """Return a note about translations without text; None: there are none."""
    found = system.statistics
    if not found.empty:
        return None
    return f"{found.empty:,} of {found.sentences:,} translations of {system.name} are empty"


def _paired(
    outputs: Sequence[SystemOutput], test_set: TestSet, measure: Measure
) -> dict[MetricName, PairedScores]:
    if len(outputs) == 1 or measure.test is None:
        return {}
    return paired_scores(
        {output.name: output.translations for output in outputs},
        test_set.references,
        measure.metrics,
        measure.test,
        tokenizer=measure.tokenizer,
        samples=measure.resamples if measure.test is PairedTestName.BOOTSTRAP else 0,
    )


def _paired_values(
    paired: Mapping[MetricName, PairedScores], number: int
) -> dict[MetricName, Score]:
    values = {}
    for metric, found in paired.items():
        score = found.scores[number]
        values[metric] = Score(score.value, found.signature, score.mean, score.interval)
    return values


def _scores(output: SystemOutput, test_set: TestSet, measure: Measure) -> dict[MetricName, Score]:
    options = ScoreOptions(measure.tokenizer, measure.resamples)
    return {
        metric: corpus_score(metric, output.translations, test_set.references, options)
        for metric in measure.metrics
    }


def _older_papers(output: SystemOutput, test_set: TestSet, measure: Measure) -> Score | None:
    if measure.older_papers is None:
        return None
    return tokenized_lowercase_bleu(output.translations, test_set.references, measure.older_papers)


def _comet(output: SystemOutput, test_set: TestSet, measure: Measure) -> float | None:
    if measure.comet is None:
        return None
    if test_set.source is None:
        raise UserError("COMET also reads the source: give --source FILE")
    return comet_score(
        test_set.source, output.translations, test_set.references[0], **vars(measure.comet)
    )


def _groups(
    translations: Sequence[Sequence[str]],
    test_set: TestSet,
    measure: Measure,
    training_text: Iterable[str] | None,
) -> dict[str, list[GroupScore]]:
    """Score the parts of the test set for each criterion that can divide it."""
    ways: dict[str, dict[str, list[int]]] = {}
    if test_set.source is not None:
        ways["source length"] = score_groups.by_length(test_set.source)
        if training_text is not None:
            ways["rare words"] = score_groups.by_rarest_word(test_set.source, training_text)
    if test_set.groups is not None:
        ways["group"] = score_groups.by_label(test_set.groups)
    options = ScoreOptions(measure.tokenizer)
    references = test_set.references
    return {
        way: score_groups.score_groups(parts, translations, references, measure.metrics[0], options)
        for way, parts in ways.items()
    }


def _plain_group(group: GroupScore) -> dict[str, Any]:
    return {
        "name": group.name,
        "sentences": group.sentences,
        "metric": group.metric.value,
        "scores": [score.value for score in group.scores],
        "signature": group.scores[0].signature,
    }
