"""What weight pruners share: how many weights stay, which ones by score, and the masks that keep them so.

How many: the network's total is the nearest whole number to the sum of n (1 - ratio), and the pools (layers, kinds of
layer, or the whole network) share it by largest remainder: each gets the floor of its own n (1 - ratio), and those
with the largest fractions one more. So a pool's count is never off by one or more, and the survey's three totals come
out to the last digit (CIFAR10 1,106,918 = 987,417 of conv + 119,501 of linear, asked 987,417.6 + 119,500.8); no
rounding of each kind or layer by itself gives all three. The survey does not print its rule; this one was fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.errors import suggestion
from compressbench.core.format import Sparse
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import SINGLE, check_ratios, kind_of, ratio_by_layer, weights_of

SCOPES = ("per_layer", "per_kind", "global")
Keep = Mapping[str, Fraction]
"""Fraction of the weights that stays, by name of the layer."""

Keys = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]
MASKED = 0
"""The key of a weight that an earlier mask holds at zero: below all others."""
INFINITE = 0x7F800001
"""The key of an infinite score; those of NaN lie above."""
CHUNK = 1 << 22
"""Keys counted at once: `np.bincount` copies them to 8 bytes each."""


def check_fields(ratio: float, ratios: Mapping[str, float], scope: str) -> None:
    """Raise ValueError for a ratio out of range, an unknown scope, or ratios that the scope's pools cannot have."""
    check_ratios(ratio, ratios)
    if scope not in SCOPES:
        raise ValueError(f"scope is {scope!r}; {suggestion(scope, SCOPES)}")
    if scope == "global" and ratios:
        raise ValueError(f"ratios is {dict(ratios)!r}; with scope global there is one pool and one ratio")
    strange = [selector for selector in ratios if selector not in SINGLE]
    if scope == "per_kind" and strange:
        raise ValueError(f"ratios has {strange[0]!r}; with scope per_kind allowed: {', '.join(SINGLE)}")


def pruned_again(later: Any, earlier: Sequence[Technique]) -> str | None:
    """Return why a weight pruner finds nothing left to do after those before it, as far as the fields tell, or None."""
    before: Any
    for before in earlier:
        if any(getattr(later, key) != getattr(before, key, None) for key in ("targets", "ignore", "scope")):
            continue  # other weights, or no weight pruner
        ratios = [(later.ratio, before.ratio)]
        for selector in {*later.ratios, *before.ratios}:
            ratios.append((later.ratios.get(selector, later.ratio), before.ratios.get(selector, before.ratio)))
        if all(now <= then for now, then in ratios):
            return f"prunes the same weights again: ratio {later.ratio} after {before.ratio} sets none to zero"
    return None


def kept_fractions(
    model: nn.Module, targets: list[str], ignore: list[str], ratio: float, ratios: Mapping[str, float]
) -> dict[str, Fraction]:
    """Return 1 - ratio, exact, by name of the selected layer. Raises ValueError as `ratio_by_layer` does."""
    found = ratio_by_layer(model, targets, ignore, ratio, ratios, SINGLE)
    return {name: 1 - Fraction(str(value)) for name, value in found.items()}


def prune_weights(subject: Subject, score: Callable[[Tensor], Tensor], kept: Keep, scope: str) -> Subject:
    """Set the weights with the lowest scores to zero, with masks that keep them there; biases stay.

    score: of each weight of a tensor, in its shape, 0 or more; weights that are masked already stay so.
    Raises ValueError if a score is not a number.
    """
    layers = weights_of(subject.model, kept)
    pools = _pools(subject.model, layers, scope)
    weights = {name: subject.model.get_parameter(name).detach() for name in layers}
    masks = {constraint.parameter: constraint for constraint in subject.constraints if isinstance(constraint, Mask)}
    asked = [sum((weights[name].numel() * kept[layers[name]] for name in pool), Fraction(0)) for pool in pools]
    for pool, count in zip(pools, apportion(asked), strict=True):
        keys = [sort_keys(score(weights[name]), masks.get(name)) for name in pool]
        survives = highest(np.concatenate(keys) if len(keys) > 1 else keys[0], count)
        ends = np.cumsum([len(own) for own in keys])[:-1]
        for name, part, own in zip(pool, np.split(survives, ends), keys, strict=True):
            if not part.any():
                part[own.argmax()] = True
                what = f"none of its {len(part)} weights would stay; its best one does"
                subject.skipped.append(Skipped(name.removesuffix(".weight"), what))
            part &= own != MASKED
            keep_masked(subject, name, torch.from_numpy(part).reshape(weights[name].shape))
    subject.enforce()
    return subject


def apportion(asked: list[Fraction]) -> list[int]:
    """Return whole numbers near `asked` whose sum is the nearest to theirs, a half rounded up (largest remainder)."""
    counts = [floor(share) for share in asked]
    missing = floor(sum(asked, Fraction(1, 2))) - sum(counts)
    order = sorted(range(len(asked)), key=lambda i: (counts[i] - asked[i], i))
    for i in order[:missing]:
        counts[i] += 1
    return counts


def highest(keys: Keys, count: int) -> Bools:
    """Return where the `count` highest keys stand; of equal ones the first are taken."""
    if count in (0, len(keys)):
        return np.full(len(keys), count > 0)
    threshold = smallest(keys, len(keys) - count)
    found: Bools = keys > threshold
    equal = np.flatnonzero(keys == threshold)
    found[equal[: count - np.count_nonzero(found)]] = True
    return found


def smallest(keys: Keys, rank: int) -> int:
    """Return the key that has `rank` keys before it in sorted order, by its two halves of 16 bits.

    Linear in time whatever the keys are: `np.partition` takes twenty times as long as usual where most are equal, as
    the zeros of a pruned network are.
    """
    chunks = (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
    high, rank = _digit((chunk >> 16 for chunk in chunks), rank)
    low, _ = _digit([keys[keys >> 16 == high] & 0xFFFF], rank)
    return high << 16 | low


def _digit(parts: Iterable[npt.NDArray[np.integer[Any]]], rank: int) -> tuple[int, int]:
    """Return the digit that has this rank among all parts, and its rank among those equal to it."""
    ends = np.cumsum(sum(np.bincount(part, minlength=1 << 16) for part in parts))
    digit = int(np.searchsorted(ends, rank, side="right"))
    return digit, rank - int(ends[digit - 1]) if digit else rank


def sort_keys(scores: Tensor, earlier: Mask | None) -> Keys:
    """Return integers in the order of the scores, flat: the bits of a float that is 0 or more are in its order."""
    bits = scores.float().cpu().numpy().ravel().view(np.uint32)
    keys: Keys = bits + np.uint32(1)
    if keys.max() > INFINITE:
        raise ValueError("a weight is not a number; the network cannot be pruned")
    if earlier is not None:
        keys[~earlier.keep.cpu().numpy().ravel()] = MASKED
    return keys


def _pools(model: nn.Module, layers: Mapping[str, str], scope: str) -> list[list[str]]:
    """Return the names of the weights that compete with each other. layers: by name of a weight, its layer's."""
    if scope == "global":
        return [list(layers)]
    pools: dict[str | None, list[str]] = {}
    for name, layer in layers.items():
        pool = layer if scope == "per_layer" else kind_of(model.get_submodule(layer))
        pools.setdefault(pool, []).append(name)
    return list(pools.values())


def keep_masked(subject: Subject, parameter: str, keep: Tensor) -> None:
    """Put the mask in the place of an earlier one of the same parameter."""
    subject.constrain(Mask(parameter, keep.to(subject.model.get_parameter(parameter).device)))
    subject.store(parameter, Sparse())
