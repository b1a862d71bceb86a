"""Metrics of translations, their significance, and validation; attention has its own folder."""
