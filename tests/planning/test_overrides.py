"""What people write behind `run`."""

from __future__ import annotations

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from compressbench.core.errors import PlanError
from compressbench.planning.overrides import changed, changes_training, readable, written


def test_they_are_read_as_they_were_written():
    words = ["recipe=a", "stages.prune.ratio=0.1,0.3", "~stages.code", "+stages.kd={a: 1}", "hydra.run.dir=x", "seed=1"]
    assert readable(words) == words


def test_a_path_to_a_recipe_is_quoted_where_it_must_be(folder):
    (folder / "my (own).yaml").write_text("# Mine.\n")
    assert readable(["recipe=my (own).yaml", "recipe=mine.yaml"]) == ["recipe='my (own).yaml'", "recipe=mine.yaml"]


NUMBERS = [1, 0.1, 1e-5, float("inf"), True, None]
TEXTS = ["conv1", "a b", "it's", "x\\", "x\\'y", "a\\b", "1", "null", "nan", "", "conv*", "a,b", "[a]", "${x}"]
NESTED = [["conv1", "b c"], [], {"technique": "pruning/l1_norm", "ratio": 0.5, "targets": ["conv"]}]


@pytest.mark.parametrize("value", [*NUMBERS, *TEXTS, *NESTED])
def test_a_value_that_is_written_is_read_back_as_it_was(value):
    [override] = OverridesParser.create().parse_overrides([f"key={written(value)}"])
    assert override.value() == value
    assert type(override.value()) is type(value)


def test_numbers_of_numpy_and_paths_are_written_as_what_they_are(folder):
    assert [written(value) for value in (np.float64(0.5), np.float32(0.5), np.int64(3), folder)] == [
        "0.5",
        "0.5",
        "3",
        str(folder),
    ]


@pytest.mark.parametrize(("word", "says"), [("=3", "has no key"), ("model=null", "model: is null; allowed: a name")])
def test_what_hydra_would_answer_with_a_traceback_is_refused(word, says):
    with pytest.raises(PlanError, match=says):
        readable([word])


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
