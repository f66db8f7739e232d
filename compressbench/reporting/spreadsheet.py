"""Spreadsheet: tables as CSV, and the comparisons as such. Fractions and plain numbers."""

from __future__ import annotations

import csv
import io
from typing import Any

from compressbench.core.specs import scores
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.formatting import Estimate

DECIMALS = 6
"""A hundredth of an image of a test split of 10,000; more would be noise of the arithmetic."""


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return the rows with a heading line; every key of any of them is a column, what is not known is empty."""
    headings = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, headings, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def comparison_row(comparison: Comparison) -> dict[str, object]:
    """Return the line of one row, dataset and protocol. `_spread`: sample standard deviation over seeds."""
    published = comparison.reference
    row: dict[str, object] = {
        "row": comparison.row,
        "dataset": comparison.dataset,
        "protocol": comparison.protocol,
        "seeds": " ".join(map(str, comparison.seeds)),
        "verdict": comparison.verdict,
        "verdicts": _listed(comparison.verdicts),
        "beside": _listed(comparison.beside),
    }
    scored = [spec.name for spec in scores(comparison.specs)]
    others = {name: spec for name, spec in comparison.specs.items() if name not in scored}
    for name in scored:
        row |= _both(f"{name}_before", comparison.before.get(name)) | _both(name, comparison.after.get(name))
        row |= _both(f"{name}_change", comparison.change.get(name))
        row[f"published_{name}_before"] = published.before.get(name)
        row[f"published_{name}"] = published.figures.get(name)
    for name in others:
        row |= _both(name, comparison.after.get(name))
    for name in [name for name, spec in others.items() if any(each.published_as == name for each in others.values())]:
        compared = comparison.counted(name)
        row[f"{name}_compared"] = compared.mean if compared else None
    row["times_smaller"] = _rounded(comparison.times_smaller)
    printed = [name for name, spec in others.items() if not (spec.published_as or spec.sparse_for or spec.table)]
    row |= {f"published_{name}": published.figures.get(name) for name in printed}
    handicap = comparison.handicap
    row["handicap"], row["handicap_row"] = (_rounded(handicap.points), handicap.row) if handicap else (None, None)
    row[f"published_{comparison.level_key}"] = _rounded(comparison.published_at_equal_handicap)
    row["published_dataset"], row["source"], row["note"] = published.dataset, published.source, published.note
    return row


def _listed(verdicts: dict[str, str]) -> str:
    return "; ".join(f"{name}: {found}" for name, found in verdicts.items())


def _both(name: str, value: Estimate | None) -> dict[str, object]:
    mean, spread = (value.mean, value.spread) if value else (None, None)
    return {name: _rounded(mean), f"{name}_spread": _rounded(spread)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
