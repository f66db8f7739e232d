"""Weights become zero, or filters, channels and layers are removed."""
