"""A run: its stages, its folder, preparation, summary and final test."""
