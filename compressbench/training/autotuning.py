"""Setting: number format and memory layout of a training, and the rule that chooses them.

No choice is right for every network: on a processor with bf16 instructions, bf16 and channels-last take half the time
of fp32 for a ResNet-20 and gain little for the survey's AlexNet. What is chosen changes the figures, so it must never
hang on how busy the machine is: `decide` looks at the network's layers, the device and the number of threads only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.task import Inputs

POSITIONS = 64
"""From so many output positions on (8 x 8) a convolution does enough with each weight that bf16 pays, although the
weights, which stay in fp32, are converted in every step."""
SHARE = 0.5
"""Such convolutions must have this share of a network's multiply-adds: ResNet-20 has all there (time against fp32 0.54
at batch 128), LeNet-5 82 % (0.46), VGG-16 61 % (0.68), the survey's AlexNet 10 % (0.69 to 1.06, and less with small
batches): it works on images of 2 x 2."""


@dataclass(frozen=True)
class Setting:
    """precision: `fp32`, `tf32` or `bf16` (autocast). layout: `contiguous` or `channels_last`."""

    precision: str = "fp32"
    layout: str = "contiguous"

    def __str__(self) -> str:
        return f"{self.precision} {self.layout}"

    def arrange(self, model: nn.Module) -> None:
        """Lay a network's weights out in memory, in place, and let a GPU's products be as exact as the precision."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        layout = torch.channels_last if self.layout == "channels_last" else torch.contiguous_format
        model.to(memory_format=layout)  # type: ignore[call-overload]

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def place(self, inputs: Inputs, device: torch.device) -> Inputs:
        """Return inputs where the network wants them, and as it does: pictures (n, C, H, W) have a layout."""
        if isinstance(inputs, tuple):
            return tuple(self._placed(each, device) for each in inputs)
        return self._placed(inputs, device)

    def _placed(self, tensor: Tensor, device: torch.device) -> Tensor:
        if tensor.device != device:
            tensor = tensor.to(device, non_blocking=True)
        last = self.layout == "channels_last" and tensor.ndim == 4
        return tensor.contiguous(memory_format=torch.channels_last) if last else tensor

    def described(self, device: torch.device) -> dict[str, str]:
        """Return the setting as the record shows it."""
        return {**asdict(self), "device": device.type, "threads": str(torch.get_num_threads())}


PLAIN = Setting()
FAST = Setting("bf16", "channels_last")
GPU = Setting("tf32", "channels_last")
"""A GPU waits for Python between the kernels of a small network, so that all settings take the same time there; this
one leaves most of the GPU to what runs beside it."""


def decide(layers: Sequence[dict[str, Any]], device: torch.device, threads: int, bf16: bool) -> Setting:
    """Return the setting that `precision: auto` stands for.

    layers: `kind`, `output_shape` (of one example) and `macs` of each layer of the network, untrained and not
    compressed yet. threads: that compute. bf16: whether the processor has instructions for it.

    bf16 is for one thread only. Its conversions are many short loops, and several threads wait for each other at the
    end of each, oneDNN's in loops of their own that never sleep; beside busy processes every such wait takes a time
    slice (AlexNet, two threads, eight busy processes: 7.1 s a step in bf16, 1.6 s in fp32; one thread: 0.2 s in both).
    """
    if device.type == "cuda":
        return GPU
    if device.type != "cpu" or not bf16 or threads > 1:
        return PLAIN
    large = sum(layer["macs"] for layer in layers if layer["kind"] == "Conv2d" and _positions(layer) >= POSITIONS)
    return FAST if large > SHARE * sum(layer["macs"] for layer in layers) else PLAIN


def has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor multiplies bf16 itself; False where the system does not say."""
    try:
        flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags.split())


def _positions(layer: dict[str, Any]) -> int:
    return math.prod(layer["output_shape"][1:])
