"""What can be counted of a subject without data: parameters, multiply-adds, bytes."""

from __future__ import annotations

from compressbench.core.subject import Subject
from compressbench.core.task import Inputs
from compressbench.metrics.flops_survey import flops_survey
from compressbench.metrics.macs import mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.packing import packed_file


def counts(subject: Subject, example: Inputs) -> dict[str, int]:
    """Return parameters and MACs of a subject by the names of their metrics."""
    return {
        **parameter_counts(subject.model),
        **mac_counts(subject.model, example),
        "flops_survey": flops_survey(subject.model, example),
    }


def counts_and_size(subject: Subject, example: Inputs) -> dict[str, int]:
    """Return `counts`, and `size_bytes` of its packed file without a note. ValueError if it cannot be packed."""
    return {**counts(subject, example), "size_bytes": len(packed_file.sealed(subject))}
