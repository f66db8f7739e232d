"""`check` of sweeps, of devices and of what limits leave."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compressbench.cli.main import main
from tests.cli.commands import Captured, refused

ONE = ["recipe=quickstart", "limits.epochs=1"]


@pytest.mark.slow
def test_a_sweep_is_checked_point_by_point(capsys: Captured) -> None:
    assert main(["check", "-m", *ONE, "stages.prune.ratio=0.1,0.5", "seed=0,1"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("0.")]
    assert [row[:3] for row in rows] == [["0.1", "0", "2"], ["0.1", "1", "2"], ["0.5", "0", "2"], ["0.5", "1", "2"]]
    assert [row[-1] for row in rows] == ["none"] * 4
    assert not Path("outputs").exists()


@pytest.mark.slow
def test_all_faults_of_all_points_come_in_one_message(capsys: Captured) -> None:
    said = refused(capsys, "check", "-m", *ONE, "stages.prune.ratio=0.5,1.5,2", "budget.epochs=1")
    assert "ratio is 1.5; allowed: 0 or more and less than 1 (stages.prune.ratio=1.5)" in said
    assert "ratio is 2.0; allowed: 0 or more and less than 1 (stages.prune.ratio=2)" in said
    assert "the limit is 1 (stages.prune.ratio=0.5)" in said
    said = refused(capsys, "check", "-m", *ONE, "stages.prune.ratio=0.5,0.6", "seed=-1")
    assert said.count("seed: is -1") == 1


def test_several_values_without_the_flag_are_told_of_it(capsys: Captured) -> None:
    assert "`check -m`" in refused(capsys, "check", *ONE, "stages.prune.ratio=0.1,0.5")


def test_a_gpu_that_is_not_there_is_a_fault(capsys: Captured) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    said = refused(capsys, "check", *ONE, "device=cuda", "budget.params=1000")
    assert "device: is 'cuda', but this machine has no GPU" in said
    assert "budget.params" in said


@pytest.mark.slow
def test_epochs_are_shown_as_limits_and_smoke_cut_them(capsys: Captured) -> None:
    for words in (["limits.epochs=3"], ["debug=smoke", "limits.epochs=3"], ["debug=smoke"]):
        epochs = "1" if words == ["debug=smoke"] else "3"
        assert main(["check", "recipe=quickstart", *words]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines() if " no " in line]
        assert [row[row.index("no") - 1] for row in rows if row[0] in ("train", "finetune")] == [epochs] * 2
