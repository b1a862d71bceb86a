"""Checks a corpus before training, and reports its problems: `nmt data check`."""
