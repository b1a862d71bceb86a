"""A training state that is damaged is refused by the name of the entry; one that passes trains."""

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

import pytest
import torch

from nmt.config.checks.check_ranges import shown
from nmt.config.model import ModelConfig
from nmt.config.schema import AdadeltaConfig, AdamConfig, AdamWConfig, Config, SgdConfig
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.training.checkpoints.saved_state import check_state
from nmt.training.fine_tuning.freezing import freeze
from nmt.training.trainer import Trainer

SIZE, UPDATES = 30, 3
OPTIMIZERS = {
    "adam": AdamConfig(learning_rate=0.003),
    "adamw": AdamWConfig(learning_rate=0.003),
    "sgd": SgdConfig(learning_rate=0.01, momentum=0.9),
    "sgd without momentum": SgdConfig(learning_rate=0.01),
    "adadelta": AdadeltaConfig(learning_rate=1.0),
}
Saved = dict[str, Any]
Change = Callable[[Saved], None]


class Run:
    """A run of three updates, its saved state, and fresh models that resume from it."""

    def __init__(self, config: Config, corpus: EncodedCorpus, recorder: Any, frozen: bool) -> None:
        self.config, self._corpus, self._recorder, self._frozen = config, corpus, recorder, frozen
        services = recorder(stop_after=UPDATES)
        Trainer(self.model(), corpus, config, services.services()).train()
        self.saved: Saved = services.saved["last.pt"]

    def model(self) -> TranslationModel:
        torch.manual_seed(2)
        model = build_model(self.config.model, SIZE, SIZE)
        if self._frozen:
            freeze(model, ["encoder.embedding"])
        return model

    def check(self, saved: Saved) -> None:
        weights, state = saved["weights"], saved["training"]
        check_state(weights, state, UPDATES, self.model(), self.config)

    def resume(self, saved: Saved) -> TranslationModel:
        """Resume, train to the end, and return the model."""
        model = self.model()
        trainer = Trainer(model, self._corpus, self.config, self._recorder().services())
        trainer.resume(saved["weights"], saved["training"])
        trainer.train()
        return model


@pytest.fixture
def make_run(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
    recorder: Any,
) -> Callable[..., Run]:
    def make(optimizer: str, frozen: bool = False) -> Run:
        settings = {"max_updates": UPDATES + 2, "ema_decay": 0.9, "max_skipped": 0}
        config = run_config(tiny_config(), optimizer=OPTIMIZERS[optimizer], **settings)
        corpus = corpus_of(make_pairs((4, 7, 2, 1) * 5, (3, 1, 6, 2) * 5, SIZE, SIZE))
        return Run(config, corpus, recorder, frozen)

    return make


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_an_intact_state_passes(make_run: Callable[..., Run], optimizer: str, frozen: bool) -> None:
    run = make_run(optimizer, frozen)
    run.check(run.saved)


def _set(*path: Any, to: Any) -> Change:
    def change(saved: Saved) -> None:
        inner: Any = saved
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to

    return change


def _without(*path: Any) -> Change:
    def change(saved: Saved) -> None:
        inner: Any = saved
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]

    return change


def _of_progress(name: str, to: Any) -> Change:
    return _set("training", "progress", name, to=to)


def _of_state(name: str, to: Any) -> Change:
    return _set("training", "optimizer", "state", 0, name, to=to)


NUMBER = torch.ones(())
CHANGES: dict[str, tuple[Change, str]] = {
    **{
        f"no {part}": (_without("training", part), part)
        for part in ("progress", "optimizer", "random", "average")
    },
    **{
        f"a text as {part}": (_set("training", part, to="text"), part)
        for part in ("progress", "optimizer", "random", "average", "engine")
    },
    **{
        f"{name} {shown(value)[:20]}": (_of_progress(name, value), f"progress.{name}")
        for name, values in {
            "update": (-1, UPDATES + 1, 0.5, True, None, 10**5000, torch.ones(3)),
            "epoch": (-1, 1 << 70, "1", math.nan),
            "position": (-5, 1 << 62, [1]),
            "tokens": (-1, 1.5, 10**400),
            "seconds": (math.nan, math.inf, -1.0, "1", 1e300, 10**5000),
            "validation_seconds": (math.nan,),
            "best_score": (math.nan, "x"),
            "best_loss": (math.nan, []),
            "reductions": (-1, 10**30),
            "without_gain": (-1,),
            "rewinds": (-1, "x"),
            "rate_scale": (0.0, -1.0, math.nan, math.inf, 1e30, None),
            "pass_limit": (0, -1, 1.5),
            "batch_tokens": (0, "x"),
            "precision": ("float8", 7, None),
            "batch_shapes": ("round", 7, None),
            "text": (5, None, "x" * 10_000),
        }.items()
        for value in values
    },
    "an unknown part of the progress": (_of_progress("color", 1), "'color'"),
    "no update": (_without("training", "progress", "update"), "progress.update"),
    "no states": (_set("training", "optimizer", "state", to=[1]), "optimizer.state"),
    "the state of an unknown parameter": (
        _set("training", "optimizer", "state", 999, to={}),
        "optimizer.state[999]",
    ),
    "a text as a state": (
        _set("training", "optimizer", "state", 0, to="text"),
        "optimizer.state[0]",
    ),
    "no groups": (_set("training", "optimizer", "param_groups", to=[]), "param_groups"),
    "other groups": (
        _set("training", "optimizer", "param_groups", 0, "params", to=[5, 6]),
        "param_groups",
    ),
    "a text as a group": (
        _set("training", "optimizer", "param_groups", 1, to="text"),
        "param_groups",
    ),
    "a mean of another shape": (_of_state("exp_avg", torch.zeros(3)), "exp_avg has the shape [3]"),
    "a mean that can be broadcast": (_of_state("exp_avg", NUMBER), "exp_avg has the shape []"),
    "a mean of whole numbers": (_of_state("exp_avg", torch.ones(3).long()), "tensor of int64"),
    "no mean": (_without("training", "optimizer", "state", 0, "exp_avg_sq"), "exp_avg_sq is None"),
    "a text as a mean": (_of_state("exp_avg", "text"), "exp_avg is 'text'"),
    "a negative step": (_of_state("step", -NUMBER), "step"),
    "a step that is not a number": (_of_state("step", NUMBER * math.nan), "step"),
    "two steps": (_of_state("step", torch.ones(2)), "step"),
    "a plain step": (_of_state("step", 1), "step"),
    "an average too few": (_without("training", "average", 0), "average"),
    "an average of another shape": (
        _set("training", "average", 0, to=torch.zeros(3)),
        "average[0] has the shape [3]",
    ),
    "a scale of zero": (_set("training", "engine", to={"scale": 0.0, "good": 1}), "engine"),
    "half a scale": (_set("training", "engine", to={"scale": 1.0}), "engine"),
    "short random numbers": (
        _set("training", "random", "cpu", to=torch.zeros(3, dtype=torch.uint8)),
        "random.cpu",
    ),
    "impossible random numbers": (
        _set("training", "random", "cpu", to=torch.full((5056,), 255, dtype=torch.uint8)),
        "random.cpu",
    ),
    "a text as random numbers": (_set("training", "random", "cpu", to="text"), "random.cpu"),
    "a text as the random numbers of a device": (
        _set("training", "random", "device", to="text"),
        "random.device",
    ),
    "a weight of another shape": (_set("weights", "output.weight", to=torch.ones(3)), "[3]"),
    "a weight too few": (_without("weights", "output.weight"), "'output.weight' is missing"),
    "a weight too many": (_set("weights", "extra", to=torch.ones(3)), "'extra' does not belong"),
}


def test_a_damaged_entry_is_refused_by_its_name(make_run: Callable[..., Run]) -> None:
    run = make_run("adam")
    for what, (change, part) in CHANGES.items():
        saved = copy.deepcopy(run.saved)
        change(saved)
        with pytest.raises(UserError) as caught:
            run.check(saved)
        message = str(caught.value)
        assert part in message, f"{what}: {message}"
        assert "\n" not in message, what
        assert len(message) < 500, what


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta"])
def test_values_that_would_spoil_the_weights_are_refused(
    make_run: Callable[..., Run], optimizer: str, value: float
) -> None:
    """Only a mean of squares may be infinite: it makes the steps of a weight zero."""
    run = make_run(optimizer)
    for name in list(run.saved["training"]["optimizer"]["state"][0]):
        saved = copy.deepcopy(run.saved)
        tensor = saved["training"]["optimizer"]["state"][0][name]
        tensor.view(-1)[-1:] = value
        if value == math.inf and name in ("exp_avg_sq", "square_avg", "acc_delta"):
            continue
        with pytest.raises(UserError, match=name):
            run.check(saved)
    for change in ("weights", "average"):
        saved = copy.deepcopy(run.saved)
        weights = saved["weights"]["output.weight"], saved["training"]["average"][0]
        weights[change == "average"].view(-1)[-1] = value
        with pytest.raises(UserError, match="not finite"):
            run.check(saved)


def test_the_settings_of_the_optimizer_are_those_of_the_run(make_run: Callable[..., Run]) -> None:
    run = make_run("adam")
    expected = run.resume(copy.deepcopy(run.saved)).state_dict()
    saved = copy.deepcopy(run.saved)
    for group in saved["training"]["optimizer"]["param_groups"]:
        group |= {"lr": math.nan, "betas": "text", "eps": -1.0, "maximize": True, "amsgrad": True}
        group |= {"weight_decay": 1e30, "fused": None, "foreach": 3, "capturable": True}
    run.check(saved)
    found = run.resume(saved).state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


VALUES = [
    *(None, True, -1, 0, 3, 10**400, 1.5, -1e300, math.nan, math.inf, "", "text", b"", [], {}, ()),
    *(torch.zeros(()), torch.ones(3), torch.tensor(math.nan), torch.zeros(2, 2).long()),
    *(torch.zeros(0), torch.ones(3, dtype=torch.bool), torch.zeros(3, dtype=torch.complex64)),
    *([[1]], {"a": 1}, {1: torch.ones(1)}),
]


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _containers(inner)


def _mutate(saved: Saved, random: Random) -> str:
    """Change, remove or add an entry anywhere in the training state; return what was done."""
    container = random.choice(list(_containers(saved["training"])))
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    action = random.choice(["set", "set", "set", "delete", "add", "poison"])
    key = random.choice(keys) if keys else None
    if action == "poison" and key is not None and isinstance(container[key], torch.Tensor):
        tensor = container[key].clone()
        if tensor.is_floating_point() and tensor.numel():
            tensor.view(-1)[random.randrange(tensor.numel())] = random.choice(
                [math.nan, math.inf, -1e38, -1.0, 1e38]
            )
        container[key] = tensor
    elif action == "delete" and key is not None:
        del container[key]
    elif action == "add" and isinstance(container, dict):
        container[random.choice(["x", 7, -1, "step", "params"])] = random.choice(VALUES)
    elif key is not None:
        container[key] = random.choice(VALUES)
    return f"{action} {key!r}"


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_state_is_refused_or_trains(make_run: Callable[..., Run], optimizer: str) -> None:
    run, refused = make_run(optimizer), 0
    for number in range(300):
        random, saved = Random(f"{optimizer} {number}"), copy.deepcopy(run.saved)
        what = f"{number}: {_mutate(saved, random)}"
        if (refusal := _refusal(partial(run.check, saved), what)) is not None:
            refused += 1
            assert "\n" not in refusal, what
        elif (refusal := _refusal(partial(run.resume, saved), what)) is not None:
            assert "is not finite" in refusal, what  # values within the bounds may still diverge
    assert 100 < refused < 300


def _refusal(call: Callable[[], object], what: str) -> str | None:
    """Return the message of a refusal; None: there was none."""
    try:
        call()
    except UserError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(what) from error
    return None
