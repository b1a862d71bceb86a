"""`nmt translate`: sentences in, translations alone on stdout, one line for each line."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.cli.streams import chunked, input_lines, utf8
from nmt.decoding.sampling import Sampling
from nmt.decoding.translator import Translation, Translator
from nmt.errors import UserError
from nmt.reporting.heatmaps.rendering import FORMATS

_CHUNK_BATCHES = 16  # batches of lines read ahead, so that those of like length meet


@dataclass(frozen=True)
class SampleFlags:
    """The flags of sampling; None keeps their defaults."""

    sample: bool = False
    temperature: float | None = None
    top_k: int | None = None
    seed: int | None = None

    def resolve(self, n_best: int) -> Sampling | None:
        """Return how to draw; None: search.

        Raises:
            UserError: A flag is out of range, or belongs to --sample and that is missing.
        """
        given = {"temperature": self.temperature, "top-k": self.top_k, "seed": self.seed}
        if not self.sample:
            for name, value in given.items():
                if value is not None:
                    raise UserError(f"--{name} {value} is for sampling: add --sample")
            return None
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=self.top_k,
            seed=1 if self.seed is None else self.seed,
            count=n_best,
        ).checked()


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
    sampling: SampleFlags = SampleFlags()


def run(sentences: Sequence[str], options: TranslateOptions) -> None:
    """Translate arguments, or standard input where there are none.

    Raises:
        UserError: The model or an option is at fault.
    """
    _check(sentences, options)
    sampling = options.sampling.resolve(options.n_best)
    translator = Translator.from_checkpoint(
        options.model,
        device=options.device,
        beam_size=options.beam_size,
        length_penalty=options.length_penalty,
        batch_size=options.batch_size,
    )
    if sampling is None and options.n_best > translator.decoding.beam_size:
        raise UserError(
            f"--n-best {options.n_best} needs as many beams: add --beam-size {options.n_best}"
        )
    output = utf8(sys.stdout)
    for chunk in _chunks(sentences, translator.decoding.batch_size):
        need_weights = options.attention is not None
        translations = translator.translate(chunk, need_weights=need_weights, sampling=sampling)
        if sampling is not None:
            sampling = replace(sampling, first=sampling.first + len(chunk))
        for translation in translations:
            output.writelines(f"{line}\n" for line in _lines(translation, options.n_best))
        output.flush()
        if options.attention is not None:
            _draw(translations[0], translator, options.attention)


def _check(sentences: Sequence[str], options: TranslateOptions) -> None:
    if options.n_best < 1:
        raise UserError(f"--n-best is {options.n_best}; it must be at least 1")
    if options.sampling.sample and options.beam_size is not None:
        raise UserError("--sample draws and searches nothing: leave --beam-size out")
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
    from nmt.reporting.heatmaps.rendering import save_heatmap

    if not translation.hypotheses:
        raise UserError("--attention: the sentence is blank, so there is nothing to draw")
    heatmap = translation_heatmap(translation, translator.tokenizers, translator.heatmap_layer)
    try:
        save_heatmap(heatmap, path)
    except (ValueError, OSError) as error:
        raise UserError(f"--attention {path}: {error}") from error
