"""What a recipe's `sweep:` stands for."""

from __future__ import annotations

import pytest

from compressbench.core.errors import PlanError
from compressbench.planning.build import build
from compressbench.planning.compose import compose
from compressbench.planning.launch import faults_of_axes, read_sweep

AXES = 'extends: row\nsweep: {seed: [0, 1], stages.prune.ratio: "0.1,0.3"}\n'


def values(*words: str) -> list[dict[str, str]]:
    return [point.values for point in read_sweep(words).points]


def faults(*words: str) -> str:
    try:
        return "\n".join(map(str, faults_of_axes(read_sweep(words))))
    except PlanError as error:
        return str(error)


def test_a_recipe_s_axes_are_what_the_command_line_would_say(row, write):
    write("mine", AXES)
    written = ["seed=0,1", "stages.prune.ratio=0.1,0.3"]
    sweep, by_hand = read_sweep(["recipe=mine"]), read_sweep(["recipe=mine", *written])
    assert (sweep.points, sweep.identity) == (by_hand.points, by_hand.identity)
    assert len(sweep.points) == 4
    assert faults("recipe=mine") == ""


def test_what_is_written_on_the_command_line_wins(row, write):
    write("mine", AXES)
    assert values("recipe=mine", "seed=5") == [{"stages.prune.ratio": "0.1"}, {"stages.prune.ratio": "0.3"}]
    assert values("recipe=mine", "seed=5,6", "stages.prune.ratio=0.2") == [{"seed": "5"}, {"seed": "6"}]
    assert values("recipe=mine", "~stages.prune") == [{"seed": "0"}, {"seed": "1"}]


def test_values_are_lists_of_anything_or_text_in_hydra_s_grammar(row, write):
    write("mine", 'extends: row\nsweep: {seed: "range(0,3)", stages.prune.ignore: [[conv1, "a b"], []]}\n')
    points = values("recipe=mine")
    assert [point["seed"] for point in points] == ["0", "0", "1", "1", "2", "2"]
    assert [point["stages.prune.ignore"] for point in points[:2]] == ["[conv1,'a b']", "[]"]
    assert faults("recipe=mine") == ""


def test_rows_of_a_table_inherit_axes_and_may_change_or_delete_them(row, write):
    write("mine/_base", "extends: row\nsweep: {seed: [0, 1], stages.prune.ratio: [0.1]}\n")
    write("mine/a", "extends: _base\n")
    write("mine/deeper/b", "extends: mine/_base\nsweep: {seed: [7], stages.prune.ratio: null}\n")
    assert values("recipe=glob(mine/*)") == [
        {"recipe": "mine/a", "seed": "0", "stages.prune.ratio": "0.1"},
        {"recipe": "mine/a", "seed": "1", "stages.prune.ratio": "0.1"},
        {"recipe": "mine/deeper/b", "seed": "7"},
    ]
    before = read_sweep(["recipe=glob(mine/*)"]).identity
    write("mine/deeper/b", "extends: mine/_base\nsweep: {seed: [8], stages.prune.ratio: null}\n")
    assert read_sweep(["recipe=glob(mine/*)"]).identity != before
    write("mine/c", "extends: _base\nsweep: {sed: null}\n")
    assert "there is no such axis to delete; did you mean 'seed'" in faults("recipe=mine/c")


def test_axes_are_no_part_of_a_plan(row, write):
    plan = build(compose(["recipe=row"]))[0]
    write("row", row.read_text() + "sweep: {seed: [3, 4]}\n")
    again = build(compose(["recipe=row"]))[0]
    assert again.plan_id() == plan.plan_id()
    assert again == plan


def test_everything_that_is_wrong_is_said_before_anything_runs(row, write):
    write(
        "mine",
        "extends: row\nsweep:\n  stages.prune.ratoi: [0.1]\n  sede: [1]\n  seed: [0, 1, one]\n  outputs: [a, b]\n"
        "  model: [lenet5, lenet55]\n  stages.prune.ratio: []\n  threads: 3\n  device: choice(\n",
    )
    said = faults("recipe=mine")
    for words in (
        "sweep.stages.prune.ratoi: there is no such key; did you mean 'ratio'?",
        "sweep.sede: there is no such key; did you mean 'seed'?",
        "sweep.seed: is 'one'; a whole number is needed",
        "sweep.outputs: cannot be swept by a recipe",
        "sweep.model: there is no 'lenet55'; did you mean 'lenet5'?",
        "sweep.stages.prune.ratio: is []; allowed: a list of one or more values",
        "sweep.threads: is 3; allowed: a list of one or more values",
        "sweep.device: is 'choice(', which cannot be read",
    ):
        assert words in said
    assert said.count("\n") == 7


@pytest.mark.parametrize("given", ["3", "[1, 2]", "seed"])
def test_a_sweep_that_is_no_mapping_is_refused(row, write, given):
    write("mine", f"extends: row\nsweep: {given}\n")
    assert "sweep: is" in faults("recipe=mine")
    assert "e.g. `seed: [0, 1, 2]`" in faults("recipe=mine")
