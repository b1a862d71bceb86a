"""Example code for the pages about models: a file per layout."""
