"""Verdicts: is a published figure reproduced?

Counts (params, macs, flops_survey), relative to the print, or to `reference.corrected` where the print is wrong:
    reproduced        ours, rounded to the print's digits, is the print;
    within tolerance  the relative difference is at most `reference.tolerance` of that count.
size_bytes, the length of the file, on any dataset:
    reproduced        the mean over seeds is at most the print;
    better            it is shorter by more than `reference.tolerance.size_bytes` (relative);
    within tolerance  it is at most that much longer.
top1, on the paper's own dataset:
    reproduced        the mean over seeds is at least the print minus 0.05 points;
    better            it is above the print by more than 0.05 points and `reference.tolerance.top1`;
    within tolerance  it is at least the print minus `reference.tolerance.top1`.
top1, on any other dataset: levels cannot be compared, so the *change* (after minus before, paired by seed) takes
    their place, against the paper's change, by the same two rules. A row that changes nothing has no accuracy verdict.
Anything else differs. More accuracy than published never counts against a row, but it is not what was published, so it
is called by its own name. top5 is shown, not judged. A row's verdict is the first of these that one of its figures has:
differs, within tolerance, better, reproduced.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

REPRODUCED = "reproduced"
BETTER = "better"
WITHIN = "within tolerance"
DIFFERS = "differs"
NOT_RUN = "not run"
NO_FIGURES = "nothing published"

ACCURACY_MARGIN = 0.0005
_SLACK = 1e-9  # means of fractions are not exact in binary


def count_verdict(ours: float, published: float, tolerance: float) -> str:
    """Judge one count; tolerance is relative to the published figure."""
    if rounded_like(ours, published) == Decimal(repr(float(published))):
        return REPRODUCED
    return WITHIN if abs(ours - published) <= tolerance * abs(published) + _SLACK else DIFFERS


def size_verdict(ours: float, published: float, tolerance: float) -> str:
    """Judge a file's length; tolerance is relative to the published one."""
    if ours < (1 - tolerance) * published - _SLACK:
        return BETTER
    if ours <= published:
        return REPRODUCED
    return WITHIN if ours <= (1 + tolerance) * published + _SLACK else DIFFERS


def accuracy_verdict(ours: float, published: float, tolerance: float) -> str:
    """Judge an accuracy, or a change in accuracy; all three are fractions."""
    if ours > published + max(tolerance, ACCURACY_MARGIN) + _SLACK:
        return BETTER
    if ours >= published - ACCURACY_MARGIN - _SLACK:
        return REPRODUCED
    return WITHIN if ours >= published - tolerance - _SLACK else DIFFERS


def rounded_like(ours: float, published: float) -> Decimal:
    """Return ours rounded to as many digits as the published figure has, but at least two.

    804,593 beside 0.80e6 becomes 800,000: the zero that the number lost in the file is still a printed digit.
    """
    printed = Decimal(repr(float(published))).normalize()
    exponent = min(int(printed.as_tuple().exponent), printed.adjusted() - 1)
    return (Decimal(repr(float(ours))).scaleb(-exponent)).quantize(Decimal(1), ROUND_HALF_UP).scaleb(exponent)


def worst(verdicts: Iterable[str]) -> str:
    """Return the verdict of a row by those of its figures; `nothing published` if there is none."""
    order = (DIFFERS, WITHIN, BETTER, REPRODUCED)
    found = set(verdicts)
    return next((verdict for verdict in order if verdict in found), NO_FIGURES)
