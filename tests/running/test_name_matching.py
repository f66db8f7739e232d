"""Which tensor of a checkpoint is which: by name, by order and shape where there is no doubt, else five lines."""

from __future__ import annotations

import pytest

from compressbench.running.name_matching import aligned, match, renamed

OURS = {
    "conv1.weight": (4, 1, 3, 3),
    "stage1.0.conv1.weight": (4, 4, 3, 3),
    "stage1.0.bn1.weight": (4,),
    "stage1.0.bn1.bias": (4,),
    "stage1.0.conv2.weight": (4, 4, 3, 3),
    "fc.weight": (2, 4),
    "fc.bias": (2,),
}
NAMES = {"stage": "layer", "fc": "linear"}


def theirs(**changes: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
    """Return the checkpoint of the same network in another hand's names, with changes (None: it is not there)."""
    named = dict(zip(renamed(list(OURS), NAMES).values(), OURS.values(), strict=True))
    for name, shape in changes.items():
        named.pop(name) if shape is None else named.update({name: shape})
    return named


def refusal(checkpoint: dict[str, tuple[int, ...]]) -> list[str]:
    with pytest.raises(ValueError, match="fit Net") as caught:
        match(checkpoint, OURS, frozenset(), "Net")
    return [line.strip() for line in str(caught.value).splitlines()]


def test_equal_names_and_shapes_are_each_other_whatever_the_order() -> None:
    found = match(dict(reversed(OURS.items())), OURS, frozenset(), "Net")
    assert found.theirs == {name: name for name in OURS}
    assert found.how == "all 7 tensors by name"


def test_what_is_left_is_matched_by_order_and_shape_where_that_is_unambiguous() -> None:
    found = match(theirs(), OURS, frozenset(), "Net")
    assert found.theirs["stage1.0.conv2.weight"] == "layer1.0.conv2.weight"
    ends = "from layer1.0.conv1.weight as stage1.0.conv1.weight to linear.bias as fc.bias"
    assert found.how == f"1 tensors by name, 6 by order and shape ({ends})"


def test_otherwise_five_lines_say_how_many_fit_the_first_that_does_not_and_a_renaming_to_try() -> None:
    assert refusal(theirs(**{"layer1.0.bn1.bias": None})) == [
        "1 of 7 tensors fit Net by name and shape",
        "the first of the file's 5 others: layer1.0.conv1.weight (4 x 4 x 3 x 3)",
        "the first of the network's 6 without one: stage1.0.conv1.weight (4 x 4 x 3 x 3)",
        "by order and shape they do not fit: 5 are left of the file and 6 of the network",
        "try weights: {file: FILE, rename: {layer: stage, linear: fc}}, under which 6 of 7 fit",
    ]


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (
            ["layer1.0.conv2.weight", "layer1.0.bn1.weight", "layer1.0.bn1.bias", "layer1.0.conv1.weight"],
            "layer1.0.conv2.weight would be stage1.0.conv1.weight, but the network has a conv2 too",
        ),
        (
            ["layer1.0.conv1.weight", "layer1.0.bn1.bias", "layer1.0.bn1.weight", "layer1.0.conv2.weight"],
            "layer1.0.bn1.bias would be stage1.0.bn1.weight",
        ),
    ],
)
def test_equal_shapes_in_another_order_are_no_match(order: list[str], why: str) -> None:
    there = theirs()
    swapped = {name: there[name] for name in ["conv1.weight", *order, "linear.weight", "linear.bias"]}
    assert refusal(swapped)[3] == f"by order and shape they do not fit: {why}"


def test_the_tensors_of_one_module_go_to_one_module() -> None:
    ours = {"a.weight": (2, 2), "a.bias": (2,), "b.weight": (2, 2), "b.bias": (2,)}
    other = {"x.weight": (2, 2), "y.bias": (2,), "y.weight": (2, 2), "x.bias": (2,)}
    with pytest.raises(ValueError, match=r"y would be a and b|a would be x and y"):
        match(other, ours, frozenset(), "Net")


def test_a_tensor_of_another_shape_is_named_with_both() -> None:
    assert refusal({**OURS, "fc.weight": (10, 4)}) == [
        "6 of 7 tensors fit Net by name and shape",
        "of another shape: fc.weight is 10 x 4 in the file and 2 x 4 in the network",
    ]


def test_what_is_optional_may_be_missing() -> None:
    assert (
        len(match(OURS, {**OURS, "bn.num_batches_tracked": ()}, frozenset({"bn.num_batches_tracked"}), "").theirs) == 7
    )


def test_a_renaming_replaces_the_beginning_of_a_part_of_a_name_and_nothing_else() -> None:
    names = ["layer1.0.conv1.weight", "player.weight", "linear.bias", "encoder.layer2.norm.weight"]
    assert list(renamed(names, {"layer": "stage", "linear": "fc", "encoder.": ""}).values()) == [
        "stage1.0.conv1.weight",
        "player.weight",
        "fc.bias",
        "stage2.norm.weight",
    ]
    assert renamed(["a.b.weight"], {"a": "b", "b": "a"}) == {"a.b.weight": "b.a.weight"}  # at once, not in turns


def test_a_first_part_that_all_share_comes_off_or_on_where_that_gives_more_of_the_networks_names() -> None:
    assert aligned(["model.fc.weight", "model.fc.bias"], ["fc.weight", "fc.bias"])["model.fc.bias"] == "fc.bias"
    assert aligned(["fc.weight"], ["network.fc.weight"])["fc.weight"] == "network.fc.weight"
    assert aligned(["features.weight"], ["features.weight"])["features.weight"] == "features.weight"


def test_what_the_network_does_not_need_is_left_out_where_the_recipe_says_so() -> None:
    more = {**OURS, "auxiliary.weight": (3, 3)}
    assert refusal(more)[4] == "leave out what is not needed: weights: {file: FILE, rename: {auxiliary: null}}"
    assert list(renamed(list(more), {"auxiliary": None})) == list(OURS)
    assert refusal({"conv1.weight": (4, 1, 3, 3)})[4] == "the file is of a smaller network"
