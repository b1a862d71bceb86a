"""Documents: their text is translated, and everything else in them stays as it is."""
