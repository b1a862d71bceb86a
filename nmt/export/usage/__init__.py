"""Code of the pages about models: how each layout is used."""
