"""A network whose batch norm is folded computes the same."""

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Frozen, Shared
from compressbench.core.format import Codebook, Sparse
from compressbench.packing.packed_file import read, write
from compressbench.techniques.coding.fold_batch_norm import FoldBatchNorm
from compressbench.techniques.pruning._unstructured import keep_masked
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from tests.techniques.lending import ALEXNET, BND, SLIMMING, StageContext, bare, seeded, subject_of

TORCHVISION = "compressbench.zoo.torchvision_models.torchvision_model"


def settled(subject, images):
    """Give running statistics, scales and shifts values as training leaves them: none is 0 or 1."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in subject.model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
                module.bias.copy_(torch.randn(module.bias.shape, generator=generator))
        subject.model.train()(images)
    subject.model.eval()
    return subject


@torch.no_grad()
def folded_and_difference(subject, images):
    before = subject.model(images)
    subject = FoldBatchNorm().apply(subject, StageContext())
    return subject, float((subject.model.eval()(images) - before).abs().max() / before.abs().max())


def norms(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        (ALEXNET, BND),
        (ALEXNET, SLIMMING),  # convolutions without biases
        ("compressbench.zoo.vgg_cifar.VGG16Cifar", {}),  # BatchNorm1d after a linear layer
        ("compressbench.zoo.resnet_cifar.ResNetCifar", {"depth": 20}),
        (TORCHVISION, {"name": "mobilenet_v2"}),
    ],
)
def test_the_folded_network_computes_the_same_without_batch_norm(target, arguments, tmp_path):
    images = StageContext().images[:4]
    subject = settled(subject_of(target, **arguments), images)
    subject, difference = folded_and_difference(subject, images)
    assert difference < 1e-5
    assert norms(subject.model) == []
    assert subject.skipped == []
    write(subject, tmp_path / "model.cbp")
    with torch.no_grad():
        assert torch.equal(read(tmp_path / "model.cbp").model(images), subject.model(images))


def test_a_hand_example():
    """y = 3 x, batch norm of mean 1, variance 4 (eps 0), scale 10, shift 7: (3 x - 1) / 2 * 10 + 7 = 15 x + 2."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1, eps=0.0)).eval()
    with torch.no_grad():
        model[0].weight.fill_(3)
        for tensor, value in zip((*model[1].parameters(), *list(model[1].buffers())[:2]), (10, 7, 1, 4), strict=True):
            tensor.fill_(value)
    model = FoldBatchNorm().apply(bare(model), StageContext()).model
    assert (model[0].weight.item(), model[0].bias.item()) == (15, 2)
    assert type(model[1]) is nn.Identity


class Branching(nn.Module):
    """The first convolution's output is used twice, the second norm stands after a sum, the third has no statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.conv3, self.norm3 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)
        self.conv4, self.norm4 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, affine=False)

    def forward(self, images: Tensor) -> Tensor:
        first = self.conv1(images)
        second = self.norm2(self.conv2(self.norm1(first)) + first)
        return self.norm4(self.conv4(self.norm3(self.conv3(second))))


def test_what_cannot_be_folded_stays_and_is_reported():
    images = StageContext().images
    subject = settled(bare(seeded(Branching)), images)
    subject, difference = folded_and_difference(subject, images)
    assert difference < 1e-5
    assert norms(subject.model) == ["norm1", "norm2", "norm3"]
    assert [(skipped.what, skipped.why.split()[0]) for skipped in subject.skipped] == [
        ("norm1", "no"), ("norm2", "no"), ("norm3", "it"),
    ]  # fmt: skip


def test_a_layer_that_runs_twice_is_left_alone():
    conv = nn.Conv2d(3, 3, 1)
    subject = settled(bare(nn.Sequential(conv, nn.BatchNorm2d(3), conv)), StageContext().images)
    subject, difference = folded_and_difference(subject, StageContext().images)
    assert difference == 0
    assert len(subject.skipped) == 1


def test_masks_and_formats_of_the_layer_stay_and_those_of_the_norm_go():
    images = StageContext().images
    subject = settled(subject_of(ALEXNET, **BND), images)
    subject = MagnitudePruning(["conv"], 0.5, {}, [], "per_layer", 1, None).apply(subject, StageContext())
    zeros = subject.model.conv2.weight == 0
    subject.formats["bn2.weight"] = Sparse()
    subject, difference = folded_and_difference(subject, images)
    assert difference < 1e-5
    assert torch.equal(subject.model.conv2.weight == 0, zeros)
    assert set(subject.formats) == {f"conv{number}.weight" for number in range(1, 6)}
    assert all(constraint.holds(subject.model) for constraint in subject.constraints)


def test_promises_and_formats_that_folding_makes_untrue_are_done_with_and_later_training_keeps_the_shift():
    images = StageContext().images
    subject = settled(subject_of(ALEXNET, **BND), images)
    for name in ("conv1.bias", "conv2.bias", "conv2.weight", "fc2.bias"):
        keep_masked(subject, name, torch.zeros_like(subject.model.get_parameter(name), dtype=torch.bool))
    weight = subject.model.conv1.weight
    everywhere = torch.ones_like(weight, dtype=torch.bool)
    subject.constraints += [
        Frozen("conv1.weight", everywhere, weight.detach().clone()),
        Shared("conv1.weight", torch.arange(weight.numel(), dtype=torch.int16).view(weight.shape)),
        Frozen("bn1.weight", torch.ones(len(subject.model.bn1.weight), dtype=torch.bool), subject.model.bn1.weight),
    ]
    subject.formats["conv1.weight"] = Codebook(4)
    subject.enforce()
    subject, difference = folded_and_difference(subject, images)
    assert difference < 1e-5
    assert sorted(map(str, subject.constraints)) == [
        f"Mask of {name} ({count:,} of {count:,} elements are zero)"
        for name in ("conv2.weight", "fc2.bias")
        for count in [subject.model.get_parameter(name).numel()]
    ]
    assert subject.formats == {"conv2.weight": Sparse(), "fc2.bias": Sparse()}
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    subject.enforce()
    assert all(torch.equal(tensor, before[name]) for name, tensor in subject.model.state_dict().items())


class Undecided(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images if images.sum() > 0 else -images


def test_a_network_that_cannot_be_traced_is_refused_with_its_name():
    with pytest.raises(ValueError, match="Undecided cannot be traced"):
        FoldBatchNorm().apply(bare(Undecided()), StageContext())
