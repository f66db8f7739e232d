"""The same values in fewer bytes, or in fewer layers: nothing is trained."""
