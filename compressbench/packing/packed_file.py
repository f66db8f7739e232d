"""One file for one network: its weights, and what it takes to build it again without any other file.

The container is safetensors: a JSON header and the bytes of the tensors, no pickle. The header's metadata
holds the architecture, every module whose shape or type differs from a freshly built one, and the formats.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.atomic import write_atomically
from compressbench.core.format import FORMATS, Format, Sparse
from compressbench.core.subject import Subject
from compressbench.packing.modules import changed_modules, make_module

VERSION = "1"


class ModelFileError(ValueError):
    """A file that holds no network of ours, or a damaged one."""


def write(subject: Subject, path: Path) -> int:
    """Write the subject's network to `path`, atomically, and return the file's length in bytes.

    Raises ValueError if a tensor cannot be stored in its declared format without loss.
    """
    tensors: dict[str, torch.Tensor] = {}
    formats: dict[str, dict[str, Any]] = {}
    for name, tensor in subject.model.state_dict().items():
        stored = tensor.detach().cpu().contiguous()
        form = subject.format_of(name)
        if not form.fits(stored):
            raise ValueError(f"{name} cannot be stored as {type(form).__name__} without loss")
        if isinstance(form, Sparse):
            tensors |= _sparse_to_tensors(name, stored)
            formats[name] = {"format": "Sparse", "shape": list(stored.shape)}
        else:
            tensors[name] = stored.clone()  # safetensors refuses tensors that share memory
    metadata = {
        "compressbench": VERSION,
        "architecture": json.dumps([subject.architecture.target, subject.architecture.arguments]),
        "modules": json.dumps(changed_modules(subject.model, _on_meta(subject.architecture))),
        "formats": json.dumps(formats),
    }
    content = _in_fixed_order(safetensors.torch.save(tensors, metadata))
    write_atomically(path, content)
    return len(content)


def read(path: Path) -> Subject:
    """Return the subject a file holds, in evaluation mode, bit for bit the weights that were written.

    Constraints and notes are not part of the file. Raises ModelFileError for anything that is no such file.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.offset_keys()}
        if metadata.get("compressbench") != VERSION:
            raise ModelFileError(f"{path} is not a compressbench model file of version {VERSION}")
        target, arguments = json.loads(metadata["architecture"])
        architecture = Architecture(target, arguments)
        model = _on_meta(architecture)
        for name, description in json.loads(metadata["modules"]).items():
            model.set_submodule(name, make_module(description))
        formats: dict[str, Format] = {}
        for name, description in json.loads(metadata["formats"]).items():
            formats[name] = FORMATS[description["format"]]()
            tensors[name] = _sparse_from_tensors(name, tensors, description["shape"])
        model.load_state_dict(tensors, strict=True, assign=True)
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{path} cannot be read as a model file: {error}") from error
    for name, tensor in model.named_parameters():
        assert not tensor.is_meta, name
    return Subject(model.eval(), architecture, formats)


def _on_meta(architecture: Architecture) -> nn.Module:
    """Return the network without memory for its weights, so that nothing is drawn at random for nothing."""
    with torch.device("meta"):
        return architecture.build()


def _in_fixed_order(content: bytes) -> bytes:
    """Return a safetensors file of the same length with its metadata sorted, so that equal networks are equal files.

    The library writes the metadata in an order that differs from process to process. The header is 8 bytes of
    length, then JSON, then spaces up to a multiple of 8.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    sorted_header = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
    assert len(sorted_header) == length
    return content[:8] + sorted_header + content[8 + length :]


def _sparse_to_tensors(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    flat = tensor.flatten()
    present = flat != 0
    bits = torch.from_numpy(np.packbits(present.numpy()))
    return {f"{name}#mask": bits, f"{name}#values": flat[present]}


def _sparse_from_tensors(name: str, tensors: dict[str, torch.Tensor], shape: list[int]) -> torch.Tensor:
    bits, values = tensors.pop(f"{name}#mask"), tensors.pop(f"{name}#values")
    count = int(np.prod(shape))
    if count > 8 * bits.numel():
        raise ModelFileError(f"{name} has the shape {shape}, but only {8 * bits.numel()} bits are in its mask")
    present = torch.from_numpy(np.unpackbits(bits.numpy(), count=count).astype(bool))
    flat = torch.zeros(count, dtype=values.dtype)
    flat[present] = values
    return flat.reshape(shape)
