"""What stands before, between and after the others: weights are learned."""
