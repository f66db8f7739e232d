"""How long the commands take to start, as ratios of interleaved rounds, in processes of their own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark

ONE_STEP = ["run", "recipe=quickstart", "limits.epochs=1", "limits.steps=1"]


def seconds(*words: str) -> float:
    """Return the wall time of one process of this Python."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def ratio(ours: list[list[str]], theirs: list[str]) -> float:
    """Return the median over rounds of ours / theirs; every round runs one of `ours` and then theirs."""
    found = [seconds("-m", "compressbench", *words) / seconds(*theirs) for words in ours]
    print(f"{' '.join(ours[0])}: {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})")
    return statistics.median(found)


def test_help_and_list_answer_at_once() -> None:
    for verb in ("--help", "list"):
        assert ratio([[verb]] * 15, ["-c", "pass"]) <= 4
        assert seconds("-m", "compressbench", verb) <= 1


def test_a_run_of_one_step_takes_little_more_than_importing_torch_and_mlflow() -> None:
    seconds("-m", "compressbench", *ONE_STEP, "seed=1000")  # makes the database and fills the disk's cache
    runs = [[*ONE_STEP, f"seed={seed}"] for seed in range(5)]
    assert ratio(runs, ["-c", "import torch, mlflow"]) <= 1.4


def test_a_repeat_of_a_finished_sweep_imports_neither_torch_nor_mlflow(tmp_path: Path) -> None:
    sweep = ["run", "-m", *ONE_STEP[1:], "stages.prune.ratio=0.2,0.4"]
    seconds("-m", "compressbench", *sweep)
    code = (
        "import sys; from compressbench.cli.main import main; assert main(sys.argv[1:]) == 0;"
        "assert not {'torch', 'mlflow'} & set(sys.modules)"
    )
    seconds("-c", code, *sweep)
