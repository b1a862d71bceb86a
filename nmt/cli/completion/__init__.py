"""Completion on the command line of bash, zsh and fish; it loads neither typer, torch nor Hydra."""
