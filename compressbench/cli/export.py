"""`compressbench export`: a packed file as an ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from compressbench.cli.evaluate import check_images
from compressbench.cli.inspect import for_people
from compressbench.export.onnx_model import to_onnx
from compressbench.packing import packed_file
from compressbench.planning.evaluation import evaluation


def export_file(file: str, output: str, overrides: Sequence[str]) -> int:
    """Write the file's network as ONNX, for images of the shape of its dataset, which need not be there."""
    with for_people():
        subject, note = packed_file.read(Path(file)), packed_file.note(Path(file))
    dataset = evaluation(overrides, note.get("dataset")).dataset
    check_images(subject, dataset)
    content = to_onnx(subject, torch.zeros(1, *dataset.input_shape), Path(output))
    shape = " x ".join(map(str, dataset.input_shape))
    print(f"{output}: {len(content):,} bytes, takes images of {shape} in batches of any size")
    return 0
