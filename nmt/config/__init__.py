"""Every setting as a typed dataclass; Hydra is met only here and in `nmt.cli`."""
