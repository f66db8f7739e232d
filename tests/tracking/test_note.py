"""The description on top of a run."""

from __future__ import annotations

from dataclasses import replace

from compressbench.tracking.note import note
from tests.tracking.records import record


def test_the_note_has_every_stage_and_the_published_figures_in_one_table() -> None:
    lines = note(record(0.5)).splitlines()
    assert "| stage | technique | top1 | top5 | params | non-zero | MACs | survey FLOPs | bytes |" in lines
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    assert list(rows)[1:] == ["train", "prune", "finetune", "published, before", "published"]
    assert "98.58\u00a0%" in rows["finetune"]
    assert "3,837,500" in rows["finetune"]
    assert "1,050,000" in rows["published"]


def test_the_note_repeats_what_was_left_out_missed_and_doubted() -> None:
    text = note(replace(record(), missed=["macs is 3837500; allowed: 1000000"], error="it broke"))
    assert "- prune: conv1: kept by the recipe" in text
    assert "- macs is 3837500; allowed: 1000000" in text
    assert "**Failed:** it broke" in text
    assert "Note: the paper prints the top5 of another row" in text


def test_a_run_without_figures_says_so() -> None:
    assert "Nothing was measured." in note(replace(record(), stages=[], reference={}))
