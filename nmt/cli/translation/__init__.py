"""The parts of `nmt translate`: it reads lines or a document, and writes answers as they come."""
