"""Judging: which figure of a row is held against which published one. The rules are in `verdict.py`."""

from __future__ import annotations

from dataclasses import replace

from compressbench.reporting import verdict as rules
from compressbench.reporting.comparison import CHANGE, COUNTS, LEVEL, Comparison, counted


def judged(ours: Comparison) -> Comparison:
    """Return the comparison with the verdicts on its figures."""
    deciding, beside = _accuracy(ours)
    return replace(ours, verdicts=_counts(ours, deciding) | deciding, beside=beside)


def _accuracy(ours: Comparison) -> tuple[dict[str, str], dict[str, str]]:
    """Return the verdict on accuracy that decides, and the one that stands beside it."""
    tolerance = ours.reference.tolerance.get("top1", 0.0)
    change, published_change = ours.change.get("top1"), ours.published_change("top1")
    after, deciding, beside = ours.after.get("top1"), {}, {}
    changed = {}
    if change is not None and published_change is not None:
        changed = {CHANGE: rules.accuracy_verdict(change.mean, published_change, tolerance)}
    if not ours.same_dataset:
        deciding, level = changed, ours.published_at_equal_handicap
        if after is not None and level is not None:
            beside = {LEVEL: rules.accuracy_verdict(after.mean, level, tolerance)}
    elif after is not None and (level := ours.reference.figures.get("top1")) is not None:
        deciding, beside = {"top1": rules.accuracy_verdict(after.mean, level, tolerance)}, changed
    return deciding, beside


def _counts(ours: Comparison, accuracy: dict[str, str]) -> dict[str, str]:
    reference, found = ours.reference, {}
    holds = bool(accuracy) and rules.DIFFERS not in accuracy.values()
    for name in (*COUNTS, "size_bytes"):
        published, value = reference.figures.get(name), counted(ours.after, name)
        if published is not None and value is not None:
            right = reference.corrected.get(name, published)
            fewer = holds and (name == "size_bytes" or (name == "params" and ours.sparse))
            rule = rules.fewer_verdict if fewer else rules.count_verdict
            found[name] = rule(value.mean, right, reference.tolerance.get(name, 0.0))
    return found
