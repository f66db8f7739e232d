"""What is left beside the records for people."""

import csv
import io
from dataclasses import replace

from compressbench.core.sweep import Outcome, SweepRecord
from compressbench.reporting.files import run_files, sweep_files
from tests.reporting.made import given_record, made_record


def test_a_run_leaves_its_stages_the_published_figures_and_what_has_to_be_said() -> None:
    record = replace(made_record(), missed=["macs is 5 | at most 4"], layers=[{"name": "conv1"}, {"params": 10}])
    record.tensors = [{"name": "conv1.weight", "shape": [20, 1, 5, 5], "bytes": 300}]
    files = run_files(record)
    lines = files["README.md"].splitlines()
    assert lines[0] == "**table5/mnist_l1norm_50** on mnist, protocol steps_160, seed 0"
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    assert list(rows) == ["stage", "train", "prune", "finetune", "published before", "published"]
    assert "| 98.60 | -0.10 |" in rows["finetune"]
    assert r"- limit missed: macs is 5 \| at most 4" in lines
    assert "- published: Choudhary et al. 2020, Table 5, on mnist" in lines
    assert files["layers.csv"] == "name,params\nconv1,\n,10\n"
    assert files["tensors.csv"] == "name,shape,bytes\nconv1.weight,20 x 1 x 5 x 5,300\n"


def test_measured_latencies_stand_in_the_readme() -> None:
    record = made_record()
    record.final.metrics["latency_onnx_b64_ms"] = 5.58
    lines = run_files(record)["README.md"].splitlines()
    assert any(line.startswith("| onnx, 64 | 5.58") for line in lines)


def test_the_given_network_stands_in_the_readme() -> None:
    lines = run_files(given_record())["README.md"].splitlines()
    assert any(line.startswith("| given | given | 98.89 | +0.00 |") for line in lines)


def test_a_sweep_leaves_its_answer_its_points_and_its_runs() -> None:
    values = [{"stages.prune.ratio": "0.5", "seed": str(seed)} for seed in (0, 1, 2)]
    runs = [replace(made_record(seed, after=0.98 + seed / 100), sweeps={"s1": values[seed]}) for seed in (0, 1)]
    outcomes = [Outcome(1, values[0]), Outcome(2, values[1]), Outcome(3, values[2], 1, "the disk is full")]
    files = sweep_files(SweepRecord("s1", ["recipe=a", "seed=0,1,2"], outcomes), runs)
    assert "| 0.5 | 2 of 3 | 98.50 ± 0.71 | -0.20 ± 0.71 |" in files["README.md"]
    assert "3 of 3, ratio=0.5 seed=2: the disk is full\n" in files["README.md"]
    assert "compressbench run -m recipe=a seed=0,1,2\n" in files["README.md"]
    point, failed = csv.DictReader(io.StringIO(files["points.csv"]))
    assert (point["seeds"], point["top1"], point["top1_spread"]) == ("2", "0.985", "0.007071")
    assert (failed["stages.prune.ratio"], failed["top1"], failed["error"]) == ("0.5", "", "the disk is full")
    rows = list(csv.DictReader(io.StringIO(files["runs.csv"])))
    assert [(row["seed"], row["top1"]) for row in rows] == [("0", "0.98"), ("1", "0.99")]


def test_a_sweep_without_any_result_says_why() -> None:
    outcomes = [Outcome(1, {"seed": "0"}, 2, "stages.prune: ratio is 7")]
    files = sweep_files(SweepRecord("s1", ["seed=0"], outcomes), [])
    assert list(files) == ["README.md"]
    assert "1 of 1, seed=0: stages.prune: ratio is 7\n" in files["README.md"]
