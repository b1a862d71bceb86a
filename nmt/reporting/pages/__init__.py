"""HTML pages, each one file that works offline: of attention and of a data check."""
