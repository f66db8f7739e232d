"""The one door to torchvision.

On a machine with a CPU-only torch, the torchvision of the package registry is a CUDA build whose compiled
operators do not load, and `import torchvision` then fails with "operator torchvision::nms does not exist".
We need none of those operators; declaring the two that torchvision registers fake kernels for is enough.
`torchvision.ops.nms`, detection models and `io.decode_image` still fail there, clearly.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import torch

_KEPT_ALIVE: list[torch.library.Library] = []


def torchvision(submodule: str = "") -> ModuleType:
    """Return torchvision, or one of its submodules (`"models"`), mended first if this machine needs it.

    ValueError, saying what to install, if it cannot be imported.
    """
    mend()
    try:
        return importlib.import_module(f"torchvision.{submodule}" if submodule else "torchvision")
    except ImportError as error:
        what = f"install the one that belongs to torch {torch.__version__}: pip install torchvision"
        raise ValueError(f"torchvision cannot be imported ({error}); {what}") from error


def mend() -> None:
    """Let torchvision be imported from here on, by whoever does: other people's code imports it by itself."""
    if not _KEPT_ALIVE and not _operators_load():
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT_ALIVE.append(library)


def _operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # then importing it says so
    for library in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            return False
    return True
