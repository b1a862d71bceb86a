"""Encoders, attention, decoders, and the model they make up."""
