"""What the verbs say of a file's inputs, and when they take data for what it was measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest

from compressbench.cli.main import main
from compressbench.core.architecture import Architecture
from compressbench.core.model import Model
from compressbench.core.plan import Stage
from compressbench.packing.packed_file import note, rewrite_note
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.techniques.training.from_scratch import FromScratch
from tests.cli.commands import Captured, refused
from tests.data.folders import image_folder, write_folder, write_image
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by

LENET = Architecture("compressbench.zoo.lenet.LeNet300100", {"in_channels": 3, "classes": 2, "image_size": 8})


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A network trained on a folder of pictures that no catalogue knows, in the working folder."""
    write_folder(tmp_path / "pets", {"train": 8, "test": 5})
    dataset = image_folder(tmp_path / "pets", name="pets", crop_padding=1, mean=[0.1, 0.2, 0.3])
    stage = Stage("train", "training/from_scratch", trained_by(FromScratch, **TRAINING | {"epochs": 1}))
    run(plan(model=Model("lenet", LENET), dataset=dataset, stages=(stage,)), tmp_path / "outputs", SilentProgress())
    Path("model.cbp").write_bytes(next((tmp_path / "outputs" / "runs").rglob("model.cbp")).read_bytes())
    return "model.cbp"


@pytest.mark.parametrize(
    "words",
    [
        ["dataset.root=pets"],
        ["dataset=image_folder", "dataset.root=pets"],
        ["dataset=image_folder", "dataset.root=pets", "dataset.name=other"],
        ["dataset.root=pets", "dataset.flip=true", "dataset.crop_padding=0", "dataset.validation_share=0.5"],
        ["dataset.root=pets", "dataset.in_memory=false", "dataset.crop_padding=0", "dataset.workers=0"],
        ["dataset.root=pets", "dataset.resize=8"],
    ],
    ids=lambda words: " ".join(words[1:]) or "as it was",
)
def test_the_same_test_pictures_are_the_same_data(file: str, capsys: Captured, words: list[str]) -> None:
    assert main(["evaluate", file, *words]) == 0
    assert "all is as the file notes" in capsys.readouterr().out


def test_other_test_pictures_or_prepared_in_another_way_are_other_data(file: str, capsys: Captured) -> None:
    for words in (["dataset.resize=10"], ["dataset.mean=[0.1,0.2,0.4]"]):
        assert main(["evaluate", file, "dataset.root=pets", *words]) == 0
        assert "were measured on other data" in capsys.readouterr().out
    write_image(Path("pets/test/cat/000.png"), numpy.zeros((9, 30, 3)))
    assert main(["evaluate", file, "dataset.root=pets"]) == 0
    assert "were measured on other data" in capsys.readouterr().out


def test_a_file_that_does_not_say_what_it_was_measured_on_goes_by_the_names(file: str, capsys: Captured) -> None:
    rewrite_note(Path(file), {key: value for key, value in note(Path(file)).items() if key != "measured_on"})
    assert main(["evaluate", file, "dataset.root=pets"]) == 0
    assert "all is as the file notes" in capsys.readouterr().out
    assert main(["evaluate", file, "dataset.root=pets", "dataset.name=other"]) == 0
    assert "were measured on other data" in capsys.readouterr().out


@pytest.mark.parametrize("strange", [None, 3, [], {"a": 1}, "0" * 16])
def test_a_strange_note_of_what_it_was_measured_on_is_other_data(file: str, capsys: Captured, strange: Any) -> None:
    rewrite_note(Path(file), note(Path(file)) | {"measured_on": strange})
    assert main(["evaluate", file, "dataset.root=pets"]) == 0
    assert "were measured on other data" in capsys.readouterr().out


def test_without_its_folder_it_says_where_it_looked(file: str, capsys: Captured) -> None:
    assert "pets is not there" in refused(capsys, "evaluate", file)


def test_inspect_says_what_goes_in_and_what_comes_out(file: str, capsys: Captured) -> None:
    assert main(["inspect", file, "--format", "markdown"]) == 0
    printed = capsys.readouterr().out
    assert "takes: float32 NCHW, red, green, blue, 8 x 8; a picture is resized until it covers 8 x 8" in printed
    assert "less mean (0.1, 0.2, 0.3), by std (1, 1, 1)" in printed
    assert "classes: cat, dog" in printed


def test_inspect_copes_with_any_note_of_what_goes_in(file: str, capsys: Captured) -> None:
    rewrite_note(Path(file), {"preprocessing": {"size": "\x1b[31m"}, "classes": ["\x1b[31m", "dog"]})
    assert main(["inspect", file]) == 0
    printed = capsys.readouterr().out
    assert "what the packed file says of its network's inputs cannot be used" in printed
    assert "classes: ?[31m, dog" in printed
    assert "\x1b" not in printed
    rewrite_note(Path(file), {"preprocessing": 3, "classes": 10**20})
    assert main(["inspect", file]) == 0
    assert "what the packed file says of them cannot be used" in capsys.readouterr().out


def metadata() -> dict[str, Any]:
    return {prop.key: json.loads(prop.value) for prop in onnx.load("model.onnx").metadata_props}


@pytest.mark.slow
def test_an_exported_model_says_how_it_is_fed(file: str, capsys: Captured) -> None:
    Path("pets").rename("elsewhere")  # the data need not be there
    assert main(["export", file, "--output", "model.onnx"]) == 0
    assert "inputs of 3 x 8 x 8" in capsys.readouterr().out
    said = metadata()
    steps = {key: said[key] for key in ("color_mode", "size", "resize", "crop", "repeat", "pad", "interpolation")}
    assert steps == {
        "color_mode": "RGB",
        "size": [8, 8],
        "resize": [8, 8],
        "crop": [8, 8],
        "repeat": 1,
        "pad": [[0, 0], [0, 0]],
        "interpolation": "bilinear",
    }
    assert (said["mean"], said["std"], said["layout"]) == ([0.1, 0.2, 0.3], [1, 1, 1], "NCHW")
    assert (said["pixel_range"], said["classes"]) == ([0, 1], ["cat", "dog"])
    rewrite_note(Path(file), {"dataset": {"name": "synthetic", "shape": [3, 8, 8], "classes": 2}})  # an older file
    assert main(["export", file, "--output", "model.onnx"]) == 0
    assert (metadata()["mean"], metadata()["classes"]) == ([0.5] * 3, ["0", "1"])


def test_export_of_a_file_whose_note_cannot_be_used_says_what_to_give(file: str, capsys: Captured) -> None:
    rewrite_note(Path(file), {"preprocessing": {"channels": 7}})
    assert "`channels` should be 1 or 3; add dataset=NAME" in refused(capsys, "export", file, "--output", "model.onnx")
