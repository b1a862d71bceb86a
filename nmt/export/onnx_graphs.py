"""A Transformer as two ONNX graphs: the encoder, and one step of the decoder.

A program runs ``encoder.onnx`` once for a batch of sentences. Then it runs ``decoder_step.onnx``
once for each target piece, with the keys and values from the previous step.

Legend: B batch, S source length, T target pieces so far, V target vocabulary, L decoder layers, G
heads of keys and values, K head size.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nmt.checkpoint import Checkpoint
from nmt.config.model import Positions
from nmt.config.schema import Config
from nmt.export.extras import required
from nmt.export.parity import Ids, Scorer
from nmt.export.unsupported import plain_cross_attention, transformer_stacks
from nmt.model.attention.memory import AttentionMemory
from nmt.model.seq2seq import TranslationModel
from nmt.model.transformer.positions import sinusoidal_positions
from nmt.model.transformer.transformer_stacks import TransformerDecoder, TransformerEncoder
from nmt.text.special_tokens import BOS, EOS, PAD

EXTRA = "onnx"
ENCODER, STEP = "encoder.onnx", "decoder_step.onnx"
LONGEST = 1024
"""Number of sinusoidal positions in the graphs, which fail on longer sentences."""

SOURCE = "source_ids", "source_mask"
MEMORY = "source_keys", "source_values"
PAST = "target_keys", "target_values"


def check_form(config: Config) -> None:
    """Check that the model of this configuration can be exported as graphs.

    Raises:
        UserError: It cannot; the message names the settings.
    """
    transformer_stacks(config, "the ONNX export")


class EncoderGraph(nn.Module):
    """Maps source pieces to the keys and values of the cross-attentions of all decoder layers."""

    def __init__(self, model: TranslationModel) -> None:
        """Wrap a Transformer in evaluation mode."""
        super().__init__()
        self.model = model

    def forward(self, source_ids: Tensor, source_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map ids [B, S] and their mask [B, S] to keys and values, each [L, B, G, S, K]."""
        states = self.model.encode(source_ids, source_mask).states
        decoder = self.model.decoder
        assert isinstance(decoder, TransformerDecoder)
        attentions = [plain_cross_attention(layer) for layer in decoder.layers]
        memories = [attention.build_memory(states, None) for attention in attentions]
        keys, values = ([getattr(m, name) for m in memories] for name in ("keys", "values"))
        return torch.stack(keys), torch.stack(values)


class StepGraph(nn.Module):
    """Maps the previous target piece to the logits of the next target piece."""

    def __init__(self, model: TranslationModel) -> None:
        """Wrap a Transformer in evaluation mode."""
        super().__init__()
        self.model = model

    def forward(
        self,
        previous_ids: Tensor,
        target_keys: Tensor,
        target_values: Tensor,
        source_keys: Tensor,
        source_values: Tensor,
        source_mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute a step.

        Args:
            previous_ids: [B], BOS in the first step.
            target_keys: [L, B, G, T, K], T = 0 in the first step.
            target_values: [L, B, G, T, K].
            source_keys: [L, B, G, S, K], from `EncoderGraph`.
            source_values: [L, B, G, S, K].
            source_mask: [B, S] bool, False at padding.

        Returns:
            Logits [B, V], and the keys and values [L, B, G, T + 1, K].
        """
        decoder = self.model.decoder
        assert isinstance(decoder, TransformerDecoder)
        past = target_keys.size(3)
        places = torch.arange(past + 1, device=previous_ids.device)
        states = decoder.positioned(previous_ids[:, None], places[-1:], 1)
        positions = decoder.relative(places[-1:], places)
        mask = source_mask[:, None, None, :]
        keys, values = [], []
        for index, layer in enumerate(decoder.layers):
            source = AttentionMemory(source_keys[index], source_values[index], mask)

            def extend(new: AttentionMemory, index: int = index) -> AttentionMemory:
                keys.append(torch.cat([target_keys[index], new.keys], dim=2))
                values.append(torch.cat([target_values[index], new.values], dim=2))
                return AttentionMemory(keys[-1], values[-1], None)

            states, _ = layer(states, extend, None, positions, source, need_weights=False)
        logits = self.model.logits(decoder.norm(states)[:, 0])
        return logits, torch.stack(keys), torch.stack(values)


def save_onnx(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``encoder.onnx`` and ``decoder_step.onnx``, for batches of any size and length.

    Raises:
        UserError: `check_form` refuses the model, or onnx and onnxscript are not installed.
    """
    check_form(checkpoint.config)
    required("onnxscript", EXTRA)
    _write_graphs(_model(checkpoint), folder)


@contextmanager
def _without_notes() -> Iterator[None]:
    """Hide notes of the exporter, e.g. of a missing torchvision, which no such graph uses."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _write_graphs(model: TranslationModel, folder: Path) -> None:
    ids = torch.tensor([[4, 5, 6, EOS], [4, 5, EOS, PAD]])
    mask = ids != PAD
    batch, length, past = (torch.export.Dim(name) for name in ("batch", "length", "past"))
    read = {0: batch, 1: length}
    encoder, step = EncoderGraph(model).eval(), StepGraph(model).eval()
    _write(encoder, (ids, mask), dict.fromkeys(SOURCE, read), MEMORY, folder / ENCODER)
    with torch.no_grad():
        memory = encoder(ids, mask)
        empty = tuple(part[:, :, :, :0] for part in memory)
        first = step(torch.tensor([BOS, BOS]), *empty, *memory, mask)
    shapes = {
        "previous_ids": {0: batch},
        **dict.fromkeys(PAST, {1: batch, 3: past}),
        **dict.fromkeys(MEMORY, {1: batch, 3: length}),
        "source_mask": read,
    }
    given = torch.tensor([4, 5]), *first[1:], *memory, mask
    _write(step, given, shapes, ("logits", "new_target_keys", "new_target_values"), folder / STEP)


def _model(checkpoint: Checkpoint) -> TranslationModel:
    """Return the model with tables of `LONGEST` sinusoids, if it has sinusoidal positions."""
    model = checkpoint.trained_model()
    for stack in (model.encoder, model.decoder):
        assert isinstance(stack, TransformerEncoder | TransformerDecoder)
        if stack.positioned.kind == Positions.SINUSOIDAL:
            size = stack.positioned.embedding.embedding_dim
            stack.positioned.table = sinusoidal_positions(LONGEST, size)
    return model


def _write(
    graph: nn.Module,
    given: tuple[Tensor, ...],
    shapes: Mapping[str, Any],
    outputs: Sequence[str],
    path: Path,
) -> None:
    with _without_notes(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names of axes, and about torch's own code
        torch.onnx.export(
            graph,
            given,
            str(path),
            input_names=list(shapes),
            output_names=list(outputs),
            dynamic_shapes=dict(shapes),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def scorer(folder: Path) -> Scorer:
    """Return a function that scores translations with both graphs in onnxruntime."""
    import numpy as np

    runtime = required("onnxruntime", EXTRA)
    encoder, step = (runtime.InferenceSession(str(folder / name)) for name in (ENCODER, STEP))

    def score(sources: Ids, targets: Ids) -> list[list[float]]:
        found = []
        for source, target in zip(sources, targets, strict=True):
            ids = np.array([[*source, EOS]])
            mask = np.ones_like(ids, dtype=bool)
            memory = encoder.run(None, dict(zip(SOURCE, (ids, mask), strict=True)))
            past = [part[:, :, :, :0] for part in memory]
            fixed = dict(zip(MEMORY, memory, strict=True)) | {"source_mask": mask}
            log_probs = []
            for before, piece in zip([BOS, *target], [*target, EOS], strict=True):
                given = {"previous_ids": np.array([before]), **dict(zip(PAST, past, strict=True))}
                logits, *past = step.run(None, given | fixed)
                scores = torch.from_numpy(logits).log_softmax(-1)
                log_probs.append(scores[0, piece].item())
            found.append(log_probs)
        return found

    return score
