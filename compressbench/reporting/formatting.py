"""Figures as people read them: percent, points, millions, kilobytes. Empty text for what is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, stdev
from typing import NamedTuple

from compressbench.core.metric import MetricSpec

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


def number(value: Estimate | float | None) -> str:
    """Return any other figure: four decimals, or one from 100 on."""
    return _with_spread(value, 1.0, lambda each: f"{each:.4f}" if abs(each) < 99.995 else f"{each:,.1f}")


def hundredths(value: Estimate | float | None) -> str:
    """Return a time or a ratio: two decimals, without a spread, which is a figure of its own."""
    return NOTHING if value is None else f"{value.mean if isinstance(value, Estimate) else value:.2f}"


class Format(NamedTuple):
    """How figures of a format are shown. sign: stands behind a heading. of_difference: the unit of a difference.
    axis: the unit of an axis, and what a value is multiplied by."""

    show: Callable[[Estimate | float | None], str]
    sign: str = ""
    of_difference: str = ""
    axis: tuple[str, float] = ("", 1.0)


FORMATS = {
    "percent": Format(percent, "%", "points", ("%", 100.0)),
    "count": Format(count, axis=("millions", 1e-6)),
    "bytes": Format(size, axis=("kB", 1e-3)),
    "ms": Format(hundredths),
    "ratio": Format(hundredths),
    "number": Format(number),
}


def shown(spec: MetricSpec, value: Estimate | float | None) -> str:
    """Return a figure as its metric wants it shown; empty for what is not there."""
    return FORMATS[spec.format].show(value)


def difference(spec: MetricSpec, value: Estimate | float | None) -> str:
    """Return a difference of two figures, with its sign."""
    if spec.format == "percent":
        return points(value)
    text = shown(spec, value)
    return text if not text or text.startswith("-") else f"+{text}"


def title(spec: MetricSpec, heading: str = "") -> str:
    """Return what stands above a column of figures: `top1 %`. heading: in the place of the metric's own."""
    return f"{heading or spec.heading} {FORMATS[spec.format].sign}".strip()


def sign(spec: MetricSpec) -> str:
    """Return what stands behind a figure in a sentence: `%`."""
    return FORMATS[spec.format].sign


def in_units(spec: MetricSpec, text: str) -> str:
    """Return a difference that was made text, with its unit: `1.00 points`."""
    return f"{text} {FORMATS[spec.format].of_difference}".strip()


def change_title(spec: MetricSpec) -> str:
    """Return what stands above a column of changes: `change, points`."""
    return ", ".join(filter(None, ["change", FORMATS[spec.format].of_difference]))


def axis(spec: MetricSpec) -> tuple[str, float]:
    """Return the caption of an axis, and what a value is multiplied by to stand on it."""
    unit, factor = FORMATS[spec.format].axis
    heading = f"{spec.rows[0]}: {spec.heading}" if spec.rows else spec.heading
    return ", ".join(filter(None, [heading, unit])), factor


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
