"""The Python interface: load a model, translate, score translations, show attention, train.

Example::

    import nmt

    model = nmt.load("runs/demo")
    model.translate("Where is the station?")

The package `nmt` has all these names as attributes. It imports this module when one is first used.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from os import PathLike
from threading import Lock
from typing import TYPE_CHECKING, Unpack, overload

from nmt import runtime
from nmt.api_arguments import (
    FeatureInput,
    SearchOptions,
    Sentences,
    check_search,
    constraints_of_each,
    features_of_each,
    features_of_one,
    listed,
)
from nmt.api_documents import DocumentMethods
from nmt.api_records import (
    Attention,
    Candidate,
    RecordForm,
    Translation,
    attention_of,
)
from nmt.config.ensemble_mean import Mean
from nmt.config.schema import Config
from nmt.decoding.answers import (
    part_constraints,
    part_numbers,
    part_separator,
    same_ranks,
    whole_lines,
)
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.ensemble import load_models
from nmt.decoding.line_lengths import LongLines
from nmt.decoding.long_lines import SentenceCutter, trained_pieces
from nmt.decoding.sampling import Sampling
from nmt.decoding.scoring import ScoredTranslation, score_translations
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention.aligner import Aligner
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor, default_extractor
from nmt.text.valid_text import check_texts
from nmt.user_path import user_path

if TYPE_CHECKING:
    from nmt.pipeline import Outcome

__all__ = [
    "Attention",
    "Candidate",
    "Constraints",
    "Model",
    "ScoredTranslation",
    "Translation",
    "load",
    "train",
]


_CHUNK_BATCHES = 16  # batches read ahead, so that sentences of similar length share a batch


class Model(DocumentMethods):
    """A trained model. Several threads may call its methods; one call computes at a time.

    Attributes:
        config: The configuration of its run.
    """

    def __init__(
        self, translator: Translator, config: Config, exact: Translator | None = None
    ) -> None:
        """Wrap a translator; `load` makes a model from a run. ``exact`` scores and samples."""
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
            text: A sentence (the result is a text), a list or tuple (the result is a list), or an
                iterator (the result is an iterator, which reads 16 batches ahead). The translation
                of a blank sentence is empty.
            options: ``beam_size``, ``long_lines``, ``max_length``, ``constraints`` (the same for
                every sentence), ``settings`` and ``features``; see `search`. The features of one
                sentence may be an array [R, F]. An iterator cannot have features.

        Raises:
            UserError: An option is out of range, or a sentence is too long.
        """
        if isinstance(text, str):
            options["features"] = features_of_one(options.get("features"))
            return self.search([text], **options)[0].text
        if isinstance(text, list | tuple):
            return [found.text for found in self.search(text, **options)]
        if options.get("features") is not None:
            raise UserError("features belong to a list of sentences: make a list of the iterator")
        self.search([], **options)  # refuses options here, not when the first text is read
        if asked := options.get("constraints"):
            self._translator.check_constraints([asked])
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
        constraints: Constraints | Sequence[Constraints] | None = None,
        settings: Mapping[str, object] | None = None,
        minimum_risk: int | None = None,
        features: FeatureInput | None = None,
    ) -> list[Translation]:
        """Translate sentences and score the translations; the result has their order.

        Args:
            sentences: The sentences, in any order.
            n_best: Candidates per sentence; in a search, at most the beam size.
            beam_size: Hypotheses per sentence; None: the run's setting, but at least ``n_best``.
            attention: Whether each candidate has attention weights.
            sampling: How to draw ``n_best`` samples; None: search.
            long_lines: For sentences of more than ``max_length`` pieces. ``split`` cuts them, and
                joins the translations without attention; ``refuse``; ``whole`` often loses text.
            max_length: Greatest number of pieces of an uncut sentence; None: that of training.
            constraints: Constraints of all translations, or a list of constraints per sentence.
            settings: Settings of ``decoding`` by their names, e.g. ``{"coverage_penalty": 0.2}``.
            minimum_risk: Number of samples, which are ranked by their expected chrF; None: search.
            features: Arrays [regions, size], one per sentence, or a file as for ``--features``.

        Raises:
            UserError: An option is out of range, or a sentence, constraint or array is faulty.
        """
        sampling = check_search(sentences, n_best, sampling, minimum_risk)
        asked = constraints_of_each(constraints, sentences)
        parts = self._cutter(long_lines, max_length).cut(sentences, whole_lines(asked))
        translator = self._with_beam(beam_size, n_best, settings, exact=sampling is not None)
        translator = translator.with_features(features_of_each(features, len(sentences)))
        form = self._form(translator, n_best, minimum_risk, attention=attention)
        with self._lock:
            found = translator.translate(
                list(chain.from_iterable(parts)),
                need_weights=form.extractor is not None,
                sampling=sampling,
                numbers=part_numbers(parts, range(len(parts))),
                wanted=n_best,
                constraints=part_constraints(parts, asked),
            )
        return self._of_lines(sentences, parts, map(form.record, found))

    @overload
    def score(
        self, source: str, target: str, *, features: FeatureInput | None = None
    ) -> ScoredTranslation: ...
    @overload
    def score(
        self, source: Sentences, target: Sentences, *, features: FeatureInput | None = None
    ) -> list[ScoredTranslation]: ...
    def score(
        self,
        source: str | Sentences,
        target: str | Sentences,
        *,
        features: FeatureInput | None = None,
    ) -> ScoredTranslation | list[ScoredTranslation]:
        """Return the log-probabilities of given translations; for ``features`` see `translate`.

        Raises:
            UserError: The numbers of sentences and translations differ, or an array is faulty.
        """
        sources, targets = listed(source), listed(target)
        if len(sources) != len(targets):
            raise UserError(
                f"the number of sentences ({len(sources):,}) differs from the number of "
                f"translations ({len(targets):,})"
            )
        check_texts([*sources, *targets])
        given = features_of_one(features) if isinstance(source, str) else features
        translator = self._exact.with_features(features_of_each(given, len(sources)))
        with self._lock:
            scored = list(score_translations(translator, zip(sources, targets, strict=True)))
        return scored[0] if isinstance(source, str) else scored

    def attention(
        self, source: str, target: str | None = None, *, features: FeatureInput | None = None
    ) -> Attention:
        """Return the attention of a sentence and its translation.

        Args:
            source: The sentence.
            target: A translation that the model is forced to produce; None: the best one of a
                search.
            features: The features of the sentence, [R, F], for a model that reads features.

        Raises:
            UserError: The model has no attention over the source, a side is blank, or the features
                are faulty.
        """
        if not source.strip() or (target is not None and not target.strip()):
            raise UserError("a blank sentence has no attention")
        check_texts([source, target or ""])
        aligner, extractor = self._reading()
        given = features_of_one(features)
        if target is None:
            options = SearchOptions(long_lines=LongLines.WHOLE, features=given)
            found = self.search([source], attention=True, **options)[0].candidates
            if not found or found[0].attention is None:
                raise UserError(f"{source!r} is empty after normalization")
            return found[0].attention
        forced = aligner.with_features(features_of_each(given, 1))
        with self._lock:
            (attention,) = forced.attention_maps([(source, target)])
        return attention_of(attention, extractor)

    def _form(
        self, translator: Translator, n_best: int, minimum_risk: int | None, *, attention: bool
    ) -> RecordForm:
        attends = attention and translator.model.decoder.attends
        extractor = self._reading()[1] if attends else None
        return RecordForm(n_best, translator.tokenizers, extractor, minimum_risk is not None)

    def _of_lines(
        self, sentences: Sequence[str], parts: list[list[str]], records: Iterator[Translation]
    ) -> list[Translation]:
        of_lines = (list(islice(records, len(line))) for line in parts)
        return list(map(self._joined, sentences, of_lines))

    def _joined(self, sentence: str, parts: Sequence[Translation]) -> Translation:
        """Return the translation of a sentence, joined from the translations of its parts."""
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

    def _with_beam(
        self,
        beam_size: int | None,
        n_best: int,
        settings: Mapping[str, object] | None,
        *,
        exact: bool,
    ) -> Translator:
        """Return a translator with these settings, whose default beam size is at least ``n_best``.

        An ``exact`` translator samples, so its beam size has no effect.
        """
        changes = dict(settings or {})
        if exact:
            return self._exact.with_settings({**changes, "beam_size": beam_size})
        size = changes.pop("beam_size", None) if beam_size is None else beam_size
        if size is None:
            size = max(self._translator.decoding.beam_size, n_best)
        translator = self._translator.with_settings({**changes, "beam_size": size})
        if translator.decoding.beam_size < n_best:
            raise UserError(f"n_best is {n_best}; it must be at most the beam size, {size}")
        return translator

    def _reading(self) -> tuple[Aligner, AlignmentExtractor]:
        """Return an aligner, and the layer and head from which word links are read.

        Raises:
            UserError: The model has no attention.
        """
        with self._lock:
            if self._reader is None:
                aligner = Aligner(self._translator.model, self._translator.tokenizers)
                extractor = default_extractor(self.config, aligner.layers)
                self._reader = aligner, extractor.resolved(aligner.layers, aligner.heads)
            return self._reader


def load(
    model: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    ensemble: str = Mean.LOG_PROBS,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    shortlist: str | PathLike[str] | None = None,
) -> Model:
    """Load the best model of a run folder, or a checkpoint file.

    Args:
        model: The run folder or the file. A list is an ensemble: its models must have the same
            vocabularies. It has the tokenizers, the settings and the attention of the first model.
        ensemble: ``log_probs`` averages the logarithms of the models' probabilities, ``probs``
            averages the probabilities.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``float32``, ``bfloat16``, ``float16`` on a GPU, ``int8`` on a CPU, or ``auto``.
            ``auto`` searches in bfloat16 on a GPU that supports it, otherwise in float32. It scores
            and samples in float32.
        threads: CPU threads of this process; None keeps PyTorch's setting.
        shortlist: A file of `nmt shortlist`, or a run folder with such a file. Translations then
            have only the candidate pieces of the shortlist, which is faster. None: every piece is
            possible.

    Raises:
        UserError: There is no such model or shortlist, or it does not fit this machine.
    """
    runtime.set_threads(threads)
    if ensemble not in list(Mean):
        raise UserError(f"ensemble is {ensemble}; choose from {', '.join(Mean)}")
    models = [model] if isinstance(model, str | PathLike) else list(model)
    if not models:
        raise UserError("load takes a model, or a list of at least one")
    paths = [user_path(str(one)) for one in models]
    checkpoints, translator = load_models(
        paths,
        mean=Mean(ensemble),
        device=device,
        precision=precision,
        shortlist=None if shortlist is None else user_path(str(shortlist)),
    )
    exact = translator.in_float32() if precision == "auto" else None
    return Model(translator, checkpoints[0].config, exact)


def train(overrides: Sequence[str] = ()) -> "Outcome":
    """Train a configuration as `nmt train` does, in this process.

    Progress and messages go to standard error; nothing is printed to standard output. In the main
    thread, Ctrl-C stops the training after an update, and the same call resumes it. In a script
    that torchrun starts, the processes train together; if one fails, all of them end.

    Args:
        overrides: Settings and choices of one training, as for `nmt train`, e.g.
            ``["model=rnn", "run.dir=runs/rnn"]``. Options that begin with ``-`` are not allowed.

    Returns:
        The `nmt.pipeline.Outcome`: the run folder, and the summary with the scores. The summary is
        None if the training was stopped.

    Raises:
        UserError: The configuration, the corpus or the run folder is faulty.
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
