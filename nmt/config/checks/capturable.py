"""Finds the setting that prevents the capture of a pass as a CUDA graph."""

from nmt.config.schema import Config
from nmt.kernels.kernel_choice import Kernels


def capture_obstacle(config: Config) -> str | None:
    """Return the setting that prevents the capture of a pass; None: a pass can be captured.

    A captured pass launches the same operations at every replay. But LayerDrop chooses different
    layers each time, and gradient checkpointing reads the state of the random generator. Plain
    kernels read the lengths of sentences on the host, and some deterministic kernels check indices.
    """
    for side, part in (("encoder", config.model.encoder), ("decoder", config.model.decoder)):
        layer_drop = getattr(part, "layer_drop", 0.0)
        if layer_drop:
            return f"model.{side}.layer_drop={layer_drop:g}"
    if config.training.gradient_checkpointing:
        return "training.gradient_checkpointing=true"
    if config.training.deterministic:
        return "training.deterministic=true"
    if config.training.kernels == Kernels.PLAIN:
        return "training.kernels=plain"
    return None
