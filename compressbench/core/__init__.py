"""The words of the project: definitions that every other folder may use.

No work is done here, but for two things that everybody needs: the identity of a result, and writing a file whole.
"""
