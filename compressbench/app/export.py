"""A packed file as an ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from compressbench.app.evaluate import answer, check_fits
from compressbench.app.inspect import for_people
from compressbench.core.data import Dataset, class_names, preprocessing
from compressbench.core.errors import PlanError
from compressbench.core.plugins import Told, only
from compressbench.core.preprocessing import Preprocessing
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs
from compressbench.export.metadata import metadata
from compressbench.export.onnx_model import to_onnx
from compressbench.packing import packed_file
from compressbench.packing.feeding import classes_of, preprocessing_of
from compressbench.planning.evaluation import evaluation


def export(file: Path, output: Path, overrides: Sequence[str] = (), plugins: Sequence[Told] = ()) -> tuple[int, Inputs]:
    """Write the file's network as ONNX, for pictures as the file notes them, or for a dataset, which need not be there.

    The model says how pictures become inputs and what the outputs are called, as far as that is known. Return its
    length in bytes and an example of its inputs. plugins: those whose code the file, or the overrides, may name.
    """
    with only(plugins):
        return _exported(file, output, overrides)


def _exported(file: Path, output: Path, overrides: Sequence[str]) -> tuple[int, Inputs]:
    with for_people():
        subject, note = packed_file.read(file), packed_file.note(file)
    if "preprocessing" in note and not overrides:
        example, how, names = _as_noted(subject, note)
    else:
        example, how, names = _as_in(subject, evaluation(overrides, note.get("dataset")).dataset)
    content = to_onnx(subject, example, output, metadata(how, names))
    return len(content), example


Fed = tuple[Inputs, Preprocessing | None, list[str] | None]
"""An example of the inputs, how pictures become them, and what the outputs are called."""


def _as_noted(subject: Subject, note: dict[str, Any]) -> Fed:
    try:
        how = preprocessing_of(note)
    except ValueError as error:
        raise PlanError.of("", f"{error}; add dataset=NAME, whose inputs it is for") from error
    example, names = torch.zeros(1, how.channels, *how.size), classes_of(note, subject.architecture.arguments)
    outputs = answer(subject, example)
    if names and outputs.shape != (1, len(names)):
        raise PlanError.of("", f"the file names {len(names)} classes, but the network gives {list(outputs.shape[1:])}")
    return example, how, names


def _as_in(subject: Subject, dataset: Dataset) -> Fed:
    check_fits(subject, dataset.task)
    try:
        names = class_names(dataset)
    except PlanError:  # they are the names of folders that are not there
        names = None
    return dataset.task.example(), preprocessing(dataset), names
