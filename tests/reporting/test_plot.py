"""Plots of accuracy against cost."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from compressbench.core.errors import PlanError
from compressbench.core.record import RunRecord
from compressbench.reporting.plot import _figure, before, lines, measured, plot
from tests.reporting.made import given_record, made_record


def sweep(**more: str) -> list:
    return [
        replace(
            made_record(seed, after=0.99 - ratio / 100, ratio=ratio),
            sweeps={"s1": {"stages.prune.ratio": str(ratio), "seed": str(seed), **more}},
        )
        for ratio in (0.5, 0.1, 1e-3)
        for seed in (0, 1)
    ]


def test_a_sweep_is_one_line_in_the_order_of_the_swept_value_and_seeds_are_one_point() -> None:
    [(panel, found)] = lines(sweep()).items()
    [(label, line)] = found.items()
    assert (panel, label) == ("mnist, steps_160", "mnist_l1norm_50")
    assert {value: len(runs) for value, runs in line.items()} == {"0.001": 2, "0.1": 2, "0.5": 2}
    assert list(line) == ["0.001", "0.1", "0.5"]
    top1 = measured(line["0.5"], "top1")
    assert top1 is not None
    assert top1.mean == pytest.approx(0.985)


def test_a_swept_technique_makes_a_line_each() -> None:
    key = {"stages.prune.technique": "pruning/random_filters"}
    [found] = lines([*sweep(), *sweep(**key)]).values()
    assert list(found) == ["mnist_l1norm_50", "mnist_l1norm_50, technique=pruning/random_filters"]
    assert [list(line) for line in found.values()] == [["0.001", "0.1", "0.5"]] * 2


def test_rows_are_a_point_each() -> None:
    rows = [replace(made_record(row=row), sweeps={"s1": {"recipe": f"table5/{row}"}}) for row in ("a", "b")]
    [found] = lines(rows).values()
    assert {label: list(line) for label, line in found.items()} == {"a": [""], "b": [""]}


def test_datasets_and_protocols_are_never_one_point() -> None:
    records = [made_record(), made_record(dataset="kmnist"), made_record(protocol="reduced")]
    assert list(lines(records)) == ["mnist, steps_160", "kmnist, steps_160", "mnist, reduced"]


def drawn(records: list) -> list[Axes]:
    return [axes for axes in _figure(lines(records), "").axes if axes.axison]


def latency(row: str, after: float, ms: float) -> RunRecord:
    made = made_record(row=row, after=after)
    made.stages[0].metrics["latency_onnx_b64_ms"] = 20.0
    made.final.metrics["latency_onnx_b64_ms"] = ms
    return made


def test_an_axis_whose_costs_span_decades_is_logarithmic_and_units_are_named() -> None:
    file, macs, _ = drawn([made_record(counts={"size_bytes": 1e5}), made_record(row="other")])
    assert (file.get_xscale(), file.get_xlabel()) == ("log", "file, kB")
    assert (macs.get_xscale(), macs.get_xlabel()) == ("linear", "MACs, millions")
    assert file.get_ylabel() == "mnist, steps_160\ntop1, %"


def test_a_table_about_latency_is_drawn_against_latency() -> None:
    found = drawn([latency("int8", 0.98, 5.0), latency("pruned", 0.97, 8.0)])
    assert [axes.get_xlabel() for axes in found] == ["file, kB", "onnx, 64: ms a batch"]


def test_what_costs_all_rows_the_same_is_no_axis() -> None:
    before = made_record().stages[0].metrics
    rows = [made_record(row=row, counts={name: before[name] for name in ("macs", "params")}) for row in "ab"]
    assert [axes.get_xlabel() for axes in drawn(rows)] == ["file, kB"]


def test_labels_hide_neither_each_other_nor_a_point() -> None:
    places = [(0.98 + 0.00015 * (n % 5), 4e6 + 1e5 * (n // 5)) for n in range(25)]
    rows = [made_record(row=f"r{n}", after=top1, counts={"size_bytes": size}) for n, (top1, size) in enumerate(places)]
    axes = drawn(rows)[0]
    axes.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # an annotation would count its line
    assert sorted(int(text.get_text()) for text in axes.texts) == list(range(1, 26))
    assert not [one for one, other in combinations(boxes, 2) if one.overlaps(other)]
    points = [axes.transData.transform((size * 1e-3, top1 * 100)) for top1, size in places]
    assert not [box for box in boxes for point in points if box.contains(*point)]


def test_the_front_the_network_before_and_what_a_number_means_stand_in_the_legend() -> None:
    rows = [made_record(row="b", after=0.97), made_record(row="a", after=0.98, counts={"size_bytes": 2e6})]
    figure = _figure(lines(rows), "")
    [legend] = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:2] == ["1  b", "2  a"]
    assert {"Pareto front", "before compression"} <= set(labels)
    front = next(line for line in figure.axes[0].lines if line.get_label() == "Pareto front")
    assert list(front.get_xdata()) == [2000.0]  # `a` costs less and is better


def test_a_given_network_is_the_one_before_compression() -> None:
    cost, top1 = (before([given_record()], name) for name in ("macs", "top1"))
    assert cost is not None
    assert top1 is not None
    assert (cost.mean, top1.mean) == (14_361_600, 0.9889)


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    path = plot([*sweep(), made_record(5)], tmp_path / "plots" / "table5.png", "table5")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 10_000


def test_nothing_to_plot_an_unknown_ending_and_an_unwritable_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="nothing to plot"):
        plot([replace(made_record(), status="failed")], tmp_path / "plot.png")
    with pytest.raises(PlanError, match=r"the ending '\.txt'"):
        plot([made_record()], tmp_path / "plot.txt")
    with pytest.raises(PlanError, match="cannot write"):
        plot([made_record()], Path("/proc/nowhere/plot.png"))
