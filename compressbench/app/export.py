"""A packed file as an ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from compressbench.app.evaluate import check_images
from compressbench.app.inspect import for_people
from compressbench.core.data import Dataset, Shape
from compressbench.core.errors import PlanError
from compressbench.core.preprocessing import Preprocessing
from compressbench.export.metadata import metadata
from compressbench.export.onnx_model import to_onnx
from compressbench.packing import packed_file
from compressbench.packing.feeding import classes_of, preprocessing_of
from compressbench.planning.evaluation import evaluation


def export(file: Path, output: Path, overrides: Sequence[str] = ()) -> tuple[int, Shape]:
    """Write the file's network as ONNX, for images as the file notes them, or as a dataset's, which need not be there.

    The model says how images are made and what the classes are called, as far as that is known. Return its length in
    bytes and the shape of one image.
    """
    with for_people():
        subject, note = packed_file.read(file), packed_file.note(file)
    if "preprocessing" in note and not overrides:
        shape, preprocessing, classes = _as_noted(note, subject.architecture.arguments)
    else:
        shape, preprocessing, classes = _as_in(evaluation(overrides, note.get("dataset")).dataset)
    check_images(subject, shape, len(classes) if classes else None)
    content = to_onnx(subject, torch.zeros(1, *shape), output, metadata(preprocessing, classes))
    return len(content), shape


Inputs = tuple[Shape, Preprocessing | None, list[str] | None]
"""Of what shape, how they are made, and what the classes are called."""


def _as_noted(note: dict[str, Any], architecture: dict[str, Any]) -> Inputs:
    try:
        how = preprocessing_of(note)
    except ValueError as error:
        raise PlanError.of("", f"{error}; add dataset=NAME, whose images it is for") from error
    return (how.channels, *how.size), how, classes_of(note, architecture)


def _as_in(dataset: Dataset) -> Inputs:
    try:
        names = dataset.class_names()
    except PlanError:  # they are the names of folders that are not there
        names = None
    return dataset.input_shape, dataset.preprocessing, names
