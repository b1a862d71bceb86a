"""The command line: a file per command, which declares its options and calls the other packages."""
