"""Weights that a later training must leave as they were quantized, and how they are stored."""

from __future__ import annotations

from torch import Tensor

from compressbench.core.constraint import Frozen
from compressbench.core.format import Format
from compressbench.core.subject import Subject


def freeze(subject: Subject, parameter: str, form: Format) -> None:
    """Promise that the whole parameter stays what it is now, and store it in this format."""
    value = subject.model.get_parameter(parameter).detach().clone()
    freeze_where(subject, parameter, value.new_ones(value.shape).bool(), value)
    subject.store(parameter, form)


def freeze_where(subject: Subject, parameter: str, where: Tensor, value: Tensor) -> None:
    """Give the parameter this value where `where` is True and promise it, in the place of an earlier such promise."""
    frozen = Frozen(parameter, where, value)
    subject.constrain(frozen)
    frozen.enforce(subject.model)
