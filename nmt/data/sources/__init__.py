"""Sources of sentence pairs: one small file per format, behind one interface."""
