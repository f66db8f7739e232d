"""What people write behind `run`."""

from __future__ import annotations

import pytest

from compressbench.planning.overrides import as_written, changed, changes_training, without_plus

WRITTEN = ["recipe=a", "stages.prune.ratio=0.1,0.3", "~stages.code", "+stages.kd={a: 1}", "hydra.run.dir=x", "seed=1"]


def test_only_nodes_we_check_ourselves_are_forced():
    forced = without_plus(WRITTEN)
    assert forced[1] == "++stages.prune.ratio=0.1,0.3"
    assert [forced[index] for index in (0, 3, 4, 5)] == [WRITTEN[index] for index in (0, 3, 4, 5)]
    assert without_plus(["tracking.uri=x", "stages=1"]) == ["tracking.uri=x", "stages=1"]


def test_they_can_be_read_back_as_written():
    assert as_written(without_plus(WRITTEN)) == WRITTEN


def test_a_deletion_that_a_sweeper_wrote_again_is_read_back_too():
    assert as_written(["++stages.code.__deleted__=True"]) == ["~stages.code"]


@pytest.mark.parametrize(
    "override",
    [
        "training.train.epochs=3",
        "stages.train.training.lr=1",
        "limits.steps=2",
        "+stages.more={technique: x, training: {epochs: 3}}",
    ],
)
def test_these_change_the_training(override):
    assert changes_training([override])


@pytest.mark.parametrize(
    "override",
    [
        "training=reduced",
        "stages.prune.ratio=0.5",
        "seed=3",
        "stages.prune.technique=x",
        "dataset.root=/x",
        "~stages.x",
    ],
)
def test_these_do_not(override):
    assert not changes_training([override])


def test_what_makes_a_run_another_one_is_told_from_how_it_is_carried_out():
    plan = [
        "recipe",
        "seed",
        "model.name",
        "dataset.name",
        "stages.prune.ratio",
        "stages.more.technique",
        "limits.steps",
    ]
    differs = ["stages.prune.ratio=0.7", "training=reduced", "dataset=mnist", "limits.steps=3", "debug=smoke"]
    does_not = ["recipe=a", "seed=1", "outputs=x", "device=cpu", "threads=2", "tracking.uri=x", "dataset.root=/data"]
    assert changed([*differs, *does_not, "budget.params=1"], plan) == tuple(
        tuple(override.split("=")) for override in differs
    )
    assert changed(["~stages.code", "+stages.more={technique: a}"], plan) == (
        ("~stages.code", ""),
        ("stages.more", "{technique: a}"),
    )
