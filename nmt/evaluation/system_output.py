"""Translations of a test set, made by a model or read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.data.text_files import read_lines
from nmt.errors import UserError
from nmt.evaluation.test_set import TestSet

if TYPE_CHECKING:  # scores of files do not need torch
    from nmt.decoding.batches import Advance
    from nmt.decoding.translator import Translator
    from nmt.text.sentence_context import ContextSize


@dataclass(frozen=True)
class SystemOutput:
    """The translations of a test set by one system.

    Attributes:
        name: Name of the system in reports.
        translations: One per sentence.
        truncated: Whether each translation reached the greatest length; None: unknown.
    """

    name: str
    translations: list[str]
    truncated: list[bool] | None = None


def read_output(path: Path, name: str, test_set: TestSet) -> SystemOutput:
    """Read translations, line by line.

    Args:
        path: The file.
        name: Name of the system in reports.
        test_set: The sentences that are translated.

    Raises:
        UserError: The file is unreadable, or its number of lines is not that of the test set.
    """
    lines = read_lines(path)
    if len(lines) != len(test_set):
        raise UserError(
            f"{path} has {len(lines):,} lines but the test set {test_set.name} has "
            f"{len(test_set):,} sentences; line i must be the translation of sentence i"
        )
    return SystemOutput(name, lines)


def translate_test_set(
    name: str, translator: Translator, test_set: TestSet, advance: Advance, context: ContextSize
) -> SystemOutput:
    """Translate the sentences of a test set.

    Args:
        name: Name of the system in reports.
        translator: The system.
        test_set: A test set with sources.
        advance: Called with the number of sentences translated so far.
        context: How much of a document the model reads with each sentence.
    """
    from nmt.decoding.document_search import translate_documents

    assert test_set.source is not None
    if translator.model.feature_size is not None:
        translator = translator.with_features(test_set.features)
    sources, documents = test_set.source, test_set.documents
    found = translate_documents(translator, context, sources, documents, advance=advance)
    truncated = [bool(one.hypotheses) and one.hypotheses[0].at_limit for one in found]
    return SystemOutput(name, [one.text for one in found], truncated)
