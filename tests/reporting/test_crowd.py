"""A picture of more rows than a legend can number."""

from __future__ import annotations

from dataclasses import replace

from compressbench.core.record import RunRecord, StageRecord
from compressbench.reporting.crowd import MOST, family
from compressbench.reporting.plot import _figure, lines
from tests.reporting.made import given_record, made_record


def of_kinds(*kinds: str) -> RunRecord:
    stages = [StageRecord(kind, kind, kind, {}) for kind in ("training/from_scratch", *kinds)]
    return replace(made_record(), stages=stages)


def test_the_family_of_a_row_is_that_of_what_compressed_it() -> None:
    assert family(of_kinds("pruning/l1_norm", "training/finetune", "coding/entropy")) == "pruning"
    assert family(of_kinds("quantization/round_to_nearest", "quantization/bias_correction")) == "quantization"
    assert family(of_kinds("pruning/magnitude", "sharing/kmeans", "coding/entropy")) == "stack"
    assert family(of_kinds("pruning/random_filters", "training/finetune")) == "control"
    assert family(of_kinds("coding/entropy")) == "dense"
    assert family(of_kinds("peer/nncodec_5")) == "peer"
    assert family(given_record()) == "pruning"


def crowd(hopeless: float) -> list[RunRecord]:
    """Return rows of which each is a little better and larger than the one before, and one at chance."""
    rows = [made_record(row=f"r{n}", after=0.95 + 0.001 * n, counts={"size_bytes": 1e5 + n}) for n in range(MOST)]
    return [*rows, made_record(row="beaten", after=0.951, counts={"size_bytes": 2e5}), worst(hopeless)]


def worst(top1: float) -> RunRecord:
    return made_record(row="hopeless", after=top1, counts={"size_bytes": 3e5, "macs": 1e9, "params": 1e9})


def test_only_rows_that_none_beats_are_named_and_the_others_have_the_colour_of_their_family() -> None:
    figure = _figure(lines(crowd(0.94)), "")
    [legend] = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[0] == "pruning"
    assert labels[-MOST:] == [f"{n + 1}  r{n}" for n in range(MOST)]
    assert not [label for label in labels if "beaten" in label or "hopeless" in label]
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert texts == {str(n + 1) for n in range(MOST)}


def test_what_is_far_below_the_others_stands_at_the_end_of_the_picture_and_is_marked() -> None:
    figure = _figure(lines(crowd(0.1)), "")
    [legend] = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert "beyond the picture" in [text.get_text() for text in legend.get_texts()]
    bottom, _ = figure.axes[0].get_ylim()
    assert 80 < bottom < 95
    [arrow] = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    assert list(arrow.get_xdata()) == [300.0]


def test_thirty_rows_are_numbered_one_by_one() -> None:
    figure = _figure(lines(crowd(0.1)[:MOST]), "")
    assert len(figure.axes[0].texts) == MOST
    assert figure.axes[0].get_ylim()[0] > 94
