"""Checks a corpus before it is trained on, and reports: `nmt data check`."""
