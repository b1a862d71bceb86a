"""The models of an ensemble read the same input, whichever command loads them."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nmt.checkpoint import load_checkpoint
from nmt.config.data import FeatureFiles
from nmt.config.model import FeaturesConfig, ModelConfig, RegionEncoderConfig
from nmt.decoding.ensemble import load_models
from nmt.errors import UserError

ModelFile = Callable[..., Path]
TinyConfig = Callable[..., ModelConfig]


def test_models_with_other_contexts_are_refused(
    model_file: ModelFile, tiny_config: TinyConfig
) -> None:
    model = tiny_config("transformer", "transformer")
    single = model_file(model)
    document = model_file(model, dict(documents="blank_lines", context_sentences=1))
    with pytest.raises(UserError, match="must read the same context, but .* 0 and 0, 1 and 0:"):
        load_models([single, document])
    load_models([document, document])


@pytest.mark.parametrize("sizes", [(None, 3), (3, None), (3, 4)])
def test_models_with_other_features_are_refused(
    model_file: ModelFile,
    tiny_config: TinyConfig,
    sizes: tuple[int | None, int | None],
) -> None:
    given = dict(features=FeatureFiles(train="x.npy", valid="x.npy", test="x.npy"))
    paths = []
    for size in sizes:
        model = tiny_config("transformer", "transformer")
        if size is not None:
            model.features = FeaturesConfig(combination="gated", size=size)
        paths.append(model_file(model, {} if size is None else given))
    shown = " and ".join("none" if size is None else str(size) for size in sizes)
    with pytest.raises(UserError, match=f"the same features, but their sizes are {shown}: name"):
        load_models(paths)
    load_models([paths[0]] * 2)


def test_a_model_of_regions_alone_and_one_of_text_are_refused(
    model_file: ModelFile, tiny_config: TinyConfig
) -> None:
    given = dict(features=FeatureFiles(train="x.npy", valid="x.npy", test="x.npy"))
    both, alone = (tiny_config("transformer", "transformer") for _ in range(2))
    both.features = FeaturesConfig(combination="gated", size=3)
    alone.encoder = RegionEncoderConfig(feature_size=3, hidden_size=12)
    paths = [model_file(model, given) for model in (both, alone)]
    with pytest.raises(UserError, match="model/encoder=regions reads no text, and cannot be in"):
        load_models(paths)
    load_models([paths[1]] * 2)


def test_evaluation_and_translation_give_an_ensemble_the_same_context(
    model_file: ModelFile, tiny_config: TinyConfig, nmt: Callable[..., Any], tmp_path: Path
) -> None:
    """The second model has room for each sentence, but not for a previous one."""
    reads = dict(documents="blank_lines", context_sentences=1)
    model, lines = tiny_config("transformer", "transformer"), ["one two", "three four", "five six"]
    wide = model_file(model, reads | dict(max_length=100))
    tokenizer = load_checkpoint(wide).tokenizers.source
    pieces = [len(tokenizer.encode(line)) for line in lines]
    narrow = model_file(model, reads | dict(max_length=max(pieces) + 1))
    assert min(map(sum, pairwise(pieces))) > max(pieces)
    models = ("--model", wide, "--model", narrow)
    source = tmp_path / "source"
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    same = ("--device", "cpu", "--beam-size", 2)
    translated = nmt("translate", *models, "--input", source, *same, "--precision", "float32")
    assert translated.status == 0, translated.err
    saved = tmp_path / "saved"
    files = ("--source", source, "--reference", source, "--language", "de", "--save", saved)
    evaluated = nmt("evaluate", *models, *files, *same)
    assert evaluated.status == 0, evaluated.err
    assert (saved / "system-1.txt").read_text("utf-8") == translated.out
