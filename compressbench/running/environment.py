"""What a run ran on."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import torch

import compressbench
from compressbench.core.errors import Fault

CPU = torch.device("cpu")


def environment(device: torch.device) -> dict[str, str]:
    """Return versions and machine, as a record keeps them. No host or user name.

    commit: of the checkout the program runs from, `-dirty` if files were changed since; left out if it is installed.
    """
    commit = checked_out(Path(compressbench.__file__).parents[1])
    return {
        "compressbench": compressbench.__version__,
        **({"commit": commit} if commit else {}),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


@cache
def checked_out(folder: Path) -> str:
    """Return the git commit that lies in a folder, empty if it is no checkout or git cannot say. Once a process."""
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, env=environment).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def usable_device(name: str, threads: int | None = None) -> tuple[torch.device, list[Fault]]:
    """Return the device called `name` and no fault, or the processor and what is wrong with the name.

    threads: how many compute on the processor from then on; None leaves it to torch.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        return choose_device(name), []
    except ValueError as error:
        return CPU, [Fault("device", str(error))]


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
