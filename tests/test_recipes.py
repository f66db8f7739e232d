"""The recipes say what the papers print. The figures below were transcribed by hand from the published tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from compressbench.planning.catalogue import recipe_files
from compressbench.planning.recipe import read_recipe

RECIPES = Path(__file__).parent.parent / "recipes"

# row: top1 and top5 before, top1 and top5 after in %; parameters and FLOPs before and after in millions.
PRINTED = """
table5/cifar10_l1norm_30         74.0  97.61 73.92 97.55 2.87 1.64 92.21 56.78
table5/cifar10_l1norm_50         74.0  97.61 74.52 97.93 2.87 1.05 92.21 38.56
table5/cifar10_bnd_l1norm_30_50  78.45 98.45 76.48 98.40 2.87 0.99 92.27 31.19
table5/cifar10_bnd_l1norm_0_60   78.45 98.45 76.24 98.32 2.87 0.80 92.27 30.74
table5/cifar10_magnitude         74.0  97.61 74.09 97.58 2.87 1.35 92.21 -
table5/cifar10_bnd_magnitude     78.45 98.45 77.74 98.37 2.87 1.11 92.27 -
table5/cifar10_slimming_40       77.91 98.30 77.93 98.29 2.47 0.75 89.60 48.49
table5/cifar10_slimming_50       77.08 98.43 78.22 98.44 2.47 0.47 89.60 41.18
table5/mnist_l1norm_50           98.68 99.99 98.53 99.98 2.85 1.03 86.26 32.61
table5/mnist_bnd_l1norm_30_50    98.58 100.0 98.63 100.0 2.85 0.98 86.33 27.1
table5/mnist_bnd_l1norm_0_60     98.58 100.0 98.66 100.0 2.85 0.80 86.33 24.8
table5/mnist_magnitude           98.68 99.99 98.53 99.97 2.85 1.1  86.26 -
table5/mnist_bnd_magnitude       98.58 100.0 98.43 99.99 2.85 1.1  86.33 -
table5/mnist_slimming_40         98.72 99.99 98.63 100.0 2.45 0.74 83.91 37.10
table5/mnist_slimming_50         98.72 99.99 98.77 99.99 2.45 0.47 93.91 28.9
table6/cifar10_base              78.45 98.45 78.45 98.45 2.87 2.87 92.27 92.27
table6/cifar10_pruned            78.45 98.45 76.24 98.32 2.87 0.99 92.27 30.74
table6/cifar10_scratch           78.45 98.45 76.22 98.18 2.87 0.99 92.27 30.74
table6/mnist_base                98.58 100.0 98.58 100.0 2.85 2.85 86.33 86.33
table6/mnist_pruned              98.58 100.0 98.66 100.0 2.85 0.80 86.33 24.80
table6/mnist_scratch             98.58 100.0 98.64 100.0 2.85 0.80 86.33 24.80
"""
ROWS = {line.split()[0]: line.split()[1:] for line in PRINTED.strip().splitlines()}

# Table 7: top1 and top5 before and after, in %.
TABLE_7 = {
    "table7/cifar10_inq_8": (78.53, 98.56, 62.14, 95.62),
    "table7/cifar10_inq_5": (78.53, 98.56, 62.35, 95.50),
    "table7/cifar10_bnn_baseline": (73.92, 97.66, 73.92, 97.66),
    "table7/cifar10_bnn_ce": (73.92, 97.66, 71.08, 97.75),
    "table7/cifar10_bnn_hinge": (73.92, 97.66, 71.06, 97.51),
    "table7/imagenet_resnet18_inq_8": (69.64, 88.98, 68.96, 88.85),
    "table7/imagenet_resnet18_inq_5": (69.64, 88.98, 65.59, 86.87),
    "table7/imagenet_alexnet_inq_8": (56.62, 79.05, 55.70, 78.57),
    "table7/imagenet_alexnet_inq_5": (56.62, 79.05, 55.96, 78.62),
}

# What each note on a misprint has to name: the printed figure and the right one.
MISPRINTS = {
    **dict.fromkeys(
        (f"table1/imagenet_alexnet_{row}" for row in ("han2015", "guo2016", "deep_compression")), ("Caffe",)
    ),
    **dict.fromkeys((f"table1/imagenet_vgg16_{row}" for row in ("han2015", "deep_compression")), ("512", "552")),
    "table1/imagenet_alexnet_kim2016": ("Caffe", "5.46", "2.67"),
    "table1/imagenet_alexnet_tai2016": ("61 M over 5",),
    "table1/imagenet_alexnet_yu2017": ("a line of VGG-16",),
    "table1/imagenet_vgg16_tai2016": ("512", "552", "138 M over 2.75"),
    "table1/imagenet_vgg16_yu2017": ("a line of CaffeNet", "14.3", "512", "552"),
    "table1/imagenet_resnet34_li2017": ("lost in print", "ResNet-34-A", "172,032"),
    "table1/imagenet_resnet18_inq_5": ("65.59", "68.98"),
    "table1/imagenet_caffenet_srinivas2015": ("not printed", "60,965,224"),
    "table2/cifar10_resnet56_chen2018": ("not printed", "42.3 %", "34.8"),
    "table2/cifar100_vgg16_chen2018": ("78.9 %", "32.9 %"),
    **dict.fromkeys((f"table2/cifar10_{row}_li2017" for row in ("resnet56", "vgg16")), ("all epochs",)),
    "table2/cifar10_fitnet4_romero2015": ("low-rank", "leaves out"),
    "table5/cifar10_magnitude": ("1.35", "1.11", "conv 50 %"),
    "table5/cifar10_magnitude_conv50": ("1.35", "conv 50 %"),
    "table5/cifar10_slimming_40": ("under MNIST", "89.60", "89.86"),
    "table5/cifar10_slimming_50": ("89.60", "89.86"),
    "table5/mnist_bnd_l1norm_0_60": ("0.80", "0.79"),
    "table5/mnist_slimming_40": ("2.45", "2,457,930"),
    "table5/mnist_slimming_50": ("93.91", "83.91", "2,457,930"),
    "table6/cifar10_pruned": ("0.99", "0.80", "30.74"),
    "table6/cifar10_scratch": ("0.99", "0.80", "30.74"),
    "table6/mnist_pruned": ("0.80", "0.79"),
    "table6/mnist_scratch": ("0.80", "0.79"),
    "table7/cifar10_inq_8": ("16 points",),
    "table7/cifar10_inq_5": ("16 points",),
    **dict.fromkeys((f"table7/cifar10_bnn_{row}" for row in ("baseline", "ce", "hinge")), ("74.00", "78.53")),
}

VERBS = {
    *("train", "before", "distill", "grow", "prune", "surgery", "factor", "finetune", "scratch", "rewind", "fold"),
    *("share", "retrain", "equalize", "smooth", "split", "quantize", "correct", "recover", "code"),
}
"""What stages of recipes are called, with `_again` where one stands a second time."""
EVERY = sorted(recipe_files([RECIPES]))


def recipe(name: str) -> dict[str, Any]:
    return read_recipe(name, [RECIPES])


def test_tables_5_and_6_have_their_21_rows_and_one_variant() -> None:
    found = {name for name in EVERY if name.startswith(("table5/", "table6/"))}
    assert len(ROWS) == 21
    assert found == ROWS.keys() | {"table5/cifar10_magnitude_conv50"}


@pytest.mark.parametrize("name", EVERY)
def test_a_handicap_is_measured_by_a_row_with_published_top1_on_the_same_data(name: str) -> None:
    reference = recipe(name).get("reference") or {}
    if reference.get("handicap"):
        base = recipe(reference["handicap"])["reference"]
        assert (base["dataset"], base["handicap"]) == (reference["dataset"], None)
        assert base["top1"] == base["before"]["top1"]  # a network without compression


def test_the_rows_of_tables_5_to_7_on_cifar10_name_the_batch_norm_base_as_their_handicap() -> None:
    tables = ("table5/cifar10_", "table6/cifar10_", "table7/cifar10_")
    named = {name: recipe(name)["reference"]["handicap"] for name in EVERY if name.startswith(tables)}
    assert named.pop("table6/cifar10_base") is None
    assert set(named.values()) == {"table6/cifar10_base"}


@pytest.mark.parametrize("name", ROWS)
def test_the_reference_of_a_row_is_what_the_survey_prints(name: str) -> None:
    top1_before, top5_before, top1, top5, params_before, params, flops_before, flops = (
        None if text == "-" else float(text) for text in ROWS[name]
    )
    reference = recipe(name)["reference"]
    before = reference["before"]
    assert reference["dataset"] == name.split("/")[1].split("_")[0]
    assert reference["source"].endswith("Table " + name[5])
    for ours, printed, unit in (
        (before["top1"], top1_before, 100),
        (before["top5"], top5_before, 100),
        (reference["top1"], top1, 100),
        (reference["top5"], top5, 100),
        (before["params"], params_before, 1e-6),
        (reference["params"], params, 1e-6),
        (before["flops_survey"], flops_before, 1e-6),
        (reference.get("flops_survey"), flops, 1e-6),
    ):
        assert ours == (None if printed is None else pytest.approx(printed / unit, rel=1e-9))


@pytest.mark.parametrize("name", TABLE_7)
def test_the_reference_of_a_row_of_table_7_is_what_the_survey_prints(name: str) -> None:
    reference = recipe(name)["reference"]
    before = reference["before"]
    ours = (before["top1"], before["top5"], reference["top1"], reference["top5"])
    assert [100 * figure for figure in ours] == pytest.approx(list(TABLE_7[name]))
    assert reference["dataset"] == name.split("/")[1].split("_")[0]


def test_table_7_has_its_9_rows() -> None:
    assert {name for name in EVERY if name.startswith("table7/")} == TABLE_7.keys()


def test_every_misprint_and_odd_figure_is_noted_and_nothing_else_is() -> None:
    noted = {name for name in EVERY if name.startswith("table") and recipe(name)["reference"].get("note")}
    assert noted == MISPRINTS.keys()
    for name, words in MISPRINTS.items():
        note = recipe(name)["reference"]["note"]
        assert all(word in note for word in words), name


def test_rows_on_the_same_network_and_dataset_train_in_the_same_words_so_that_they_share_a_baseline() -> None:
    trained: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name in (*ROWS, "table5/cifar10_magnitude_conv50"):
        found = recipe(name)
        assert next(iter(found["stages"])) == "train"
        trained.setdefault((str(found["model"]), str(found["dataset"])), []).append(found["stages"]["train"])
    assert len(trained) == 6  # plain, BND and slimming on two datasets
    assert sorted(map(len, trained.values())) == [2, 2, 2, 4, 6, 6]
    for stages in trained.values():
        assert all(stage == stages[0] for stage in stages)


def test_table_6_scratch_trains_the_architecture_that_the_pruned_row_has() -> None:
    for dataset in ("cifar10", "mnist"):
        pruned, scratch = (recipe(f"table6/{dataset}_{row}")["stages"] for row in ("pruned", "scratch"))
        assert list(scratch) == ["train", "prune", "scratch"]
        assert scratch["prune"] == pruned["prune"] == recipe(f"table5/{dataset}_bnd_l1norm_0_60")["stages"]["prune"]
        assert scratch["scratch"]["technique"] == "training/reinitialize"


@pytest.mark.parametrize("name", EVERY)
def test_a_recipe_is_short_and_says_in_its_first_line_what_it_is(name: str) -> None:
    lines = (RECIPES / f"{name}.yaml").read_text().splitlines()
    assert 3 <= len(lines) <= 40
    assert re.fullmatch(r"# \S.{30,}\.", lines[0])
    assert all(len(line) <= 120 for line in lines)


@pytest.mark.parametrize("name", EVERY)
def test_stages_are_verbs_and_accuracies_are_fractions(name: str) -> None:
    found = recipe(name)
    stages = [stage.removesuffix("_again") for stage in found["stages"]]
    assert set(stages) <= VERBS
    assert "code" not in stages[:-1]
    reference = found.get("reference", {})
    for figures in (reference, reference.get("before", {}), reference.get("tolerance", {})):
        for metric in ("top1", "top5"):
            assert 0 <= (figures.get(metric) or 0) <= 1


def test_li_skips_the_layers_that_the_paper_names() -> None:
    # The paper's layer 2b + 2 is the first conv of block b, counted through the whole net from 0.
    def keeps(blocks: list[int], layers: list[int], stage: str, first: int) -> list[str]:
        places = [(number, block) for number, count in enumerate(blocks, start=first) for block in range(count)]
        return [f"{stage}{number}.{block}.conv1" for number, block in (places[layer // 2 - 1] for layer in layers)]

    def kept(name: str) -> list[str]:
        return list(recipe(f"li2017/{name}")["stages"]["prune"]["ignore"])

    assert kept("resnet56_cifar10_a") == keeps([9, 9, 9], [16, 20, 38, 54], "stage", 1)
    assert kept("resnet56_cifar10_b") == keeps([9, 9, 9], [16, 18, 20, 34, 38, 54], "stage", 1)
    assert kept("resnet110_cifar10_a") == keeps([18, 18, 18], [36], "stage", 1)
    assert kept("resnet110_cifar10_b") == keeps([18, 18, 18], [36, 38, 74], "stage", 1)
    all_of_resnet34 = keeps([3, 4, 6, 3], [2, 8, 14, 16, 26, 28, 30, 32], "layer", 1)
    assert all_of_resnet34[-3:] == ["layer4.0.conv1", "layer4.1.conv1", "layer4.2.conv1"]  # all of layer4, left out
    assert kept("resnet34_imagenet_a") == kept("resnet34_imagenet_b") == all_of_resnet34[:-3]
