"""A newcomer's first hour: a network of one's own on the digits, command by command, as it would be typed.

The steps are one story in one folder: each finds what the ones before it left.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import compressbench
from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.data.digits import Digits
from compressbench.zoo.lenet import LeNet5

RECIPE = """\
# My network, pruned, shared and coded.
model: {name: lenet5, image_size: 32}
weights: mine.pt
dataset: digits
training: reduced
stages:
  prune: {technique: pruning/l1_norm, ratio: 0.5, ignore: [conv1]}
  finetune: {technique: training/finetune, training: {epochs: 2, batch_size: 32}}
  share: {technique: sharing/kmeans, bits: 4}
  code: {technique: coding/entropy}
budget: {size_bytes: 1000, accuracy_drop: 0.03}
"""


def typed(folder: Path, *words: str, code: int = 0) -> str:
    """Type a command in the folder and return what it prints; its exit code must be `code`, without a traceback."""
    command = [sys.executable, "-m", "compressbench", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, env=os.environ, check=False)
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    assert "Traceback" not in printed
    return printed


def told(*words: str, code: int = 0) -> str:
    """Return what a quick command prints, without the seconds in which a process of its own imports torch."""
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.redirect_stderr(shown):
        ended = main(list(words))
    assert ended == code, shown.getvalue()
    return shown.getvalue()


def own_network(file: Path) -> float:
    """Train a LeNet-5 on the digits by hand and save it as a training would; return its test accuracy."""
    torch.manual_seed(0)
    splits, network = Digits().load(), LeNet5(in_channels=1, classes=10, image_size=32)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for epoch in range(6):
        for images, labels in splits.train.batches(32, torch.Generator().manual_seed(epoch)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
    state = nn.DataParallel(network).state_dict()
    torch.save({"epoch": 6, "state_dict": state, "optimizer": optimizer.state_dict()}, file)
    with torch.no_grad():
        [(images, labels)] = splits.test.batches(len(splits.test))
        return float((network.eval()(images).argmax(1) == labels).double().mean())


def a_digit(file: Path) -> None:
    """Write a test picture as scikit-learn has it, 8 x 8, as a PNG, white on black."""
    from sklearn.datasets import load_digits

    picture = load_digits().images[42]
    Image.fromarray((picture * 255 // 16).astype(np.uint8)).save(file)


def record_of(folder: Path, printed: str) -> RunRecord:
    where = re.search(r"record and weights: (.+)", printed)
    assert where, printed
    return RunRecord.read(folder / where[1].strip() / "record.json")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_newcomers_hour(tmp_path: Path) -> None:
    accuracy = own_network(tmp_path / "mine.pt")
    assert accuracy > 0.9

    # The recipe is checked before anything is trained; a typo is named, with what was meant.
    (tmp_path / "mine.yaml").write_text(RECIPE.replace("ratio", "ration"))
    assert "did you mean 'ratio'?" in told("check", "recipe=mine.yaml", code=2)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    assert "sharing/kmeans" in told("check", "recipe=mine.yaml")

    # A budget that is broken is said, after the result is safe; the network as given is the first row.
    printed = typed(tmp_path, "run", "recipe=mine.yaml", code=1)
    assert "budget.size_bytes is 1,000, but the result has" in printed
    broken = record_of(tmp_path, printed)
    assert broken.given is not None
    assert broken.before is broken.given
    assert broken.given.metrics["top1"] == pytest.approx(accuracy)
    assert "given" in printed
    assert len(broken.missed) == 1

    # It is met with a limit that can be; nothing is computed again.
    printed = typed(tmp_path, "run", "recipe=mine.yaml", "budget.size_bytes=200000")
    met = record_of(tmp_path, printed)
    assert met.missed == []
    assert met.final.metrics["size_bytes"] < 200_000
    assert [stage.stage_id for stage in met.stages] == [stage.stage_id for stage in broken.stages]

    # A sweep of five points ends with its answer.
    sweep = ["run", "-m", "recipe=mine.yaml", "stages.prune.ratio=0.1,0.3,0.5,0.7,0.9", "budget.size_bytes=160000"]
    printed = typed(tmp_path, *sweep)
    assert "2 of 5, ratio=0.3" in printed
    assert re.search(r"\d of 5 points meet the budget", printed)
    identity = re.search(r"compressbench report (\w+)", printed)
    assert identity
    for style in ("markdown", "csv", "html"):
        assert "0.7" in told("report", identity[1], "--format", style)
    assert "mine" in told("report", "mine")

    # What is in the file, and whether it is true.
    file = str(next(tmp_path.glob("outputs/runs/**/model.cbp")))
    assert "times smaller than the parameters of the network before compression" in told("inspect", file)
    assert "all is as the file notes" in told("evaluate", file)

    # From a PNG to a class name, from the packed file and from ONNX.
    a_digit(tmp_path / "digit.png")
    model: Any = compressbench.load(file)
    images = model.preprocess(tmp_path / "digit.png")
    with torch.no_grad():
        ours = model.classes[int(model(images).argmax())]
    assert from_onnx(tmp_path, file, images) == ours

    # Everything is in MLflow: every run with its figures, the one over the budget too.
    runs = tracked(tmp_path)
    assert len(runs) >= 6
    assert all(run.data.metrics["given/top1"] == pytest.approx(accuracy) for run in runs if "plan_id" in run.data.tags)


def from_onnx(folder: Path, file: str, images: torch.Tensor) -> str:
    onnxruntime = pytest.importorskip("onnxruntime")
    told("export", file, "--output", "mine.onnx")
    session = onnxruntime.InferenceSession(folder / "mine.onnx")
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    [logits] = session.run(None, {"images": images.numpy()})
    return str(classes[int(logits.argmax())])


def tracked(folder: Path) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/outputs/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments))
