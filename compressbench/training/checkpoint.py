"""Checkpoint: everything a training needs to go on after its last epoch as if it had never stopped."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from compressbench.core.atomic import write_atomically
from compressbench.core.trainer import Curve

DIGEST_BYTES = 32


@dataclass
class Checkpoint:
    """After `epoch` epochs. There is no random state: every epoch is seeded by its number.

    model, best, learned: state dicts; best is empty unless the best epoch is to be returned, learned unless something
    is trained beside the network. optimizer: the state of each parameter, in the optimizer's order.
    """

    epoch: int
    curve: Curve = field(default_factory=list)
    model: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    learned: dict[str, Tensor] = field(default_factory=dict)


def write(path: Path, identity: str, checkpoint: Checkpoint) -> None:
    """Write it as one safetensors file with its SHA-256 behind it, atomically. RunError if the disk is full."""
    tensors = {f"model/{name}": tensor for name, tensor in checkpoint.model.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in checkpoint.best.items()}
    tensors |= {f"learned/{name}": tensor for name, tensor in checkpoint.learned.items()}
    for index, state in checkpoint.optimizer.items():
        tensors |= {f"optimizer/{index}/{key}": tensor for key, tensor in state.items()}
    rest = {"epoch": checkpoint.epoch, "curve": checkpoint.curve}
    content = save(_apart(tensors), {"identity": identity, "checkpoint": json.dumps(rest)})
    write_atomically(path, content + hashlib.sha256(content).digest())


def read(path: Path, identity: str) -> Checkpoint | None:
    """Return the checkpoint, or None if there is none. One that is corrupt or belongs to another training
    is ignored with a warning."""
    if not path.exists():
        return None
    try:
        stored = path.read_bytes()
        content = stored[:-DIGEST_BYTES]
        if hashlib.sha256(content).digest() != stored[-DIGEST_BYTES:]:
            raise ValueError("it is damaged")
        tensors, metadata = load(content), _metadata(content)
        if metadata["identity"] != identity:
            raise ValueError("it belongs to another training")
        rest = json.loads(metadata["checkpoint"])
        checkpoint = Checkpoint(rest["epoch"], rest["curve"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        warnings.warn(f"the checkpoint {path} is ignored, training starts anew: {error}", stacklevel=2)
        return None
    for name, tensor in tensors.items():
        kind, _, rest_of_name = name.partition("/")
        if kind == "optimizer":
            index, _, key = rest_of_name.partition("/")
            checkpoint.optimizer.setdefault(int(index), {})[key] = tensor
        else:
            getattr(checkpoint, kind)[rest_of_name] = tensor
    return checkpoint


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """Return the tensors an optimizer remembers: momentum, or Adam's averages and step counts."""
    return {
        index: {key: value for key, value in optimizer.state[parameter].items() if isinstance(value, Tensor)}
        for index, parameter in enumerate(_parameters(optimizer))
        if parameter in optimizer.state
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Tensor]]) -> None:
    """Make an optimizer remember `state`, in the memory layout of its parameters: another order of the
    elements would round differently."""
    for index, parameter in enumerate(_parameters(optimizer)):
        for key, value in state.get(index, {}).items():
            like = parameter if value.shape == parameter.shape else value
            empty = torch.empty_like(like, dtype=value.dtype, device=parameter.device)
            optimizer.state[parameter][key] = empty.copy_(value)


def fingerprint(model: nn.Module) -> str:
    """Return hexadecimal digits that identify a network's weights: names, shapes and values."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous tensors that share no memory, as safetensors wants them (tied weights do share)."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().contiguous()
        apart[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return apart


def _metadata(content: bytes) -> dict[str, str]:
    """Return the strings at the head of a safetensors file: 8 bytes of length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata
