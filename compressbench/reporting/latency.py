"""Latency: how many times as fast as the dense network, by runtime and batch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.page import Grid

HEADINGS = [
    "runtime, batch",
    "ms a batch",
    "times as fast as dense",
    "quartiles apart",
    "as dense in eager torch",
    "same top1 as dense %",
]


def latency_grid(comparisons: list[Comparison]) -> Grid:
    """Return a row for every runtime and batch that was timed, means over seeds; of the final stage."""
    grid = Grid("Latency", ["row", *HEADINGS], left=2)
    for comparison in comparisons:
        for number, cells in enumerate(timings(comparison.after)):
            grid.rows.append(["" if number else comparison.row, *cells])
    return grid


def timings(found: Mapping[str, formatting.Estimate]) -> list[list[str]]:
    """Return the cells under `HEADINGS` for what `metrics.latency` has measured; empty if it did not."""
    rows = []
    for key, runtime, batch in timed(found):
        cells = [_digits(found.get(f"{key}_{what}")) for what in ("ms", "ratio", "ratio_spread", "ratio_eager")]
        rows.append([f"{runtime}, {batch}", *cells, formatting.percent(found.get(f"latency_{runtime}_agreement"))])
    return rows


def timed(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return what was timed, of the names of metrics: key (`latency_onnx_b64`), runtime and batch."""
    found = (re.fullmatch(r"(latency_(\w+)_b(\d+))_ms", name) for name in names)
    return [(match[1], match[2], match[3]) for match in found if match]


def _digits(value: formatting.Estimate | None) -> str:
    return formatting.NOTHING if value is None else f"{value.mean:.2f}"
