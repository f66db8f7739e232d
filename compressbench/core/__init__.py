"""The words of the project: definitions that every other folder may use. No work is done here."""
