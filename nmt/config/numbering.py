"""The numbers of layers and heads: they count from 1; negative numbers count from the last.

Settings, options, pictures, pages, logs and JSON use these numbers. Only arrays are indexed from 0.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nmt.config.model import DecoderConfig, RnnDecoderConfig, TransformerDecoderConfig

if TYPE_CHECKING:
    from nmt.config.schema import Config

_COUNTED_FROM_0 = (
    "training.guided_alignment.layer",
    "training.guided_alignment.head",
    "training.distillation.attention_layer",
    "logging.heatmap_layer",
)


def index_of(number: int) -> int:
    """Return the index of a layer or head: 0 for 1, 1 for 2; negative numbers are indices."""
    return number - 1 if number > 0 else number


def number_of(index: int) -> int:
    """Return the number of a layer or head with this index; the inverse of `index_of`."""
    return index + 1 if index >= 0 else index


def number_range(count: int) -> str:
    """Return the allowed numbers of ``count`` layers or heads, for messages."""
    if count == 1:
        return "choose 1, the only one"
    return f"choose from 1 to {count}, or from -{count} to -1, which count from the last"


def exists(number: int, count: int) -> bool:
    """Return whether there is a layer or head of this number among ``count``."""
    return number != 0 and -count <= number <= count


def number_fault(key: str, number: int, count: int) -> str | None:
    """Return a message if no decoder layer that attends has this number; None: one has it."""
    if exists(number, count):
        return None
    return (
        f"{key} is {number}, but the decoder attends in {counted(count, 'layer')}: "
        f"{number_range(count)}"
    )


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, as ``1 layer`` or ``2 layers``."""
    return f"{count} {noun if count == 1 else f'{noun}s'}"


def attention_layers(decoder: DecoderConfig) -> tuple[int, int]:
    """Return the number of decoder layers that attend to the source, and of heads in each."""
    if isinstance(decoder, TransformerDecoderConfig):
        return decoder.num_layers, decoder.num_heads
    assert isinstance(decoder, RnnDecoderConfig)
    return int(decoder.attention.attends), getattr(decoder.attention, "num_heads", 1)


def default_layer_head(config: "Config", layers: int) -> tuple[int, int | None]:
    """Return the indices of the layer and head from which links are read by default.

    With guided alignment, they are the guided layer and head. Otherwise they are the last layer but
    one and the mean of its heads (None). This layer has the best alignments in a Transformer that
    was trained only for translation (Garg et al. 2019, section 4.1).

    Args:
        config: The run's configuration.
        layers: Number of decoder layers that attend to the source.
    """
    guided = config.training.guided_alignment
    last_but_one = max(layers - 2, 0)
    if guided.weight > 0:
        layer = last_but_one if guided.layer is None else index_of(guided.layer)
        return layer, index_of(guided.head)
    return last_but_one, None


def drawn_layer_head(config: "Config") -> tuple[int, int | None]:
    """Return the indices of the layer and head of a run's heatmaps.

    They are the default, or the mean of the heads of ``logging.heatmap_layer``.
    """
    if config.logging.heatmap_layer is not None:
        return index_of(config.logging.heatmap_layer), None
    return default_layer_head(config, attention_layers(config.model.decoder)[0])


def counted_from_1(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Convert plain settings of a version that counted layers and heads from 0 to numbers from 1.

    These versions did not write ``count_from``.
    """
    changed = dict(settings)
    for key in _COUNTED_FROM_0:
        section, _, rest = key.partition(".")
        if isinstance(changed.get(section), Mapping):
            changed[section] = _with_number(changed[section], rest)
    return changed


def _with_number(section: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a section in which the index at this key is replaced by a number."""
    name, _, rest = key.partition(".")
    value = section.get(name)
    if rest and isinstance(value, Mapping):
        return {**section, name: _with_number(value, rest)}
    return {**section, name: number_of(value)} if not rest and type(value) is int else {**section}
