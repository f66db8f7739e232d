"""What weight pruners share: how many weights stay, which ones by score, and the masks that keep them so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import Blocks, NOfM, Sparse
from compressbench.core.pattern_format import matrix_of, tensor_of
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._layers import SINGLE, check_ratios, kind_of, ratio_by_layer, weights_of
from compressbench.techniques.pruning._patterns import Pattern, best_of_groups, block_scores, fitting, spread
from compressbench.techniques.pruning._ranking import MASKED, Bools, Keys, apportion, highest, sort_keys

SCOPES = ("per_layer", "per_kind", "global")
Keep = Mapping[str, Fraction]
"""Fraction of the weights that stays, by name of the layer."""
Score = Callable[[str, Tensor], Tensor]
"""Returns the score of each weight, 0 or more, given the parameter's name and value; the lowest go."""


def check_fields(ratio: float, ratios: Mapping[str, float], scope: str) -> None:
    """Raise ValueError for a ratio out of range, an unknown scope, or ratios that the scope's pools cannot have."""
    check_ratios(ratio, ratios)
    check_scope(scope)
    if scope == "global" and ratios:
        raise ValueError(f"ratios is {dict(ratios)!r}; with scope global there is one pool and one ratio")
    strange = [selector for selector in ratios if selector not in SINGLE]
    if scope == "per_kind" and strange:
        raise ValueError(f"ratios has {strange[0]!r}; with scope per_kind allowed: {', '.join(SINGLE)}")


def check_scope(scope: str) -> None:
    """Raise ValueError for an unknown scope."""
    if scope not in SCOPES:
        raise ValueError(f"scope is {scope!r}; {suggestion(scope, SCOPES)}")


def magnitude(_: str, weight: Tensor) -> Tensor:
    """Return the absolute values of weights: the score of Han et al. 2015."""
    return weight.abs()


def pruned_again(later: Any, earlier: Sequence[Technique]) -> str | None:
    """Return why a weight pruner finds nothing left to do after those before it, as far as the fields tell, or None."""
    before: Any
    for before in earlier:
        same = ("targets", "ignore", "scope")
        if not hasattr(before, "ratio") or "sparse" not in before.adds:
            continue  # no pruner of weights by a ratio
        if any(getattr(later, key) != getattr(before, key, None) for key in same):
            continue  # other weights
        if getattr(later, "pattern", None) != getattr(before, "pattern", None):
            continue
        ratios = [(later.ratio, before.ratio)]
        for selector in {*later.ratios, *before.ratios}:
            ratios.append((later.ratios.get(selector, later.ratio), before.ratios.get(selector, before.ratio)))
        if all(now <= then for now, then in ratios):
            return f"prunes the same weights again: ratio {later.ratio} after {before.ratio} sets none to zero"
    return None


def kept_fractions(
    subject: Subject,
    targets: list[str],
    ignore: list[str],
    ratio: float,
    ratios: Mapping[str, float],
    pattern: Pattern | None = None,
    kinds: tuple[str, ...] = SINGLE,
) -> dict[str, Fraction]:
    """Return 1 - ratio, exact, by name of the selected layer; what cannot have the pattern is left out and reported.

    Raises ValueError as `ratio_by_layer` and `fitting` do.
    """
    found = ratio_by_layer(subject.model, targets, ignore, ratio, ratios, kinds)
    return {name: 1 - Fraction(str(found[name])) for name in fitting(subject, found, targets, pattern)}


def check_rounds(rounds: int, retrain: TrainingConfig | None) -> None:
    """Raise ValueError for fewer than one round, or several without a training between them."""
    if rounds < 1:
        raise out_of_range("rounds", rounds, "1 or more")
    if rounds > 1 and retrain is None:
        raise ValueError(f"retrain is None with rounds {rounds!r}; say how to train between the rounds")


def prune_in_rounds(
    subject: Subject,
    context: Context,
    score_of: Callable[[Subject], Score],
    kept: Keep,
    scope: str,
    rounds: int,
    retrain: TrainingConfig | None,
    pattern: Pattern | None = None,
) -> Subject:
    """Prune in steps in which the fraction that stays falls geometrically, trained in between.

    score_of: gives the scores of a network as it is.
    """
    for number in range(1, rounds + 1):
        last = number == rounds
        step = kept if last else {name: Fraction(float(each) ** (number / rounds)) for name, each in kept.items()}
        subject = prune_weights(subject, score_of(subject), step, scope, pattern)
        if not last:
            assert retrain is not None
            subject = context.train(subject, retrain)
    return subject


def prune_weights(subject: Subject, score: Score, kept: Keep, scope: str, pattern: Pattern | None = None) -> Subject:
    """Set the weights with the lowest scores to zero, with masks that keep them there; biases stay.

    Weights that are masked already stay so. pattern: in which zeros lie; blocks compete by the sum of their scores.
    Raises ValueError if a score is not a number.
    """
    layers = weights_of(subject.model, kept)
    pools = _pools(subject.model, layers, scope)
    weights = {name: subject.model.get_parameter(name).detach() for name in layers}
    size = pattern.rows * pattern.columns if isinstance(pattern, Blocks) else 1
    asked = [sum((weights[name].numel() // size * kept[layers[name]] for name in pool), Fraction(0)) for pool in pools]
    for pool, count in zip(pools, apportion(asked), strict=True):
        earlier = {name: subject.mask(name) for name in pool}
        keys = [_unit_keys(score(name, weights[name]), earlier[name], pattern) for name in pool]
        parts = _survivors(keys, count, [weights[name].shape for name in pool], pattern)
        for name, part, own in zip(pool, parts, keys, strict=True):
            if not part.any():
                part[own.argmax()] = True
                what = f"none of its {len(part)} {'blocks' if size > 1 else 'weights'} would stay; its best one does"
                subject.skipped.append(Skipped(name.removesuffix(".weight"), what))
            keep = torch.from_numpy(_elements(part & (own != MASKED), weights[name].shape, pattern))
            mask = earlier[name]
            keep_masked(subject, name, keep if mask is None else keep & mask.cpu(), pattern)
    subject.enforce()
    return subject


def survivors(scores: Tensor, allowed: Tensor | None, count: int, pattern: Pattern | None) -> Tensor:
    """Return where the weights of a matrix, or the blocks of a pattern, with the `count` highest scores stand; of n:m
    as many as it says of every group. allowed: where a weight may stay at all; None is everywhere."""
    keys = _unit_keys(scores, allowed, pattern)
    (part,) = _survivors([keys], count, [scores.shape], pattern)
    keep = torch.from_numpy(_elements(part & (keys != MASKED), scores.shape, pattern)).to(scores.device)
    return keep if allowed is None else keep & allowed


def _unit_keys(scores: Tensor, allowed: Tensor | None, pattern: Pattern | None) -> Keys:
    """Return the keys of what goes or stays as one, flat: single weights, or the blocks of a pattern.

    allowed: where a weight may stay at all; None is everywhere.
    """
    if not isinstance(pattern, Blocks):
        return sort_keys(scores, allowed)
    if allowed is None:
        return sort_keys(block_scores(scores, pattern), None)
    there = block_scores(allowed, pattern) > 0
    return sort_keys(block_scores(scores.where(allowed, 0), pattern), there)


def _survivors(keys: list[Keys], count: int, shapes: list[torch.Size], pattern: Pattern | None) -> list[Bools]:
    """Return of each tensor, flat, what stays: so many in all, or as the pattern says of every group."""
    if isinstance(pattern, NOfM):
        pairs = zip(keys, shapes, strict=True)
        groups = [(best_of_groups(matrix_of(own.reshape(shape)), pattern), shape) for own, shape in pairs]
        return [tensor_of(found, shape).ravel() for found, shape in groups]
    survives = highest(np.concatenate(keys) if len(keys) > 1 else keys[0], count)
    return np.split(survives, np.cumsum([len(own) for own in keys])[:-1])


def _elements(part: Bools, shape: torch.Size, pattern: Pattern | None) -> Bools:
    found: Bools = spread(part, shape, pattern) if isinstance(pattern, Blocks) else part.reshape(shape)
    return found


def _pools(model: nn.Module, layers: Mapping[str, str], scope: str) -> list[list[str]]:
    """Return the names of the weights that compete with each other. layers: by name of a weight, its layer's."""
    if scope == "global":
        return [list(layers)]
    pools: dict[str | None, list[str]] = {}
    for name, layer in layers.items():
        pool = layer if scope == "per_layer" else kind_of(model.get_submodule(layer))
        pools.setdefault(pool, []).append(name)
    return list(pools.values())


def keep_masked(subject: Subject, parameter: str, keep: Tensor, pattern: Pattern | None = None) -> None:
    """Put the mask in the place of an earlier one of the same parameter. pattern: in which its zeros lie."""
    subject.constrain(Mask(parameter, keep.to(subject.model.get_parameter(parameter).device)))
    subject.store(parameter, pattern or Sparse())
