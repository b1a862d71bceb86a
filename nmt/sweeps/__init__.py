"""Everything that concerns Hydra: sweeps, searches, launchers, overrides, composition errors."""
