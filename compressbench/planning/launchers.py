"""Launchers: how the runs of a sweep are started. What conf/launcher leaves open is filled in from the machine."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from compressbench.core.errors import Fault, PlanError

if TYPE_CHECKING:
    from omegaconf import DictConfig

KEY = "launcher"
SEQUENTIAL = "sequential"
LEAST = {
    "processes": 1,
    "timeout_min": 1,
    "requeues": 0,
    "warning_s": 1,
    "jobs": 1,
    "cpus": 1,
    "gpus": 0,
    "memory_gb": 1,
}
"""The smallest value of every number that a launcher may be given."""
MEMORY_GB_A_RUN, GPU_GB_A_RUN = 2, 4
"""What one small training takes, with torch itself, so that as many go at a time as there is room for."""
FIRST_GPU = ("auto", "cuda")
"""Devices that do not say which GPU."""
GPUS = ["nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits"]


class Machine(NamedTuple):
    """What there is for runs: cores this process may use, memory, and GPUs as CUDA_VISIBLE_DEVICES calls them."""

    cores: int
    memory_gb: float
    gpus: dict[str, float]
    """Free memory of each, in GB."""

    def __str__(self) -> str:
        gpus = f"{len(self.gpus)} GPUs" if len(self.gpus) > 1 else "1 GPU" if self.gpus else "no GPU"
        return f"{self.cores} cores, {self.memory_gb:.0f} GB of memory free, {gpus}"

    def processes(self, runs: int) -> int:
        """Return how many runs may go at a time: one a core, if memory and that of the GPUs suffice."""
        room = min(self.cores, int(self.memory_gb / MEMORY_GB_A_RUN), runs)
        if self.gpus:
            room = min(room, sum(max(1, int(free_gb / GPU_GB_A_RUN)) for free_gb in self.gpus.values()))
        return max(room, 1)


def is_of_launcher(key: str) -> bool:
    """Return whether an override's key says how the runs of a sweep are started."""
    return key == KEY or key.startswith((f"{KEY}.", f"+{KEY}."))


def fill_in(master: DictConfig, runs: int) -> tuple[str, list[str]]:
    """Complete a sweep's `launcher` node, and return in a line how it starts runs, and the GPUs that they share.

    PlanError for a value out of range.
    """
    name, node = str(master.hydra.runtime.choices.get(KEY)), master[KEY]
    if faults := [*filter(None, (_fault(str(key), value) for key, value in node.items()))]:
        raise PlanError(faults)
    if name == SEQUENTIAL:
        return "", []
    around, gpus = "", []
    if "processes" in node:
        machine = this_machine(gpus=str(master.get("device")) in FIRST_GPU)
        if node.processes is None:
            node.processes = machine.processes(runs)
        threads = master.get("threads") or os.environ.get("OMP_NUM_THREADS") or max(1, machine.cores // node.processes)
        around, gpus = f", threads={threads} each ({machine})", list(machine.gpus)
    words = " ".join(f"{key}={value}" for key, value in node.items() if value is not None)
    return f"{runs} runs, launcher={name} {words}{around}", gpus


def _fault(key: str, value: Any) -> Fault | None:
    if key not in LEAST or value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= LEAST[key]:
        return None
    return Fault(f"{KEY}.{key}", f"is {value!r}; allowed: a number, {LEAST[key]} or more")


def this_machine(gpus: bool) -> Machine:
    """Return what this process may use. gpus: whether it may use those."""
    from joblib import cpu_count  # knows of affinity and of a container's share

    return Machine(cpu_count(), _memory_gb(), _free_gpus() if gpus else {})


def _memory_gb() -> float:
    """Return the memory that can be had without swapping, in a container at most its own; unknown is much."""
    found = [float("inf")]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024.0 for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # another system, or no limit: "max"
    return min(found) / 1e9


def _free_gpus() -> dict[str, float]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES leaves, with the GB that are free. Needs no torch, which takes some."""
    try:
        told = subprocess.run(GPUS, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    there = [[cell.strip() for cell in line.split(",")] for line in told.splitlines()]
    free = {index: float(megabytes) / 1e3 for index, _, megabytes in there}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return free
    by_uuid = {uuid: float(megabytes) / 1e3 for _, uuid, megabytes in there}
    return {name: (free | by_uuid)[name] for name in visible.split(",") if name in free | by_uuid}


def take_gpu(gpus: list[str]) -> None:
    """Let this worker, before it uses any GPU, see only one of those that its launcher shares out, by its number."""
    number = multiprocessing.current_process().name.rpartition("-")[2]
    if len(gpus) > 1 and number.isdecimal():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[int(number) % len(gpus)]


def end_workers() -> None:
    """End the processes that joblib keeps for a next sweep: they hold memory, in the folder they were started in."""
    if "joblib.externals.loky" in sys.modules:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown()


def is_requeued(error: BaseException) -> bool:
    """Return whether an exit is that of a job which its queue starts once more: submitit's, at a time-out."""
    last, trace = "", error.__traceback__
    while trace is not None:
        last, trace = str(trace.tb_frame.f_globals.get("__name__")), trace.tb_next
    return last.partition(".")[0] == "submitit" and isinstance(error, SystemExit)
