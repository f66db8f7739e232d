"""The story of one's own trained network: given by its weights, pruned first, and held against what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import compressbench
from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from tests.cli.commands import Captured, recipe, refused

NETWORK = "model: {name: lenet_300_100, image_size: 32}\ndataset: digits\n"
TRAINING = "batch_size: 32, lr: 0.05, precision: fp32"


@pytest.fixture
def weights() -> str:
    """Train on the digits, and save the state dict as one's own code would."""
    train = f"stages: {{train: {{technique: training/from_scratch, training: {{epochs: 3, {TRAINING}}}}}}}\n"
    assert main(["run", recipe(NETWORK + train, "own"), "tracking=off"]) == 0
    [file] = Path("outputs/cache/stages").glob("*/model.cbp")
    torch.save(compressbench.load(file).state_dict(), "own.pt")
    return "model.weights=own.pt"


PRUNE = "stages:\n  prune: {technique: pruning/magnitude, ratio: 0.97}\n"


def test_a_given_network_that_pruning_ruins_breaks_its_budget(weights: str, capsys: Captured) -> None:
    own = recipe(f"{NETWORK}{PRUNE}budget: {{accuracy_drop: 0.001}}\n", "pruned")
    capsys.readouterr()
    assert main(["run", own, weights, "tracking=off"]) == 1
    printed = capsys.readouterr()
    assert "budget.accuracy_drop is 0.0010, but top1 dropped by 0." in printed.err
    [path] = Path("outputs/runs/pruned").rglob("record.json")
    record = RunRecord.read(path)
    assert record.given is not None
    change = record.final.metrics["top1"] - record.given.metrics["top1"]
    assert change < -0.1
    assert record.missed
    rows = {line.split()[0]: line for line in printed.out.splitlines() if line.strip()}
    assert "+0.00" in rows["given"]
    assert f"{change * 100:+.2f}" in rows["prune"]
    readme = (path.parent / "README.md").read_text()
    assert f"| {change * 100:+.2f} |" in readme
    assert "| given |" in readme
    capsys.readouterr()
    assert main(["report", "."]) == 0
    assert f"{change * 100:+.2f}" in capsys.readouterr().out
    assert main(["inspect", f"outputs/cache/stages/{record.given.stage_id}/model.cbp"]) == 0


def test_given_weights_can_be_measured_alone(weights: str, capsys: Captured) -> None:
    own = recipe(NETWORK, "alone")
    assert main(["run", own, weights, "tracking=off"]) == 0
    assert "given" in capsys.readouterr().out
    [path] = Path("outputs/runs/alone").rglob("record.json")
    assert RunRecord.read(path).final.metrics["top1"] > 0.8
    assert main(["evaluate", str(path.parent / "model.cbp"), "metrics=[accuracy,parameters]"]) == 0


def test_what_can_only_be_wrong_is_said_before_the_run(capsys: Captured) -> None:
    stage = f"stages: {{train: {{technique: pruning/gradual, training: {{epochs: 1, {TRAINING}}}}}}}\n"
    own = recipe(f"{NETWORK}{stage}budget: {{accuracy_drop: 0.01}}\n", "gradual")
    assert "there is no network before compression" in refused(capsys, "run", own)
    said = refused(capsys, "run", "recipe=quickstart", "budget.accuracy_drop=1")
    assert "fractions: 0.01 is one point" in said
    assert not Path("outputs/runs").exists()
