"""`nmt evaluate`: translates a file and scores the translations."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.common_options import (
    BatchSize,
    BeamSize,
    Device,
    EnsembleMean,
    JsonOutput,
    LengthPenalty,
    Models,
    ShortlistFile,
)
from nmt.cli.option_groups import with_groups
from nmt.cli.search_settings import SearchSettings
from nmt.config.ensemble_mean import Mean
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress

if TYPE_CHECKING:
    from nmt.evaluation.metrics import Score

Source = Annotated[Path, typer.Option(help="Sentences to translate, one per line; may be .gz.")]
Reference = Annotated[Path, typer.Option(help="Reference translations, line by line; may be .gz.")]
BleuWords = Annotated[
    str,
    typer.Option(
        help="Tokenizer whose words BLEU counts: auto (by the target language), 13a, intl, char, "
        "zh, ja-mecab, ko-mecab, flores101, flores200 or none."
    ),
]


@dataclass(frozen=True)
class _Options:
    """The options of the command; None selects the run's setting."""

    models: list[Path]
    source: Path
    reference: Path
    beam_size: int | None
    length_penalty: float | None
    batch_size: int | None
    device: str
    bleu_tokenizer: str
    settings: SearchSettings
    mean: Mean
    shortlist: Path | None


@with_groups
def evaluate(
    model: Models,
    source: Source,
    reference: Reference,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    settings: SearchSettings = SearchSettings(),  # noqa: B008
    ensemble: EnsembleMean = Mean.LOG_PROBS,
    shortlist: ShortlistFile = None,
    device: Device = "auto",
    bleu_tokenizer: BleuWords = "auto",
    as_json: JsonOutput = False,
) -> None:
    """Translate a file and score it: BLEU, chrF and TER with their sacreBLEU signatures."""
    searched = beam_size, length_penalty, batch_size, device, bleu_tokenizer, settings, ensemble
    options = _Options(model, source, reference, *searched, shortlist)
    with CommandProgress() as progress:
        progress.show("loading", model[0])
        sentences, scores = _score(options, progress)
    if as_json:
        result: dict[str, object] = {"sentences": sentences}
        for name, score in scores.items():
            result |= {name: score.value, f"{name}_signature": score.signature}
        print(json.dumps(result))
        return
    labels = {"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}
    for name, score in scores.items():
        print(f"{labels[name]:<5} {score.value:6.2f}  {score.signature}")


def _score(options: _Options, progress: CommandProgress) -> tuple[int, dict[str, "Score"]]:
    """Return the number of sentences, and the scores of their translations by name."""
    from nmt.config.bleu_words import BleuTokenizer
    from nmt.data.text_files import read_pair
    from nmt.decoding.ensemble import load_models
    from nmt.evaluation import metrics

    sources, references = read_pair(options.source, options.reference)
    if options.bleu_tokenizer not in list(BleuTokenizer):
        raise UserError(
            f"--bleu-tokenizer is {options.bleu_tokenizer}; choose from {', '.join(BleuTokenizer)}"
        )
    checkpoints, translator = load_models(
        options.models,
        mean=options.mean,
        device=options.device,
        beam_size=options.beam_size,
        length_penalty=options.length_penalty,
        batch_size=options.batch_size,
        changes=options.settings.changes(),
        shortlist=options.shortlist,
    )
    language = checkpoints[0].config.data.target_language
    words = metrics.bleu_tokenizer(language, options.bleu_tokenizer)
    loading_phase.end()
    advance = progress.stage("translating", len(sources))
    translations = [
        found.text for found in translator.translate(sources, wanted=1, advance=advance)
    ]
    progress.show("scoring")
    return len(sources), {
        "bleu": metrics.bleu(translations, references, words),
        "chrf": metrics.chrf(translations, references),
        "ter": metrics.ter(translations, references),
    }
