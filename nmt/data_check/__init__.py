"""What is wrong with a corpus, found before it is trained on: the report of `nmt data check`."""
