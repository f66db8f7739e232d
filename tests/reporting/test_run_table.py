"""The table at the end of a run."""

from dataclasses import replace

from compressbench.reporting.run_table import remarks, run_table, stage_grid
from tests.reporting.made import given_record, made_record, plain


def test_every_stage_has_a_row_and_the_published_figures_stand_beneath() -> None:
    grid = stage_grid(made_record())
    assert [row[0] for row in grid.rows] == ["train", "prune", "finetune", "published before", "published"]
    prune = dict(zip(grid.headings, grid.rows[1], strict=True))
    assert prune["top1 %"] == "11.35"  # right after pruning, before any fine-tuning
    assert prune["change, points"] == "-87.35"  # 11.35 - 98.70
    assert prune["MACs"] == "5.42 M"
    published = dict(zip(grid.headings, grid.rows[-1], strict=True))
    assert published["top1 %"] == "98.53"
    assert published["change, points"] == "-0.15"
    assert published["survey FLOPs"] == "32.61 M"


def test_the_given_network_has_a_row_and_changes_are_against_it() -> None:
    grid = stage_grid(given_record())
    change = grid.headings.index("change, points")
    assert [(row[0], row[change]) for row in grid.rows] == [("given", "+0.00"), ("prune", "-76.39")]
    text = plain(run_table(given_record()))
    assert "98.89" in text
    assert "-76.39" in text


def test_a_change_is_empty_where_there_was_nothing_before_compression() -> None:
    record = made_record(reference={})
    record.stages[0].kind = "pruning/gradual"
    assert "change, points" not in stage_grid(record).headings


def test_a_network_that_is_trained_on_first_has_no_change_against_what_comes_after_it() -> None:
    record = replace(made_record(reference={}), given=given_record().given)
    record.stages[0].kind = "training/finetune"
    grid = stage_grid(record)
    change = grid.headings.index("change, points")
    assert [row[change] for row in grid.rows] == ["", "+0.00", "-87.35", "-0.10"]


def test_a_run_without_published_figures_shows_only_its_stages() -> None:
    assert len(stage_grid(made_record(reference={})).rows) == 3


def test_cached_stages_missed_limits_skipped_layers_and_failures_are_said() -> None:
    record = replace(made_record(), missed=["macs is 5; at most 4"], status="failed", error="loss is NaN")
    record.stages[0].cached = True
    record.stages[1].skipped = [["conv1", "it is kept"]]
    text = plain(run_table(record))
    for words in (
        "cached",
        "limit missed: macs is 5; at most 4",
        "left out by prune: conv1: it is kept",
        "loss is NaN",
    ):
        assert words in text


def test_plain_text_has_no_colours_and_cuts_no_line() -> None:
    text = plain(run_table(made_record()))
    assert "\x1b" not in text
    assert "…" not in text
    [line] = [line for line in text.splitlines() if "finetune" in line]
    assert "98.60" in line
    assert "4,122 kB" in line


def test_a_run_that_failed_in_its_first_stage_still_has_a_table() -> None:
    text = plain(run_table(replace(made_record(), stages=[], status="failed", error="disk is full")))
    assert "disk is full" in text


def test_a_narrow_console_leaves_columns_out_and_names_them_rather_than_cutting_words() -> None:
    text = plain(run_table(made_record()), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "too narrow to show: time, technique" in text
    assert "published" in text
    assert "-87.35" in text


def test_how_given_weights_were_matched_and_what_no_formula_counts_stands_beneath() -> None:
    record = given_record()
    assert record.given is not None
    record.given.setting["weights"] = "all 44 tensors by name"
    record.layers = [{"name": "odd", "kind": "Bilinear", "params": 68, "macs": 0, "not_counted": ["_trilinear"]}]
    said = remarks(record)
    assert "note: given weights: all 44 tensors by name" in said
    assert "not counted: the MACs of odd (Bilinear): no formula for _trilinear" in said
