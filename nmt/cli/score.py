"""`nmt score`: the log-probability of given translations under a model."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.options.common_options import (
    BatchSize,
    Device,
    EnsembleMean,
    FeaturesFile,
    LengthPenalty,
    Models,
    SearchPrecision,
    Threads,
)
from nmt.cli.text_streams import safe_line, utf8_stream
from nmt.config.ensemble_mean import Mean
from nmt.errors import UserError
from nmt.file_names import no_file
from nmt.printable import printable_json
from nmt.reporting.command_progress import CommandProgress
from nmt.torch_import import defer_shape_functions

if TYPE_CHECKING:
    from nmt.config.schema import DecodingConfig
    from nmt.decoding.scoring import ScoredTranslation
    from nmt.decoding.translator import Translator
    from nmt.text.sentence_context import ContextSize


class Normalize(StrEnum):
    """The divisor of a log-probability."""

    NONE = "none"
    MEAN = "mean"
    LENGTH_PENALTY = "length_penalty"


Source = Annotated[Path, typer.Option(help="Sentences, one per line; may be .gz.")]
Targets = Annotated[
    list[Path],
    typer.Option(
        "--target",
        metavar="<path>",
        help=(
            "Translations of the sentences, line by line; may be .gz. If the option is repeated, "
            "each output line has one column per file."
        ),
    ),
]
By = Annotated[
    Normalize,
    typer.Option(
        help=(
            "none: the log-probability; mean: the log-probability per piece; length_penalty: the "
            "score by which the search ranks translations."
        )
    ),
]
Tokens = Annotated[
    bool, typer.Option("--tokens", help="Also print each piece with its log-probability.")
]
Contrastive = Annotated[
    bool,
    typer.Option(
        "--contrastive",
        help=(
            "Print only how often the first --target has a higher score than all others. Lines "
            "whose translations are all equal are context and are not counted."
        ),
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one object per line.")]


@dataclass(frozen=True)
class _Form:
    """How the scores are printed."""

    normalize: Normalize
    decoding: "DecodingConfig"
    tokens: bool

    def value(self, scored: "ScoredTranslation") -> float:
        """Return the score of a translation, in nats."""
        if self.normalize == Normalize.NONE:
            return scored.log_prob
        if self.normalize == Normalize.MEAN:
            return scored.log_prob / len(scored.log_probs)
        kind = self.decoding.length_normalization
        return scored.score(self.decoding.length_penalty, kind)

    def column(self, scored: "ScoredTranslation") -> str:
        """Return a translation's column of a line."""
        value = f"{self.value(scored):.4f}"
        if not self.tokens:
            return value
        pairs = zip(scored.pieces, scored.log_probs, strict=True)
        return " ".join([value, *(f"{piece}={log_prob:.4f}" for piece, log_prob in pairs)])

    def record(self, scored: "ScoredTranslation") -> dict[str, object]:
        """Return a translation's JSON."""
        record: dict[str, object] = {"target": scored.target, "score": self.value(scored)}
        if self.tokens:
            record |= {"pieces": scored.pieces, "log_probs": scored.log_probs}
            if scored.p_gen is not None:
                record["p_gen"] = scored.p_gen
        return record


def score(
    model: Models,
    source: Source,
    target: Targets,
    normalize: By = Normalize.NONE,
    length_penalty: LengthPenalty = None,
    tokens: Tokens = False,
    contrastive: Contrastive = False,
    as_json: AsJson = False,
    features: FeaturesFile = None,
    batch_size: BatchSize = None,
    ensemble: EnsembleMean = Mean.LOG_PROBS,
    device: Device = "auto",
    precision: SearchPrecision = "float32",
    threads: Threads = None,
) -> None:
    """Print the natural logarithm of the probability of translations, one line per sentence."""
    _check(source, target, normalize, length_penalty, contrastive=contrastive, tokens=tokens)
    with CommandProgress() as progress:
        progress.show("loading", model[0])
        defer_shape_functions()
        from nmt import runtime
        from nmt.cli.options.feature_option import with_features_of
        from nmt.decoding.document_search import common_context
        from nmt.decoding.ensemble import load_models

        runtime.set_threads(threads)
        runtime.keep_freed_memory()
        checkpoints, translator = load_models(
            model,
            mean=ensemble,
            device=device,
            length_penalty=length_penalty,
            batch_size=batch_size,
            precision=precision,
        )
        loading_phase.end()
        if features is not None:
            translator = with_features_of(translator, features, source)
        form = _Form(normalize, translator.decoding, tokens)
        size = common_context(checkpoint.config for checkpoint in checkpoints)
        rows = _score_rows(translator, size, source, target, progress)
        if contrastive:
            _print_accuracy(rows, form, progress, as_json=as_json)
        else:
            _print_rows(rows, form, progress, as_json=as_json)


def _check(
    source: Path,
    targets: Sequence[Path],
    normalize: Normalize,
    length_penalty: float | None,
    *,
    contrastive: bool,
    tokens: bool,
) -> None:
    for path in (source, *targets):
        if not path.exists():
            raise UserError(no_file(path))
    if length_penalty is not None and normalize != Normalize.LENGTH_PENALTY:
        raise UserError("--length-penalty applies only with --normalize length_penalty")
    if contrastive and len(targets) < 2:
        raise UserError(
            "--contrastive compares translations: give the right ones as the first --target, and "
            "at least one file of wrong ones as another --target"
        )
    if contrastive and tokens:
        raise UserError("--contrastive prints only totals: leave out --tokens")


def _score_rows(
    translator: "Translator",
    size: "ContextSize",
    source: Path,
    targets: Sequence[Path],
    progress: CommandProgress,
) -> Iterator[list["ScoredTranslation"]]:
    """Yield the scored translations of each sentence, in the order of the files."""
    from nmt.data.text_files import count_lines, stream_aligned
    from nmt.decoding.document_scoring import score_rows

    rows = score_rows(translator, size, stream_aligned(source, *targets))
    advance = progress.stage("scoring", count_lines(source) if progress.shown else None)
    for number, row in enumerate(rows, start=1):
        advance(number)
        yield row


def _print_rows(
    rows: Iterator[list["ScoredTranslation"]],
    form: _Form,
    progress: CommandProgress,
    *,
    as_json: bool,
) -> None:
    output = utf8_stream(sys.stdout)
    for row in rows:
        if output.isatty():  # the printed lines show the progress
            progress.close()
        if as_json:
            record = {"source": row[0].source, "targets": [form.record(one) for one in row]}
            print(printable_json(record), file=output)
        else:
            print(safe_line("\t".join(map(form.column, row)), output), file=output)


def _print_accuracy(
    rows: Iterator[list["ScoredTranslation"]],
    form: _Form,
    progress: CommandProgress,
    *,
    as_json: bool,
) -> None:
    right = total = 0
    for first, *others in rows:
        if all(other.target == first.target for other in others):
            continue
        right += all(form.value(first) > form.value(other) for other in others)
        total += 1
    progress.close()
    if not total:
        raise UserError(
            "--contrastive: the files are empty, or have the same translations, so there is "
            "nothing to compare"
        )
    accuracy = right / total
    if as_json:
        print(json.dumps({"sentences": total, "right": right, "accuracy": accuracy}))
    else:
        print(f"accuracy {accuracy:.2%}  the first translation is best in {right:,} of {total:,}")
