"""Judging: which figure of a row is held against which published one. The rules are in `verdict.py`."""

from __future__ import annotations

from dataclasses import replace

from compressbench.reporting import verdict as rules
from compressbench.reporting.comparison import Comparison


def judged(ours: Comparison) -> Comparison:
    """Return the comparison with the verdicts on its figures."""
    deciding, beside = _accuracy(ours)
    return replace(ours, verdicts=_counts(ours, deciding) | deciding, beside=beside)


def _accuracy(ours: Comparison) -> tuple[dict[str, str], dict[str, str]]:
    """Return the verdict on the primary metric that decides, and the one that stands beside it."""
    tolerance, printed = ours.reference.tolerance.get(ours.primary, 0.0), ours.reference.figures.get(ours.primary)
    change, published_change = ours.change.get(ours.primary), ours.published_change(ours.primary)
    after, sign = ours.after.get(ours.primary), 1 if ours.score.higher_is_better else -1
    if printed is None:
        return {}, {}
    margin = rules.margin_of(ours.score.unit, printed)

    def verdict(own: float, published: float) -> str:
        return rules.score_verdict(sign * (own - published), margin, tolerance)

    changed = {}
    if change is not None and published_change is not None:
        changed = {ours.change_key: verdict(change.mean, published_change)}
    if ours.same_dataset:
        return ({ours.primary: verdict(after.mean, printed)}, changed) if after is not None else ({}, {})
    level = ours.published_at_equal_handicap
    beside = {ours.level_key: verdict(after.mean, level)} if after is not None and level is not None else {}
    return changed, beside


def _counts(ours: Comparison, accuracy: dict[str, str]) -> dict[str, str]:
    """Return the verdicts on what does not hang on the data. Counts have a good side where the network is sparse, all
    else has one where metrics say so; but only while the primary metric does not differ."""
    reference, found = ours.reference, {}
    holds = bool(accuracy) and rules.DIFFERS not in accuracy.values()
    for name, spec in ours.specs.items():
        published, value = reference.figures.get(name), ours.counted(name)
        if spec.on_data or published is None or value is None:
            continue
        right, tolerance = reference.corrected.get(name, published), reference.tolerance.get(name, 0.0)
        sided = spec.higher_is_better is not None and (spec.unit != "count" or ours.sparse(name) is not None)
        if holds and sided:
            found[name] = rules.sided_verdict(value.mean, right, tolerance, bool(spec.higher_is_better))
        else:
            found[name] = rules.count_verdict(value.mean, right, tolerance)
    return found
