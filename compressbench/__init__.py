"""compressbench: a declarative experiment runner for model compression."""

__version__ = "0.1.0"
