"""Networks of every kind go all the way: recurrent, attention, transformers, timm's, transformers'."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import compressbench
from compressbench.cli.main import main
from compressbench.core.architecture import Architecture
from compressbench.core.record import RunRecord
from compressbench.core.subject import Subject
from compressbench.metrics.macs import layer_table
from compressbench.packing import packed_file
from compressbench.planning.build import build_dataset
from compressbench.planning.compose import compose
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.sharing.kmeans import SharedWeights
from tests.cli.commands import Captured, recipe, refused
from tests.techniques.lending import StageContext
from tests.users_plugins import write_plugins

PLUGIN = """\
import torch
from torch import nn
from torchvision.models import VisionTransformer


class Rows(nn.Module):
    def __init__(self, in_channels, classes, image_size, hidden=16):
        super().__init__()
        self.lstm = nn.LSTM(in_channels * image_size, hidden, batch_first=True)
        self.out = nn.Linear(hidden, classes)

    def forward(self, images):
        return self.out(self.lstm(images.transpose(1, 2).flatten(2))[0][:, -1])


class ViT(VisionTransformer):
    def __init__(self, num_classes, image_size):
        super().__init__(image_size, 8, 2, 2, 16, 32, num_classes=num_classes)

    def forward(self, images):
        return super().forward(images.expand(-1, 3, -1, -1))


class Transformer(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.patches = nn.Conv2d(in_channels, 16, 8, 8)
        self.first = nn.Parameter(torch.zeros(1, 1, 16))
        self.scale = nn.Parameter(torch.ones(16))
        self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.head = nn.Linear(16, classes)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(tokens), -1, -1), tokens], 1)
        return self.head(self.blocks(tokens)[:, 0] * self.scale)


class Uncounted(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.odd = nn.Bilinear(in_channels * 32, in_channels * 32, classes)

    def forward(self, images):
        return self.odd(images.mean(2).flatten(1), images.mean(3).flatten(1))


class Pair(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.fc = nn.Linear(in_channels * 32 * 32, classes)

    def forward(self, images):
        return self.fc(images.flatten(1)), images


class Three(Pair):
    def __init__(self, in_channels):
        super().__init__(in_channels, 3)

    def forward(self, images):
        return super().forward(images)[0]


class Odd(Pair):
    def forward(self, images):
        return super().forward(images)[0][None].fft()
"""
STACK = """\
model: {model}
dataset: digits
limits: {{epochs: 1, steps: 5}}
stages:
  train: {{technique: training/from_scratch}}
{stages}
  code: {{technique: coding/entropy}}
"""
WEIGHTS = """\
  prune: {technique: pruning/magnitude, ratio: 0.5, targets: [conv, linear, rnn, attention]}
  share: {technique: sharing/kmeans, bits: 3, targets: [conv, linear, rnn, attention]}"""
INT8 = """\
  prune: {{technique: pruning/l1_norm, ratio: 0.5, targets: ["{hidden}"]}}
  quantize: {{technique: quantization/ptq_int8}}"""


def carried_out(model: str, stages: str) -> tuple[RunRecord, nn.Module]:
    """Run a stack, and return its record and the network loaded from its file, which answers as was measured."""
    assert main(["run", recipe(STACK.format(model=model, stages=stages)), "tracking=off"]) == 0
    [file] = Path("outputs/runs").rglob("record.json")
    record = RunRecord.read(file)
    loaded = compressbench.load(file.parent / "model.cbp", plugins=["plugins"] if "plugins" in model else [])
    images, labels = map(
        torch.cat, zip(*build_dataset(compose(["dataset=digits"])).load().test.batches(500), strict=True)
    )
    with torch.no_grad():
        right = (loaded(images).argmax(1) == labels).double().mean().item()
    assert right == pytest.approx(record.final.metrics["top1"])
    return record, loaded


@pytest.mark.slow
def test_a_recurrent_network_is_pruned_shared_and_packed() -> None:
    write_plugins(PLUGIN)
    record, loaded = carried_out("{_target_: plugins.Rows}", WEIGHTS)
    sizes = {"lstm.weight_ih_l0": 64 * 32, "lstm.weight_hh_l0": 64 * 16}
    kept = [int(loaded.get_parameter(name).count_nonzero()) for name in sizes]
    assert sum(kept) == sum(sizes.values()) // 2  # the layer's weights compete for one threshold
    assert all(len(loaded.get_parameter(name).unique()) <= 9 for name in sizes)
    rows = {row["name"]: row for row in record.layers}
    assert (rows["lstm"]["macs"], rows["lstm"]["macs_nonzero"]) == (32 * 64 * 48, 32 * 64 * 24)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "hidden"), [("ViT", "encoder.layers.*.mlp.0"), ("Transformer", "blocks.layers.*.linear1")]
)
def test_a_transformer_loses_hidden_units_and_computes_with_int8(network: str, hidden: str) -> None:
    write_plugins(PLUGIN)
    record, _ = carried_out(f"{{_target_: plugins.{network}}}", INT8.format(hidden=hidden))
    layers = {row["name"]: row for row in record.layers}
    named = [name for name in layers if name.endswith((".mlp.0", ".linear1"))]
    assert [(layers[name]["kind"], layers[name]["output_shape"][-1]) for name in named] == [("Int8Linear", 16)] * 2
    skipped = {why for stage in record.stages for _, why in stage.skipped}
    assert skipped == {"a NonDynamicallyQuantizableLinear has no int8 form; Conv2d and Linear have"}
    assert not any("not_counted" in row for row in record.layers)


@pytest.mark.slow
def test_attention_is_pruned_and_shared_too() -> None:
    write_plugins(PLUGIN)
    _, loaded = carried_out("{_target_: plugins.Transformer}", WEIGHTS)
    projections = loaded.get_parameter("blocks.layers.0.self_attn.in_proj_weight")
    assert int(projections.count_nonzero()) == 3 * 16 * 16 // 2
    assert len(projections.unique()) <= 9


@pytest.mark.slow
@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")
def test_a_network_of_timm_is_pruned_and_packed() -> None:
    stages = "  prune: {technique: pruning/l1_norm, ratio: 0.5, ignore: [first, last]}"
    record, loaded = carried_out("timm/mobilenetv3_small_050", stages)
    before, after = (stage.metrics["params"] for stage in record.stages[:2])
    assert after < 0.5 * before
    assert {type(module).__name__ for module in loaded.modules()} >= {"BatchNormAct2d"}  # which no file can name


@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
def test_a_tiny_network_of_transformers_is_counted_pruned_shared_and_packed() -> None:
    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    arguments: dict[str, Any] = {"name": "bert", "classes": 3, "vocabulary": 11, "length": 4, "options": tiny}
    target = "compressbench.zoo.transformers_models.transformers_model"
    architecture = Architecture(target, arguments)
    subject = Subject(architecture.build().eval(), architecture)
    words = torch.tensor([[1, 2, 3, 4]])
    rows = layer_table(subject.model, words)
    linear = 4 * (4 * 8 * 8 + 2 * 8 * 16) + 8 * 8 + 3 * 8  # four tokens through the layer; the first one to the classes
    assert sum(row["macs"] for row in rows) == linear + 2 * 4 * 4 * 8
    assert not any("not_counted" in row for row in rows)
    kinds = ["linear", "embedding"]
    subject = MagnitudePruning(kinds, 0.5, {}, [], "per_layer", 1, None).apply(subject, StageContext())
    subject = SharedWeights(kinds, [], 3, {}, "optimal", 10, None, "fp32").apply(subject, StageContext())
    packed_file.write(subject, Path("bert.cbp"))
    with torch.no_grad():
        assert torch.equal(packed_file.read(Path("bert.cbp")).model(words), subject.model(words))


def test_what_no_formula_counts_is_said_by_check_and_run(capsys: Captured) -> None:
    write_plugins(PLUGIN)
    stack = recipe(STACK.format(model="{_target_: plugins.Uncounted}", stages=""))
    assert main(["check", stack]) == 0
    assert "the MACs of odd (Bilinear): no formula for _trilinear" in capsys.readouterr().out
    assert main(["run", stack, "tracking=off"]) == 0
    assert "not counted: the MACs of odd (Bilinear): no formula for _trilinear" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("Pair", "Pair gives a tuple"),
        ("Three", "Three gives [2, 3] for a batch of 2; [2, 10] is needed"),
        ("Odd", "Odd cannot take inputs of 1 x 32 x 32: 'Tensor' object has no attribute 'fft'"),
        ("Nothing", "the code plugins.Nothing cannot be imported: module 'plugins' has no attribute 'Nothing'"),
    ],
)
def test_a_network_that_does_not_fit_the_task_is_refused_before_anything_is_trained(
    network: str, why: str, capsys: Captured
) -> None:
    write_plugins(PLUGIN)
    stack = STACK.format(model=f"{{_target_: plugins.{network}}}", stages=WEIGHTS)
    for verb in ("check", "run"):
        assert f"model: {why}" in refused(capsys, verb, recipe(stack))
    assert not Path("outputs/runs").exists()
