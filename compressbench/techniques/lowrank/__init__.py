"""A layer becomes several smaller ones, a product of factors."""
