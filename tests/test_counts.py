"""Every published count that needs no training, to the last digit, from networks that our own pruning made.

Counts of the survey's networks were recovered from its tables (Choudhary et al. 2020, Tables 5 and 6); the others are
printed, rounded, by Li et al. 2017 (Table 1) and He et al. 2016.
"""

import pytest
import torch
from torch import nn

from compressbench.core.subject import Subject
from compressbench.metrics.flops_survey import flops_survey
from compressbench.metrics.macs import mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.pruning.random_filters import RandomFilterPruning
from compressbench.techniques.pruning.slimming import NetworkSlimming
from compressbench.zoo.torchvision_models import torchvision_model
from tests.techniques.lending import ALEXNET, BND, PLAIN, SLIMMING, StageContext, subject_of

CIFAR10, MNIST = 3, 1
RESNET = "compressbench.zoo.resnet_cifar.ResNetCifar"
FULL = [64, 192, 384, 256, 256]


def l1(layers: list[str], ratio: float = 0.0, ratios: dict[str, float] | None = None, ignore: tuple[str, ...] = ()):
    return L1NormPruning(layers, ratio, ratios or {}, list(ignore), round_to=1)


def first_convolutions(ratios: list[float], skip: list[int], blocks: int) -> L1NormPruning:
    """Li et al. number layers so that 2 b + 2 is the first convolution of block b, from 0 through all stages."""
    numbers = [(layer - 2) // 2 for layer in skip]
    keep = [f"stage{b // blocks + 1}.{b % blocks}.conv1" for b in numbers]
    by_stage = {f"stage{stage}.*.conv1": ratio for stage, ratio in enumerate(ratios, start=1)}
    return L1NormPruning(["stage*.conv1"], 0.0, by_stage, keep, round_to=1)


def convolutions(model: nn.Module) -> list[int]:
    return [module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize(
    ("in_channels", "arguments", "pruning", "kept", "without_bn", "with_bn", "flops"),
    [
        (CIFAR10, PLAIN, None, FULL, 2_869_066, 2_869_066, 92_212_254),
        (CIFAR10, PLAIN, l1(["conv"], 0.3, ignore=("conv1",)), [64, 134, 268, 179, 179], 1_641_727, None, 56_776_266),
        (CIFAR10, PLAIN, l1(["conv"], 0.5, ignore=("conv1",)), [64, 96, 192, 128, 128], 1_045_802, None, 38_561_310),
        (CIFAR10, BND, None, FULL, 2_869_066, 2_871_370, 92_273_694),
        (CIFAR10, BND, l1(["conv"], 0.5, {"conv1": 0.3}), [44, 96, 192, 128, 128], 990_522, 991_698, 31_189_278),
        (CIFAR10, BND, l1(["conv"], 0.6, {"conv1": 0.0}), [64, 76, 153, 102, 102], 804_593, 805_587, 30_744_414),
        (MNIST, PLAIN, None, FULL, 2_853_578, 2_853_578, 86_264_862),
        (MNIST, PLAIN, l1(["conv"], 0.5, ignore=("first",)), [64, 96, 192, 128, 128], 1_030_314, None, 32_613_918),
        (MNIST, BND, None, FULL, 2_853_578, 2_855_882, 86_326_302),
        (MNIST, BND, l1(["conv"], 0.5, {"conv1": 0.3}), [44, 96, 192, 128, 128], 979_874, 981_050, 27_100_446),
        (MNIST, BND, l1(["conv"], 0.6, {"conv1": 0.0}), [64, 76, 153, 102, 102], 789_105, 790_099, 24_797_022),
        (CIFAR10, SLIMMING, None, FULL, 2_471_114, 2_473_418, 89_860_638),
        (MNIST, SLIMMING, None, FULL, 2_455_626, 2_457_930, 83_913_246),
        (CIFAR10, {**BND, "last_pool": "average"}, None, FULL, 2_869_066, 2_871_370, 92_273_694),
        (CIFAR10, {**SLIMMING, "last_pool": "average"}, None, FULL, 2_471_114, 2_473_418, 89_860_638),
        (MNIST, {**SLIMMING, "last_pool": "average"}, None, FULL, 2_455_626, 2_457_930, 83_913_246),
    ],
)
def test_alexnet_of_the_survey_has_the_recovered_counts(
    in_channels, arguments, pruning, kept, without_bn, with_bn, flops
):
    subject, context = subject_of(ALEXNET, in_channels, **arguments), StageContext(in_channels)
    if pruning:
        subject = pruning.apply(subject, context)
    counts = parameter_counts(subject.model)
    assert convolutions(subject.model) == kept
    assert counts["params_without_bn"] == without_bn
    assert counts["params"] == (with_bn or without_bn)
    assert flops_survey(subject.model, context.example) == flops
    assert subject.skipped == []


def test_alexnet_of_the_survey_takes_15_352_832_macs():
    context = StageContext()
    assert mac_counts(subject_of(ALEXNET, **PLAIN).model, context.example)["macs"] == 15_352_832


def test_alexnet_of_the_binary_code_is_36_million_parameters_wide():
    # conv 192, 576, 1152, 768, 256 and two layers of 4,096, by hand with biases; MACs by the places of the outputs.
    wide = subject_of(ALEXNET, **{**PLAIN, "hidden": [4096, 4096], "channels": [192, 576, 1152, 768, 256]})
    convolutions = 69_888 + 2_765_376 + 5_973_120 + 7_963_392 + 1_769_728
    assert parameter_counts(wide.model)["params"] == convolutions + 1_052_672 + 16_781_312 + 40_970 == 36_416_458
    macs = 64 * 69_696 + 16 * 2_764_800 + 4 * (5_971_968 + 7_962_624 + 1_769_472) + 256 * 4096 + 4096**2 + 40_960
    assert mac_counts(wide.model, StageContext().example)["macs"] == macs == 129_380_352


def test_the_random_control_has_the_counts_of_the_criterion_it_controls():
    context = StageContext()
    control = RandomFilterPruning(["conv"], 0.5, {}, ["conv1"], round_to=1)
    assert parameter_counts(control.apply(subject_of(ALEXNET, **PLAIN), context).model)["params"] == 1_045_802


@pytest.mark.parametrize(
    ("in_channels", "ratios", "survivors"),
    [
        (CIFAR10, {"conv": 0.6, "linear": 0.7}, 1_106_918),
        (MNIST, {"conv": 0.6, "linear": 0.7}, 1_100_723),
        (CIFAR10, {"conv": 0.5, "linear": 0.7}, 1_353_773),
    ],
)
@pytest.mark.parametrize("scope", ["per_kind", "per_layer"])
def test_magnitude_pruning_leaves_the_recovered_number_of_weights(in_channels, ratios, survivors, scope):
    pruning = MagnitudePruning(["conv", "linear"], 0.0, ratios, [], scope, rounds=1, retrain=None)
    subject = pruning.apply(subject_of(ALEXNET, in_channels, **PLAIN), StageContext(in_channels))
    weights = [parameter for parameter in subject.model.parameters() if parameter.dim() > 1]
    assert sum(int(weight.count_nonzero()) for weight in weights) == survivors
    biases = 64 + 192 + 384 + 256 + 256 + 512 + 512 + 10
    assert parameter_counts(subject.model)["params_nonzero"] == survivors + biases


@pytest.mark.parametrize("in_channels", [CIFAR10, MNIST])
@pytest.mark.parametrize(("ratio", "kept"), [(0.4, 691), (0.5, 575)])
def test_slimming_keeps_what_a_global_threshold_leaves_of_1152_channels(in_channels, ratio, kept):
    subject, context = subject_of(ALEXNET, in_channels, **SLIMMING), StageContext(in_channels)
    for module in subject.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1, 1, generator=context.generator)
    subject = NetworkSlimming(ratio, ["bn"], [], round_to=1).apply(subject, context)
    assert sum(convolutions(subject.model)) == kept
    assert subject.skipped == []


VGG_A = l1(["conv"], 0.5, ignore=("conv2", "conv3", "conv4", "conv5", "conv6", "conv7"))


@pytest.mark.parametrize(
    ("target", "arguments", "pruning", "weights", "macs"),
    [
        ("compressbench.zoo.vgg_cifar.VGG16Cifar", {}, None, 14_977_728, 313_463_808),
        ("compressbench.zoo.vgg_cifar.VGG16Cifar", {}, VGG_A, 5_390_176, 206_279_680),
        (RESNET, {"depth": 56}, None, 848_944, 125_485_696),
        (RESNET, {"depth": 56}, first_convolutions([0.1] * 3, [16, 20, 38, 54], 9), 769_456, 112_435_840),
        (RESNET, {"depth": 56}, first_convolutions([0.6, 0.3, 0.1], [16, 18, 20, 34, 38, 54], 9), 732_016, 90_907_264),
        (RESNET, {"depth": 110}, None, 1_719_856, 252_887_680),
        (RESNET, {"depth": 110}, first_convolutions([0.5, 0.0, 0.0], [36], 18), 1_680_688, 212_779_648),
        (RESNET, {"depth": 110}, first_convolutions([0.5, 0.4, 0.3], [36, 38, 74], 18), 1_161_712, 155_124_352),
    ],
)
def test_the_networks_of_li_et_al_have_their_weights_and_macs(target, arguments, pruning, weights, macs):
    subject, context = subject_of(target, **arguments), StageContext()
    if pruning:
        subject = pruning.apply(subject, context)
    # as Li et al. print them: convolutions and fully connected layers alone, no biases, no batch norm
    counted = sum(parameter.numel() for parameter in subject.model.parameters() if parameter.dim() >= 2)
    assert counted == weights
    assert mac_counts(subject.model, context.example)["macs"] == macs
    assert subject.skipped == []


@pytest.mark.parametrize(
    ("build", "shape", "params", "macs"),
    [
        (lambda: subject_of("compressbench.zoo.lenet.LeNet5", 1, image_size=28), (1, 28, 28), 431_080, 2_293_000),
        (lambda: subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=28), (1, 28, 28), 266_610, 266_200),
        (lambda: _on_imagenet("alexnet"), (3, 224, 224), 61_100_840, 714_188_480),
        (lambda: _on_imagenet("vgg16"), (3, 224, 224), 138_357_544, 15_470_264_320),
        (lambda: _on_imagenet("resnet18"), (3, 224, 224), 11_689_512, 1_814_073_344),
    ],
)
def test_networks_of_the_literature_have_their_parameters_and_macs(build, shape, params, macs):
    model = build().model
    assert parameter_counts(model)["params"] == params
    assert mac_counts(model, torch.zeros(1, *shape))["macs"] == macs


def _on_imagenet(name: str) -> Subject:
    with torch.device("meta"):
        return Subject(torchvision_model(3, 1000, name), None)
