"""Every setting as a field of a typed dataclass; only this package and `nmt.sweeps` use Hydra."""
