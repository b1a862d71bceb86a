"""Settings of the corpus."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nmt.config.filter_settings import FiltersConfig
from nmt.config.setting import REQUIRED, section, setting
from nmt.config.source_settings import Documents, SourceConfig
from nmt.config.word_link_settings import AlignmentFiles, GoldAlignments

SPLITS = ("train", "valid", "test")
"""The parts of a corpus; ``test`` may be missing."""


class OnDoubt(StrEnum):
    """What happens when the two sides of a corpus seem to be shifted or swapped."""

    STOP = "stop"
    WARN = "warn"


class Corpus(StrEnum):
    """The kinds of corpora."""

    PHRASEBOOK = "phrasebook"
    PHRASEBOOK_DOCUMENTS = "phrasebook_documents"
    FILES = "files"
    HUGGINGFACE = "huggingface"


@dataclass(kw_only=True)
class SplitNames:
    """The names of the three splits in the dataset."""

    train: str = setting("train", "Training split: its name on the hub, or that of its files.")
    valid: str = setting("valid", "Validation split: its name on the hub, or that of its files.")
    test: str = setting("test", "Test split: its name on the hub, or that of its files.")


@dataclass(kw_only=True)
class FeatureFiles:
    """Features of the splits, an array [regions, size] beside each line; null: none.

    A file is a .npy file [sentences, regions, size], a .safetensors file, a folder of .npy files in
    the order of their names, or a .txt file that lists .npy files.
    """

    train: str | None = setting(
        None, "Features of the training pairs.", neutral=None, names_file=True
    )
    valid: str | None = setting(
        None, "Features of the validation pairs.", neutral=None, names_file=True
    )
    test: str | None = setting(None, "Features of the test pairs.", neutral=None, names_file=True)


@dataclass(kw_only=True)
class DataConfig:
    """Base of the corpora."""

    name: str
    source_language: str = setting(REQUIRED, "Code of the source language, e.g. de or pt-BR.")
    target_language: str = setting(REQUIRED, "Code of the target language, e.g. en.")
    extra: dict[str, Any] = setting(
        {},
        "Further training text under a NAME of your choice: data.extra.NAME.path=FILE, and the "
        "other settings of a source.",
        before={},
    )
    documents: str = setting(
        Documents.NONE,
        "Where a document ends. none: sentences are independent; blank_lines: at a line that is "
        "blank on both sides; column: where data.document_column changes; files: at the end of "
        "each file.",
        choices=Documents,
        neutral=Documents.NONE,
    )
    document_column: str | None = setting(
        None,
        "Column that names the document of a pair: name, or number from 1.",
        neutral=None,
    )
    context_sentences: int = setting(
        0,
        "Previous source sentences of the document that are put before each source sentence "
        "(Tiedemann & Scherrer 2017); 0: none.",
        unit="sentences",
        at_least=0,
        at_most=100,
        neutral=0,
    )
    context_targets: int = setting(
        0,
        "Previous target sentences that are put before each target sentence; in search, these "
        "are the model's translations. At most data.context_sentences; 0: none.",
        unit="sentences",
        at_least=0,
        at_most=100,
        neutral=0,
    )
    temperature: float = setting(
        1.0,
        "Temperature at which sources are sampled: above 1, small sources are used more often than "
        "in proportion to their size (Arivazhagan et al. 2019).",
        at_least=1,
        before=1.0,
    )
    filters: FiltersConfig = section(
        FiltersConfig, "Rules that leave out training pairs.", added=True
    )
    max_length: int = setting(
        128,
        "Longest side of a training pair; longer pairs are left out and counted.",
        unit="pieces",
        at_least=1,
        at_most=1_000_000,
    )
    on_doubt: str = setting(
        OnDoubt.STOP,
        "What happens when the two sides seem to be shifted or swapped.",
        choices=OnDoubt,
        before=OnDoubt.STOP,
    )
    max_faulty: float = setting(
        0.02,
        "Largest share of faulty rows (wrong number of columns, an open quote, an error of a "
        "formula, ...) that is accepted: these rows are left out and counted. If the share is "
        "larger, the text is refused.",
        at_least=0,
        at_most=1,
        neutral=0.02,
    )
    dropped: str | None = setting(
        None,
        "File (.tsv or .tsv.gz) that lists every training pair that is left out, and why.",
        before=None,
        indifferent=True,
    )
    shuffle_buffer: int | None = setting(
        None,
        "Pairs that are shuffled together, for a corpus larger than memory; null: all.",
        unit="pairs",
        at_least=1,
        before=None,
    )
    workers: int | None = setting(
        None,
        "Processes and threads that prepare the corpus; null: one per CPU.",
        unit="workers",
        at_least=1,
        at_most=1024,
        before=None,
        indifferent=True,
    )
    loader_workers: int = setting(
        0,
        "Processes that prepare batches in advance; 0: the training process makes each batch.",
        unit="processes",
        at_least=0,
        at_most=1024,
        before=0,
        indifferent=True,
    )
    alignments: AlignmentFiles = section(
        AlignmentFiles, "Word links of the splits; the phrasebook includes its links.", added=True
    )
    features: FeatureFiles = section(
        FeatureFiles,
        "Arrays in addition to the text, e.g. of pictures; see model.features.",
        neutral=True,
    )
    gold: GoldAlignments = section(
        GoldAlignments, "A separate hand-aligned set for the alignment error rate.", added=True
    )
    cache_dir: str | None = setting(
        None,
        "Folder of prepared data; null: $NMT_CACHE or, if it is not set, the user's cache folder.",
        indifferent=True,
    )


@dataclass(kw_only=True)
class PhrasebookDataConfig(DataConfig):
    """The embedded English-German phrasebook, in either direction."""

    name: str = "phrasebook"


@dataclass(kw_only=True)
class PhrasebookDocumentsDataConfig(DataConfig):
    """Embedded English-German documents, whose pronouns refer to an earlier sentence."""

    name: str = "phrasebook_documents"


@dataclass(kw_only=True)
class FilesDataConfig(DataConfig):
    """Your own text: one source per split."""

    name: str = "files"
    train: SourceConfig = section(SourceConfig, "Training text.")
    valid: SourceConfig = section(SourceConfig, "Validation text.")
    test: SourceConfig | None = section(SourceConfig, "Test text.", optional=True)
    split_seed: int = setting(
        1, "Seed by which pairs are held out; see data.valid.held_out.", at_least=0, neutral=1
    )


@dataclass(kw_only=True)
class HuggingFaceDataConfig(DataConfig):
    """A dataset of the Hugging Face hub, or a local folder with the same files."""

    name: str = "huggingface"
    path: str = setting(REQUIRED, "Name of the dataset on the hub.")
    subset: str | None = setting(None, "Configuration of a dataset that has several.")
    splits: SplitNames = section(
        lambda: SplitNames(valid="validation"), "Names of the splits on the hub."
    )
    streaming: bool = setting(
        False, "Whether the dataset is read without a copy on the disk.", before=False
    )
    root: str | None = setting(
        None, "Local folder that is read instead of the hub.", names_file=True
    )
    stems: SplitNames = section(
        SplitNames, "File names of the splits in root, without language and .gz."
    )
