"""Spreadsheet: the comparisons as CSV. Fractions and plain numbers, one line a row, dataset and protocol."""

from __future__ import annotations

import csv
import io

from compressbench.reporting.compare import ACCURACIES, COUNTS, Comparison, counted
from compressbench.reporting.figures import Estimate

MEASURED = ["params", "params_nonzero", "params_without_bn", "params_without_bn_nonzero"]
MEASURED += ["macs", "macs_nonzero", "flops_survey", "size_bytes"]


def as_csv(comparisons: list[Comparison]) -> str:
    """Return CSV with a heading line; what is not known is empty. `_spread`: sample standard deviation over seeds."""
    rows = [_row(comparison) for comparison in comparisons]
    headings = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, headings, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _row(comparison: Comparison) -> dict[str, object]:
    published = comparison.reference
    row: dict[str, object] = {
        "row": comparison.row,
        "dataset": comparison.dataset,
        "protocol": comparison.protocol,
        "seeds": " ".join(map(str, comparison.seeds)),
        "verdict": comparison.verdict,
        "verdicts": "; ".join(f"{name}: {found}" for name, found in comparison.verdicts.items()),
    }
    for name in ACCURACIES:
        row |= _both(f"{name}_before", comparison.before.get(name)) | _both(name, comparison.after.get(name))
        row |= _both(f"{name}_change", comparison.change.get(name))
        row[f"published_{name}_before"] = published.before.get(name)
        row[f"published_{name}"] = getattr(published, name)
    for name in MEASURED:
        row |= _both(name, comparison.after.get(name))
    compared = counted(comparison.after, "params")
    row["params_compared"] = compared.mean if compared else None
    row |= {f"published_{name}": getattr(published, name) for name in COUNTS}
    row["published_dataset"], row["source"], row["note"] = published.dataset, published.source, published.note
    return row


def _both(name: str, value: Estimate | None) -> dict[str, object]:
    return {name: value.mean if value else None, f"{name}_spread": value.spread if value else None}
