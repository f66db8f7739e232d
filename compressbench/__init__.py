"""compressbench: a declarative experiment runner for model compression."""

from compressbench.app.api import load

__all__ = ["load"]
__version__ = "0.2.0"
