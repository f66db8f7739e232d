"""Figures in tables of their own, as latencies have them, in reports and at the end of a run."""

from __future__ import annotations

from pathlib import Path

from compressbench.core.record import RunRecord
from compressbench.reporting.gather import commit_records
from compressbench.reporting.run_table import run_table
from compressbench.reporting.small_tables import of_run
from compressbench.reporting.table import report
from tests.metric_specs import SPECS
from tests.reporting.made import made_record, plain

TIMED = {
    "latency_onnx_b64_ms": 5.58,
    "latency_onnx_b64_ratio": 3.4,
    "latency_onnx_b64_ratio_spread": 0.153,
    "latency_onnx_b64_ratio_eager": 3.45,
    "latency_torch_b1_ms": 1.09,
    "latency_torch_b1_ratio": 3.73,
    "latency_torch_b1_ratio_spread": 0.98,
    "latency_onnx_agreement": 0.987,
    "latency_torch_agreement": 0.986,
}


def timed_record(seed: int = 0, **others: float) -> RunRecord:
    record = made_record(seed)
    record.stages[-1].metrics |= TIMED | others
    return record


def test_a_report_says_time_ratio_spread_and_agreement_for_every_runtime_and_batch(tmp_path: Path) -> None:
    commit_records([timed_record(), timed_record(1, latency_onnx_b64_ratio=3.6)], tmp_path / "table5" / "records")
    text = report("table5", tmp_path, [tmp_path], {}, "markdown")
    assert isinstance(text, str)
    assert "|  | onnx, 64 | 5.58 | 3.50 | 0.15 | 3.45 | 98.70 |" in text  # the mean of 3.4 and 3.6
    assert "| mnist_l1norm_50 | torch, 1 | 1.09 | 3.73 | 0.98 |  | 98.60 |" in text
    assert "rounds in which both take turns" in text


def test_a_report_without_timings_does_not_speak_of_latency(tmp_path: Path) -> None:
    commit_records([made_record()], tmp_path / "table5" / "records")
    assert "atency" not in str(report("table5", tmp_path, [tmp_path], {}, "markdown"))
    assert of_run(SPECS, {"top1": 0.9}) == []


def test_a_run_that_was_timed_shows_it_at_its_end() -> None:
    assert "onnx, 64" in plain(run_table(timed_record()))
    assert "onnx, 64" not in plain(run_table(made_record()))
