"""The pages of a run and of several runs, and the attention that they show."""
