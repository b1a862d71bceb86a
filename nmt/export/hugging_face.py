"""A Transformer in the layout of Hugging Face's transformers.

Two models of that library compute the same as `nmt.model.transformer` with sinusoids and LayerNorm:
Pegasus for pre-norm, and Marian for post-norm. In both, the vector of a position has sines in its
first half and cosines in its second half, from position 0, with the frequencies of Vaswani et al.
2017, section 3.5. Marian's tokenizer applies the two SentencePiece models without changes.

Legend: B sentences, T target length, V target vocabulary.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.checkpoint import Checkpoint
from nmt.config.model import (
    Activation,
    NormPlace,
    NormType,
    Positions,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    TransformerStackConfig,
    Tying,
)
from nmt.config.schema import Config
from nmt.export.exported_folder import SOURCE_MODEL, TARGET_MODEL
from nmt.export.extras import required
from nmt.export.unsupported import refuse, transformer_stacks
from nmt.text.special_tokens import BOS, EOS, PAD
from nmt.text.tokenizer import Tokenizer

PROGRAM = "transformers"
LONGEST = 1024
"""Number of positions of the exported model, which fails on longer sentences."""

_NORMS = {
    "encoder": {0: "self_attn_layer_norm", 1: "final_layer_norm"},
    "decoder": {0: "self_attn_layer_norm", 1: "encoder_attn_layer_norm", 2: "final_layer_norm"},
}
_ATTENTIONS = {"self_attention": "self_attn", "cross_attention": "encoder_attn"}
_FEED_FORWARD = {0: "fc1", 3: "fc2"}


def check_form(config: Config) -> None:
    """Check that Pegasus or Marian computes the model of this configuration.

    Raises:
        UserError: Neither model does; the message names the settings.
    """
    encoder, decoder = transformer_stacks(config, PROGRAM)
    refuse(PROGRAM, _missing_forms(config, encoder, decoder))


def _missing_forms(
    config: Config, encoder: TransformerEncoderConfig, decoder: TransformerDecoderConfig
) -> Iterator[str]:
    for side, stack in ("encoder", encoder), ("decoder", decoder):
        if stack.positions != Positions.SINUSOIDAL:
            yield f"model.{side}.positions={stack.positions}"
        if stack.norm_type != NormType.LAYER:
            yield f"model.{side}.norm_type={stack.norm_type}"
        if stack.activation == Activation.SWIGLU:
            yield f"model.{side}.activation={stack.activation}"
        if stack.num_kv_heads not in (None, stack.num_heads):
            yield f"model.{side}.num_kv_heads={stack.num_kv_heads}"
        if stack.qk_norm:
            yield f"model.{side}.qk_norm=true"
    for name in ("hidden_size", "norm", "activation"):
        values = getattr(encoder, name), getattr(decoder, name)
        if len(set(values)) > 1:
            yield f"an encoder and a decoder of different {name} ({values[0]} and {values[1]})"
    if config.model.tying != Tying.THREE_WAY:
        yield f"model.tying={config.model.tying}"
    if config.tokenizer.symbols:
        yield "tokenizer.symbols"


def save_hugging_face(checkpoint: Checkpoint, folder: Path) -> Any:
    """Write configuration, weights and tokenizer, and return the model of transformers.

    Raises:
        UserError: transformers cannot compute a part of the model, or is not installed.
    """
    check_form(checkpoint.config)
    library = required("transformers", "huggingface")
    model = _model(library, checkpoint)
    with _no_progress_bar(library):
        model.save_pretrained(folder)
    _write_tokenizer(checkpoint, folder)
    return model


@contextmanager
def _no_progress_bar(library: Any) -> Iterator[None]:
    """Keep transformers from drawing a bar for a few files into the messages of the command."""
    bars = library.utils.logging
    if not bars.is_progress_bar_enabled():
        yield
        return
    bars.disable_progress_bar()
    try:
        yield
    finally:
        bars.enable_progress_bar()


def _model(library: Any, checkpoint: Checkpoint) -> Any:
    encoder, decoder = transformer_stacks(checkpoint.config, PROGRAM)
    name = "Pegasus" if decoder.norm == NormPlace.PRE else "Marian"
    size = len(checkpoint.tokenizers.target)
    more = {} if name == "Pegasus" else {"decoder_vocab_size": size}
    search = checkpoint.config.decoding
    config = getattr(library, f"{name}Config")(
        vocab_size=size,
        max_position_embeddings=LONGEST,
        d_model=decoder.hidden_size,
        activation_function=str(decoder.activation),
        scale_embedding=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        forced_eos_token_id=EOS,
        decoder_start_token_id=BOS,
        tie_word_embeddings=True,
        **_stack("encoder", encoder),
        **_stack("decoder", decoder),
        dropout=decoder.dropout,
        attention_dropout=decoder.attention_dropout,
        activation_dropout=decoder.feed_forward_dropout,
        **more,
    )
    model = getattr(
        library, f"{name}ForConditionalGeneration" if name == "Pegasus" else "MarianMTModel"
    )(config)
    found = model.load_state_dict(dict(_weights(checkpoint)), strict=False)
    derived = ("embed_positions", "lm_head", "final_logits_bias", "embed_tokens")
    missing = [key for key in found.missing_keys if not any(name in key for name in derived)]
    assert not missing, missing
    assert not found.unexpected_keys, found.unexpected_keys
    generation = model.generation_config
    generation.max_length = LONGEST
    generation.num_beams = search.beam_size
    generation.suppress_tokens = [PAD, BOS]
    return model.eval()


def _stack(side: str, stack: TransformerStackConfig) -> Mapping[str, Any]:
    return {
        f"{side}_layers": stack.num_layers,
        f"{side}_attention_heads": stack.num_heads,
        f"{side}_ffn_dim": stack.feed_forward_size,
        f"{side}_layerdrop": stack.layer_drop,
    }


def _weights(checkpoint: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights under the names of Pegasus and Marian."""
    weights = checkpoint.trained_model().state_dict()
    yield "model.shared.weight", weights["decoder.embedding.weight"]
    for name, tensor in weights.items():
        side, _, rest = name.partition(".")
        if side == "output" or "embedding" in rest:
            continue
        if rest.startswith("norm."):
            yield f"model.{side}.layer_norm.{rest.removeprefix('norm.')}", tensor
            continue
        _, layer, part, *path, kind = rest.split(".")
        prefix = f"model.{side}.layers.{layer}"
        if part == "residuals":
            yield f"{prefix}.{_NORMS[side][int(path[0])]}.{kind}", tensor
        elif part == "feed_forward":
            yield f"{prefix}.{_FEED_FORWARD[int(path[0])]}.{kind}", tensor
        elif path[0] == "key_value_projection":
            keys, values = tensor.chunk(2)
            yield f"{prefix}.{_ATTENTIONS[part]}.k_proj.{kind}", keys
            yield f"{prefix}.{_ATTENTIONS[part]}.v_proj.{kind}", values
        else:
            short = {"query_projection": "q_proj", "output_projection": "out_proj"}[path[0]]
            yield f"{prefix}.{_ATTENTIONS[part]}.{short}.{kind}", tensor


def _write_tokenizer(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the files of Marian's tokenizer, which applies the SentencePiece models."""
    tokenizer: Tokenizer = checkpoint.tokenizers.target
    ids = {piece: number for number, piece in enumerate(tokenizer.pieces(range(len(tokenizer))))}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    data = checkpoint.config.data
    settings = {
        "tokenizer_class": "MarianTokenizer",
        "source_lang": data.source_language,
        "target_lang": data.target_language,
        "model_max_length": LONGEST,
        "unk_token": "<unk>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "source_spm": SOURCE_MODEL,
        "target_spm": TARGET_MODEL,
    }
    text = json.dumps(settings, indent=2)
    (folder / "tokenizer_config.json").write_text(f"{text}\n", encoding="utf-8")


@torch.inference_mode()
def piece_log_probs(
    model: Any, sources: list[list[int]], targets: list[list[int]]
) -> list[list[float]]:
    """Return the log-probability of each target piece, EOS last, by the model of transformers."""
    found = []
    for source, target in zip(sources, targets, strict=True):
        logits = model(
            input_ids=torch.tensor([[*source, EOS]]),
            decoder_input_ids=torch.tensor([[BOS, *target]]),
        ).logits  # [1, T, V]
        labels = torch.tensor([[*target, EOS]])[..., None]
        found.append(logits.float().log_softmax(-1).gather(-1, labels)[0, :, 0].tolist())
    return found
