"""Files of features: one module for each format."""
