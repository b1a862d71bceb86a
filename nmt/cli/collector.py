"""The garbage collector pauses while a command loads its libraries.

torch, Hydra and the settings create several hundred thousand objects that live as long as the
process. Visiting them repeatedly would take a fifth of the time of a short command.
"""

import gc
import sys

_paused = False


def pause() -> None:
    """Turn the collector off, unless torch is loaded: then this process is not a new command."""
    global _paused
    if gc.isenabled() and "torch" not in sys.modules:
        gc.disable()
        _paused = True


def resume() -> None:
    """Turn the collector on again, if `pause` turned it off; it skips what was loaded."""
    global _paused
    if _paused:
        gc.freeze()
        gc.enable()
        _paused = False
