"""A subject as an ONNX model: fp32, with QuantizeLinear and DequantizeLinear nodes around the layers that are int8."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import torch
from torch import nn

from compressbench.core.atomic import write_atomically
from compressbench.core.errors import RunError
from compressbench.core.installation import missing
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, tensors
from compressbench.export._batch_as_depth import with_batch_as_depth
from compressbench.export._pixels_as_channels import with_pixels_as_channels
from compressbench.layers.int8 import Int8Conv2d, Int8Linear

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What the extra `onnx` of the installation brings: the format, the exporter, and a runtime."""
EXPORTABLE = (Int8Conv2d, Int8Linear)


def missing_packages() -> str | None:
    """Return None if ONNX models can be made and run here, else what to install."""
    absent = [name for name in PACKAGES if find_spec(name) is None]
    return missing(absent, "onnx") if absent else None


def input_names(example: Inputs) -> list[str]:
    """Return what the inputs of a model are called: `images` if it takes pictures (n, C, H, W), else `inputs`; several
    are numbered."""
    if isinstance(example, tuple):
        return [f"inputs_{number}" for number in range(len(example))]
    return ["images" if example.ndim == 4 else "inputs"]


def to_onnx(
    subject: Subject, example: Inputs, path: Path | None = None, metadata: dict[str, str] | None = None
) -> bytes:
    """Return the subject's network as an ONNX model, and write it to `path`, atomically, if there is one.

    example: zeros, a batch of one. metadata: what the model says of itself, see `export.metadata`. The model takes what
    `input_names` says, in batches of any size, and gives `logits` for pictures, else `outputs`; weights are inside.
    The network is exported in evaluation mode, from a copy. Int8 layers keep their int8 weights, and runtimes fuse
    the nodes around them into integer kernels; everything else is fp32, whatever its format in the packed file. Int8
    convolutions with few output positions are three-dimensional, a depth of one, and strided ones of few channels take
    several pixels as one (see `_batch_as_depth`, `_pixels_as_channels`).
    RunError if the packages are missing, and, naming the layers in question, for a network that cannot be exported.
    """
    if problem := missing_packages():
        raise RunError(problem)
    model = copy.deepcopy(subject.model).cpu().eval()
    try:
        content = _exported(model, example, metadata or {})
    except Exception as error:  # the exporter raises whatever its many parts raise
        raise RunError(f"{_called(model)} cannot be exported to ONNX: {_reason(error)}") from error
    if path is not None:
        write_atomically(path, content)
    return content


def _exported(model: nn.Module, example: Inputs, metadata: dict[str, str]) -> bytes:
    import onnx  # an extra, and half a second

    names = input_names(example)
    # A batch of one would be taken for a constant.
    inputs = tuple(torch.zeros((2, *each.shape[1:]), dtype=each.dtype) for each in tensors(example))

    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            model,
            inputs,
            dynamo=True,
            external_data=False,
            input_names=names,
            output_names=["logits" if names == ["images"] else "outputs"],
            dynamic_shapes=tuple({0: torch.export.Dim("batch")} for _ in inputs),
            verbose=False,
        )
    assert program is not None
    made = with_batch_as_depth(with_pixels_as_channels(program.model_proto))
    for key, value in metadata.items():
        made.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(made, full_check=True)
    content: bytes = made.SerializeToString()
    return content


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to ourselves what the exporter says to its authors; what goes wrong is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _called(model: nn.Module) -> str:
    """Return what to call a network whose export failed: its own layers are the likeliest cause."""
    suspects = [
        f"{name} ({type(layer).__name__})"
        for name, layer in model.named_modules()
        if type(layer).__module__.startswith("compressbench.layers") and not isinstance(layer, EXPORTABLE)
    ]
    kind = type(model).__name__
    return f"{kind} with {', '.join(suspects[:5])}{', ...' if len(suspects) > 5 else ''}" if suspects else kind


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
