"""Odd names and odd files work, or are refused in one message; none of them hangs or ends in a traceback."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from compressbench.cli.main import main
from tests.cli.commands import Captured, recipe, refused
from tests.running.damages import TINY, write_recipe

PETS = (
    'model: lenet5\ntracking: "off"\n'
    "dataset: {name: image_folder, classes: 2, image_size: 28, validation_share: 0}\n"
    "stages: {train: {technique: training/from_scratch, training: {batch_size: 4, epochs: 1}}}\n"
)


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of one class of a small folder of images, `recipe=pets` for it."""
    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            folder = tmp_path / "data" / "pets" / split / kind
            folder.mkdir(parents=True)
            for number in range(4):
                Image.new("RGB", (28, 28), (number, 0, 0)).save(folder / f"{number}.png")
    recipe(PETS, "pets")
    monkeypatch.setenv("COMPRESSBENCH_DATA", "data")
    return tmp_path / "data" / "pets" / "train" / "cat"


@pytest.mark.parametrize("in_memory", ["true", "false"])
def test_a_pipe_among_the_images_is_refused_by_name(pets: Path, in_memory: str, capsys: Captured) -> None:
    os.mkfifo(pets / "pipe.png")
    words = ["recipe=pets", "dataset.name=pets", f"dataset.in_memory={in_memory}", "dataset.workers=0"]
    assert "pipe.png: is no file but a pipe" in refused(capsys, "run", *words)


@pytest.mark.slow
@pytest.mark.parametrize("in_memory", ["true", "false"])
def test_names_that_are_no_utf8_are_names_like_others(pets: Path, in_memory: str) -> None:
    os.rename(pets / "0.png", os.fsencode(pets) + b"/\xff\xfe.png")
    for split in ("train", "test"):
        os.rename(f"data/pets/{split}/dog", f"data/pets/{split}/".encode() + b"d\xffg")
    words = ["recipe=pets", "dataset.name=pets", f"dataset.in_memory={in_memory}", "dataset.workers=0"]
    assert main(["run", *words]) == 0
    assert main(["run", *words]) == 0


@pytest.mark.parametrize("path", ["x" * 256, "/".join(["abcdefg"] * 460), "/".join(["abcdefg"] * 600)])
def test_an_outputs_path_that_is_too_long_is_refused(tmp_path: Path, path: str, capsys: Captured) -> None:
    write_recipe(tmp_path)
    assert "outputs: " in refused(capsys, "run", TINY, f"outputs={path}")


@pytest.mark.slow
def test_an_outputs_path_with_a_percent_sign_is_tracked_like_any_other(tmp_path: Path, capsys: Captured) -> None:
    write_recipe(tmp_path)
    assert main(["run", TINY, "tracking=mlflow", "outputs=a%20b"]) == 0
    printed = capsys.readouterr()
    assert "compressbench ui" in printed.out
    assert "not in MLflow" not in printed.err
    assert Path("a%20b/mlflow.db").exists()
    assert not Path("a b").exists()


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [200, 400, 600, 800])
def test_too_little_memory_is_one_line(tmp_path: Path, megabytes: int) -> None:
    write_recipe(tmp_path)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    command = [sys.executable, "-m", "compressbench", "run", TINY]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, preexec_fn=limit, check=False, timeout=200
    )
    if megabytes == 800 and done.returncode == 0:
        pytest.skip("it is enough here")
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: there is not enough memory")
    assert len(done.stderr.splitlines()) == 1
