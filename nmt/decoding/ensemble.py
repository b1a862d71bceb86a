"""Ensembles: several models translate together.

Legend: B sentences, A sentences in the search, N beams, T target length, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from nmt.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from nmt.config.checks.check_features import feature_size, reading_setting
from nmt.config.ensemble_mean import Mean
from nmt.config.model import ModelConfig, RegionEncoderConfig
from nmt.data.batches.packing import Packing
from nmt.data.batches.regions import Regions
from nmt.decoding.constrained.shortlist import check_shortlisted_model
from nmt.decoding.document_search import common_context
from nmt.decoding.translator import LoadOptions, Translator
from nmt.errors import UserError
from nmt.model.interfaces import DecoderOutput, DecoderState, EncoderOutput
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class _Encoded(EncoderOutput):
    """The outputs of all encoders; the inherited fields are those of the first encoder.

    Attributes:
        parts: One per model.
    """

    parts: tuple[EncoderOutput, ...] = ()


@dataclass(frozen=True)
class _States(DecoderState):
    """The states of all decoders.

    Attributes:
        parts: One per model.
    """

    parts: tuple[DecoderState, ...]

    def select(self, sentences: Tensor) -> "_States":
        """See `DecoderState.select`."""
        return _States(tuple(part.select(sentences) for part in self.parts))

    def keep(self, sentences: Tensor) -> "_States":
        """See `DecoderState.keep`."""
        return _States(tuple(part.keep(sentences) for part in self.parts))

    def reorder(self, parents: Tensor) -> "_States":
        """See `DecoderState.reorder`."""
        return _States(tuple(part.reorder(parents) for part in self.parts))

    def reserve(self, steps: int) -> "_States":
        """See `DecoderState.reserve`."""
        parts = tuple(part.reserve(steps) for part in self.parts)
        same = all(new is old for new, old in zip(parts, self.parts, strict=True))
        return self if same else _States(parts)


@dataclass(frozen=True)
class _Outputs(DecoderOutput):
    """The outputs of all decoders; the inherited fields are those of the first decoder.

    Attributes:
        parts: One per model.
    """

    parts: tuple[DecoderOutput, ...] = ()

    def predictions_at(self, function: Callable[[Tensor], Tensor]) -> "_Outputs":
        """See `DecoderOutput.predictions_at`."""
        parts = tuple(part.predictions_at(function) for part in self.parts)
        return _Outputs(parts[0].hidden, None, parts=parts)


class Ensemble(TranslationModel):
    """Averages the next-piece distributions of models; only the first returns attention weights.

    With `Mean.LOG_PROBS`, log p(y_t) = 1/M sum over m of log p_m(y_t) - log Z_t, where Z_t
    normalizes the probabilities. With `Mean.PROBS`, p(y_t) = 1/M sum over m of p_m(y_t).
    """

    def __init__(self, models: Sequence[TranslationModel], mean: Mean = Mean.LOG_PROBS) -> None:
        """Join models with the same vocabularies, on the same device."""
        nn.Module.__init__(self)
        first = models[0]
        self.encoder, self.decoder, self.output = first.encoder, first.decoder, first.output
        self.models = nn.ModuleList(models)
        self.mean = mean
        self._models = tuple(models)

    @property
    def feature_size(self) -> int | None:
        """The size of a feature vector; None: the models read no features."""
        return self._models[0].feature_size

    def encode(
        self,
        source_ids: Tensor,
        source_mask: Tensor,
        source_lengths: Tensor | None = None,
        regions: Regions | None = None,
        previous_targets: Tensor | None = None,
    ) -> EncoderOutput:
        """Read sources with every encoder."""
        given = source_ids, source_mask, source_lengths, regions, previous_targets
        parts = tuple(model.encode(*given) for model in self._models)
        first = parts[0]
        return _Encoded(first.states, first.mask, first.summary, parts=parts)

    def start(self, encoder_output: EncoderOutput) -> DecoderState:
        """Return the states of all decoders before the first piece."""
        assert isinstance(encoder_output, _Encoded)
        pairs = zip(self._models, encoder_output.parts, strict=True)
        return _States(tuple(model.start(part) for model, part in pairs))

    def step(
        self,
        previous_ids: Tensor,
        state: DecoderState,
        *,
        need_weights: bool = False,
        part: Any = None,
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Advance all models by the previous pieces; the weights are those of the first model.

        With parts of the output layers, each distribution is over the pieces of the part.
        """
        assert isinstance(state, _States)
        parts = [None] * len(self._models) if part is None else part
        models = zip(self._models, state.parts, parts, strict=True)
        results = [
            model.step(previous_ids, one, need_weights=need_weights and number == 0, part=rows)
            for number, (model, one, rows) in enumerate(models)
        ]
        logits = self._averaged([result[0] for result in results])
        return logits, results[0][1], _States(tuple(result[2] for result in results))

    def forward(
        self,
        source_ids: Tensor,
        source_mask: Tensor,
        target_input_ids: Tensor,
        *,
        need_weights: bool = False,
        source_lengths: Tensor | None = None,
        packing: Packing | None = None,
        regions: Regions | None = None,
    ) -> DecoderOutput:
        """Return the outputs of all models for known targets.

        Raises:
            ValueError: The batch is packed.
        """
        if packing is not None:
            raise ValueError("an ensemble reads no packed rows")
        parts = tuple(
            model(
                source_ids,
                source_mask,
                target_input_ids,
                need_weights=need_weights and number == 0,
                source_lengths=source_lengths,
                regions=regions,
            )
            for number, model in enumerate(self._models)
        )
        return _Outputs(parts[0].hidden, parts[0].weights, parts=parts)

    def predictions(self, output: DecoderOutput, part: Any = None) -> Tensor:
        """Return the averaged log-probabilities [..., V] of the outputs of all models."""
        assert isinstance(output, _Outputs)
        parts = [None] * len(self._models) if part is None else part
        models = zip(self._models, output.parts, parts, strict=True)
        return self._averaged([model.predictions(one, rows) for model, one, rows in models])

    def output_part(self, pieces: Tensor) -> Any:
        """Return the parts of all output layers for the pieces [U]."""
        return tuple(model.output_part(pieces) for model in self._models)

    def _averaged(self, logits: Sequence[Tensor]) -> Tensor:
        log_probs = torch.stack([part.log_softmax(-1, dtype=torch.float32) for part in logits])
        if self.mean == Mean.PROBS:
            return log_probs.logsumexp(0) - math.log(len(logits))
        return log_probs.mean(0).log_softmax(-1)


def load_models(
    paths: Sequence[Path],
    *,
    mean: Mean = Mean.LOG_PROBS,
    **options: Unpack[LoadOptions],
) -> tuple[list[Checkpoint], Translator]:
    """Load a model, or an ensemble with the tokenizers and the settings of its first model.

    Args:
        paths: Run folders or checkpoint files, at least one.
        mean: How to average the distributions.
        options: How to load the models.

    Raises:
        UserError: A model does not exist, the vocabularies or the inputs of the models differ, or a
            setting is out of range.
    """
    checkpoints = [load_checkpoint(find_checkpoint(path), mapped=True) for path in paths]
    for path, checkpoint in zip(paths[1:], checkpoints[1:], strict=True):
        _check_vocabularies(paths[0], checkpoints[0], path, checkpoint)
        if options.get("shortlist") is not None:
            check_shortlisted_model(checkpoint.config.model)
    common_context(checkpoint.config for checkpoint in checkpoints)
    _check_features([checkpoint.config.model for checkpoint in checkpoints])
    translator = Translator.from_loaded_checkpoint(checkpoints[0], **options)
    if len(checkpoints) > 1:
        chosen = translator.model.output.weight.device
        others = [checkpoint.trained_model().to(chosen) for checkpoint in checkpoints[1:]]
        translator.model = Ensemble([translator.model, *others], mean).eval()
        translator.prepare_weights()
    return checkpoints, translator


def _check_vocabularies(
    first: Path, expected: Checkpoint, path: Path, checkpoint: Checkpoint
) -> None:
    for side in ("target", "source"):
        known, other = (getattr(one.tokenizers, side) for one in (expected, checkpoint))
        if not _same_pieces(known, other):
            raise UserError(
                f"{path} has another {side} vocabulary than {first} ({len(other):,} and "
                f"{len(known):,} pieces): the models of an ensemble need the same pieces; train "
                "them with the same tokenizer.model"
            )


def _check_features(models: Sequence[ModelConfig]) -> None:
    sizes = [feature_size(model)[1] if reading_setting(model) else None for model in models]
    if len(set(sizes)) > 1:
        shown = " and ".join("none" if size is None else str(size) for size in sizes)
        raise UserError(
            f"the models of an ensemble must read the same features, but their sizes are {shown}: "
            "name models that were trained alike"
        )
    if len({isinstance(model.encoder, RegionEncoderConfig) for model in models}) > 1:
        raise UserError(
            "model/encoder=regions reads no text, and cannot be in an ensemble with a model that "
            "reads text: name models that were trained alike"
        )


def _same_pieces(one: Tokenizer, other: Tokenizer) -> bool:
    if len(one) != len(other):
        return False
    ids = range(len(one))
    return one.pieces(ids) == other.pieces(ids)
