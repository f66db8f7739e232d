"""What a run ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

import compressbench


def environment(device: torch.device) -> dict[str, str]:
    """Return versions and machine, as a record keeps them. No host or user name."""
    return {
        "compressbench": compressbench.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` is the first GPU if there is one. ValueError for an unusable one.

    From then on fp32 means 32 bits on a GPU too, not torch's TF32, and cuDNN takes kernels that repeat their results.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"is {name!r}, which is no device; allowed: auto, cpu, cuda, cuda:0, ...") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"is {name!r}, but this machine has no GPU that torch can use; allowed: auto, cpu")
    return device


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
