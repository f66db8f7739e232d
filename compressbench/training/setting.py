"""Setting: number format and memory layout of a training, probed on the machine it runs on.

No choice is right for every network: on a CPU with bf16 instructions, bf16 and channels-last take half
the time of fp32 for a ResNet-20 and all of it for the survey's AlexNet.
"""

from __future__ import annotations

import copy
import json
import platform
import time
import warnings
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.atomic import write_atomically
from compressbench.core.faults import RunError
from compressbench.core.identity import digest
from compressbench.core.lock import alone

WORTH_IT = 0.92
"""A setting is passed over for a later candidate only if that one takes less than this fraction of its time."""
FEWEST_STEPS = 50
"""Shorter trainings are not probed: they would not win back the second it takes."""
PROBE_SECONDS = 1.0
_ROUNDS = (3, 25)


@dataclass(frozen=True)
class Setting:
    """precision: `fp32`, `tf32` or `bf16` (autocast). layout: `contiguous` or `channels_last`."""

    precision: str = "fp32"
    layout: str = "contiguous"

    def arrange(self, model: nn.Module) -> None:
        """Lay a network's weights out in memory, in place, and let a GPU's products be as exact as the precision."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        layout = torch.channels_last if self.layout == "channels_last" else torch.contiguous_format
        model.to(memory_format=layout)  # type: ignore[call-overload]

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def place(self, images: Tensor, device: torch.device) -> Tensor:
        """Return images (n, C, H, W) where and how the network wants them."""
        if images.device != device:
            images = images.to(device, non_blocking=True)
        return images.contiguous(memory_format=torch.channels_last) if self.layout == "channels_last" else images

    def described(self, device: torch.device) -> dict[str, str]:
        """Return the setting as the record shows it."""
        return {**asdict(self), "device": device.type, "threads": str(torch.get_num_threads())}


PLAIN = Setting()
CANDIDATES = {
    "cpu": [PLAIN, Setting("fp32", "channels_last"), Setting("bf16"), Setting("bf16", "channels_last")],
    "cuda": [Setting("tf32", "channels_last"), Setting("tf32"), Setting("bf16", "channels_last"), Setting("bf16")],
}
"""By type of device, plain ones first. A GPU waits for Python between the kernels of a small network, so that all of
them take the same time there; the first one then leaves most of the GPU to what runs beside it."""


def choose(model: nn.Module, images: Tensor, labels: Tensor, folder: Path | None = None) -> Setting:
    """Return the fastest setting for trainings of `model` on batches like (images, labels).

    Real steps of the candidates are timed, interleaved, for about a second; the network, its running
    statistics and torch's random state are left as they are. The choice is kept in `folder`, under the
    network's shapes, the batch, torch's version, the threads and the processor, so that the same machine
    takes the same one again and its numbers stay reproducible. Processes probe one after the other, which times
    better, and those that want the same choice take the first one's.
    """
    device = next(model.parameters()).device
    if folder is None:
        return _fastest(_probe(model, images, labels, device))
    file = folder / f"{_key(model, images, device)}.json"
    if known := _read(file):  # without waiting for another's probe
        return known
    try:
        with alone(folder / "lock"):
            if known := _read(file):
                return known
            seconds = _probe(model, images, labels, device)
            times = {f"{setting.precision} {setting.layout}": least for setting, least in seconds.items()}
            write_atomically(file, json.dumps({**asdict(_fastest(seconds)), "seconds_per_step": times}, indent=1))
            return _fastest(seconds)
    except (OSError, RunError) as error:
        warnings.warn(f"the precision cannot be remembered, another run may choose another: {error}", stacklevel=2)
        return _fastest(_probe(model, images, labels, device))


def _fastest(seconds: dict[Setting, float]) -> Setting:
    """Return the first candidate that none of the others beats by enough: near ties must not be a matter of luck."""
    least = min(seconds.values())
    return next(setting for setting, time in seconds.items() if WORTH_IT * time <= least)


def _probe(model: nn.Module, images: Tensor, labels: Tensor, device: torch.device) -> dict[Setting, float]:
    """Return the least seconds of one forward and backward pass by setting."""
    has_layout = any(parameter.dim() == 4 for parameter in model.parameters())
    candidates = CANDIDATES.get(device.type, [PLAIN])
    settings = [setting for setting in candidates if has_layout or setting.layout == "contiguous"]
    least = dict.fromkeys(settings, float("inf"))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = copy.deepcopy(model).train()
        for setting in settings:  # the first passes build kernels
            _seconds(network, setting, images, labels, device)
        start, rounds = time.perf_counter(), 0
        while rounds < _ROUNDS[0] or (time.perf_counter() - start < PROBE_SECONDS and rounds < _ROUNDS[1]):
            for setting in settings:
                least[setting] = min(least[setting], _seconds(network, setting, images, labels, device))
            rounds += 1
    return least


def _seconds(network: nn.Module, setting: Setting, images: Tensor, labels: Tensor, device: torch.device) -> float:
    setting.arrange(network)
    placed, labels = setting.place(images, device), labels.to(device)
    _synchronize(device)
    start = time.perf_counter()
    with setting.autocast(device):
        logits = network(placed)
    torch.autograd.backward(functional.cross_entropy(logits.float(), labels))
    _synchronize(device)
    seconds = time.perf_counter() - start
    network.zero_grad()
    return seconds


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _key(model: nn.Module, images: Tensor, device: torch.device) -> str:
    shapes = [[name, type(module).__name__] for name, module in model.named_modules()]
    shapes += [[name, *parameter.shape] for name, parameter in model.named_parameters()]
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return digest([shapes, list(images.shape), torch.__version__, torch.get_num_threads(), processor])


def _processor() -> str:
    """Return the processor's name and the widest instructions torch uses; virtual machines hide the name."""
    name = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line for line in lines if line.startswith("model name")), name)
    return f"{platform.machine()} {name} {torch.backends.cpu.get_cpu_capability()}"


def _read(file: Path) -> Setting | None:
    """Return a stored choice, or None if there is none or it cannot be read: it is then probed again."""
    try:
        stored = json.loads(file.read_bytes())
        known = Setting(precision=stored["precision"], layout=stored["layout"])
        return known if any(known in candidates for candidates in CANDIDATES.values()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
