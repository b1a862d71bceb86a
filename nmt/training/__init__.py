"""The training loop, the update, and the recipes that modify it."""
