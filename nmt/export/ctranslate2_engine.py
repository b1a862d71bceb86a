"""CTranslate2 as an engine of this package: its search, with the tokenizers and scores of a run.

CTranslate2 returns the finished hypotheses of a beam with their log-probabilities. They are ranked
here with the formula of `nmt.decoding.search`, because the length penalty of CTranslate2 differs.

Legend: T target pieces, S source pieces without EOS.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nmt.checkpoint_content import checked_config
from nmt.config.schema import Config, DecodingConfig
from nmt.decoding.batches import Advance, WorkDone, search_batches
from nmt.decoding.changed_settings import changed_settings
from nmt.decoding.constrained.constraints import ConstraintEncoder, Constraints
from nmt.decoding.hypothesis import Hypothesis, ranking_score
from nmt.decoding.sampling import Sampling
from nmt.decoding.translator import Translation
from nmt.errors import UserError
from nmt.export.ctranslate2_cache import cached_export
from nmt.export.ctranslate2_model import EXTRA, LONGEST
from nmt.export.export_choices import ExportFormat
from nmt.export.exported_folder import DESCRIPTION, SOURCE_MODEL, TARGET_MODEL
from nmt.export.extras import required
from nmt.text.tokenizer import TokenizerPair


@dataclass(frozen=True)
class _Sentence:
    """A sentence in the form that CTranslate2 reads.

    Attributes:
        pieces: The source pieces, without EOS.
        shortest: The least number of target pieces.
        longest: The greatest number of target pieces, without EOS.
        prefix: The pieces with which the translation begins.
    """

    pieces: list[str]
    shortest: int
    longest: int
    prefix: list[str]


class CTranslate2Engine:
    """A model in CTranslate2; see `nmt.decoding.engine.Engine` for the attributes.

    It returns no attention weights and no samples. The only constraints are prefixes.
    """

    processes = 1
    attends = False

    def __init__(
        self, translator: Any, tokenizers: TokenizerPair, decoding: DecodingConfig
    ) -> None:
        """Wrap a ``ctranslate2.Translator``.

        Raises:
            UserError: CTranslate2 does not support a setting.
        """
        if decoding.beam_groups > 1:
            raise UserError("CTranslate2 has one group of beams: add --beam-groups 1")
        self.tokenizers = tokenizers
        self.decoding = decoding
        self.constraints = ConstraintEncoder(tokenizers.target)
        self._translator = translator
        pieces = tokenizers.target.pieces(range(len(tokenizers.target)))
        self._ids = {piece: number for number, piece in enumerate(pieces)}

    def translate(
        self,
        sentences: Sequence[str],
        *,
        need_weights: bool = False,
        sampling: Sampling | None = None,
        numbers: Sequence[int] | None = None,
        wanted: int | None = None,
        constraints: Sequence[Constraints] | None = None,
        advance: Advance = lambda done, share: None,
    ) -> list[Translation]:
        """Translate sentences; see `nmt.decoding.translator.Translator.translate`.

        Raises:
            UserError: CTranslate2 does not support an argument, or a sentence is longer than the
                export allows.
        """
        if sampling is not None or need_weights:
            raise UserError("CTranslate2 returns neither samples nor attention weights here")
        prefixes = self._prefixes(constraints) or [()] * len(sentences)
        encoded = self.tokenizers.source.encode_all(sentences)
        lengths = [len(ids) + 1 for ids in encoded]
        if max(lengths, default=0) > LONGEST:
            raise UserError(
                f"a sentence has {max(lengths) - 1:,} pieces, but the CTranslate2 export has "
                f"positions for {LONGEST - 1:,}: add --max-length {LONGEST - 1}"
            )
        hypotheses: list[list[Hypothesis]] = [[] for _ in sentences]
        work = WorkDone(lengths, advance)
        for places in search_batches(lengths, self.decoding.batch_size, None):
            batch = [self._sentence(encoded[i], prefixes[i]) for i in places]
            for i, found in zip(places, self._search(batch), strict=True):
                hypotheses[i] = found
            work.add(places)
        return [
            Translation(sentence, ids, found, [self._text(one) for one in found])
            for sentence, ids, found in zip(sentences, encoded, hypotheses, strict=True)
        ]

    def _sentence(self, ids: Sequence[int], prefix: Sequence[int]) -> _Sentence:
        options, length = self.decoding, len(ids) + 1
        limit = int(length * options.max_length_ratio) + options.max_length_extra + len(prefix)
        shortest = int(length * options.min_length_ratio) + options.min_length_extra
        return _Sentence(
            self.tokenizers.source.pieces(ids),
            max(0, min(shortest, limit) - 1),
            max(1, min(limit, LONGEST) - 1),
            self.tokenizers.target.pieces(prefix),
        )

    def _search(self, batch: Sequence[_Sentence]) -> list[list[Hypothesis]]:
        """Translate a batch, with few calls for the different limits of its sentences."""
        found: list[list[Hypothesis]] = [[] for _ in batch]
        groups = defaultdict(list)
        for place, one in enumerate(batch):
            groups[one.shortest, len(one.prefix)].append(place)

        def search(places: Sequence[int], longest: int) -> None:
            results = self._call([batch[i] for i in places], longest)
            for place, some in zip(places, results, strict=True):
                found[place] = some

        for places in groups.values():
            search(places, max(batch[i].longest for i in places))
        # If a hypothesis is longer than its own limit, the search had too many steps for it.
        repeated = defaultdict(list)
        for place, (one, some) in enumerate(zip(batch, found, strict=True)):
            if any(len(hypothesis.ids) > one.longest for hypothesis in some):
                repeated[one.shortest, len(one.prefix), one.longest].append(place)
        for (_, _, longest), places in repeated.items():
            search(places, longest)
        return found

    def _call(self, batch: Sequence[_Sentence], longest: int) -> list[list[Hypothesis]]:
        """Search with the same shortest and longest length, and prefixes of the same length."""
        options, prefix = self.decoding, [one.prefix for one in batch]
        covers = options.coverage_penalty > 0
        results = self._translator.translate_batch(
            [one.pieces for one in batch],
            prefix if prefix[0] else None,
            beam_size=options.beam_size,
            num_hypotheses=options.beam_size,
            # With 1 a search would end with its first finished hypothesis. The beam is the same.
            patience=1 + 0.1 / options.beam_size,
            length_penalty=0,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram,
            max_input_length=0,
            min_decoding_length=batch[0].shortest,
            max_decoding_length=longest,
            return_scores=True,
            return_attention=covers,
        )
        exact = self._log_probs(batch, results, longest)
        found = []
        for place, result in enumerate(results):
            weights = result.attention if covers else [None] * len(result.hypotheses)
            some = [
                self._hypothesis(
                    pieces, exact.get((place, rank), score), attention, len(batch[place].pieces)
                )
                for rank, (pieces, score, attention) in enumerate(
                    zip(result.hypotheses, result.scores, weights, strict=True)
                )
            ]
            found.append(sorted(some, key=lambda one: one.score, reverse=True))
        return found

    def _hypothesis(
        self, pieces: Sequence[str], log_prob: float, attention: Any, sources: int
    ) -> Hypothesis:
        ids = [self._ids[piece] for piece in pieces]
        weights = None
        if attention is not None:  # becomes [1, 1, T, S]; there is no row and no column of EOS
            weights = torch.tensor(attention or [[0.0] * sources])[None, None]
        score = ranking_score(log_prob, len(ids) + 1, weights, self.decoding)
        return Hypothesis(ids, log_prob, score, None)

    def _log_probs(
        self, batch: Sequence[_Sentence], results: Sequence[Any], longest: int
    ) -> dict[tuple[int, int], float]:
        """Return the log-probabilities that differ from CTranslate2's scores, by sentence and rank.

        These scores exclude the prefix, and at the longest length EOS. If CTranslate2 excludes
        pieces or makes them less likely, it renormalizes the others.
        """
        options = self.decoding
        all_differ = (
            bool(batch[0].prefix or batch[0].shortest)
            or options.no_repeat_ngram > 0
            or options.repetition_penalty != 1
        )
        places = [
            (place, rank)
            for place, result in enumerate(results)
            for rank, pieces in enumerate(result.hypotheses)
            if all_differ or len(pieces) >= longest
        ]
        if not places:
            return {}
        scored = self._translator.score_batch(
            [batch[place].pieces for place, _ in places],
            [results[place].hypotheses[rank] for place, rank in places],
            max_input_length=0,
        )
        return {where: sum(one.log_probs) for where, one in zip(places, scored, strict=True)}

    def _prefixes(self, constraints: Sequence[Constraints] | None) -> list[tuple[int, ...]] | None:
        """Return the pieces of each prefix; None without constraints.

        Raises:
            UserError: CTranslate2 does not support a constraint.
        """
        if constraints is None or not any(constraints):
            return None
        found = []
        for one in constraints:
            if one.required or one.forbidden:
                raise UserError("CTranslate2 has no required or forbidden phrases: leave them out")
            asked = self.constraints.encode(one)
            if asked.closed:
                raise UserError(
                    f"CTranslate2 cannot end a word after the prefix {one.prefix!r}: leave out the "
                    "space at its end"
                )
            found.append(asked.prefix)
        return found

    def check_constraints(self, constraints: Sequence[Constraints]) -> None:
        """Check constraints before translation; see `Engine.check_constraints`."""
        self._prefixes(constraints)

    def with_beam(self, size: int) -> "CTranslate2Engine":
        """Return an engine with the same model and this beam size.

        Raises:
            UserError: The size is out of range.
        """
        other = copy(self)
        other.decoding = changed_settings(self.decoding, {"beam_size": size}, attends=True)
        return other

    def _text(self, hypothesis: Hypothesis) -> str:
        return self.tokenizers.target.decode(hypothesis.ids)


def load_ctranslate2(
    model: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    changes: Mapping[str, object] | None = None,
) -> tuple[Config, CTranslate2Engine]:
    """Load the export of a model; make the export if there is none.

    Args:
        model: A run folder, a checkpoint file, or a folder of `nmt export --to ctranslate2`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32``, ``bfloat16``, ``float16``, ``int8``, or ``auto``: bfloat16 on a GPU
            that computes in it, else float32.
        threads: CPU threads; None: the library's default.
        changes: Settings of ``decoding`` by name; None keeps the setting of the run.

    Returns:
        The settings of the run, and the engine.

    Raises:
        UserError: There is no such model, CTranslate2 is not installed or cannot compute it, or a
            setting is out of range.
    """
    library = required("ctranslate2", EXTRA)
    folder = export_folder(model)
    config, tokenizers = _read(folder)
    decoding = changed_settings(config.decoding, changes or {}, attends=True)
    kind, index = _device(library, device)
    computed = _precision(library, precision, kind, index)
    try:
        translator = library.Translator(
            str(folder),
            device=kind,
            device_index=index,
            compute_type=computed,
            intra_threads=threads or 0,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"CTranslate2 cannot load {folder}: {str(error).splitlines()[0]}"
        ) from error
    return config, CTranslate2Engine(translator, tokenizers, decoding)


def export_folder(model: Path) -> Path:
    """Return the folder of a model's export for CTranslate2; make the export if there is none.

    Raises:
        UserError: See `nmt.export.ctranslate2_cache.cached_export`.
    """
    required("ctranslate2", EXTRA)
    return model if (model / DESCRIPTION).is_file() else cached_export(model)


def _read(folder: Path) -> tuple[Config, TokenizerPair]:
    """Return the settings and the tokenizers in the folder of an export.

    Raises:
        UserError: The export is for another program, or damaged.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        layout, settings = description["format"], description["config"]
        models = [(folder / name).read_bytes() for name in (SOURCE_MODEL, TARGET_MODEL)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} is not a complete export of nmt: {error}; export the model again"
        ) from error
    if layout != ExportFormat.CTRANSLATE2:
        raise UserError(f"{folder} is an export for {layout}; give one of --to ctranslate2")
    return checked_config(settings), TokenizerPair.from_bytes(*models)


def _device(library: Any, name: str) -> tuple[str, int]:
    kind, _, number = name.partition(":")
    if name == "auto":
        return ("cuda" if library.get_cuda_device_count() else "cpu"), 0
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise UserError(f"--engine ctranslate2 computes on cpu, cuda or cuda:N, not on {name}")
    index = int(number or 0)
    if kind == "cuda" and index >= library.get_cuda_device_count():
        raise UserError(f"device {name!r} cannot be used: CTranslate2 finds no such GPU; try cpu")
    return kind, index


def _precision(library: Any, name: str, kind: str, index: int) -> str:
    known = library.get_supported_compute_types(kind, index)
    if name == "auto":
        return "bfloat16" if kind == "cuda" and "bfloat16" in known else "float32"
    if name not in known:
        raise UserError(
            f"CTranslate2 does not compute in --precision {name} on this {kind}; choose from "
            f"auto, {', '.join(sorted(known))}"
        )
    return name
