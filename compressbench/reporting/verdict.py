"""Verdicts: is a published figure reproduced?

Counts, relative to the print, or to `reference.corrected` where the print is wrong:
    reproduced        ours, rounded to the print's digits, is the print;
    within tolerance  the relative difference is at most `reference.tolerance` of that count.
What is not zero of a sparse network, and all that is no count and says which side is good (bytes, milliseconds), while
    the primary metric does not differ: no tolerance has to be widened for the good side:
    above             better than the print by more than `reference.tolerance` of it;
    reproduced        the print, by rounding as above, or better;
    within tolerance  at most that much worse.
    Where the primary metric differs, or is not judged, fewer are no better: they are judged as any other count.
The task's primary metric (top1), on the paper's own dataset, in the direction that its metric says is better:
    reproduced        the mean over seeds is no worse than the print by more than 0.05 points of a fraction, of anything
                      else by more than half a unit of the print's last digit;
    above             it is better than the print by more than that and `reference.tolerance` of it;
    within tolerance  it is worse by at most that tolerance.
    The change (after minus before, paired by seed) stands beside it, judged by the same rule; it decides nothing.
The primary metric, on any other dataset: levels cannot be compared, so the change takes their place, against the
    paper's change, by the same rule. A row that changes nothing has no such verdict. Beside it stands the level at
    equal handicap: the print minus what `reference.handicap`, a row without compression, lacks to its own print on our
    data. It decides nothing either.
Anything else differs. A better score or more compression than published never counts against a row, but it is not what
was published, so it is called by its own name and never counted as reproduced. Other scores (top5) are shown, not
judged. A row's verdict is the first of these that one of its figures has: differs, within tolerance, above, reproduced.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

REPRODUCED = "reproduced"
ABOVE = "above"
WITHIN = "within tolerance"
DIFFERS = "differs"
NOT_RUN = "not run"
NO_FIGURES = "nothing published"

AGREES = (REPRODUCED, WITHIN)
"""Verdicts of a figure that is what was published."""

ACCURACY_MARGIN = 0.0005
_SLACK = 1e-9  # means of fractions are not exact in binary


def count_verdict(ours: float, published: float, tolerance: float) -> str:
    """Judge a count that has no good side; tolerance is relative to the published figure."""
    if rounded_like(ours, published) == Decimal(repr(float(published))):
        return REPRODUCED
    return WITHIN if abs(ours - published) <= tolerance * abs(published) + _SLACK else DIFFERS


def sided_verdict(ours: float, published: float, tolerance: float, higher_is_better: bool = False) -> str:
    """Judge what has a good side, as bytes and non-zero parameters have, of which fewer are better; tolerance is
    relative to the published figure."""
    if rounded_like(ours, published) == Decimal(repr(float(published))):
        return REPRODUCED
    lead = ours - published if higher_is_better else published - ours
    if lead > tolerance * abs(published) + _SLACK:
        return ABOVE
    if lead >= 0:
        return REPRODUCED
    return WITHIN if -lead <= tolerance * abs(published) + _SLACK else DIFFERS


def score_verdict(lead: float, margin: float, tolerance: float) -> str:
    """Judge a score on the test split, or a change of it. lead: how much better ours is, in the score's unit.

    margin: what a print leaves open (`margin_of`). tolerance: absolute.
    """
    if lead > max(tolerance, margin) + _SLACK:
        return ABOVE
    if lead >= -margin - _SLACK:
        return REPRODUCED
    return WITHIN if lead >= -tolerance - _SLACK else DIFFERS


def margin_of(unit: str, published: float) -> float:
    """Return how far a score may be below its print and still be what was printed: of a fraction 0.05 points, of
    anything else half a unit of its last digit."""
    if unit == "fraction":
        return ACCURACY_MARGIN
    exponent = int(Decimal(repr(float(published))).normalize().as_tuple().exponent)
    return 0.5 * 10.0**exponent


def alike(one: str, other: str) -> bool:
    """Whether two verdicts say the same: both that it is what was published, both above it, or both below."""
    return one == other or (one in AGREES and other in AGREES)


def rounded_like(ours: float, published: float) -> Decimal:
    """Return ours rounded to as many digits as the published figure has, but at least two.

    804,593 beside 0.80e6 becomes 800,000: the zero that the number lost in the file is still a printed digit.
    """
    printed = Decimal(repr(float(published))).normalize()
    exponent = min(int(printed.as_tuple().exponent), printed.adjusted() - 1)
    return (Decimal(repr(float(ours))).scaleb(-exponent)).quantize(Decimal(1), ROUND_HALF_UP).scaleb(exponent)


def worst(verdicts: Iterable[str]) -> str:
    """Return the verdict of a row by those of its figures; `nothing published` if there is none."""
    order = (DIFFERS, WITHIN, ABOVE, REPRODUCED)
    found = set(verdicts)
    return next((verdict for verdict in order if verdict in found), NO_FIGURES)
