"""Translation of text: tokenize, batch, search or sample, detokenize.

`nmt translate`, validation and the final test use it.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import torch

from nmt import runtime
from nmt.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from nmt.config.numbering import attention_layers, drawn_layer_head
from nmt.config.schema import DecodingConfig
from nmt.data.batches.batch import source_batch
from nmt.data.features import Features
from nmt.decoding.batches import Advance, WorkDone, batch_tokens, search_batches
from nmt.decoding.changed_settings import changed_settings
from nmt.decoding.constrained.constraints import ConstraintEncoder, Constraints, PieceConstraints
from nmt.decoding.constrained.shortlist import Shortlist, check_shortlisted_model
from nmt.decoding.constrained.shortlist_file import load_shortlist
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.prepared_weights import prepare_weights
from nmt.decoding.repeated_step import CudaGraphs
from nmt.decoding.sampling import Sampling, sample
from nmt.decoding.search import beam_search
from nmt.decoding.sentence_features import check_feature_size, regions_of
from nmt.errors import UserError
from nmt.kernels import dispatch
from nmt.model.documents.hierarchical_decoder import HierarchicalDecoder
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair


@dataclass(frozen=True)
class Translation:
    """A sentence and its translations.

    Attributes:
        source: The given sentence.
        source_ids: Its piece ids, without EOS.
        hypotheses: At most one per beam, best first, or the samples in the order of the draws.
            Empty for a blank sentence.
        texts: The hypotheses as text.
    """

    source: str
    source_ids: list[int]
    hypotheses: list[Hypothesis]
    texts: list[str]

    @property
    def text(self) -> str:
        """The text of the first hypothesis; empty for a blank sentence."""
        return self.texts[0] if self.texts else ""


class LoadOptions(TypedDict, total=False):
    """How a model is loaded for search.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        beam_size: Hypotheses per sentence. For this and the next two, None keeps the setting of the
            run.
        length_penalty: Alpha of `nmt.decoding.hypothesis.length_penalty`, from 0 to 10.
        batch_size: Sentences per batch.
        precision: ``float32``, ``bfloat16``, ``float16``, ``int8`` on a CPU, or ``auto``: bfloat16
            on a GPU that computes in it, else float32.
        changes: Further settings of ``decoding`` by their names.
        shortlist: A file of `nmt shortlist`, or a run folder that has one; None: no shortlist.
    """

    device: str
    beam_size: int | None
    length_penalty: float | None
    batch_size: int | None
    precision: str
    changes: Mapping[str, object] | None
    shortlist: Path | None


class Translator:
    """A model with its tokenizers and decoding settings.

    Attributes:
        model: The model, on its device.
        tokenizers: The tokenizers of source and target.
        decoding: Settings of the search.
        precision: The dtype of products: that of autocast, or int8 for quantized linear layers.
        drawn: The decoder layer and the head whose attention is drawn. Negative indices count from
            the end. If the head is None, the mean over the heads is drawn.
        constraints: Encodes constraints as pieces of the target.
        by_sentences: Whether a batch has ``decoding.batch_size`` sentences on a GPU, too.
        processes: 1; see `nmt.decoding.engine.Engine`.
        shortlist: The target pieces that translations may contain; None: all target pieces.
        features: The features of the sentences, if the model reads any; see `with_features`.
    """

    processes = 1

    def __init__(
        self,
        model: TranslationModel,
        tokenizers: TokenizerPair,
        decoding: DecodingConfig,
        precision: torch.dtype = torch.float32,
        drawn: tuple[int, int | None] = (-1, None),
    ) -> None:
        """Create a translator. The model stays on its device."""
        self.model = model
        self.tokenizers = tokenizers
        self.decoding = decoding
        self.precision = precision
        self.drawn = drawn
        attends = isinstance(model.decoder, HierarchicalDecoder)
        self.constraints = ConstraintEncoder(tokenizers.target, attends=attends)
        self.by_sentences = False
        self.shortlist: Shortlist | None = None
        self.features: Features | None = None
        self._step_weights = _step_weights(model)
        device = model.output.weight.device
        self._graphs = CudaGraphs(device) if device.type == "cuda" else None

    @classmethod
    def from_checkpoint(cls, path: Path, **options: Unpack[LoadOptions]) -> "Translator":
        """Load the best model of a run folder, or a checkpoint file.

        In float32, which is the default, a translation does not depend on its batch.

        Raises:
            UserError: The model does not exist, a setting is out of range, or the shortlist is
                damaged or was made for another vocabulary.
        """
        checkpoint = load_checkpoint(find_checkpoint(path), mapped=True)
        return cls.from_loaded_checkpoint(checkpoint, **options)

    @classmethod
    def from_loaded_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
        precision: str = "float32",
        changes: Mapping[str, object] | None = None,
        shortlist: Path | None = None,
    ) -> "Translator":
        """Create a translator from a checkpoint in memory; for the options see `LoadOptions`."""
        given = {
            "beam_size": beam_size,
            "length_penalty": length_penalty,
            "batch_size": batch_size,
            **(changes or {}),
        }
        attends = attention_layers(checkpoint.config.model.decoder)[0] > 0
        decoding = changed_settings(checkpoint.config.decoding, given, attends=attends)
        checkpoint.config.decoding = decoding
        found = None
        if shortlist is not None:
            check_shortlisted_model(checkpoint.config.model)
            found = load_shortlist(shortlist, checkpoint.tokenizers)
        chosen = runtime.pick_device(device)
        runtime.set_exact_recurrence()
        dtype = runtime.pick_search_precision(precision, chosen)
        model = checkpoint.trained_model().to(chosen)
        drawn = drawn_layer_head(checkpoint.config)
        translator = cls(model, checkpoint.tokenizers, decoding, dtype, drawn)
        translator.by_sentences, translator.shortlist = batch_size is not None, found
        translator.prepare_weights()
        return translator

    @property
    def attends(self) -> bool:
        """Whether hypotheses can have attention weights."""
        return self.model.decoder.attends

    def prepare_weights(self) -> None:
        """Store the weights for search. Do not train the model afterwards.

        Raises:
            UserError: This processor has no product of integers.
        """
        prepare_weights(self.model, self.precision)

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
        """Translate sentences. Sentences of similar length share a batch.

        Args:
            sentences: In any order; the result has the same order.
            need_weights: Whether the hypotheses have attention weights.
            sampling: How to sample translations; None: search for the best translations.
            numbers: The number of each sentence, from 0. It determines the samples and selects the
                features; None: the position of the sentence.
            wanted: The number of hypotheses of each sentence that are needed; see
                `nmt.decoding.early_stopping`. None: one per beam.
            constraints: The constraints on the translation of each sentence; None: none.
            advance: Called after each batch with the number of finished sentences, and their share
                of the work.

        Raises:
            UserError: Constraints contradict each other, the vocabulary or the settings.
        """
        asked = self._asked(constraints, sampling)
        encoded = self.tokenizers.source.encode_all(sentences)
        hypotheses: list[list[Hypothesis]] = [[] for _ in sentences]
        tokens = self._batch_tokens(sampling, need_weights=need_weights)
        lengths = [len(ids) + 1 for ids in encoded]
        work = WorkDone(lengths, advance)
        for positions in search_batches(lengths, self.decoding.batch_size, tokens):
            sources = [encoded[i] for i in positions]
            mine = positions if numbers is None else [numbers[i] for i in positions]
            batch = [asked[i] for i in positions] if asked is not None else []
            found = self._decode(sources, mine, sampling, batch, wanted, need_weights=need_weights)
            for i, result in zip(positions, found, strict=True):
                hypotheses[i] = result
            work.add(positions)
        if self._graphs is not None:
            self._graphs.forget()
        return [
            Translation(sentence, ids, found, [self._text(h) for h in found])
            for sentence, ids, found in zip(sentences, encoded, hypotheses, strict=True)
        ]

    def _batch_tokens(self, sampling: Sampling | None, *, need_weights: bool) -> int | None:
        """Return the source pieces of a batch; None: ``batch_size`` counts its sentences."""
        if self.by_sentences:
            return None
        hypotheses = self.decoding.beam_size if sampling is None else sampling.count
        on_gpu = dispatch.repeats_shapes(self.model.output.weight) and not need_weights
        return batch_tokens(self.decoding, hypotheses, on_gpu=on_gpu)

    def _decode(
        self,
        sources: Sequence[Sequence[int]],
        positions: Sequence[int],
        sampling: Sampling | None,
        asked: Sequence[PieceConstraints],
        wanted: int | None,
        *,
        need_weights: bool,
    ) -> list[list[Hypothesis]]:
        """Search or sample a batch of piece ids; ``positions`` are the numbers of `translate`."""
        device = self.model.output.weight.device
        constraints = self.constraints.batch(asked, device)
        ids, mask = (tensor.to(device) for tensor in source_batch(sources))
        regions = regions_of(self.features, positions, device)
        batch = self.model, ids, mask
        allowed = None
        if self.shortlist is not None:
            allowed = self.shortlist.allowed(sources, [one.pieces for one in asked], device)
        rows = len(sources) * (self.decoding.beam_size if sampling is None else sampling.count)
        threads = runtime.threads_for(rows * self._step_weights)
        with threads, runtime.autocast(device, self.precision):
            if sampling is None:
                return beam_search(
                    *batch,
                    self.decoding,
                    constraints=constraints,
                    allowed=allowed,
                    need_weights=need_weights,
                    wanted=wanted,
                    graphs=self._graphs,
                    regions=regions,
                )
            return sample(
                *batch,
                positions,
                self.decoding,
                sampling,
                constraints=constraints,
                allowed=allowed,
                need_weights=need_weights,
                graphs=self._graphs,
                regions=regions,
            )

    def with_features(self, features: Features | None) -> "Translator":
        """Return a translator with the same model and these features.

        The sentence with number i (see `translate`) has array i. All parts of a line have the array
        of the line.

        Raises:
            UserError: The model reads no features, or features of another size.
        """
        other = copy(self)
        other.features = features
        if features is not None:
            check_feature_size(self.model, features)
        return other

    def check_constraints(self, constraints: Sequence[Constraints]) -> None:
        """Check constraints before the first sentence is read.

        Raises:
            UserError: They contradict each other, the vocabulary or the settings.
        """
        self._asked(constraints, None)

    def _asked(
        self, constraints: Sequence[Constraints] | None, sampling: Sampling | None
    ) -> list[PieceConstraints] | None:
        """Return the constraints in pieces; None: no constraints.

        Raises:
            UserError: They contradict each other, the vocabulary or the settings.
        """
        if constraints is None or not any(constraints):
            return None
        if any(one.required for one in constraints):
            if sampling is not None:
                raise UserError("required phrases need a search: samples cannot have them")
            if self.decoding.beam_groups > 1:
                raise UserError("required phrases need one beam: set beam_groups to 1")
        encoded = {one: self.constraints.encode(one) for one in dict.fromkeys(constraints)}
        return [encoded[one] for one in constraints]

    def with_beam(self, size: int) -> "Translator":
        """Return a translator with the same model and this beam size.

        Raises:
            UserError: The beam size is out of range.
        """
        return self.with_settings({"beam_size": size})

    def with_settings(self, changes: Mapping[str, object]) -> "Translator":
        """Return a translator with the same model and other settings of search.

        Args:
            changes: Settings of ``decoding`` by their names; None does not change a setting.

        Raises:
            UserError: A value is not allowed.
        """
        other = copy(self)
        other.decoding = changed_settings(self.decoding, changes, attends=self.attends)
        return self if other.decoding == self.decoding else other

    def in_float32(self) -> "Translator":
        """Return a translator with the same model and products in float32.

        The weights must be in float32, as they are on a GPU; see `prepare_weights`.
        """
        other = copy(self)
        other.precision = torch.float32
        return other

    def _text(self, hypothesis: Hypothesis) -> str:
        return self.tokenizers.target.decode(hypothesis.ids)


def _step_weights(model: TranslationModel) -> int:
    """Return the number of weights that a step multiplies for each hypothesis."""
    named = (*model.decoder.named_parameters(), *model.output.named_parameters())
    return sum(p.numel() for name, p in named if not name.endswith("embedding.weight"))
