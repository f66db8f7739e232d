"""A published checkpoint with its own network file, one plugin file and one recipe: used, compressed, given away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import compressbench
from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.planning.build import build_dataset
from compressbench.planning.compose import compose
from tests import wild_resnet
from tests.cli.commands import Captured, recipe, refused

MODEL = "model: {_target_: plugins.resnet8, weights: resnet8.th}\ndataset: digits\n"
STAGES = """\
stages:
  prune: {technique: pruning/l1_norm, ratio: 0.25, targets: ["layer*.conv1"]}
  fold: {technique: coding/fold_batch_norm}
  quantize: {technique: quantization/ptq_int8}
  code: {technique: coding/entropy}
"""
LOAD = """\
import sys, torch, compressbench
model = compressbench.load(sys.argv[1], plugins=["plugins"])
with torch.no_grad():
    torch.save(model(torch.load("images.pt")), "answers.pt")
"""


@pytest.fixture
def checkpoint_file() -> None:
    """Write `plugins.py` and, with random weights, `resnet8.th`."""
    wild_resnet.save(checkpoint(), Path("resnet8.th"))


def checkpoint() -> nn.Module:
    torch.manual_seed(0)
    return wild_resnet.network(8, wild_resnet.write_network(), in_channels=1)


@pytest.fixture
def published() -> tuple[Tensor, Tensor]:
    """Write `plugins.py` and `resnet8.th`, and return the test images and the answers of the network they were."""
    splits = build_dataset(compose(["dataset=digits"])).load()
    images, labels = map(torch.cat, zip(*splits.train.batches(500), strict=True))
    network = checkpoint()
    wild_resnet.train(network, images, labels, steps=40)
    wild_resnet.save(network, Path("resnet8.th"))
    images, labels = map(torch.cat, zip(*splits.test.batches(500), strict=True))
    torch.save(images, "images.pt")
    with torch.no_grad():
        return network(images), labels


def record() -> tuple[RunRecord, Path]:
    [file] = Path("outputs/runs").rglob("record.json")
    return RunRecord.read(file), file.parent / "model.cbp"


@pytest.mark.slow
def test_it_has_its_accuracy_and_is_pruned_quantized_packed_loaded_and_exported(
    published: tuple[Tensor, Tensor], capsys: Captured
) -> None:
    pytest.importorskip("onnxruntime")
    answers, labels = published
    assert main(["run", recipe(MODEL + STAGES), "tracking=off"]) == 0
    assert "given weights: all 44 tensors by name; under 'state_dict', without module" in capsys.readouterr().out
    found, file = record()
    assert found.given is not None
    assert found.given.metrics["top1"] == pytest.approx((answers.argmax(1) == labels).double().mean().item())
    assert found.given.metrics["top1"] > 0.5
    assert [stage.skipped for stage in found.stages] == [[], [], [], []]
    width = {row["name"]: row["output_shape"][0] for row in found.layers}
    assert [width[f"layer{number}.0.conv1"] for number in (1, 2, 3)] == [12, 24, 48]
    assert [width[f"layer{number}.0.conv2"] for number in (1, 2, 3)] == [16, 32, 64]  # what the shortcut is added to
    assert found.final.metrics["size_bytes"] < 0.25 * found.given.metrics["size_bytes"]
    images = torch.load("images.pt")
    with torch.no_grad():
        ours = compressbench.load(file, plugins=["plugins"])(images)
    assert (ours.argmax(1) == labels).double().mean().item() == pytest.approx(found.final.metrics["top1"])
    subprocess.run([sys.executable, "-c", LOAD, str(file)], check=True)
    assert torch.equal(torch.load("answers.pt"), ours)
    assert main(["export", str(file), "--plugin", "plugins", "--output", "model.onnx"]) == 0
    import onnxruntime

    session = onnxruntime.InferenceSession("model.onnx")
    exported = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])
    assert (exported.argmax(1) == ours.argmax(1)).double().mean().item() > 0.99


@pytest.mark.usefixtures("checkpoint_file")
def test_our_own_network_of_that_depth_takes_it_by_order_and_shape_or_by_names(capsys: Captured) -> None:
    ours = "model: {name: resnet20, depth: 8, weights: resnet8.th}\ndataset: digits\n"
    assert main(["run", recipe(ours), "tracking=off", "metrics=[parameters]"]) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "6 tensors by name, 32 by order and shape (from layer1.0.conv1.weight as stage1.0.conv1.weight" in said
    renamed = "{file: resnet8.th, key: state_dict, rename: {layer: stage, linear: fc}}"
    assert main(["run", recipe(ours), f"model.weights={renamed}", "tracking=off", "metrics=[parameters]"]) == 0
    assert "renamed by the recipe" in capsys.readouterr().out


@pytest.mark.usefixtures("checkpoint_file")
def test_a_checkpoint_of_another_shape_is_refused_before_the_run(capsys: Captured) -> None:
    said = refused(capsys, "check", recipe(MODEL + STAGES), "model._target_=plugins.resnet20")
    assert "44 of 116 tensors fit ResNet by name and shape\n" in said
    assert "the first of the network's 60 without one: layer1.1.conv1.weight (16 x 16 x 3 x 3)\n" in said
    wide = "dataset: {name: synthetic, shape: [3, 32, 32]}"
    said = refused(capsys, "check", recipe(MODEL.replace("dataset: digits", wide) + STAGES))
    assert "of another shape: conv1.weight is 16 x 1 x 3 x 3 in the file and 16 x 3 x 3 x 3 in the network" in said
