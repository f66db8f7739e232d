"""The words of the project: definitions that every other folder may use.

No work is done here but what everybody needs: the identity of a result, writing a file whole, how ours is installed.
"""
