"""`nmt translate`: sentences in; on stdout only translations, one line per input line."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.common_options import (
    BatchSize,
    BeamSize,
    Device,
    LengthPenalty,
    Model,
    SearchPrecision,
)
from nmt.cli.text_streams import chunked, read_sentences, utf8_stream
from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.decoding.sampling import Sampling
    from nmt.decoding.translator import Translation, Translator

_CHUNK_BATCHES = 16  # batches of lines read ahead, so that sentences of similar length share one

Sentences = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SENTENCE]...", help="Sentences; without any, each line of standard input is one."
    ),
]
NBest = Annotated[
    int,
    typer.Option(
        help="Hypotheses to print per sentence; above 1 each is a line score<TAB>translation."
    ),
]
AttentionFile = Annotated[
    Path | None,
    typer.Option(help="Also draw the attention of one sentence to this .png, .svg or .pdf file."),
]
Sample = Annotated[
    bool,
    typer.Option(
        "--sample", help="Sample translations from the model instead of searching for the best."
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(help="With --sample: below 1 favors likely words, above 1 unlikely ones. [1]"),
]
TopK = Annotated[
    int | None,
    typer.Option(help="With --sample: draw only from the K most likely pieces. [all pieces]"),
]
Seed = Annotated[
    int | None,
    typer.Option(help="With --sample: the same seed gives the same translations. [1]"),
]


@dataclass(frozen=True)
class _Search:
    """The options of search and sampling; None selects the default."""

    beam_size: int | None
    n_best: int
    sample: bool
    temperature: float | None
    top_k: int | None
    seed: int | None

    def sampling(self) -> "Sampling | None":
        """Return how to sample; None: search.

        Raises:
            UserError: An option is out of range, or needs --sample.
        """
        from nmt.decoding.sampling import Sampling

        given = {"temperature": self.temperature, "top-k": self.top_k, "seed": self.seed}
        if not self.sample:
            for name, value in given.items():
                if value is not None:
                    raise UserError(f"--{name} {value} applies only to sampling: add --sample")
            return None
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=self.top_k,
            seed=1 if self.seed is None else self.seed,
            count=self.n_best,
        ).checked()


def translate(
    model: Model,
    sentences: Sentences = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    n_best: NBest = 1,
    attention: AttentionFile = None,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    seed: Seed = None,
    device: Device = "auto",
    precision: SearchPrecision = "auto",
) -> None:
    """Translate sentences: one output line per input line; a blank line stays blank."""
    from nmt.decoding.translator import Translator

    search = _Search(beam_size, n_best, sample, temperature, top_k, seed)
    _check(sentences or [], search, attention)
    sampling = search.sampling()
    translator = Translator.from_checkpoint(
        model,
        device=device,
        beam_size=beam_size,
        length_penalty=length_penalty,
        batch_size=batch_size,
        precision="float32" if sample and precision == "auto" else precision,
    )
    if sampling is None and n_best > translator.decoding.beam_size:
        raise UserError(f"--n-best {n_best} exceeds the beam size: add --beam-size {n_best}")
    output = utf8_stream(sys.stdout)
    for chunk in _chunks(sentences or [], translator.decoding.batch_size):
        need_weights = attention is not None
        translations = translator.translate(chunk, need_weights=need_weights, sampling=sampling)
        if sampling is not None:
            sampling = replace(sampling, first=sampling.first + len(chunk))
        for translation in translations:
            output.writelines(f"{line}\n" for line in _output_lines(translation, n_best))
        output.flush()
        if attention is not None:
            _draw_attention(translations[0], translator, attention)


def _check(sentences: Sequence[str], search: _Search, attention: Path | None) -> None:
    if search.n_best < 1:
        raise UserError(f"--n-best is {search.n_best}; it must be at least 1")
    if search.sample and search.beam_size is not None:
        raise UserError("--sample does not use a beam: leave out --beam-size")
    if attention is not None:
        _check_attention(sentences, attention)
    if any("\n" in sentence for sentence in sentences):
        raise UserError("a sentence contains a line break; give each sentence as an argument")


def _check_attention(sentences: Sequence[str], path: Path) -> None:
    from nmt.reporting.heatmaps.rendering import FORMATS

    if len(sentences) != 1:
        raise UserError("--attention draws one sentence: give exactly one as an argument")
    if not sentences[0].strip():
        raise UserError("--attention: the sentence is blank, so there is nothing to draw")
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        formats = ", ".join(f".{name}" for name in FORMATS)
        raise UserError(f"--attention {path}: its suffix must be one of {formats}")


def _chunks(sentences: Sequence[str], batch_size: int) -> Iterable[list[str]]:
    if sentences:
        return [list(sentences)]
    if sys.stdin.isatty():
        print("One sentence per line; Ctrl-D ends.", file=sys.stderr)
        return chunked(read_sentences(utf8_stream(sys.stdin), "> "), 1)
    return chunked(read_sentences(utf8_stream(sys.stdin), None), _CHUNK_BATCHES * batch_size)


def _output_lines(translation: "Translation", n_best: int) -> list[str]:
    """Return one line of text, or for n-best always N lines ``score<TAB>text``."""
    if n_best == 1:
        return [translation.text]
    pairs = zip(translation.hypotheses, translation.texts, strict=True)
    lines = [f"{hypothesis.score:.4f}\t{text}" for hypothesis, text in pairs][:n_best]
    return lines + ["\t"] * (n_best - len(lines))


def _draw_attention(translation: "Translation", translator: "Translator", path: Path) -> None:
    from nmt.evaluation.attention_heatmap import translation_heatmap
    from nmt.reporting.heatmaps.rendering import save_heatmap
    from nmt.reporting.heatmaps.scripts import missing_glyphs_warning

    if not translation.hypotheses:
        raise UserError("--attention: the sentence is blank, so there is nothing to draw")
    layer, head = translator.drawn
    heatmap = translation_heatmap(translation, translator.tokenizers, layer, head=head)
    try:
        missing = save_heatmap(heatmap, path)
    except (ValueError, OSError) as error:
        raise UserError(f"--attention {path}: {error}") from error
    if warning := missing_glyphs_warning(missing):
        print(f"warning: {warning}", file=sys.stderr)
