"""Sweeps and searches: everything that belongs to Hydra beyond the settings themselves."""
