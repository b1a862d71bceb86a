"""Checks the corpus that a configuration names."""

from collections.abc import Callable

from nmt.config.data import OnDoubt
from nmt.config.schema import Config
from nmt.data_check.check_corpus import check_corpus
from nmt.data_check.check_report import DataReport
from nmt.data_check.check_settings import CheckSettings
from nmt.data_check.open_splits import open_splits
from nmt.data_check.read_split import Progress


def check_configured_corpus(
    config: Config,
    progress: Progress,
    begin_stage: Callable[[str], None] = lambda name: None,
    *,
    name: str | None = None,
    has_valid: bool = True,
    any_vocabulary: bool = False,
) -> DataReport:
    """Check the corpus that training with a configuration would read.

    Args:
        config: The configuration; the sections data, tokenizer and training are used.
        progress: Called with a split's name and the number of pairs read so far.
        begin_stage: Called with the name of each further stage, which shows no progress.
        name: Name of the corpus in the report; None: the name in the configuration.
        has_valid: Whether the validation split is checked.
        any_vocabulary: Whether the vocabulary size is adapted if the text does not allow it.

    Raises:
        UserError: A folder is missing or lacks a split, or a setting cannot be followed.
    """
    data = config.data
    settings = CheckSettings(
        name=data.name if name is None else name,
        languages=(data.source_language, data.target_language),
        stop=data.on_doubt == OnDoubt.STOP,
        filters=data.filters,
        max_length=data.max_length,
        tokenizer=config.tokenizer,
        batch_tokens=config.training.batch_tokens or CheckSettings.batch_tokens,
        accumulation=config.training.accumulation,
        shuffle_buffer=data.shuffle_buffer,
        any_vocabulary=any_vocabulary,
    )
    splits = open_splits(data)
    if not has_valid:
        del splits["valid"]
    return check_corpus(splits, settings, progress, begin_stage)
