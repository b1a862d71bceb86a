"""Models built from configurations: every combination, its tied weights and initial values."""

import dataclasses
from collections.abc import Callable, Iterable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from nmt.config.checks.check_config import check_model
from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.model.build import build_model
from nmt.model.layers import RmsNorm
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel

SIZE, VOCABULARY = 16, 31
ATTENTIONS = ("none", "bahdanau", "luong_dot", "luong_general", "luong_concat")

Configs = Callable[..., ModelConfig]


def count(model: TranslationModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def shared(tensors: Iterable[Tensor]) -> bool:
    """Whether all share one storage."""
    return len({tensor.data_ptr() for tensor in tensors}) == 1


@pytest.mark.parametrize("tying", ["none", "decoder", "three_way"])
@pytest.mark.parametrize(
    ("encoder", "decoder"), list(product(("rnn", "transformer"), ("rnn", "transformer")))
)
def test_tied_matrices_share_storage_and_are_counted_once(
    tiny_config: Configs, encoder: str, decoder: str, tying: str
) -> None:
    def build(tying: str) -> TranslationModel:
        config = tiny_config(encoder, decoder, tying=tying, size=SIZE)
        return build_model(config, VOCABULARY, VOCABULARY)

    model = build(tying)
    reading = model.encoder.embedding.weight
    writing, output = model.decoder.embedding.weight, model.output.weight
    assert shared([writing, output]) == (tying != "none")
    assert shared([reading, writing]) == (tying == "three_way")
    saved = {"none": 0, "decoder": 1, "three_way": 2}[tying]
    assert count(model) == count(build("none")) - saved * VOCABULARY * SIZE
    model.load_state_dict(build(tying).state_dict())
    assert shared([writing, output]) == (tying != "none"), "loading weights unties them"


def test_the_encoder_of_a_tied_model_reads_with_the_decoders_embedding(
    tiny_config: Configs,
) -> None:
    config = tiny_config("transformer", "transformer", tying="three_way", size=SIZE)
    model = build_model(config, VOCABULARY, VOCABULARY).eval()
    ids = torch.full((1, 3), 5)
    before = model.encode(ids, ids > 0).states
    with torch.no_grad():
        model.output.weight[5] += torch.randn(SIZE)
    after = model.encode(ids, ids > 0).states
    assert not torch.allclose(before, after), "the encoder has its own embedding"


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(
    ("encoder", "decoder", "attention"),
    [(encoder, "rnn", attention) for encoder in ("rnn", "transformer") for attention in ATTENTIONS]
    + [("rnn", "transformer", "bahdanau"), ("transformer", "transformer", "bahdanau")],
)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize("bridge", ["tanh", "linear", "zero"])
def test_every_configuration_that_passes_the_check_builds_and_runs(
    tiny_config: Configs,
    ragged_batch: Batch,
    encoder: str,
    decoder: str,
    attention: str,
    cell: str,
    bridge: str,
    *,
    bidirectional: bool,
) -> None:
    config = tiny_config(
        encoder,
        decoder,
        attention=attention,
        cell=cell,
        bridge=bridge,
        bidirectional=bidirectional,
        num_layers=2,
        dropout=0.2,
    )
    if list(check_model(config, joint=False)):
        assert (attention, bridge) == ("none", "zero"), "a valid model is refused"
        return
    loss = sequence_loss(build_model(config, VOCABULARY, VOCABULARY), ragged_batch, 0.1)
    assert loss.smoothed.isfinite()


def test_embeddings_start_with_a_variance_of_one_over_their_size(tiny_config: Configs) -> None:
    vocabulary = 1000
    for name in ("rnn", "transformer"):
        model = build_model(tiny_config(name, name, size=SIZE), vocabulary, vocabulary)
        for part in (model.encoder, model.decoder):
            values = part.embedding.weight.detach()
            # The deviation of n normal draws has a relative error of 1 / sqrt(2 n); 5 are allowed.
            bound = 5 / (2 * values.numel()) ** 0.5
            assert abs(values.std() * SIZE**0.5 - 1) < bound, f"{name}: {values.std():.4f}"


def test_he_changes_the_matrices_that_glorot_draws_and_no_others(tiny_config: Configs) -> None:
    parts = (dict(encoder="rnn", decoder="rnn", attention="multi_head"), dict(activation="swiglu"))
    for kinds in (parts[0], {"encoder": "transformer", "decoder": "transformer", **parts[1]}):
        config = tiny_config(size=64, positions="t5_bias", **kinds)
        he = dataclasses.replace(config, initialization="he")
        model = build_model(he, VOCABULARY, VOCABULARY)
        for path, parameter in model.named_parameters():
            values = parameter.detach()
            kept = ("bias_table", "state_projection", "weight_hh", "embedding.weight")
            if values.dim() < 2 or any(part in path for part in kept):
                continue
            # He et al. 2015, eq. 10: deviation sqrt(2 / inputs); n draws estimate it to within
            # 1 / sqrt(2 n), of which 5 are allowed.
            ratio = values.std(correction=0) / (2 / values.size(1)) ** 0.5
            assert abs(ratio - 1) < 5 / (2 * values.numel()) ** 0.5, f"{path}: {ratio:.3f}"


def test_vectors_start_at_zero_norms_at_one_and_recurrences_orthogonal(
    tiny_config: Configs,
) -> None:
    for name, norm_type, initialization in (
        *(("rnn", "layer", "glorot"), ("rnn", "layer", "he")),
        *(("transformer", "layer", "glorot"), ("transformer", "rms", "he")),
    ):
        config = tiny_config(name, name, size=SIZE, norm_type=norm_type, qk_norm=True)
        config = dataclasses.replace(config, initialization=initialization)
        model = build_model(config, VOCABULARY, VOCABULARY)
        norms = {
            f"{path}.weight"
            for path, module in model.named_modules()
            if isinstance(module, nn.LayerNorm | RmsNorm)
        }
        for path, parameter in model.named_parameters():
            if parameter.dim() == 1:
                expected = torch.full_like(parameter, float(path in norms))
                torch.testing.assert_close(parameter, expected, msg=path)
            elif "weight_hh" in path or "state_projection" in path:
                for gate in parameter.detach().split(parameter.size(1)):
                    torch.testing.assert_close(
                        gate @ gate.T, torch.eye(len(gate)), msg=f"{path} is not orthogonal"
                    )


def test_untied_output_starts_near_a_uniform_distribution(
    tiny_config: Configs, ragged_batch: Batch
) -> None:
    vocabulary = 29
    for name in ("rnn", "transformer"):
        model = build_model(tiny_config(name, name), 23, vocabulary).eval()
        loss = sequence_loss(model, ragged_batch, 0.0)
        mean = loss.smoothed / loss.num_tokens
        uniform = torch.tensor(float(vocabulary)).log()
        assert abs(mean - uniform) < 1.0, f"{name} starts at {mean:.2f} nats, not {uniform:.2f}"
