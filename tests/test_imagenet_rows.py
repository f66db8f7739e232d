"""The rows of Tables 1 and 7 on ImageNet run to their end, so that whoever has ImageNet meets no surprise there.

The networks are the real ones, on a made-up ImageNet: 1,000 classes, two pictures each to train on and one to measure
on. Their weights are freshly drawn, as nothing can be downloaded here. `limits` leave four pictures of each split.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.packing import packed_file
from compressbench.zoo.torchvision_models import torchvision_model
from tests.test_recipes import EVERY, recipe

CLASSES, PIXELS = 1000, 64
LIMITS = ("limits.epochs=1", "limits.steps=2", "limits.examples=4")
VGG16 = "imagenet_vgg16"
"""Not run: 138 M parameters, 0.55 GB for each of up to six files, written, read and digested several times."""

ROWS = [name for name in EVERY if name.startswith(("table1/imagenet_", "table7/imagenet_"))]
"""Those of Table 1 extend rows of other tables, so these are run with them."""
LONG = (
    *("table1/imagenet_alexnet_deep_compression", "table1/imagenet_alexnet_guo2016", "table1/imagenet_alexnet_han2015"),
    *("table1/imagenet_alexnet_kim2016", "table1/imagenet_alexnet_tai2016", "table1/imagenet_alexnet_yu2017"),
    *("table1/imagenet_caffenet_srinivas2015", "table1/imagenet_resnet18_inq_5", "table1/imagenet_resnet34_li2017"),
    *("table7/imagenet_alexnet_inq_5", "table7/imagenet_alexnet_inq_8", "table7/imagenet_resnet18_inq_8"),
)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 3,000 JPEGs, those of a class alike but for the noise."""
    folder, noise = tmp_path_factory.mktemp("imagenet"), numpy.random.default_rng(0)
    for label in range(CLASSES):
        colour = noise.integers(0, 256, 3)
        for file in ("train/{}/0.JPEG", "train/{}/1.JPEG", "val/{}/0.JPEG"):
            pixels = (colour + noise.integers(-40, 40, (PIXELS, PIXELS, 3))).clip(0, 255).astype(numpy.uint8)
            written = io.BytesIO()
            Image.fromarray(pixels).save(written, "JPEG")
            path = folder / file.format(f"n{label:08}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written.getvalue())
    sample = folder / "imagenet-sample"  # only to measure on
    sample.mkdir()
    (sample / "val").symlink_to(folder / "val")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that saves what torchvision draws for a network, once, and returns the file."""
    folder = tmp_path_factory.mktemp("weights")

    @cache
    def saved(network: str) -> Path:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = torchvision_model(3, CLASSES, network.removeprefix("imagenet_"))
        torch.save(model.state_dict(), folder / f"{network}.pt")
        return folder / f"{network}.pt"

    return saved


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all rows: what they share is computed once, as it would be on ImageNet."""
    return tmp_path_factory.mktemp("outputs")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.slow)
        for name in ROWS
        if recipe(name)["model"]["name"] != VGG16
    ],
)
def test_a_row_on_imagenet_runs_to_its_end(
    row: str, imagenet: Path, weights: Callable[[str], Path], outputs: Path
) -> None:
    given = weights(recipe(row)["model"]["name"])
    places = [f"dataset.root={imagenet}", "dataset.workers=0", f"model.weights={given}", f"outputs={outputs}"]
    assert main(["run", f"recipe={row}", *places, *LIMITS, "tracking=off"]) == 0
    [path] = (outputs / "runs" / row).rglob("record.json")
    record = RunRecord.read(path)
    assert record.status == "finished"
    assert record.given is not None
    assert [stage.name for stage in record.stages] == list(recipe(row)["stages"])
    assert (record.dataset["test_examples"], record.dataset["name"]) == (
        4,
        recipe(row)["dataset"]["name"].replace("_", "-"),
    )
    assert 0 <= record.final.metrics["top1"] <= record.final.metrics["top5"] <= 1
    file = path.parent / "model.cbp"
    assert record.final.metrics["size_bytes"] == file.stat().st_size
    assert len(packed_file.note(file)["classes"]) == CLASSES
    assert record.layers[-1]["output_shape"][0] == CLASSES  # of the network that was read back from the file


def test_rows_of_vgg16_are_not_run_and_all_others_are() -> None:
    left_out = {name for name in ROWS if recipe(name)["model"]["name"] == VGG16}
    assert left_out == {f"table1/imagenet_vgg16_{row}" for row in ("deep_compression", "han2015", "tai2016", "yu2017")}
    assert len(ROWS) - len(left_out) == 13
