"""What varies in a sweep."""

from __future__ import annotations

from compressbench.planning.compose import config_loader
from compressbench.planning.swept import read_sweep


def test_what_is_fixed_and_what_varies(row):
    words = ["recipe=row", "~stages.finetune", "stages.prune.ratio=0.1,0.3", "seed=range(0,3)"]
    sweep = read_sweep(words, config_loader())
    assert sweep.fixed == ["recipe=row", "~stages.finetune"]
    assert sweep.values == {"stages.prune.ratio": ["0.1", "0.3"], "seed": ["0", "1", "2"]}
    assert sweep.first() == ["recipe=row", "~stages.finetune", "stages.prune.ratio=0.1", "seed=0"]


def test_a_glob_is_looked_up(row, write):
    write("mine/a", "extends: row\n")
    write("mine/b", "extends: row\n")
    assert read_sweep(["recipe=glob(mine/*)"], config_loader()).values == {"recipe": ["mine/a", "mine/b"]}
