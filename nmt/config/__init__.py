"""Every setting as a typed dataclass; only this package and `nmt.sweeps` use Hydra."""
