"""The page about a model: its languages, use, scores, training text and limits.

The page is Markdown with the header that the Hugging Face hub reads. It is ``README.md`` of every
run folder and of every export.
"""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nmt.config.model import attention_kind
from nmt.config.plain import flatten, to_mapping
from nmt.config.schema import Config
from nmt.config.tokenizer_settings import TokenizerKind

SCORES = {
    "bleu": ("BLEU", "signature"),
    "chrf": ("chrF", "chrf_signature"),
    "ter": ("TER, lower is better", "ter_signature"),
}
SPLITS = {"valid": "validation", "test": "test"}

LICENCE = (
    "Not stated. Write it here, and as `license:` at the top, before you share the model. The "
    "licence of the training text may restrict it."
)


def model_card(
    config: Config, summary: Mapping[str, Any], parameters: int | None, usage: str, settings: str
) -> str:
    """Return the page as Markdown.

    Args:
        config: The settings of the run.
        summary: The summary of the run, with the scores of the splits ``valid`` and ``test``; empty
            if there is none.
        parameters: Number of parameters; None: unknown.
        usage: Lines of a shell or of Python that use the model.
        settings: The name of the file with all settings, in the folder of the page.
    """
    data = config.data
    size = "" if parameters is None else f", {parameters:,} parameters"
    pair = f"{data.source_language} to {data.target_language}"
    parts = [
        *_header(config),
        f"# Translation from {pair}",
        f"A model that translates sentences from `{data.source_language}` to "
        f"`{data.target_language}`: {_kind(config)}{size}. It was trained with nmt, a trainer of "
        "translation models.",
        f"## Use\n\n```\n{usage}\n```",
        "## Scores",
        *_scores(summary),
        "## Training text",
        *_data(config),
        "## Training",
        *_training(summary),
        f"All settings are in `{settings}`.",
        "## Limits",
        *_limits(config),
        "## Licence",
        LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def run_page(config: Config, summary: Mapping[str, Any], folder: Path) -> str:
    """Return the page of a run folder."""
    usage = f'nmt translate --model {shlex.quote(str(folder))} "A sentence."'
    return model_card(config, summary, summary.get("parameters"), usage, "config.yaml")


def _header(config: Config) -> Iterator[str]:
    languages = dict.fromkeys((config.data.source_language, config.data.target_language))
    lines = ["---", "language:", *(f"- {code}" for code in languages), "license: other"]
    lines += ["pipeline_tag: translation", "library_name: nmt", "tags:", "- translation", "---"]
    yield "\n".join(lines)


def _kind(config: Config) -> str:
    encoder, decoder = config.model.encoder, config.model.decoder
    kinds = encoder.name if encoder.name == decoder.name else f"{encoder.name} to {decoder.name}"
    attention = attention_kind(decoder)
    return f"{kinds} {'without' if attention == 'none' else f'with {attention}'} attention"


def _scores(scores: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        f"| {split} | {title} | {scores[key][name]:.2f} | {_cell(scores[key][signature])} |"
        for key, split in SPLITS.items()
        for name, (title, signature) in SCORES.items()
        if name in scores.get(key, {}) and signature in scores[key]
    ]
    if not rows:
        yield "The model has not been scored."
        return
    table = ["| text | score | value | signature of sacreBLEU |", "|---|---|--:|---|", *rows]
    yield "\n".join(table)
    yield (
        "Scores of validation text, by which the model was chosen, are higher than those of other "
        "text of the same kind. Scores of different texts or signatures cannot be compared."
    )


def _cell(signature: str) -> str:
    """Return a signature as code for a table cell; its bars are escaped."""
    return "`" + signature.replace("|", r"\|") + "`"


def _data(config: Config) -> Iterator[str]:
    settings = flatten({"data": to_mapping(config)["data"]})
    names = ("path", "source", "target", "subset")
    files = [
        f"- `{key}`: `{value}`"
        for key, value in settings.items()
        if key.rpartition(".")[2] in names and isinstance(value, str)
    ]
    yield f"Corpus `{config.data.name}`."
    if files:
        yield "\n".join(files)
    tokenizer = config.tokenizer
    vocabulary = "one vocabulary" if tokenizer.joint else "a vocabulary for each side"
    if tokenizer.model is not None:  # its size and its normalization are its own
        yield f"A given SentencePiece model, {vocabulary}."
        return
    # A text may have fewer characters or words than the setting.
    most = "at most " if tokenizer.name in (TokenizerKind.CHAR, TokenizerKind.WORD) else ""
    yield (
        f"SentencePiece `{tokenizer.name}`, {most}{tokenizer.vocab_size:,} pieces, {vocabulary}, "
        f"normalization `{tokenizer.normalization}`."
    )


def _training(summary: Mapping[str, Any]) -> Iterator[str]:
    numbers = {
        "updates": "updates",
        "best_update": "update of this model",
        "tokens": "target tokens",
        "seconds": "seconds",
        "precision": "precision",
        "seed": "seed",
        "nmt": "version of nmt",
        "torch": "version of torch",
    }
    rows = [
        f"| {title} | {_number(summary[key])} |" for key, title in numbers.items() if key in summary
    ]
    if rows:
        yield "\n".join(["| what | value |", "|---|--:|", *rows])


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _limits(config: Config) -> Iterator[str]:
    before = config.data.context_sentences
    several = "sentence" if before == 1 else "sentences"
    context = f"at most {before:,} previous {several}" if before else "no other sentence"
    yield (
        f"- It translates sentences of at most {config.data.max_length} pieces, the limit in "
        "training; longer text is cut at sentence ends.\n"
        f"- With each sentence it reads {context} of the document.\n"
        "- It repeats errors and prejudice of its training text. It translates text of another "
        "kind worse than the scores show.\n"
        "- A fluent translation can be wrong. Let a person who reads both languages check "
        "important translations."
    )
