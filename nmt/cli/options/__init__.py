"""The options that commands share or that fill a file, their checks, and errors of usage."""
