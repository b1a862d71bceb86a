"""Text in, translations out, in order: what `nmt translate`, validation and tests all use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nmt import runtime
from nmt.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from nmt.config.schema import DecodingConfig
from nmt.data.batch import source_batch
from nmt.decoding.sampling import Sampling, sample
from nmt.decoding.search import Hypothesis, beam_search
from nmt.errors import UserError
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair


@dataclass(frozen=True)
class Translation:
    """A sentence and its hypotheses, best first; none for a blank sentence.

    Attributes:
        source: The sentence as it was given.
        source_ids: Its pieces, without EOS.
        hypotheses: At most as many as there are beams.
        texts: The hypotheses as text.
    """

    source: str
    source_ids: list[int]
    hypotheses: list[Hypothesis]
    texts: list[str]

    @property
    def text(self) -> str:
        """The best translation; empty for a blank sentence."""
        return self.texts[0] if self.texts else ""


class Translator:
    """A model with its tokenizers and search settings."""

    def __init__(
        self,
        model: TranslationModel,
        tokenizers: TokenizerPair,
        decoding: DecodingConfig,
        precision: torch.dtype = torch.float32,
        heatmap_layer: int = -1,
    ) -> None:
        """Translate with a model, on the device where it is."""
        self.model = model
        self.tokenizers = tokenizers
        self.decoding = decoding
        self.precision = precision
        self.heatmap_layer = heatmap_layer

    @classmethod
    def from_checkpoint(
        cls,
        path: Path,
        *,
        device: str = "auto",
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
    ) -> "Translator":
        """Load a run folder's best model or a checkpoint file; None keeps the run's own setting.

        It computes in float32, so that a translation does not depend on its batch.

        Raises:
            UserError: There is no such model, or a setting is out of range.
        """
        return cls.of(
            load_checkpoint(find_checkpoint(path)),
            device=device,
            beam_size=beam_size,
            length_penalty=length_penalty,
            batch_size=batch_size,
        )

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
    ) -> "Translator":
        """Translate with a checkpoint already loaded; see `from_checkpoint`."""
        decoding = checkpoint.config.decoding
        decoding.beam_size = _at_least_one("beam size", beam_size, decoding.beam_size)
        decoding.batch_size = _at_least_one("batch size", batch_size, decoding.batch_size)
        if length_penalty is not None:
            if not 0 <= length_penalty <= 10:
                raise UserError(f"the length penalty is {length_penalty}; it must be from 0 to 10")
            decoding.length_penalty = length_penalty
        place = runtime.pick_device(device)
        model = checkpoint.build_model().to(place).eval()
        layer = checkpoint.config.logging.heatmap_layer
        return cls(model, checkpoint.tokenizers, decoding, heatmap_layer=layer)

    def translate(
        self,
        sentences: Sequence[str],
        *,
        need_weights: bool = False,
        sampling: Sampling | None = None,
    ) -> list[Translation]:
        """Translate sentences, those of like length together; the order of the result is theirs.

        With ``sampling`` translations are drawn from the model in place of searched.
        """
        encoded = self.tokenizers.source.encode_all(sentences)
        order = sorted(range(len(sentences)), key=lambda i: len(encoded[i]), reverse=True)
        found: list[list[Hypothesis]] = [[] for _ in sentences]
        spoken = [i for i in order if encoded[i]]
        size = self.decoding.batch_size
        for start in range(0, len(spoken), size):
            rows = spoken[start : start + size]
            sources = [encoded[i] for i in rows]
            if sampling is None:
                hypotheses = self._search(sources, need_weights=need_weights)
            else:
                hypotheses = self._sample(sources, rows, sampling, need_weights=need_weights)
            for i, result in zip(rows, hypotheses, strict=True):
                found[i] = result
        return [
            Translation(sentence, ids, hypotheses, [self._text(h) for h in hypotheses])
            for sentence, ids, hypotheses in zip(sentences, encoded, found, strict=True)
        ]

    def _search(
        self, sources: Sequence[Sequence[int]], *, need_weights: bool
    ) -> list[list[Hypothesis]]:
        device = self.model.output.weight.device
        ids, mask = source_batch(sources)
        with runtime.autocast(device, self.precision):
            return beam_search(
                self.model,
                ids.to(device),
                mask.to(device),
                self.decoding,
                need_weights=need_weights,
            )

    def _sample(
        self,
        sources: Sequence[Sequence[int]],
        places: Sequence[int],
        sampling: Sampling,
        *,
        need_weights: bool,
    ) -> list[list[Hypothesis]]:
        device = self.model.output.weight.device
        ids, mask = source_batch(sources)
        with runtime.autocast(device, self.precision):
            return sample(
                self.model,
                ids.to(device),
                mask.to(device),
                places,
                self.decoding,
                sampling,
                need_weights=need_weights,
            )

    def _text(self, hypothesis: Hypothesis) -> str:
        return self.tokenizers.target.decode(hypothesis.ids)


def _at_least_one(name: str, given: int | None, default: int) -> int:
    if given is None:
        return default
    if given < 1:
        raise UserError(f"the {name} is {given}; it must be at least 1")
    return given
