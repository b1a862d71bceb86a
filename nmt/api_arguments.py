"""Checks the arguments of the Python interface, and converts them to one form."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from nmt.data.feature_files.given_arrays import GivenArrays
from nmt.data.features import Features
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.minimum_risk import MOST_SAMPLES
from nmt.decoding.sampling import Sampling
from nmt.errors import UserError
from nmt.text.valid_text import check_several, check_texts
from nmt.user_path import user_path

Sentences = list[str] | tuple[str, ...]

FeatureInput = str | PathLike[str] | npt.NDArray[Any] | Sequence[npt.NDArray[Any]]
"""A file or folder of features, one array [R, F] per sentence, or one array [N, R, F]."""


class SearchOptions(TypedDict, total=False):
    """Options of `nmt.Model.translate`, with the meaning and defaults of `nmt.Model.search`."""

    beam_size: int | None
    long_lines: str
    max_length: int | None
    constraints: Constraints | None
    settings: Mapping[str, object] | None
    features: FeatureInput | None


def check_search(
    sentences: Sequence[str], n_best: int, sampling: Sampling | None, minimum_risk: int | None
) -> Sampling | None:
    """Check the arguments of `nmt.Model.search`.

    Returns:
        How samples are drawn, with their number; None: the call is a search.

    Raises:
        UserError: The sentences are not a list of texts, or a number is out of range.
    """
    if isinstance(sentences, str):
        raise UserError("search takes a list: put the sentence into a list")
    if n_best < 1:
        raise UserError(f"n_best is {n_best}; it must be at least 1")
    check_several(sentences, "the argument of search")
    check_texts(sentences)
    return _drawn(sampling, n_best, minimum_risk)


def constraints_of_each(
    constraints: Constraints | Sequence[Constraints] | None, sentences: Sequence[str]
) -> list[Constraints] | None:
    """Return the constraints of each sentence.

    Raises:
        UserError: The number of constraints differs from the number of sentences.
    """
    if constraints is None:
        return None
    if isinstance(constraints, Constraints):
        return [constraints] * len(sentences)
    if len(constraints) != len(sentences):
        raise UserError(
            f"the number of sentences ({len(sentences):,}) differs from the number of constraints "
            f"({len(constraints):,})"
        )
    return list(constraints)


def _drawn(sampling: Sampling | None, n_best: int, minimum_risk: int | None) -> Sampling | None:
    count = n_best if minimum_risk is None else minimum_risk
    if minimum_risk is not None:
        if not 1 <= count <= MOST_SAMPLES:
            raise UserError(f"minimum_risk is {count}; it must be from 1 to {MOST_SAMPLES:,}")
        if n_best > count:
            raise UserError(f"n_best is {n_best}; it must be at most minimum_risk, {count}")
        sampling = sampling or Sampling()
    if sampling is None:
        return None
    if sampling.count not in (1, count):
        number = "n_best" if minimum_risk is None else "minimum_risk"
        raise UserError(f"count is {sampling.count}, but {number} is {count}: leave out count")
    return replace(sampling, count=count).checked()


def listed(text: str | Sentences) -> list[str]:
    """Return one text or several texts as a list.

    Raises:
        UserError: The value is neither.
    """
    if isinstance(text, str):
        return [text]
    check_several(text, "an argument")
    return list(text)


def features_of_each(features: FeatureInput | None, count: int) -> Features | None:
    """Return the features of the sentences; None: there are none.

    Args:
        features: A file or folder, N arrays [R, F], or one array [N, R, F].
        count: N, the number of sentences.

    Raises:
        UserError: They cannot be read, or their number differs from the number of sentences.
    """
    if features is None:
        return None
    if isinstance(features, str | PathLike):
        path = user_path(str(features))
        found = Features(path, f"features={path}")
    elif count == 0 and len(features) == 0:
        return None
    else:
        found = Features(GivenArrays(features, "features"), "features")
    if len(found) != count:
        raise UserError(
            f"the number of sentences ({count:,}) differs from the number of arrays in {found.key} "
            f"({len(found):,})"
        )
    return found


def features_of_one(features: FeatureInput | None) -> FeatureInput | None:
    """Return the array [R, F] of one sentence as a list of one array; other values unchanged."""
    return [features] if isinstance(features, np.ndarray) and features.ndim == 2 else features
