"""What must be touched to add something: one of each kind is added from outside, and all are used in one run."""

from __future__ import annotations

from pathlib import Path

import pytest

import compressbench
from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.planning import catalogue

TECHNIQUE = {
    "rounding.py": '''
from dataclasses import dataclass

import torch

from compressbench.core.format import Coding, FixedPoint
from compressbench.core.technique import Technique


@dataclass(frozen=True)
class Rounding(Technique):
    """Round every weight matrix to multiples of 2^-bits. bits: behind the point. coder: of what comes out."""

    bits: int = 5
    coder: str = "huffman"
    adds = frozenset({"quantized"})

    def apply(self, subject, context):
        with torch.no_grad():
            for name, parameter in subject.model.named_parameters():
                if parameter.ndim > 1:
                    parameter.copy_((parameter * 2**self.bits).round() / 2**self.bits)
                    subject.formats[name] = FixedPoint(8, self.bits)
                    parameter.clamp_(-(2 ** (7 - self.bits)), (2**7 - 1) / 2**self.bits)
        subject.coding = Coding(("fixed", self.coder))
        return subject
''',
    "conf/technique/mine/rounding.yaml": "# Rounds.\n_target_: plugins.rounding.Rounding\nbits: 5\ncoder: huffman\n",
}
METRIC = {
    "largest.py": '''
from dataclasses import dataclass

from compressbench.core.metric import MetricSpec, MetricValue

LARGEST = MetricSpec("largest_weight", "number", higher_is_better=False, heading="largest", limit=True)


@dataclass(frozen=True)
class Largest:
    """The largest absolute weight."""

    def specs(self, task):
        return (LARGEST,)

    def measure(self, given):
        weights = [parameter.detach().abs().max() for parameter in given.subject.model.parameters()]
        return [MetricValue(LARGEST, float(max(weights)))]
''',
    "conf/metric/largest.yaml": "# The largest weight.\n_target_: plugins.largest.Largest\n",
}
TASK = {
    "parity.py": '''
from dataclasses import dataclass
from typing import ClassVar

from torch.nn import functional

from compressbench.data.tasks.image_classification import ImageClassification


@dataclass(frozen=True)
class Parity(ImageClassification):
    """Odd or even, with a loss of its own."""

    name: ClassVar[str] = "parity"
    losses: ClassVar = {
        "smoothed": lambda logits, labels: functional.cross_entropy(logits, labels, label_smoothing=0.1),
        **ImageClassification.losses,
    }
''',
}
DATASET = {
    "odd_digits.py": '''
from dataclasses import dataclass

from compressbench.core.data import Splits
from compressbench.data.digits import Digits
from compressbench.data.tensors import TensorSplit


@dataclass(frozen=True)
class OddDigits:
    """Whether one of scikit-learn's digits is odd."""

    name = "odd_digits"

    @property
    def task(self):
        from plugins.parity import Parity

        return Parity([1, 32, 32], 2)

    def missing(self):
        return Digits().missing()

    def sources(self):
        return Digits().sources()

    def fingerprint(self):
        return Digits().fingerprint()

    test_fingerprint = fingerprint

    def load(self):
        splits = Digits().load()
        batches = [next(iter(split.batches(2000))) for split in (splits.train, splits.validation, splits.test)]
        return Splits(*(TensorSplit(images, labels % 2) for images, labels in batches))
''',
    "conf/dataset/odd_digits.yaml": "# Odd or even.\n_target_: plugins.odd_digits.OddDigits\n",
}
NETWORK = {
    "narrow.py": '''
from torch import nn


class Narrow(nn.Sequential):
    """Two layers. width: between them."""

    def __init__(self, in_channels: int, classes: int, width: int = 8):
        super().__init__(
            nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64 * in_channels, width), nn.ReLU(), nn.Linear(width, classes)
        )
''',
    "conf/model/narrow.yaml": "# Two layers.\n_target_: plugins.narrow.Narrow\nwidth: 12\nweights: null\n",
}
ROW = {
    "recipes/mine/row.yaml": """\
# Everything at once.
model: narrow
dataset: odd_digits
training: brief
metrics: [accuracy, parameters, size, largest]
stages:
  train: {technique: training/from_scratch, training: {loss: smoothed}}
  round: {technique: mine/rounding, bits: 4, coder: plugins.deflated.Deflated}
budget: {largest_weight: 100}
""",
}
CODER = {
    "deflated.py": '''
import zlib

import numpy as np


class Deflated:
    """What zlib makes of the symbols."""

    def encode(self, symbols, alphabet, shape, index_bits=None):
        return zlib.compress(symbols.astype("<u2").tobytes(), 9)

    def decode(self, data, alphabet, shape):
        return np.frombuffer(zlib.decompress(data), "<u2")
''',
}
KINDS = {
    "technique": TECHNIQUE,
    "metric": METRIC,
    "task": TASK,
    "dataset": DATASET,
    "network": NETWORK,
    "coder": CODER,
    "recipe": ROW,
}


def schedule() -> dict[str, str]:
    """A schedule is one file: here ours with other epochs."""
    text = (catalogue.conf_folder() / "training/reduced_mnist.yaml").read_text()
    text = text.replace("protocol: reduced_mnist", "protocol: brief").replace("epochs: 5", "epochs: 4")
    return {"conf/training/brief.yaml": text}


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        file = Path("plugins", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_the_files_that_each_kind_takes() -> None:
    """None of ours is among them; a technique, metric or network of ours also takes a test and a recipe. A format is
    one file too: tests/packing/test_own_format.py."""
    counted = {kind: len(files) for kind, files in (KINDS | {"schedule": schedule()}).items()}
    assert counted == {
        "coder": 1,
        "technique": 2,
        "metric": 2,
        "task": 1,
        "dataset": 2,
        "network": 2,
        "recipe": 1,
        "schedule": 1,
    }


@pytest.mark.slow
def test_one_of_each_kind_is_added_and_used_in_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    write({"__init__.py": ""})
    for files in (*KINDS.values(), schedule()):
        write(files)
    found = [
        entry.name
        for kind in ("technique", "metric", "dataset", "model", "training")
        for entry in catalogue.group(kind)
    ]
    assert {"mine/rounding", "largest", "odd_digits", "narrow", "brief"} <= set(found)
    assert main(["check", "recipe=mine/row"]) == 0
    assert main(["run", "recipe=mine/row", "tracking=off"]) == 0
    (file,) = Path("outputs/runs").rglob("record.json")
    record = RunRecord.read(file)
    assert list(record.plan["plugins"]) == ["plugins"]
    assert record.dataset["name"] == "odd_digits"
    assert record.plan["model"]["width"] == 12
    assert record.plan["stages"]["train"]["training"]["epochs"] == 4
    final = record.final.metrics
    assert final["top1"] > 0.75  # half of the digits are odd
    assert 0 < final["largest_weight"] < 100
    packed = [row["format"] for row in record.tensors if row["name"].endswith("weight")]
    assert packed == ["FixedPoint(bits=8, fraction_bits=4)"] * 2
    assert "plugins.deflated.Deflated" in {row["coder"] for row in record.tensors}
    model = compressbench.load(file.parent / "model.cbp", plugins=["plugins"])
    assert model[2].weight.mul(16).frac().abs().max() == 0
    assert main(["run", "recipe=mine/row", "tracking=off", "budget.largest_weight=0.001"]) == 1
    assert "largest_weight" in capsys.readouterr().err


@pytest.mark.slow
def test_one_file_beside_a_recipe_is_enough_for_all_of_them() -> None:
    parts = [text for files in KINDS.values() for name, text in files.items() if name.endswith(".py")]
    Path("plugins.py").write_text("\n".join(parts).replace("        from plugins.parity import Parity\n\n", ""))
    Path("mine.yaml").write_text(
        """\
# Everything at once.
model: {_target_: plugins.Narrow, width: 4}
dataset: {_target_: plugins.OddDigits}
metrics: [accuracy, plugins.Largest]
stages:
  train: {technique: training/from_scratch, training: {epochs: 1}}
  round: {technique: plugins.Rounding, bits: 3}
"""
    )
    record = compressbench.run("mine.yaml", tracking="off", progress=False)
    assert 0 < record.final.metrics["largest_weight"] < 100
