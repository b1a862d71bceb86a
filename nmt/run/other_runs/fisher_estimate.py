"""The Fisher information of an old run's training text, for ``training.ewc``."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nmt.checkpoint import Checkpoint
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch, collate_pairs
from nmt.data.batches.length_batches import batches_by_length
from nmt.data.encoded import EncodedCorpus
from nmt.data.preparation.prepared_corpus import prepare
from nmt.data_check.preparation_report import PreparationReporter
from nmt.run.other_runs.tokenizer_reuse import reuse_tokenizers
from nmt.training.fine_tuning.anchor import fisher_information

_PAIRS = 4000  # greatest number of sampled pairs
_BATCH_TOKENS = 2048  # each batch is one sample of the gradient


def estimate_fisher(
    config: Config, old: Checkpoint, device: torch.device, report: Callable[[str], None]
) -> dict[str, Tensor]:
    """Estimate the Fisher information of the old model on a random sample of its training text.

    Args:
        config: The settings of the new run.
        old: The old run's checkpoint.
        device: The device on which the estimate is computed.
        report: Prints one line.

    Returns:
        The diagonal of the Fisher information, by parameter name, on the CPU.

    Raises:
        UserError: The old training text cannot be read.
    """
    corpus = fisher_corpus(config, old)
    sample = np.random.default_rng(config.seed).permutation(len(corpus))[:_PAIRS]
    lengths = np.asarray(corpus.source.lengths), np.asarray(corpus.target.lengths)

    def batches() -> Iterator[Batch]:
        for indices in batches_by_length(*lengths, sample, _BATCH_TOKENS):
            yield collate_pairs(corpus, indices).to(device)

    name = old.config.data.name
    report(f"estimating the Fisher information on {len(sample):,} pairs of {name}")
    generator = torch.Generator(device).manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):  # the run's own random numbers stay the same
        model = old.build_model().to(device)
    fisher = fisher_information(model, batches(), generator)
    return {name: value.cpu() for name, value in fisher.items()}


def fisher_corpus(config: Config, old: Checkpoint) -> EncodedCorpus:
    """Return the training pairs of the old run, from the cache if they are prepared.

    Args:
        config: The settings of the new run.
        old: The old run's checkpoint.

    Raises:
        UserError: The text cannot be read.
    """
    data = replace(
        old.config.data,
        cache_dir=config.data.cache_dir,
        workers=config.data.workers,
        dropped=None,
    )
    tokenizer = reuse_tokenizers(config, old.config.tokenizer, old.tokenizers)
    return prepare(data, tokenizer, PreparationReporter(data)).train
