"""Training from another model's weights: loading, freezing, a penalty on changes."""
