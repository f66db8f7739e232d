"""What is left beside the records for people."""

import csv
import io
from dataclasses import replace

from compressbench.reporting.files import run_files, sweep_files
from tests.reporting.made import given_record, made_record


def test_a_run_leaves_its_stages_the_published_figures_and_what_has_to_be_said() -> None:
    record = replace(made_record(), missed=["macs is 5 | at most 4"], layers=[{"name": "conv1"}, {"params": 10}])
    record.tensors = [{"name": "conv1.weight", "shape": [20, 1, 5, 5], "bytes": 300}]
    files = run_files(record)
    lines = files["README.md"].splitlines()
    assert lines[0] == "**table5/mnist_l1norm_50** on mnist, protocol paper, seed 0"
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    assert list(rows) == ["stage", "train", "prune", "finetune", "published before", "published"]
    assert "| 98.60 | -0.10 |" in rows["finetune"]
    assert r"- limit missed: macs is 5 \| at most 4" in lines
    assert "- published: Choudhary et al. 2020, Table 5, on mnist" in lines
    assert files["layers.csv"] == "name,params\nconv1,\n,10\n"
    assert files["tensors.csv"] == "name,shape,bytes\nconv1.weight,20 x 1 x 5 x 5,300\n"


def test_the_given_network_stands_in_the_readme_and_alone_in_the_points_of_runs_without_stages() -> None:
    lines = run_files(given_record())["README.md"].splitlines()
    assert any(line.startswith("| given | given | 98.89 | +0.00 |") for line in lines)
    assert "98.89" in sweep_files([replace(given_record(), stages=[])])["README.md"]


def test_a_sweep_leaves_a_row_a_run_and_its_failures() -> None:
    runs = [replace(made_record(seed), swept={"stages.prune.ratio": "0.5", "seed": str(seed)}) for seed in (0, 1)]
    runs[1] = replace(runs[1], status="failed", stages=[])
    files = sweep_files(runs)
    heading, _, first, second = files["README.md"].splitlines()
    assert heading.startswith("| recipe | stages.prune.ratio | seed | status | top1 % | top5 % | params |")
    assert first.startswith("| table5/mnist_l1norm_50 | 0.5 | 0 | finished | 98.60 |")
    assert second.startswith("| table5/mnist_l1norm_50 | 0.5 | 1 | failed |  |")
    rows = list(csv.DictReader(io.StringIO(files["points.csv"])))
    assert [(row["seed"], row["top1"]) for row in rows] == [("0", "0.986"), ("1", "")]
