"""Text to piece ids and back."""
