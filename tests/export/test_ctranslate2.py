"""CTranslate2 computes the log-probabilities of the model, or the export is refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import NUMBERS, ZAHLEN
from tiny_models import TRANSFORMERS

from nmt.checkpoint import load_checkpoint
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.decoding.constrained.shortlist import Shortlist
from nmt.decoding.scoring import score_translations
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.export.ctranslate2_map import save_vocabulary_map
from nmt.export.ctranslate2_model import LONGEST, check_form, save_ctranslate2
from nmt.export.export_choices import Quantization

ctranslate2 = pytest.importorskip("ctranslate2", reason="needs the extra ctranslate2")

PAIRS = [
    (" ".join(NUMBERS[:count]), " ".join(ZAHLEN[start : start + count]))
    for count in range(1, 8)
    for start in (0, 2)
] + [(" ".join(NUMBERS * 4), " ".join(ZAHLEN * 4))]
OTHER_SCORES = {
    name: settings for name, settings in TRANSFORMERS.items() if "self_attention" in settings
}
KINDS: dict[str, dict[str, Any]] = {
    name: settings
    for name, settings in TRANSFORMERS.items()
    if name not in OTHER_SCORES and "alibi" not in name and "qk_norm" not in name
} | {
    "rms-rotary-swiglu": dict(norm_type="rms", positions="rotary", activation="swiglu"),
    "post-rms-gelu": dict(norm="post", norm_type="rms", activation="gelu"),
    "grouped_query-t5_bias": dict(num_kv_heads=2, positions="t5_bias"),
}


def _engine(checkpoint: Path, folder: Path, quantization: str) -> Any:
    folder.mkdir()
    save_ctranslate2(load_checkpoint(checkpoint), folder, Quantization(quantization))
    return ctranslate2.Translator(str(folder), device="cpu", compute_type=quantization)


def _scores(engine: Any, translator: Translator) -> list[list[float]]:
    source, target = translator.tokenizers.source, translator.tokenizers.target
    found = engine.score_batch(
        [source.pieces(source.encode(sentence)) for sentence, _ in PAIRS],
        [target.pieces(target.encode(translation)) for _, translation in PAIRS],
    )
    return [result.log_probs for result in found]


@pytest.mark.parametrize("tying", ["none", "three_way"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_scores_as_the_model(
    kind: str,
    tying: str,
    model_file: Callable[[ModelConfig], Path],
    tiny_config: Callable[..., ModelConfig],
    tmp_path: Path,
) -> None:
    size = dict(size=16) if tying == "three_way" else {}
    model = tiny_config(
        "transformer", "transformer", num_layers=2, tying=tying, **size, **KINDS[kind]
    )
    _assert_same_scores(model_file(model), tmp_path)


def test_an_alibi_decoder_is_exported(
    model_file: Callable[[ModelConfig], Path],
    tiny_config: Callable[..., ModelConfig],
    tmp_path: Path,
) -> None:
    model = tiny_config("transformer", "transformer", num_layers=2)
    model.decoder = replace(model.decoder, positions="alibi")
    _assert_same_scores(model_file(model), tmp_path)


def _assert_same_scores(checkpoint: Path, folder: Path) -> None:
    translator = Translator.from_checkpoint(checkpoint, device="cpu")
    scores = _scores(_engine(checkpoint, folder / "engine", "float32"), translator)
    for mine, theirs in zip(score_translations(translator, PAIRS), scores, strict=True):
        assert theirs == pytest.approx(mine.log_probs, abs=1e-4)


def test_int8_matrices_take_less_than_half_of_the_space(
    model_file: Callable[[ModelConfig], Path],
    tiny_config: Callable[..., ModelConfig],
    tmp_path: Path,
) -> None:
    model = tiny_config("transformer", "transformer", num_layers=2, size=64)
    checkpoint = model_file(model)
    for name in ("float32", "int8"):
        (tmp_path / name).mkdir()
        save_ctranslate2(load_checkpoint(checkpoint), tmp_path / name, Quantization(name))
    whole, small = ((tmp_path / name / "model.bin").stat().st_size for name in ("float32", "int8"))
    table = 2 * 4 * 64 * LONGEST  # positions, which stay in float32
    assert small - table < (whole - table) / 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (dict(positions="alibi"), "model.encoder.positions=alibi"),
        (dict(qk_norm=True), "model.encoder.qk_norm=true, model.decoder.qk_norm=true"),
        (dict(context="hierarchical"), "model.encoder.context=hierarchical"),
        (dict(decoder_context="hierarchical"), "model.decoder.context=hierarchical"),
        (dict(encoder="rnn"), "model.encoder.name=rnn"),
        (dict(encoder="rnn", decoder="rnn"), "model.encoder.name=rnn, model.decoder.name=rnn"),
    ],
)
def test_what_the_engine_cannot_compute_is_refused_by_name(
    changes: dict[str, Any],
    named: str,
    run_config: Callable[..., Config],
    tiny_config: Callable[..., ModelConfig],
) -> None:
    kind = dict(encoder="transformer", decoder="transformer") | changes
    expected = f"CTranslate2 has no form for {named}; --to safetensors takes every model"
    with pytest.raises(UserError, match=re.escape(expected)):
        check_form(run_config(tiny_config(**kind)))


@pytest.mark.parametrize("kind", OTHER_SCORES)
def test_another_self_attention_is_refused(
    kind: str, run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]
) -> None:
    settings = OTHER_SCORES[kind]
    refusal = f"model.decoder.self_attention={settings['self_attention']}"
    with pytest.raises(UserError, match=re.escape(refusal)):
        check_form(run_config(tiny_config("transformer", "transformer", **settings)))


def test_adaptive_depth_is_refused(
    run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]
) -> None:
    config = run_config(tiny_config("transformer", "transformer", depth="adaptive"))
    with pytest.raises(UserError, match=r"model\.encoder\.depth=adaptive, model\.decoder\.depth"):
        check_form(config)


def test_alibi_slopes_of_other_numbers_of_heads_are_refused(
    run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]
) -> None:
    model = tiny_config("transformer", "transformer", size=12)
    model.decoder = replace(model.decoder, positions="alibi", num_heads=6)
    with pytest.raises(UserError, match="positions=alibi with num_heads=6 .a power"):
        check_form(run_config(model))


def test_with_a_vocabulary_map_only_candidates_are_written(
    model_file: Callable[[ModelConfig], Path],
    tiny_config: Callable[..., ModelConfig],
    tmp_path: Path,
) -> None:
    checkpoint = load_checkpoint(model_file(tiny_config("transformer", "transformer")))
    tokenizers = checkpoint.tokenizers
    size = len(tokenizers.target)
    sources = np.arange(4, len(tokenizers.source))
    targets = (7 * sources) % size
    counts = np.zeros(size, dtype=np.int64)
    shortlist = Shortlist.of(tokenizers, (sources, targets), counts, 0)
    (tmp_path / "model").mkdir()
    save_ctranslate2(checkpoint, tmp_path / "model", Quantization.FLOAT32)
    save_vocabulary_map(shortlist, tokenizers, tmp_path / "model")
    engine = ctranslate2.Translator(str(tmp_path / "model"), device="cpu")
    ids = tokenizers.source.encode(" ".join(NUMBERS[:3]))
    (allowed,) = shortlist.allowed([ids]).pieces.tolist()
    options = dict(beam_size=4, num_hypotheses=4, max_decoding_length=20)
    written = []
    for use_vmap in (False, True):
        pieces = [tokenizers.source.pieces(ids)]
        (found,) = engine.translate_batch(pieces, use_vmap=use_vmap, **options)
        written.append({piece for pieces in found.hypotheses for piece in pieces})
    names = {*tokenizers.target.pieces(allowed)}
    assert written[1] <= names
    assert not written[0] <= names, "without the map, the same pieces are written"
