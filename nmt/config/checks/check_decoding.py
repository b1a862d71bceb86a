"""Checks combinations of the settings of search."""

from collections.abc import Iterator

from nmt.config.schema import DecodingConfig


def check_decoding(decoding: DecodingConfig, *, attends: bool) -> Iterator[str]:
    """Yield a message for each impossible combination; each begins with the name of a setting.

    Args:
        decoding: The settings, each of which is in its range.
        attends: Whether the decoder has attention weights.
    """
    if decoding.coverage_penalty and not attends:
        yield (
            f"coverage_penalty is {decoding.coverage_penalty:g}, but the model has no attention "
            "weights to measure coverage with: set it to 0"
        )
    if decoding.beam_groups > 1 and decoding.beam_size % decoding.beam_groups:
        yield (
            f"beam_groups is {decoding.beam_groups}, which does not divide beam_size "
            f"{decoding.beam_size}: choose a divisor of the beam size"
        )
