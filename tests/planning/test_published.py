"""Whether the published figures of a row are about what is run."""

from __future__ import annotations

import pytest

from compressbench.planning.published import with_its_reference
from tests.planning.conftest import ROW
from tests.planning.plans import built


@pytest.mark.parametrize(
    ("overrides", "about_it"),
    [
        ([], True),
        (["training=reduced", "seed=3"], True),
        (["stages.prune.ratio=0.5"], True),  # as the recipe has it: a sweep over ratios passes there
        (["stages.train.training.epochs=1", "stages.finetune.training.lr=0.5"], True),
        (["stages.prune.ratio=0.7"], False),
        (["stages.prune.technique=pruning/random_filters"], False),
        (["~stages.finetune"], False),
        (["+stages.more={technique: training/finetune}"], False),
        (["model=lenet_300_100", "~stages.prune"], False),
        (["dataset=synthetic"], False),
        (["debug=smoke"], False),
    ],
)
def test_published_figures_stand_beside_the_row_only(write, overrides, about_it):
    write("row", f"{ROW}reference: {{source: somebody, top1: 0.9}}\n")
    plan = with_its_reference(built("recipe=row", *overrides), overrides)
    assert plan.reference.figures == ({"top1": 0.9} if about_it else {})
