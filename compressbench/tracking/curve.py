"""The plot of a sweep: accuracy against work."""

from __future__ import annotations

from pathlib import Path

from compressbench.core.record import RunRecord


def plot(records: list[RunRecord], points: list[tuple[int, dict[str, float]]], scale: int, path: Path) -> Path:
    """Draw top1 against MACs: a dot a run, a line through the means of each point; return `path`, a PNG.

    points: (step, figures); the step divided by `scale` is the swept value, written beside its dot.
    """
    from matplotlib.figure import Figure  # no pyplot: it would keep global state and look for a screen

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    done = [run.final.measurements for run in records if run.status == "finished" and run.stages]
    done = [figures for figures in done if {"top1", "macs"} <= figures.keys()]
    axes.scatter([one["macs"] / 1e6 for one in done], [one["top1"] * 100 for one in done], s=14, alpha=0.5)
    line = [(step, figures) for step, figures in points if {"top1", "macs"} <= figures.keys()]
    axes.plot([one["macs"] / 1e6 for _, one in line], [one["top1"] * 100 for _, one in line], marker="o")
    for step, one in line:
        where = (one["macs"] / 1e6, one["top1"] * 100)
        axes.annotate(f"{step / scale:g}", where, textcoords="offset points", xytext=(5, 5), fontsize=8)
    axes.set(xlabel="MACs (millions)", ylabel="top1 on the test split (%)", title=records[0].recipe)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    return path
