"""`nmt translate`: sentences in, translations alone on stdout, one line for each line."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.cli.streams import chunked, input_lines, utf8
from nmt.decoding.translator import Translation, Translator
from nmt.errors import UserError
from nmt.reporting.heatmap import FORMATS

_CHUNK_BATCHES = 16  # batches of lines read ahead, so that those of like length meet


@dataclass(frozen=True)
class TranslateOptions:
    """The flags of the command; None keeps the run's own setting."""

    model: Path
    beam_size: int | None
    length_penalty: float | None
    batch_size: int | None
    n_best: int
    attention: Path | None
    device: str


def run(sentences: Sequence[str], options: TranslateOptions) -> None:
    """Translate arguments, or standard input where there are none.

    Raises:
        UserError: The model or an option is at fault.
    """
    _check(sentences, options)
    translator = Translator.from_checkpoint(
        options.model,
        device=options.device,
        beam_size=options.beam_size,
        length_penalty=options.length_penalty,
        batch_size=options.batch_size,
    )
    if options.n_best > translator.decoding.beam_size:
        raise UserError(
            f"--n-best {options.n_best} needs as many beams: add --beam-size {options.n_best}"
        )
    output = utf8(sys.stdout)
    for chunk in _chunks(sentences, translator.decoding.batch_size):
        need_weights = options.attention is not None
        translations = translator.translate(chunk, need_weights=need_weights)
        for translation in translations:
            output.writelines(f"{line}\n" for line in _lines(translation, options.n_best))
        output.flush()
        if options.attention is not None:
            _draw(translations[0], translator, options.attention)


def _check(sentences: Sequence[str], options: TranslateOptions) -> None:
    if options.n_best < 1:
        raise UserError(f"--n-best is {options.n_best}; it must be at least 1")
    if options.attention is not None and len(sentences) != 1:
        raise UserError("--attention draws one sentence: give exactly one as an argument")
    if options.attention is not None:
        if not sentences[0].strip():
            raise UserError("--attention: the sentence is blank, so there is nothing to draw")
        if options.attention.suffix.lower().removeprefix(".") not in FORMATS:
            formats = ", ".join(f".{name}" for name in FORMATS)
            raise UserError(f"--attention {options.attention}: its suffix must be one of {formats}")
    for sentence in sentences:
        if "\n" in sentence:
            raise UserError("a sentence holds a line break; give one sentence an argument")


def _chunks(sentences: Sequence[str], batch_size: int) -> Iterable[list[str]]:
    if sentences:
        return [list(sentences)]
    if sys.stdin.isatty():
        print("One sentence a line; Ctrl-D ends.", file=sys.stderr)
        return chunked(input_lines(utf8(sys.stdin), "> "), 1)
    return chunked(input_lines(utf8(sys.stdin), None), _CHUNK_BATCHES * batch_size)


def _lines(translation: Translation, n_best: int) -> list[str]:
    """One line of text; with n-best, ``score<TAB>text`` lines, always as many."""
    if n_best == 1:
        return [translation.text]
    pairs = zip(translation.hypotheses, translation.texts, strict=True)
    lines = [f"{hypothesis.score:.4f}\t{text}" for hypothesis, text in pairs][:n_best]
    return lines + ["\t"] * (n_best - len(lines))


def _draw(translation: Translation, translator: Translator, path: Path) -> None:
    from nmt.evaluation.attention_heatmap import translation_heatmap
    from nmt.reporting.heatmap import save_heatmap

    if not translation.hypotheses:
        raise UserError("--attention: the sentence is blank, so there is nothing to draw")
    heatmap = translation_heatmap(translation, translator.tokenizers, translator.heatmap_layer)
    try:
        save_heatmap(heatmap, path)
    except (ValueError, OSError) as error:
        raise UserError(f"--attention {path}: {error}") from error
