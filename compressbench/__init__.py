"""compressbench: a declarative experiment runner for model compression."""

from compressbench.app.api import PlanError, RunError, compress, load, run, sweep

__all__ = ["PlanError", "RunError", "compress", "load", "run", "sweep"]
__version__ = "0.3.0"
