"""The use of Hydra: overrides, composition errors, sweeps, searches and launchers."""
