"""The choice between paths: forced to plain, or without the private names of torch."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from tiny_models import FEW, KINDS
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.errors import UserError
from nmt.kernels import dispatch, private_torch
from nmt.kernels.dispatch import KernelPath, set_kernels
from nmt.kernels.tensor_lists import add_all_, lerp_all_, multiply_all_, zero_all_
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel

ROOT = Path(__file__).resolve().parents[2]
MODELS = {
    "transformer": dict(encoder="transformer", decoder="transformer", num_layers=2),
    "gru": dict(attention="bahdanau", num_layers=2),
    "lstm-unfed": dict(attention="luong_general", cell="lstm", input_feeding=False),
    "multi_head": dict(attention="multi_head"),
}

Configs = Callable[..., ModelConfig]
Models = Callable[..., TranslationModel]

pytestmark = pytest.mark.usefixtures("restored_kernels")


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch, restored_kernels: None) -> None:
    monkeypatch.delenv("NMT_KERNELS", raising=False)


def paths() -> set[KernelPath]:
    """All paths that a training step on a CPU takes."""
    inputs, heads = torch.randn(3, 4), torch.randn(2, 5, 3, 4).transpose(1, 2)
    return {
        dispatch.linear_path(inputs),
        dispatch.feed_forward_path(inputs),
        dispatch.dropout_path(inputs),
        dispatch.attention_path(heads, heads, heads, None),
        dispatch.recurrent_path(),
        dispatch.recurrent_layer_path(inputs),
        dispatch.cross_entropy_path(),
        dispatch.loop_over_time_path(),
        KernelPath.FUSED if dispatch.shares_casts(inputs) else KernelPath.PLAIN,
    }


def gradients(model: TranslationModel, batch: Batch) -> list[Tensor]:
    loss = sequence_loss(model, batch, 0.1).smoothed
    return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]


def test_on_a_cpu_all_fast_paths_run_by_default() -> None:
    set_kernels("auto")
    assert paths() == {KernelPath.FUSED}


def test_plain_rules_out_every_fast_path() -> None:
    set_kernels("plain")
    assert paths() == {KernelPath.PLAIN}
    with torch.no_grad():
        assert paths() == {KernelPath.PLAIN}
    set_kernels("auto")
    assert paths() == {KernelPath.FUSED}


def test_the_environment_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_KERNELS", "plain")
    set_kernels("auto")
    assert paths() == {KernelPath.PLAIN}
    monkeypatch.setenv("NMT_KERNELS", "auto")
    set_kernels("plain")
    assert paths() == {KernelPath.FUSED}


def test_the_environment_variable_is_read_when_no_setting_was_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NMT_KERNELS", "plain")
    monkeypatch.setattr(dispatch._Selection, "kernels", None)
    assert paths() == {KernelPath.PLAIN}


def test_an_unknown_choice_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as refused:
        set_kernels("fast")
    assert str(refused.value) == "training.kernels=fast is unknown: choose auto or plain"
    monkeypatch.setenv("NMT_KERNELS", "Plain")
    with pytest.raises(UserError) as refused:
        set_kernels("auto")
    assert str(refused.value) == "NMT_KERNELS=Plain is unknown: choose auto or plain"


@pytest.mark.parametrize("name", MODELS)
def test_plain_paths_give_the_same_gradients(
    name: str, tiny_config: Configs, tiny_model: Models, ragged_batch: Batch
) -> None:
    model = tiny_model(tiny_config(**MODELS[name])).double()
    set_kernels("auto")
    expected = gradients(model, ragged_batch)
    set_kernels("plain")
    torch.testing.assert_close(
        gradients(model, ragged_batch), expected, rtol=1e-5, atol=1e-6, check_dtype=False
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_without_private_names_of_torch_has_the_same_gradients(
    name: str,
    tiny_config: Configs,
    tiny_model: Models,
    ragged_batch: Batch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model(tiny_config(**MODELS[name])).double()
    expected = gradients(model, ragged_batch)
    for private in private_torch.PRIVATE_NAMES:
        monkeypatch.setattr(private_torch, private, None)
    torch.testing.assert_close(
        gradients(model, ragged_batch), expected, rtol=1e-5, atol=1e-6, check_dtype=False
    )


def test_all_private_names_are_listed() -> None:
    source = Path(private_torch.__file__).read_text(encoding="utf-8").splitlines()
    found = {line.split(" = _find(")[0] for line in source if " = _find(" in line}
    assert found == set(private_torch.PRIVATE_NAMES)


def test_operations_on_tensor_lists_work_without_private_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for missing in (False, True):
        if missing:
            for private in private_torch.PRIVATE_NAMES:
                monkeypatch.setattr(private_torch, private, None)
        tensors, ends = [torch.ones(2), torch.zeros(3)], [torch.zeros(2), torch.ones(3)]
        lerp_all_(tensors, ends, 0.25)
        multiply_all_(tensors, 2.0)
        torch.testing.assert_close(tensors, [torch.full((2,), 1.5), torch.full((3,), 0.5)])
        add_all_(tensors, ends)
        torch.testing.assert_close(tensors, [torch.full((2,), 1.5), torch.full((3,), 1.5)])
        zero_all_(tensors)
        assert not torch.cat(tensors).any()


PLUGIN = """
import torch
from nmt.kernels import private_torch
for name in private_torch.PRIVATE_NAMES:
    setattr(private_torch, name, None)
"""


def test_the_few_kinds_have_every_setting() -> None:
    def settings(kinds: Iterable[str]) -> set[tuple[str, object]]:
        return {setting for kind in kinds for setting in KINDS[kind].items()}

    assert settings(FEW) == settings(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["without_private_names", "plain"])
def test_the_model_suite_passes_on_plain_paths(how: str, tmp_path: Path) -> None:
    """Tests of models, in a process where fast paths are unavailable or switched off."""
    (tmp_path / "no_private_names.py").write_text(PLUGIN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    environment["NMT_TEST_KINDS"] = "few"
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider"]
    if how == "plain":
        environment["NMT_KERNELS"] = "plain"
    else:
        command += ["-p", "no_private_names"]
    command.append("tests/model")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
