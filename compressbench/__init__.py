"""compressbench: a declarative experiment runner for model compression."""

from compressbench._load import load as load

__version__ = "0.2.0"
