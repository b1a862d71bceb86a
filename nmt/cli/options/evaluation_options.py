"""The options of `nmt evaluate`: the systems, the test set, and what is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options.common_options import FeaturesFile
from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.config.data import DataConfig
    from nmt.evaluation.evaluation_report import Measure
    from nmt.evaluation.metrics import MetricName
    from nmt.evaluation.test_set import TestSet

_MOST_RESAMPLES = 100_000


class Split(StrEnum):
    """A part of the corpus of a run."""

    TEST = "test"
    VALID = "valid"


class Paired(StrEnum):
    """How the difference between systems is tested."""

    BOOTSTRAP = "bootstrap"
    RANDOMIZATION = "randomization"
    NONE = "none"


@dataclass(frozen=True)
class TestSetOptions:
    """The text that is translated, and the references of its translations."""

    __test__ = False  # otherwise pytest would collect this class by its name

    source: Annotated[
        Path | None,
        typer.Option(help="Sentences to translate, one per line; may be .gz. [the run's test set]"),
    ] = None
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help=(
                "Reference translations, line by line; may be .gz. Repeat the option if there are "
                "several references."
            ),
            show_default=False,
        ),
    ] = None
    test_set: Annotated[
        str | None,
        typer.Option(
            metavar="<name[:languages]>",
            help="A test set that sacreBLEU downloads once, e.g. wmt19 or wmt19:en-de.",
        ),
    ] = None
    split: Annotated[
        Split | None,
        typer.Option(
            help=("Without files: score the run's own test set, or its validation set. [test]")
        ),
    ] = None
    features: FeaturesFile = None
    groups: Annotated[
        Path | None,
        typer.Option(
            help="A label for each sentence, line by line, e.g. its corpus: --detail scores the "
            "sentences of each label."
        ),
    ] = None

    def check(self) -> None:
        """Check that the options name one test set.

        Raises:
            UserError: They contradict each other.
        """
        if self.test_set is not None and (self.source or self.reference or self.split):
            raise UserError("--test-set replaces --source, --reference and --split")
        if self.split is not None and (self.source or self.reference):
            raise UserError("--split selects text of the run: leave out --source and --reference")
        if self.source is not None and not self.reference:
            raise UserError("--source needs the translations of its sentences: --reference FILE")
        if self.features is not None and self.source is None:
            raise UserError("--features belongs to the lines of --source FILE")
        if self.groups is not None and not self.reference:
            raise UserError("--groups labels the lines of --reference FILE")

    def read(self, data: "DataConfig | None") -> "TestSet":
        """Read the test set.

        Args:
            data: The data settings of the first run; None: no system is a run.

        Raises:
            UserError: The text cannot be read, or is not named.
        """
        from nmt.evaluation import test_set

        if self.reference:
            found = test_set.from_files(self.source, self.reference, self.groups)
            return found if self.features is None else found.with_features(self.features)
        if self.test_set is not None:
            name, _, languages = self.test_set.partition(":")
            if not languages and data is None:
                raise UserError(f"give the languages, e.g. --test-set {name}:en-de")
            if not languages and data is not None:
                languages = f"{data.source_language}-{data.target_language}"
            return test_set.from_sacrebleu(name, languages)
        if data is None:
            raise UserError("translations need references: --reference FILE or --test-set NAME")
        return test_set.of_run(data, self.split or Split.TEST)


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured."""

    metrics: Annotated[
        str,
        typer.Option(metavar="<names>", help="Any of bleu, chrf, chrf++ and ter, with commas."),
    ] = "bleu,chrf,ter"
    bleu_tokenizer: Annotated[
        str,
        typer.Option(
            help="Tokenizer whose words BLEU counts: auto (by the target language), 13a, intl, "
            "char, zh, ja-mecab, ko-mecab, flores101, flores200 (spBLEU) or none."
        ),
    ] = "auto"
    resamples: Annotated[
        int,
        typer.Option(
            metavar="<n>",
            help="Bootstrap resamples for confidence intervals and the bootstrap test; 0: neither.",
        ),
    ] = 1000
    paired: Annotated[
        Paired,
        typer.Option(help="With several systems: the test of each against the first."),
    ] = Paired.BOOTSTRAP
    older_papers: Annotated[
        bool,
        typer.Option(
            "--tokenized-lowercase",
            help="Also print the BLEU of tokenized, lower-cased text that older papers give.",
        ),
    ] = False
    comet: Annotated[
        str | None,
        typer.Option(
            metavar="<model>",
            help="Also print COMET by this model, e.g. Unbabel/wmt22-comet-da.",
        ),
    ] = None
    comet_program: Annotated[
        str | None,
        typer.Option(
            metavar="<program>",
            help="With --comet: the program, in a separate Python environment. [comet-score]",
        ),
    ] = None
    rouge: Annotated[
        bool,
        typer.Option(
            "--rouge",
            help="Also print ROUGE-1, ROUGE-2 and ROUGE-L, for summaries of Latin script.",
        ),
    ] = False
    exact_match: Annotated[
        bool,
        typer.Option(
            "--exact-match",
            help="Also print the share of lines that equal a reference, for answers.",
        ),
    ] = False
    detail: Annotated[
        bool,
        typer.Option(
            "--detail",
            help="Also score the sentences by length, by rare words and by --groups, and count "
            "empty, copied, repetitive and truncated translations.",
        ),
    ] = False
    worst: Annotated[
        int,
        typer.Option(metavar="<n>", help="Also list the first system's N worst sentences."),
    ] = 0
    different: Annotated[
        int,
        typer.Option(
            metavar="<n>", help="Also list the N sentences where two systems differ most."
        ),
    ] = 0

    def check(self) -> None:
        """Check the options before anything is loaded.

        Raises:
            UserError: A number or a name is wrong.
        """
        for name in ("worst", "different", "resamples"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name} is {getattr(self, name)}; give 0 or more")
        if self.rouge:
            from nmt.evaluation.rouge import check_rouge

            check_rouge()
        if self.comet_program is not None and self.comet is None:
            raise UserError("--comet-program needs a model: --comet MODEL")
        if self.resamples == 1 or self.resamples > _MOST_RESAMPLES:
            raise UserError(
                f"--resamples is {self.resamples}; give 0 for no interval, or 2 to "
                f"{_MOST_RESAMPLES:,}"
            )

    def measure(self, language: str, *, on_gpu: bool = False) -> "Measure":
        """Return what is measured.

        Args:
            language: Code of the target language; empty: unknown.
            on_gpu: Whether other programs may use a GPU.

        Raises:
            UserError: A name is wrong, or a tokenizer is not installed.
        """
        from nmt.config.bleu_words import BleuTokenizer
        from nmt.evaluation import metrics
        from nmt.evaluation.evaluation_report import Comet, Measure
        from nmt.evaluation.significance import PairedTestName

        if self.bleu_tokenizer not in list(BleuTokenizer):
            raise UserError(
                f"--bleu-tokenizer is {self.bleu_tokenizer}; choose from {', '.join(BleuTokenizer)}"
            )
        if self.older_papers and not language:
            raise UserError(
                "--tokenized-lowercase needs the target language: give a run as a system, or "
                "--language CODE"
            )
        program = self.comet_program or "comet-score"
        return Measure(
            metrics=_names(self.metrics, list(metrics.MetricName)),
            tokenizer=metrics.bleu_tokenizer(language, self.bleu_tokenizer),
            resamples=self.resamples,
            test=None if self.paired is Paired.NONE else PairedTestName(self.paired),
            older_papers=language if self.older_papers else None,
            comet=None if self.comet is None else Comet(self.comet, program, on_gpu=on_gpu),
            rouge=self.rouge,
            exact_match=self.exact_match,
            detail=self.detail,
            worst=self.worst,
            different=self.different,
        )


def _names(text: str, known: Sequence["MetricName"]) -> "tuple[MetricName, ...]":
    chosen = [name.strip().lower() for name in text.split(",")]
    wrong = [name for name in chosen if name not in known]
    if wrong:
        raise UserError(
            f"--metrics has {wrong[0] or 'an empty name'}; choose from {', '.join(known)}"
        )
    return tuple(one for one in known if one in chosen)
