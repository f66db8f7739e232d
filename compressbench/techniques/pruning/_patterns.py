"""Patterns of zeros that hardware can skip, as an option of weight pruners: `pattern`.

A pattern is written `"2:4"` (of every 4 neighbouring input channels 2 stay) or `4x4` (blocks of so many output by so
many input channels go or stay as a whole), for each kernel position alike. The file says it in a format of its own
(`core.pattern_format`); what shares values afterwards (`sharing/kmeans` and quantizers) stores each zero as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from compressbench.core.format import Blocks, NOfM
from compressbench.core.pattern_format import LARGEST_GROUP, matrix_of, tensor_of
from compressbench.core.subject import Subject
from compressbench.techniques._layers import usable, weights_of

Pattern = NOfM | Blocks
ALLOWED = f"a text like '2:4' (in quotes; 1 to {LARGEST_GROUP - 1} of up to {LARGEST_GROUP}) or '4x4', or null"
NEAR = 1e-3
"""How far a ratio may be from that of its pattern: thirds have no end."""


def pattern_of(text: str | None) -> Pattern | None:
    """Return the pattern of that name. ValueError if there is none."""
    if text is None:
        return None
    parts = re.fullmatch(r"([1-9]\d{0,3})([:x])([1-9]\d{0,3})", text)
    if parts is None:
        raise ValueError(f"pattern is {text!r}; allowed: {ALLOWED}")
    first, second = int(parts[1]), int(parts[3])
    if parts[2] == "x":
        return Blocks(first, second)
    if not first < second <= LARGEST_GROUP:
        raise ValueError(f"pattern is {text!r}; allowed: {ALLOWED}")
    return NOfM(first, second)


def check_pattern(text: str | None, ratio: float, ratios: Mapping[str, float], scope: str, rounds: int = 1) -> None:
    """Raise ValueError for an unknown pattern, or one of `n:m` that the other fields contradict: it is in itself a
    ratio, of every layer, at once."""
    pattern = pattern_of(text)
    if not isinstance(pattern, NOfM):
        return
    own = float(1 - Fraction(pattern.n, pattern.m))
    if abs(ratio - own) > NEAR:
        raise ValueError(f"ratio is {ratio} with pattern {text}, which sets {own:.4g} to zero; allowed: {own:.4g}")
    for key, value, only in (("ratios", dict(ratios), {}), ("scope", scope, "per_layer"), ("rounds", rounds, 1)):
        if value != only:
            raise ValueError(f"{key} is {value!r} with pattern {text}; allowed: {only!r}")


def fitting(subject: Subject, layers: Iterable[str], targets: Iterable[str], pattern: Pattern | None) -> list[str]:
    """Return those of the layers whose weights can have the pattern; the others are reported.

    Raises ValueError for one that cannot though `targets` names it exactly, or if there is none that can.
    """
    misfits = {name: _misfit(subject, name, pattern) for name in layers}
    return usable(subject.skipped, misfits, targets, "cannot have the pattern")


def _misfit(subject: Subject, layer: str, pattern: Pattern | None) -> str:
    shapes = [subject.model.get_parameter(name).shape for name in weights_of(subject.model, [layer])]
    return next(filter(None, (pattern.fault(shape) for shape in shapes)), "") if pattern else ""


def best_of_groups(keys: npt.NDArray[np.uint32], pattern: NOfM) -> npt.NDArray[np.bool_]:
    """Return where the n highest keys of each m stand, in a matrix of keys; of equal ones the first are taken."""
    groups = keys.reshape(-1, pattern.m)
    best = np.argsort(~groups, axis=1, kind="stable")[:, : pattern.n]
    found = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(found, best, True, axis=1)
    return found.reshape(keys.shape)


def block_scores(scores: Tensor, pattern: Blocks) -> Tensor:
    """Return the sum of each block's scores, (down, across), where `scores` lie."""
    blocks = pattern.blocks_of(matrix_of(scores.double().cpu().numpy()))
    return torch.from_numpy(blocks.sum(axis=(2, 3))).to(scores.device)


def spread(blocks: npt.NDArray[Any], shape: tuple[int, ...], pattern: Blocks) -> npt.NDArray[Any]:
    """Return a tensor of that shape in which every element has its block's value."""
    across = np.prod(shape[1:], dtype=int) // pattern.columns
    whole = np.repeat(blocks.reshape(-1, across), pattern.rows, axis=0)
    return tensor_of(np.repeat(whole, pattern.columns, axis=1), shape)
