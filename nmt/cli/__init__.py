"""The command line: one file per command, which declares its options and calls other packages."""
