"""Where sentence pairs come from: one small file a format, behind one interface."""
