"""A network in ONNX answers what it answers in torch, and int8 layers stay int8."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from compressbench.core.errors import RunError
from compressbench.core.subject import Subject
from compressbench.export import onnx_model
from compressbench.export.onnx_model import to_onnx
from compressbench.techniques.quantization.ptq_int8 import PostTrainingInt8
from tests.techniques.lending import ALEXNET, PLAIN, StageContext, bare, seeded, subject_of

PTQ = PostTrainingInt8(["conv", "linear"], [], "minmax", 0.9999, 8, 2)


class Residual(nn.Module):
    """A residual block with few channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.outer = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        images = self.relu(self.stem(images))
        images = self.relu(images + self.outer(self.relu(self.inner(images))))
        return self.head(images.mean((2, 3)))


def residual() -> Subject:
    return bare(seeded(Residual).eval())


def session(content: bytes, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answers(content: bytes, images: Tensor) -> Tensor:
    return torch.from_numpy(session(content).run(["logits"], {"images": images.numpy()})[0])


def operators(content: bytes, folder: Path) -> Counter[str]:
    """Return what ONNX Runtime makes of a model."""
    session(content, folder / "optimized.onnx")
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def images(batch: int, side: int) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(5))


def test_an_fp32_network_answers_the_same_for_any_batch_is_written_and_left_as_it_was(tmp_path):
    subject = residual()
    subject.model.train()
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    state, level = torch.get_rng_state(), torch.get_num_threads()
    content = to_onnx(subject, torch.zeros(1, 3, 8, 8), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == content
    assert all(module.training for module in subject.model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in subject.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == level
    subject.model.eval()
    for batch in (1, 5):
        given = images(batch, 8)
        assert torch.allclose(answers(content, given), subject.model(given), atol=1e-5)


@pytest.mark.slow
def test_every_layer_of_an_int8_alexnet_runs_as_integers_but_the_last(tmp_path):
    subject = PTQ.apply(subject_of(ALEXNET, **PLAIN), StageContext())
    content = to_onnx(subject, torch.zeros(1, 3, 32, 32))
    found = operators(content, tmp_path)
    assert (found["QLinearConv"], found["QGemm"], found["Conv"], found["Relu"]) == (5, 2, 0, 0)
    assert found["QuantizeLinear"] == 1  # the images; from there to the last layer everything is uint8
    with torch.no_grad():
        given = images(3, 32)
        logits = subject.model(given)
    # fused kernels round sums once more, so that a value near the middle may end one step further
    assert torch.allclose(answers(content, given), logits, atol=0.02 * float(logits.std()))
    weights = {tuple(tensor.dims): tensor for tensor in onnx.load_from_string(content).graph.initializer}
    assert weights[384, 192, 1, 3, 3].data_type == onnx.TensorProto.INT8
    assert len(content) < 3_100_000  # 2.87 million parameters, a byte each


def test_convolutions_of_a_residual_block_run_as_integers_too(tmp_path):
    subject = PTQ.apply(residual(), StageContext(side=8))
    content = to_onnx(subject, torch.zeros(1, 3, 8, 8))
    found = operators(content, tmp_path)
    assert (found["QLinearConv"], found["Conv"]) == (3, 0)
    with torch.no_grad():
        logits = subject.model(images(4, 8))
    assert torch.allclose(answers(content, images(4, 8)), logits, atol=0.05 * float(logits.std()))


class Stubborn(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images if images.sum() > 0 else -images


@pytest.mark.slow
def test_a_network_that_cannot_be_exported_is_named_with_its_own_layers():
    with pytest.raises(RunError, match="Sequential cannot be exported to ONNX: "):
        to_onnx(bare(nn.Sequential(Stubborn())), torch.zeros(1, 3, 8, 8))
    Stubborn.__module__ = "compressbench.layers.stubborn"
    with pytest.raises(RunError, match=r"Sequential with 1 \(Stubborn\) cannot be exported to ONNX: "):
        to_onnx(bare(nn.Sequential(nn.ReLU(), Stubborn())), torch.zeros(1, 3, 8, 8))


def test_without_its_packages_it_says_which_extra_to_install(monkeypatch):
    monkeypatch.setattr(onnx_model, "find_spec", lambda name: None if name == "onnxscript" else find_spec(name))
    with pytest.raises(RunError, match="onnxscript cannot be imported; install the extra `onnx` of compressbench"):
        to_onnx(residual(), torch.zeros(1, 3, 8, 8))
