"""The model of the Python interface: it translates, scores, shows attention."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from os import PathLike
from threading import Lock
from typing import Unpack, overload

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
from nmt.api_records import (
    Attention,
    Candidate,
    RecordForm,
    Translation,
    attention_of,
)
from nmt.config.schema import Config
from nmt.decoding.answers import (
    part_constraints,
    part_numbers,
    part_separator,
    same_ranks,
    whole_lines,
)
from nmt.decoding.batches import CHUNK_BATCHES
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.line_lengths import LongLines
from nmt.decoding.long_lines import SentenceCutter, trained_pieces
from nmt.decoding.sampling import Sampling
from nmt.decoding.scoring import ScoredTranslation, score_translations
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention.aligner import Aligner
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor, default_extractor
from nmt.text.valid_text import check_several, check_texts
from nmt.user_path import user_path


class Model:
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
            UserError: An option is out of range, or a sentence is too long or is not text.
        """
        if isinstance(text, str):
            options["features"] = features_of_one(options.get("features"))
            return self.search([text], **options)[0].text
        if isinstance(text, list | tuple):
            return [found.text for found in self.search(text, **options)]
        check_several(text, "the argument of translate")
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
        check_texts([source] if target is None else [source, target])
        if not source.strip() or (target is not None and not target.strip()):
            raise UserError("a blank sentence has no attention")
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

    def translate_document(
        self,
        source: str | PathLike[str],
        output: str | PathLike[str],
        *,
        format: str | None = None,
        column: str | None = None,
        into: str | None = None,
        header: bool = False,
        retranslate: bool = False,
        protect: Collection[str] = ("placeholders",),
        source_tag: str | None = None,
    ) -> int:
        """Translate a document with its structure, as ``nmt translate --input --output``.

        Args:
            source: A .tsv, .jsonl, .tmx, .xliff, .po, .srt, .vtt, .md or .html file.
            output: The file of the translation. It is written when the translation is complete.
            format: The format of the file; None: by its suffix.
            column: The column of a table, or the field of JSON lines, that is translated.
            into: The column or field in which the translation is written; None: the translation
                replaces the text.
            header: Whether the first line of a table has the names of its columns.
            retranslate: Whether segments that have a translation are translated again.
            protect: The kinds of text that stay unchanged: ``placeholders``, ``urls``, ``emails``,
                ``numbers``, ``markup``.
            source_tag: The tag before every sentence, e.g. ``<2de>``; None: the tag that all
                training sources have, if there is one.

        Returns:
            The number of segments.

        Raises:
            UserError: The document is faulty, or a file cannot be read or written.
        """
        from nmt.documents.document_files import translate_file
        from nmt.documents.document_options import DocumentOptions
        from nmt.documents.model_translation import ModelTranslation

        data, path = self.config.data, user_path(str(source))
        languages = data.source_language, data.target_language
        options = DocumentOptions(str(path), languages, column, into, header, retranslate)
        translator = ModelTranslation(self._translator, self.config, source_tag=source_tag)
        with self._lock:
            return translate_file(
                path, user_path(str(output)), translator, options, format, protect
            )

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
        size = CHUNK_BATCHES * self._translator.decoding.batch_size
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
