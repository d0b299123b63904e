"""Architectures beside each other: the same frames, the same budget, several seeds."""
