"""The settings of `nmt data check`."""

from dataclasses import dataclass

from nmt.config.filter_settings import FiltersConfig
from nmt.config.tokenizer_settings import TokenizerConfig


@dataclass(frozen=True)
class CheckSettings:
    """Settings of a check.

    Attributes:
        name: Name of the corpus in the report.
        languages: Codes of the source and the target language.
        stop: Whether training is refused if the sides look shifted or swapped (``data.on_doubt``).
        filters: The filters of training; None: only blank pairs are dropped.
        max_length: Maximum pieces per side of a training pair.
        tokenizer: Settings of the tokenizer; None: the report has no statistics of pieces or cost.
        batch_tokens: Maximum target pieces per update.
        accumulation: Batches per update.
        shuffle_buffer: Maximum number of training pairs that are shuffled together; None: all.
        any_vocabulary: Whether the vocabulary size is adapted if the text is too small for it.
    """

    name: str
    languages: tuple[str, str]
    stop: bool = True
    filters: FiltersConfig | None = None
    max_length: int = 128
    tokenizer: TokenizerConfig | None = None
    batch_tokens: int = 4096
    accumulation: int = 1
    shuffle_buffer: int | None = None
    any_vocabulary: bool = False
