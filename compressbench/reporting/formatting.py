"""Figures as people read them: percent, points, millions, kilobytes. Empty text for what is not there."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev

NOTHING = ""

_UNITS = ((999.5, 1.0, "", 0), (99_950, 1e-3, " k", 1), (999_995_000, 1e-6, " M", 2), (float("inf"), 1e-9, " G", 2))
"""Up to where a unit is used, its factor, its name, its digits. What would round to 1000 of one is 1 of the next."""


@dataclass(frozen=True)
class Estimate:
    """Mean of one quantity over seeds. spread: sample standard deviation (n - 1), None for a single seed."""

    mean: float
    spread: float | None = None
    seeds: int = 1


def listed(*parts: str) -> str:
    """Return the parts that say something, with commas: a run may keep to no protocol."""
    return ", ".join(part for part in parts if part)


def estimate(values: list[float]) -> Estimate | None:
    """Return mean and sample standard deviation; None for no value."""
    if not values:
        return None
    return Estimate(mean(values), stdev(values) if len(values) > 1 else None, len(values))


def percent(value: Estimate | float | None) -> str:
    """Return a fraction as percent with two digits: `73.92`, with spread `73.92 ± 0.11`."""
    return _with_spread(value, 100, lambda number: f"{number:.2f}")


def points(value: Estimate | float | None) -> str:
    """Return a difference of fractions in percentage points, with its sign: `+0.52`."""
    return _with_spread(value, 100, lambda number: f"{number:+.2f}".replace("-0.00", "+0.00"))


def count(value: Estimate | float | None) -> str:
    """Return a count: `804`, `61.7 k`, `0.43 M`, `1.64 M`, `3.66 G`. Millions start early, as the papers print them."""
    if value is None:
        return NOTHING
    number = value.mean if isinstance(value, Estimate) else value
    for limit, factor, unit, digits in _UNITS:
        if abs(number) < limit:
            return _with_spread(value, factor, lambda scaled, digits=digits: f"{scaled:.{digits}f}") + unit
    raise AssertionError("a count is finite")


def size(value: Estimate | float | None) -> str:
    """Return bytes as kB of 1,000 bytes: `3,304 kB`."""
    text = _with_spread(value, 1e-3, lambda number: f"{number:,.1f}" if abs(number) < 99.95 else f"{number:,.0f}")
    return f"{text} kB" if text else NOTHING


def times(value: float | None) -> str:
    """Return how many times smaller something is: `4.0x`, `112x`."""
    return NOTHING if value is None else f"{value:.1f}x" if value < 99.95 else f"{value:.0f}x"


def relative(ours: Estimate | None, published: float | None) -> str:
    """Return how far ours is off in percent of the published count: `+0.1 %`; `±0.0 %` if it rounds to nothing."""
    if ours is None or not published:
        return NOTHING
    text = f"{(ours.mean - published) / published * 100:+.1f} %"
    return text.replace("+", "±").replace("-", "±") if text[1:] == "0.0 %" else text


def duration(seconds: float) -> str:
    """Return `12 s`, `3 min 5 s`, `1 h 2 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _with_spread(value: Estimate | float | None, factor: float, shape) -> str:  # type: ignore[no-untyped-def]
    if value is None:
        return NOTHING
    if not isinstance(value, Estimate):
        return str(shape(value * factor))
    text = str(shape(value.mean * factor))
    if value.spread is None:
        return text
    spread = str(shape(value.spread * factor)).lstrip("+")
    # A count that is the same for every seed has no spread worth a column's width.
    return text if value.spread == 0 else f"{text} ± {spread}"
