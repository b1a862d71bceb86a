"""The Python interface: load a model, translate, score translations, show attention, train.

Example::

    import nmt

    model = nmt.load("runs/demo")
    model.translate("Where is the station?")

All names here are also attributes of the package `nmt`, which loads them when they are first used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Unpack, overload

from nmt import runtime
from nmt.api_documents import DocumentMethods
from nmt.checkpoint import find_checkpoint, load_checkpoint
from nmt.config.schema import Config
from nmt.data.word_links import Link
from nmt.decoding.answers import part_numbers, part_separator, same_ranks
from nmt.decoding.line_lengths import LongLines, SearchOptions
from nmt.decoding.long_lines import SentenceCutter, trained_pieces
from nmt.decoding.sampling import Sampling
from nmt.decoding.scoring import ScoredTranslation, score_translations
from nmt.decoding.translator import Translation as SearchResult
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.aligner import Aligner
from nmt.evaluation.alignment_extractor import AlignmentExtractor, default_extractor
from nmt.evaluation.attention_map import AttentionMap, hypothesis_map
from nmt.text.valid_text import check_texts
from nmt.user_path import user_path

if TYPE_CHECKING:
    from nmt.pipeline import Outcome

__all__ = ["Attention", "Candidate", "Model", "ScoredTranslation", "Translation", "load", "train"]

Sentences = list[str] | tuple[str, ...]

_CHUNK_BATCHES = 16  # read ahead, so that sentences of similar length share a batch


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of one sentence pair, by words.

    A notebook shows it as a heatmap of one layer and head.

    Attributes:
        map: The weights [L, H, T, S] of T target and S source words, with the words as labels. The
            last column is EOS, and so is the last row, unless the extractor shifts.
        links: The word links that are read off it, as (source, target) counted from 0.
        extractor: The layer and head of the heatmap and the links, as indices of the weights.
    """

    map: AttentionMap
    links: frozenset[Link]
    extractor: AlignmentExtractor

    def save(self, path: str | PathLike[str]) -> None:
        """Draw the heatmap to a .png, .svg or .pdf file.

        Raises:
            ValueError: The suffix is none of these.
        """
        from nmt.evaluation.attention_heatmap import map_heatmap
        from nmt.reporting.heatmaps.rendering import save_heatmap

        save_heatmap(map_heatmap(self.map, self.extractor.layer, self.extractor.head), Path(path))

    def _repr_html_(self) -> str:
        from nmt.evaluation.attention_heatmap import map_heatmap
        from nmt.reporting.pages.heatmap_table import heatmap_table

        return heatmap_table(map_heatmap(self.map, self.extractor.layer, self.extractor.head))


@dataclass(frozen=True)
class Candidate:
    """One translation of a sentence.

    Attributes:
        text: The translation.
        log_prob: Natural logarithm of its probability, its end included.
        score: The log-probability divided by the length penalty, by which search ranks.
        attention: Its attention if it was requested and the model attends; else None.
    """

    text: str
    log_prob: float
    score: float
    attention: Attention | None = None


@dataclass(frozen=True)
class Translation:
    """A sentence with its translations.

    Attributes:
        source: The sentence.
        candidates: The translations, best first; samples are in the order in which they were drawn.
            A blank sentence has none.
    """

    source: str
    candidates: list[Candidate]

    @property
    def text(self) -> str:
        """The best translation; empty for a blank sentence."""
        return self.candidates[0].text if self.candidates else ""


class Model(DocumentMethods):
    """A trained model. Its methods may be called from several threads; one computes at a time.

    Attributes:
        config: The settings of its run.
    """

    def __init__(
        self, translator: Translator, config: Config, exact: Translator | None = None
    ) -> None:
        """Wrap a translator; `load` makes one from a run. ``exact`` scores and samples."""
        self.config = config
        self._translator = translator
        self._exact = translator if exact is None else exact
        self._reader: tuple[Aligner, AlignmentExtractor] | None = None
        self._lock = Lock()

    @overload
    def translate(self, text: str, **options: Unpack[SearchOptions]) -> str: ...
    @overload
    def translate(self, text: Sentences, **options: Unpack[SearchOptions]) -> list[str]: ...
    @overload
    def translate(self, text: Iterator[str], **options: Unpack[SearchOptions]) -> Iterator[str]: ...
    def translate(
        self, text: str | Sentences | Iterator[str], **options: Unpack[SearchOptions]
    ) -> str | list[str] | Iterator[str]:
        """Translate a sentence, a list of sentences, or the sentences of a generator.

        Args:
            text: A sentence, which gives a text; a list or tuple, which gives a list; or an
                iterator, which gives an iterator that reads a few batches ahead. A blank sentence
                gives an empty one.
            options: ``beam_size``, ``long_lines`` and ``max_length``; see `search`.

        Raises:
            UserError: An option is out of range, or a sentence is too long.
        """
        if isinstance(text, str):
            return self.search([text], **options)[0].text
        if isinstance(text, list | tuple):
            return [found.text for found in self.search(text, **options)]
        self.search([], **options)  # refuses options here, and not when the first text is read
        return self._stream(iter(text), options)

    def search(
        self,
        sentences: Sequence[str],
        *,
        n_best: int = 1,
        beam_size: int | None = None,
        attention: bool = False,
        sampling: Sampling | None = None,
        long_lines: str = LongLines.SPLIT,
        max_length: int | None = None,
    ) -> list[Translation]:
        """Translate sentences, with scores.

        Args:
            sentences: In any order; the result has the same order.
            n_best: Candidates per sentence, at most the beam size.
            beam_size: Hypotheses per sentence; None is the run's setting, at least ``n_best``.
            attention: Whether each candidate has its attention.
            sampling: Draws ``n_best`` samples instead of searching.
            long_lines: A sentence of more than ``max_length`` pieces: ``split`` cuts it and joins
                the translations, without attention; ``refuse``; ``whole`` often loses text.
            max_length: None: the longest sentence that training included.

        Raises:
            UserError: A number is out of range, ``sentences`` is one text, a sentence has a lone
                surrogate, or it is too long.
        """
        if isinstance(sentences, str):
            raise UserError("search takes a list: put the sentence into a list")
        if n_best < 1:
            raise UserError(f"n_best is {n_best}; it must be at least 1")
        check_texts(sentences)
        parts = self._cutter(long_lines, max_length).cut(sentences)
        translator = self._with_beam(beam_size, n_best if sampling is None else 1)
        if sampling is not None:
            if sampling.count not in (1, n_best):
                raise UserError(f"count is {sampling.count}, but n_best is {n_best}: leave it out")
            sampling, translator = replace(sampling, count=n_best).checked(), self._exact
        attends = attention and translator.model.decoder.attends
        extractor = self._reading()[1] if attends else None
        with self._lock:
            found = translator.translate(
                [part for line in parts for part in line],
                need_weights=attends,
                sampling=sampling,
                numbers=part_numbers(parts, range(len(parts))),
            )
        records = (self._record(result, n_best, extractor) for result in found)
        of_lines = (list(islice(records, len(line))) for line in parts)
        return list(map(self._joined, sentences, of_lines))

    @overload
    def score(self, source: str, target: str) -> ScoredTranslation: ...
    @overload
    def score(self, source: Sentences, target: Sentences) -> list[ScoredTranslation]: ...
    def score(
        self, source: str | Sentences, target: str | Sentences
    ) -> ScoredTranslation | list[ScoredTranslation]:
        """Return the log-probabilities of given translations.

        Raises:
            UserError: The numbers of sentences and translations differ.
        """
        sources, targets = _listed(source), _listed(target)
        if len(sources) != len(targets):
            raise UserError(
                f"the number of sentences is {len(sources):,}, but that of translations is "
                f"{len(targets):,}"
            )
        check_texts([*sources, *targets])
        with self._lock:
            scored = list(score_translations(self._exact, zip(sources, targets, strict=True)))
        return scored[0] if isinstance(source, str) else scored

    def attention(self, source: str, target: str | None = None) -> Attention:
        """Return the attention of a sentence and its translation.

        Args:
            source: The sentence.
            target: Its translation, which the model is forced to produce; None: the model's own.

        Raises:
            UserError: The model has no attention over the source, or a side is blank.
        """
        if not source.strip() or (target is not None and not target.strip()):
            raise UserError("a blank sentence has no attention")
        check_texts([source, target or ""])
        aligner, extractor = self._reading()
        if target is None:
            whole = self.search([source], attention=True, long_lines=LongLines.WHOLE)
            found = whole[0].candidates
            if not found or found[0].attention is None:
                raise UserError(f"{source!r} is empty after normalization")
            return found[0].attention
        with self._lock:
            (attention,) = aligner.attention_maps([(source, target)])
        return _attention(attention, extractor)

    def _joined(self, sentence: str, parts: Sequence[Translation]) -> Translation:
        """Return the translation of a sentence from those of its parts."""
        if len(parts) == 1:
            return parts[0]
        space = part_separator(self.config.data.target_language)
        candidates = [
            Candidate(
                space.join(one.text for one in chosen if one.text),
                sum(one.log_prob for one in chosen),
                sum(one.score for one in chosen),
            )
            for chosen in same_ranks([part.candidates for part in parts if part.candidates])
        ]
        return Translation(sentence, candidates)

    def _cutter(self, long_lines: str, max_length: int | None) -> SentenceCutter:
        limit = trained_pieces(self.config) if max_length is None else max_length
        return SentenceCutter(self._translator.tokenizers.source, long_lines, limit)

    def _stream(self, sentences: Iterator[str], options: SearchOptions) -> Iterator[str]:
        size = _CHUNK_BATCHES * self._translator.decoding.batch_size
        while chunk := list(islice(sentences, size)):
            yield from (found.text for found in self.search(chunk, **options))

    def _with_beam(self, beam_size: int | None, n_best: int) -> Translator:
        """Return a translator with this beam size, or with the run's if it is not smaller."""
        decoding = self._translator.decoding
        if beam_size is None:
            beam_size = max(decoding.beam_size, n_best)
        translator = self._translator.with_beam(beam_size)
        if beam_size < n_best:
            raise UserError(f"n_best is {n_best}; it must be at most the beam size, {beam_size}")
        return translator

    def _reading(self) -> tuple[Aligner, AlignmentExtractor]:
        """Return what obtains the attention of given translations, and how it is read.

        Raises:
            UserError: The model has no attention.
        """
        with self._lock:
            if self._reader is None:
                aligner = Aligner(self._translator.model, self._translator.tokenizers)
                extractor = default_extractor(self.config, aligner.layers)
                self._reader = aligner, extractor.resolved(aligner.layers, aligner.heads)
            return self._reader

    def _record(
        self, result: SearchResult, n_best: int, extractor: AlignmentExtractor | None
    ) -> Translation:
        candidates = []
        for rank, hypothesis in enumerate(result.hypotheses[:n_best]):
            shown = None
            if extractor is not None:
                shown = _attention(
                    hypothesis_map(result, self._translator.tokenizers, rank), extractor
                )
            text = result.texts[rank]
            candidates.append(Candidate(text, hypothesis.log_prob, hypothesis.score, shown))
        return Translation(result.source, candidates)


def load(
    model: str | PathLike[str],
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Model:
    """Load the best model of a run folder, or a checkpoint file.

    Args:
        model: The run folder or the file.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``float32``, ``bfloat16``, ``float16``, or ``auto``: to search, bfloat16 on a GPU
            that computes in it, else float32; to score and to sample, float32.
        threads: CPU threads of this process; None leaves PyTorch's setting.

    Raises:
        UserError: There is no such model, or it does not fit this machine.
    """
    if threads is not None:
        if threads < 1:
            raise UserError(f"threads is {threads}; it must be at least 1")
        runtime.set_threads(threads)
    checkpoint = load_checkpoint(find_checkpoint(user_path(str(model))))
    translator = Translator.from_loaded_checkpoint(checkpoint, device=device, precision=precision)
    return Model(
        translator, checkpoint.config, translator.in_float32() if precision == "auto" else None
    )


def train(overrides: Sequence[str] = ()) -> "Outcome":
    """Train a configuration as `nmt train` does, in this process.

    Progress and messages go to standard error; nothing is printed to standard output. In the main
    thread, Ctrl-C stops the training after an update, and the same call resumes it. In a script
    that torchrun starts, the processes train together; if one fails, all of them end.

    Args:
        overrides: Settings and choices of one training, without flags, as `nmt train` takes them,
            e.g. ``["model=rnn", "run.dir=runs/rnn"]``.

    Returns:
        The `nmt.pipeline.Outcome`: the run folder and the summary with the scores, which is None if
        the training was stopped.

    Raises:
        UserError: The configuration, the corpus or the run folder is at fault.
    """
    from nmt import pipeline
    from nmt.cli.stop_signals import collect_stop_signals
    from nmt.process_exit import exit_together, join_processes
    from nmt.sweeps.overrides import compose_config, to_yaml
    from nmt.sweeps.repeated_overrides import warn_of_repeated

    if isinstance(overrides, str):
        raise UserError("train takes a list of settings: put the text into a list")
    if flags := [override for override in overrides if override.startswith("-")]:
        raise UserError(f"train takes settings, but {flags[0]} is an option of the command")
    with exit_together():
        join_processes()
        config = compose_config(list(overrides), {})
        warn_of_repeated(overrides)
        with collect_stop_signals() as requests:
            return pipeline.train(config, to_yaml(config), requests, requests.saved)


def _listed(text: str | Sentences) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _attention(pieces: AttentionMap, extractor: AlignmentExtractor) -> Attention:
    shown = pieces.shifted() if extractor.shift else pieces
    return Attention(shown.merged(), extractor.links(pieces), extractor)
