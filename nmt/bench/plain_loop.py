"""A plain training loop around `torch.nn.Transformer`, as a user would write it.

Legend: B batch, S source length, T target length, D model size, V vocabulary.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt import runtime
from nmt.bench.ceiling import synchronise
from nmt.bench.counts import Counts
from nmt.config.model import ModelConfig, TransformerDecoderConfig, TransformerEncoderConfig
from nmt.errors import UserError
from nmt.model.transformer.positions import sinusoidal_positions

_BLOCK = 10  # updates between two waits for the device
_FIRST_PIECE = 4  # after the special tokens
_LABEL_SMOOTHING, _CLIP_NORM, _LEARNING_RATE = 0.1, 1.0, 1e-3


@dataclass(frozen=True)
class PlainWork:
    """The batches of a plain loop: all have the same shape, without padding.

    Attributes:
        rows: B.
        source_length: S.
        target_length: T.
        vocab_size: V, the size of the shared vocabulary.
    """

    rows: int
    source_length: int
    target_length: int
    vocab_size: int

    @classmethod
    def like(cls, counts: Counts, updates: int, vocab_size: int) -> "PlainWork":
        """Return batches with the mean lengths, and about the target tokens, of measured updates.

        Args:
            counts: Counts of all measured updates.
            updates: Number of these updates.
            vocab_size: V.
        """
        source = round(counts.source_tokens / counts.sentences)
        target = round(counts.target_tokens / counts.sentences)
        rows = round(counts.target_tokens / updates / target)
        return cls(max(1, rows), max(1, source), max(1, target), vocab_size)

    @property
    def counts(self) -> Counts:
        """The counts of one update."""
        source = torch.full((self.rows,), self.source_length)
        return Counts.of_lengths(source, torch.full((self.rows,), self.target_length))


@dataclass(frozen=True)
class PlainSpeed:
    """The speed of a plain loop.

    Attributes:
        work: The batches.
        parameters: Number of the model's parameters.
        updates: Number of measured updates.
        tokens_per_second: Target tokens per second, the median over blocks of updates.
    """

    work: PlainWork
    parameters: int
    updates: int
    tokens_per_second: float


class PlainTransformer(nn.Module):
    """`torch.nn.Transformer` between tied embeddings and an output layer."""

    positions: Tensor

    def __init__(self, config: ModelConfig, work: PlainWork) -> None:
        """Build the model with the sizes of a configuration.

        Raises:
            UserError: The configuration has no counterpart in `torch.nn.Transformer`.
        """
        super().__init__()
        encoder, decoder = config.encoder, config.decoder
        if not isinstance(encoder, TransformerEncoderConfig) or not isinstance(
            decoder, TransformerDecoderConfig
        ):
            raise UserError("the plain loop is for a Transformer: give one on both sides")
        size, longest = encoder.hidden_size, max(work.source_length, work.target_length)
        self.embedding = nn.Embedding(work.vocab_size, size)
        nn.init.normal_(self.embedding.weight, std=size**-0.5)
        self.register_buffer("positions", sinusoidal_positions(longest, size))
        self.dropout = nn.Dropout(encoder.dropout)
        self.core = nn.Transformer(
            size,
            encoder.num_heads,
            encoder.num_layers,
            decoder.num_layers,
            encoder.feed_forward_size,
            encoder.dropout,
            batch_first=True,
            norm_first=True,
        )

    def forward(self, source: Tensor, target: Tensor, causal: Tensor) -> Tensor:
        """Return logits [B, T, V] for ids [B, S] and [B, T] and a causal mask [T, T]."""
        states = self.core(
            self._embed(source), self._embed(target), tgt_mask=causal, tgt_is_causal=True
        )
        return F.linear(states, self.embedding.weight)

    def _embed(self, ids: Tensor) -> Tensor:
        size = self.embedding.embedding_dim
        embedded: Tensor = self.embedding(ids) * math.sqrt(size) + self.positions[: ids.size(1)]
        return self.dropout(embedded)


def bench_plain(
    config: ModelConfig,
    work: PlainWork,
    device: torch.device,
    precision: torch.dtype,
    *,
    updates: int,
    warmup: int = 5,
) -> PlainSpeed:
    """Train a plain Transformer on random pieces and measure its speed.

    The loop is as fast as possible without a change of the model. It uses autocast and a fused
    optimizer. Its data are on the device and have one shape without padding. The host reads no
    values of the device.

    Args:
        config: The sizes of the model.
        work: The batches.
        device: The device of the training.
        precision: Dtype of matrix products.
        updates: Number of measured updates, rounded down to whole blocks of 10, at least one block.
        warmup: Number of updates before them.

    Raises:
        UserError: The encoder or the decoder is not a Transformer.
    """
    with _torch_defaults():
        step, parameters = _training(config, work, device, precision)
        for _ in range(warmup):
            step()
        blocks, speeds = max(1, updates // _BLOCK), []
        for _ in range(blocks):
            synchronise(device)
            began = time.perf_counter()
            for _ in range(_BLOCK):
                step()
            synchronise(device)
            taken = time.perf_counter() - began
            speeds.append(_BLOCK * work.counts.target_tokens / taken)
    return PlainSpeed(work, parameters, blocks * _BLOCK, statistics.median(speeds))


def _training(
    config: ModelConfig, work: PlainWork, device: torch.device, precision: torch.dtype
) -> tuple[Callable[[], None], int]:
    """Return a function that makes one update, and the number of parameters."""
    model = PlainTransformer(config, work).to(device).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(
        parameters, lr=_LEARNING_RATE, betas=(0.9, 0.98), eps=1e-9, fused=device.type == "cuda"
    )
    source, target, labels = (
        torch.randint(_FIRST_PIECE, work.vocab_size, (work.rows, length), device=device)
        for length in (work.source_length, work.target_length, work.target_length)
    )
    causal = nn.Transformer.generate_square_subsequent_mask(work.target_length, device=device)

    def step() -> None:
        with runtime.autocast(device, precision):
            logits = model(source, target, causal)
            loss = F.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), label_smoothing=_LABEL_SMOOTHING
            )
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, _CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step, sum(parameter.numel() for parameter in parameters)


@contextmanager
def _torch_defaults() -> Iterator[None]:
    """Let torch choose among all its attention kernels, as it does without nmt."""
    enabled = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(enabled)
