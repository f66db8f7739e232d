"""The rows of Li et al. 2017, Han et al. 2015 and 2016 and of the survey's Table 1 say what is printed.

The figures below were transcribed by hand from the published tables.
"""

from __future__ import annotations

import pytest

from tests.test_recipes import EVERY, recipe

# Li et al. 2017, Table 1: error before and after in %; parameters and MACs before and after.
LI = {
    "li2017/vgg16_cifar10_a": (6.75, 6.60, 1.5e7, 5.4e6, 3.13e8, 2.06e8),
    "li2017/resnet56_cifar10_a": (6.96, 6.90, 8.5e5, 7.7e5, 1.25e8, 1.12e8),
    "li2017/resnet56_cifar10_b": (6.96, 6.94, 8.5e5, 7.3e5, 1.25e8, 9.09e7),
    "li2017/resnet110_cifar10_a": (6.47, 6.45, 1.72e6, 1.68e6, 2.53e8, 2.13e8),
    "li2017/resnet110_cifar10_b": (6.47, 6.70, 1.72e6, 1.16e6, 2.53e8, 1.55e8),
    "li2017/vgg16_cifar10_a_scratch": (6.75, 6.88, 1.5e7, 5.4e6, 3.13e8, 2.06e8),
    "li2017/resnet56_cifar10_b_scratch": (6.96, 8.69, 8.5e5, 7.3e5, 1.25e8, 9.09e7),
    "li2017/resnet110_cifar10_b_scratch": (6.47, 7.06, 1.72e6, 1.16e6, 2.53e8, 1.55e8),
    "li2017/resnet34_imagenet_a": (26.77, 27.44, 2.16e7, 1.99e7, 3.64e9, 3.08e9),
    "li2017/resnet34_imagenet_b": (26.77, 27.83, 2.16e7, 1.93e7, 3.64e9, 2.76e9),
}

# Han et al. 2016, Table 1: bytes before and after, error after in %.
DEEP_COMPRESSION = {
    "deep_compression/lenet_300_100_paper": (1.07e6, 2.7e4, 1.58),
    "deep_compression/lenet5_paper": (1.72e6, 4.4e4, 0.74),
    "deep_compression/imagenet_alexnet": (240e6, 6.9e6, 42.78),
    "deep_compression/imagenet_vgg16": (552e6, 11.3e6, 31.17),
}

# Han et al. 2015, Table 1: top1 and top5 error before and after in %; parameters before and after.
HAN = {
    "han2015/lenet_300_100": (1.64, None, 1.59, None, 2.67e5, 2.2e4),
    "han2015/lenet5": (0.80, None, 0.77, None, 4.31e5, 3.6e4),
    "han2015/imagenet_alexnet": (42.78, 19.73, 42.77, 19.67, 6.1e7, 6.7e6),
    "han2015/imagenet_vgg16": (31.50, 11.32, 31.34, 10.88, 1.38e8, 1.03e7),
}

# Table 1: top1 and top5 error after in %, parameters, bytes; as far as it prints them.
TABLE_1 = {
    "table1/imagenet_alexnet_han2015": (42.77, 19.67, 6.7e6, None),
    "table1/imagenet_alexnet_guo2016": (43.09, 19.99, 3.45e6, None),
    "table1/imagenet_alexnet_deep_compression": (42.78, 19.70, None, 6.9e6),
    "table1/imagenet_alexnet_kim2016": (None, 21.67, 1.1e7, None),
    "table1/imagenet_alexnet_tai2016": (None, 20.34, 1.22e7, None),
    "table1/imagenet_alexnet_yu2017": (None, 19.69, 6.1e6, None),
    "table1/imagenet_vgg16_han2015": (31.34, 10.88, 1.03e7, None),
    "table1/imagenet_vgg16_deep_compression": (31.17, 10.91, None, 1.13e7),
    "table1/imagenet_vgg16_tai2016": (None, 9.69, 5.02e7, None),
    "table1/imagenet_vgg16_yu2017": (None, 10.94, 9.7e6, None),
    "table1/imagenet_caffenet_srinivas2015": (44.40, None, 3.96e7, None),
    "table1/imagenet_resnet34_li2017": (None, None, 1.99e7, None),
    "table1/imagenet_resnet18_inq_5": (31.02, 10.90, None, None),
}


@pytest.mark.parametrize("name", DEEP_COMPRESSION)
def test_the_reference_of_a_row_of_deep_compression_is_what_the_paper_prints(name: str) -> None:
    before, after, error = DEEP_COMPRESSION[name]
    reference = recipe(name)["reference"]
    assert (reference["before"]["size_bytes"], reference["size_bytes"]) == (before, after)
    assert 100 * (1 - reference["top1"]) == pytest.approx(error)


@pytest.mark.parametrize("name", LI)
def test_the_reference_of_a_row_of_li_2017_is_what_the_paper_prints(name: str) -> None:
    error_before, error, params_before, params, macs_before, macs = LI[name]
    reference = recipe(name)["reference"]
    assert reference["before"]["top1"] == pytest.approx(1 - error_before / 100)
    assert reference["top1"] == pytest.approx(1 - error / 100)
    assert (reference["before"]["params"], reference["params"]) == (params_before, params)
    assert (reference["before"]["macs"], reference["macs"]) == (macs_before, macs)


@pytest.mark.parametrize("name", HAN)
def test_the_reference_of_a_row_of_han_2015_is_what_the_paper_prints(name: str) -> None:
    *errors, params_before, params = HAN[name]
    reference = recipe(name)["reference"]
    before = reference["before"]
    ours = (before["top1"], before.get("top5"), reference["top1"], reference.get("top5"))
    assert ours == tuple(None if error is None else pytest.approx(1 - error / 100) for error in errors)
    assert (before["params"], reference["params"]) == (params_before, params)


@pytest.mark.parametrize("name", TABLE_1)
def test_the_reference_of_a_row_of_table_1_is_what_the_survey_prints(name: str) -> None:
    *errors, params, size_bytes = TABLE_1[name]
    reference = recipe(name)["reference"]
    assert [reference.get("top1"), reference.get("top5")] == [e and pytest.approx(1 - e / 100) for e in errors]
    assert (reference.get("params"), reference.get("size_bytes")) == (params, size_bytes)
    assert reference["source"] == "Choudhary et al. 2020, Table 1"


def test_table_1_has_the_rows_that_pruning_sharing_inq_and_low_rank_make() -> None:
    assert {name for name in EVERY if name.startswith("table1/")} == TABLE_1.keys()


@pytest.mark.parametrize(
    ("network", "weights", "kept_percent", "printed"),
    [
        ("lenet_300_100", [235_200, 30_000, 1_000], [8, 9, 26], 22e3),
        ("lenet5", [500, 25_000, 400_000, 5_000], [66, 12, 8, 19], 36e3),
        # Caffe's AlexNet: its second, fourth and fifth convolutions see half of their inputs, in two groups.
        (
            "imagenet_alexnet",
            [34_848, 307_200, 884_736, 663_552, 442_368, 37_748_736, 16_777_216, 4_096_000],
            [84, 38, 35, 37, 37, 9, 9, 25],
            6.7e6,
        ),
        (
            "imagenet_vgg16",
            [1_728, 36_864, 73_728, 147_456, 294_912, 589_824, 589_824, 1_179_648]
            + [2_359_296] * 5
            + [102_760_448, 16_777_216, 4_096_000],
            [58, 22, 34, 36, 53, 24, 42, 32, 27, 34, 35, 29, 36, 4, 4, 23],
            10.3e6,
        ),
    ],
)
def test_the_densities_of_han_2015_come_to_the_printed_counts(
    network: str, weights: list[int], kept_percent: list[int], printed: float
) -> None:
    stages = recipe(f"han2015/{network}")["stages"]
    assert [round(100 * (1 - ratio)) for ratio in stages["prune"]["ratios"].values()] == kept_percent
    kept = sum(count * percent / 100 for count, percent in zip(weights, kept_percent, strict=True))
    assert kept == pytest.approx(printed, rel=0.025)  # the percentages are printed without decimals
    assert "code" not in stages


@pytest.mark.parametrize("name", [name for name in LI if "cifar10" in name and "scratch" not in name])
def test_every_row_of_li_2017_has_a_control_that_removes_as_many_filters_of_the_same_layers(name: str) -> None:
    row, control = recipe(name), recipe(f"{name}_random")
    drawn = row["stages"]["prune"] | {"technique": "pruning/random_filters"}
    assert control["stages"] == row["stages"] | {"prune": drawn}
    assert control["model"] == row["model"]
    assert "top1" not in control["reference"]


@pytest.mark.parametrize("name", [name for name in LI if "scratch" in name])
def test_a_scratch_row_of_li_2017_trains_the_architecture_that_the_pruned_row_has(name: str) -> None:
    pruned, scratch = (recipe(row)["stages"] for row in (name.removesuffix("_scratch"), name))
    assert scratch["prune"] == pruned["prune"]
    assert scratch["scratch"] == {
        "technique": "training/reinitialize",
        "init": "he_fan_out",
        "training": {"lr": pruned["train"]["training"]["lr"]},
    }
