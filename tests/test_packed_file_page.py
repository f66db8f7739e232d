"""docs/packed_file.md leads from a PNG to the right class name, with the packed file and with ONNX."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from compressbench.cli.main import main
from compressbench.core.architecture import Architecture
from compressbench.core.model import Model
from compressbench.core.plan import Stage
from compressbench.data.digits import Digits
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.techniques.training.from_scratch import FromScratch
from tests.pages import blocks, run_python
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by

LENET = Architecture("compressbench.zoo.lenet.LeNet300100", {"in_channels": 1, "classes": 10, "image_size": 32})
PAGE = Path(__file__).parents[1] / "docs" / "packed_file.md"


def trained_on_digits(outputs: Path) -> Path:
    """Return the packed file of a LeNet-300-100 that knows most of the digits."""
    stage = Stage("train", "training/from_scratch", trained_by(FromScratch, **TRAINING | {"epochs": 8, "lr": 0.01}))
    record = run(plan(model=Model("lenet", LENET), dataset=Digits(), stages=(stage,)), outputs, SilentProgress())
    assert record.final.metrics["top1"] > 0.9
    return next((outputs / "runs").rglob("model.cbp"))


@pytest.mark.slow
def test_both_examples_name_digits_of_any_size(tmp_path: Path) -> None:
    Path("model.cbp").write_bytes(trained_on_digits(tmp_path / "outputs").read_bytes())
    assert main(["export", "model.cbp", "--output", "model.onnx"]) == 0
    examples = [block for block in blocks(PAGE) if block.language == "python" and "print(" in block.text]
    assert len(examples) == 2
    test, right = Digits().load().test, 0
    for number in range(30):
        side = (8, 32, 200)[number % 3]
        pixels = test.images[number, 0].numpy()  # type: ignore[attr-defined]
        Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save("digit.png")
        first, second = (run_python(block, {}, PAGE.name).strip() for block in examples)
        assert first == second
        right += first == str(test.labels[number].item())  # type: ignore[attr-defined]
    assert right >= 26
