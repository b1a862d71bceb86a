"""The dry run: `nmt train training.dry_run=true` measures the cost of a run without starting it."""

import time
from functools import partial

from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus
from nmt.decoding.translator import Translator
from nmt.training.passes.budget import memory_for
from nmt.training.passes.largest_passes import largest_passes
from nmt.training.passes.rehearsal import Rehearsal, rehearsal_lines, rehearse
from nmt.training.trainer import Trainer


def rehearse_run(
    trainer: Trainer, corpus: EncodedCorpus, greedy: Translator, valid: ParallelText
) -> list[str]:
    """Train on the largest batch, translate a validation batch, and return lines about the cost.

    The memory is that of the largest passes that the run could make.

    Args:
        trainer: The trainer of a model that is discarded afterwards.
        corpus: The training pairs.
        greedy: A greedy search with that model.
        valid: The validation text.

    Raises:
        UserError: The largest training batch or a validation batch does not fit in memory.
    """
    model = trainer.model
    with largest_passes(model):
        found, seconds = _measure(trainer, corpus, greedy, valid)
    count = sum(parameter.numel() for parameter in model.parameters())
    return [f"parameters {count:,}", *rehearsal_lines(found, trainer.config, seconds)]


def _measure(
    trainer: Trainer, corpus: EncodedCorpus, greedy: Translator, valid: ParallelText
) -> tuple[Rehearsal, float]:
    """Return the cost of an update, and the seconds of a validation."""
    remedy = "set training.accumulation higher, or training.batch_tokens=auto"
    with memory_for("in the largest batch", remedy):
        step = partial(trainer.updater.attempt, step=True)
        device = trainer.model.output.weight.device
        found = rehearse(step, corpus, trainer.config, device, trainer.shapes)
    trainer.model.eval()
    sources = valid.source[: greedy.decoding.batch_size]
    began = time.perf_counter()
    with memory_for("in a validation batch", "lower decoding.batch_size"):
        greedy.with_features(valid.features).translate(sources)
    return found, (time.perf_counter() - began) * len(valid) / max(1, len(sources))
