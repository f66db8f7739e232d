"""Weights, and activations if wanted, take few values."""
