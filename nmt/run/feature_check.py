"""Checks before the text is prepared that the features of a run have the size its model reads."""

from nmt.config.checks.check_features import feature_size, reading_setting
from nmt.config.schema import Config
from nmt.data.corpus import open_features
from nmt.errors import UserError


def check_feature_files(config: Config) -> None:
    """Open the features of all splits and compare their vector size with that of the model.

    Raises:
        UserError: A file is missing or invalid, or has vectors of another size.
    """
    if reading_setting(config.model) is None:
        return
    key, size = feature_size(config.model)
    for features in open_features(config.data).values():
        if features is not None and features.size != size:
            raise UserError(
                f"{features.key} has vectors of size {features.size}, but {key} is {size}: set "
                f"{key}={features.size}"
            )
