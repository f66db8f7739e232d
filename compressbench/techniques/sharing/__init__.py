"""Weights of a layer share a few values, and which one is stored."""
