"""The features of the sentences of a batch."""

from collections.abc import Sequence

import torch

from nmt.data.batches.regions import Regions
from nmt.data.features import Features
from nmt.errors import UserError
from nmt.model.seq2seq import TranslationModel

PART_STEP = 1 << 48
"""The difference between the numbers of successive parts of a line."""


def regions_of(
    features: Features | None, numbers: Sequence[int], device: torch.device
) -> Regions | None:
    """Return the regions of the sentences with these numbers; None: no features.

    All parts of a line have the features of the line.
    """
    if features is None:
        return None
    arrays = features.batch([number % PART_STEP for number in numbers])
    return Regions.of_arrays(arrays).map(lambda tensor: tensor.to(device))


def check_feature_size(model: TranslationModel, features: Features) -> None:
    """Check that a model reads features of this size.

    Raises:
        UserError: The model reads no features, or features of another size.
    """
    size = model.feature_size
    if size is None:
        raise UserError(f"{features.key}: this model reads no features; leave them out")
    if size != features.size:
        raise UserError(
            f"{features.key} has vectors of size {features.size}, but this model reads vectors of "
            f"size {size}: give features like those that it was trained on"
        )
