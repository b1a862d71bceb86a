"""Recurrent layers over a sequence and in one step, and products in a decoder's loop."""
