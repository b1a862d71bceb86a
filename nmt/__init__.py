"""nmt trains, evaluates and inspects sequence-to-sequence translation models.

Importing the package stays light: neither torch nor Hydra is loaded until a command needs it.
"""

__version__ = "0.1.0"
