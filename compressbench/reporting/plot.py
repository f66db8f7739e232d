"""Plot: accuracy against multiply-adds and against size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from compressbench.core.record import RunRecord
from compressbench.reporting.compare import baseline
from compressbench.reporting.figures import Estimate, estimate

AXES = {"macs": ("MACs of one image, millions", 1e-6), "size_bytes": ("file, kB", 1e-3)}


def plot(records: Iterable[RunRecord], path: Path, title: str = "") -> Path:
    """Write a PNG of top1 after the final stage against `macs` and `size_bytes`, and return its path.

    A line of panels a dataset and protocol. Runs that differ only in their seed are one point, the mean, with a bar of
    one sample standard deviation. Their trained network before compression is drawn hollow, the published accuracy as a
    cross at our cost. ValueError if no record has a finished run with an accuracy.
    """
    lines = points(records)
    if not lines:
        raise ValueError("there is nothing to plot: no finished run has measured top1")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = (12, 4.5 * len(lines))
    figure, grid = pyplot.subplots(
        len(lines), len(AXES), figsize=size, sharey="row", squeeze=False, layout="constrained"
    )
    for panels, (line, groups) in zip(grid, lines.items(), strict=True):
        for panel, (measure, (caption, factor)) in zip(panels, AXES.items(), strict=True):
            for label, mine in groups.items():
                _draw(panel, label, mine, measure, factor)
            panel.set_xlabel(caption)
            panel.grid(alpha=0.3)
        panels[0].set_ylabel(f"{line}\ntop1, %")
        handles, labels = panels[-1].get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        panels[-1].legend(unique.values(), unique.keys(), fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    pyplot.close(figure)
    return path


def points(records: Iterable[RunRecord]) -> dict[str, dict[str, list[RunRecord]]]:
    """Return, by dataset and protocol, the runs of every point by its label: what was swept, or else the row."""
    groups: dict[str, dict[str, list[RunRecord]]] = {}
    for record in records:
        if record.status == "finished" and record.stages and "top1" in record.final.measurements:
            line = groups.setdefault(f"{record.dataset['name']}, {record.protocol}", {})
            line.setdefault(_label(record), []).append(record)
    return groups


def measured(records: list[RunRecord], name: str) -> Estimate | None:
    """Return a measure of the final stage over these runs."""
    return estimate([record.final.measurements[name] for record in records if name in record.final.measurements])


def _label(record: RunRecord) -> str:
    swept = {key: value for key, value in record.swept.items() if key not in ("seed", "recipe")}
    return ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in swept.items()) or record.row


def _draw(panel, label: str, records: list[RunRecord], measure: str, factor: float) -> None:  # type: ignore[no-untyped-def]
    cost, top1 = measured(records, measure), measured(records, "top1")
    if cost is None or top1 is None:
        return
    x, y = cost.mean * factor, top1.mean * 100
    bar = panel.errorbar([x], [y], yerr=[(top1.spread or 0) * 100], fmt="o", capsize=3, label=label)
    color = bar.lines[0].get_color()
    firsts = [first.measurements for record in records if (first := baseline(record)) and first is not record.final]
    before = [first for first in firsts if measure in first and "top1" in first]
    for values in before:
        spot = [values[measure] * factor], [values["top1"] * 100]
        panel.plot(*spot, "o", markerfacecolor="none", color="0.5", label="before compression")
    published = records[0].reference
    if (
        published.get("top1") is not None
        and published.get("dataset") == records[0].dataset["name"]
        and not records[0].swept
    ):
        at = published["macs"] * factor if measure == "macs" and published.get("macs") else x
        panel.plot([at], [published["top1"] * 100], "x", color=color, label="published accuracy")
