"""`--cfg` and `--info`: what a run would get."""

from __future__ import annotations

import pytest

from compressbench.core.errors import PlanError
from compressbench.planning.show import job_config, print_by_hydra


def test_the_configuration_has_all_defaults_and_what_was_written(row):
    shown = job_config(["recipe=row", "stages.prune.ratio=0.25"], None, "stages.prune", resolve=False)
    assert "ratio: 0.25" in shown
    assert "round_to: 1" in shown


def test_interpolations_are_resolved_on_request(row):
    assert job_config(["recipe=row"], None, "stages.train.training.batch_size", resolve=True) == "128\n"
    assert "${training" in job_config(["recipe=row"], None, "stages.train", resolve=False)


def test_a_part_that_is_not_there_is_met_with_the_nearest(row):
    with pytest.raises(PlanError, match="--package stagess: is not there; did you mean 'stages'"):
        job_config(["recipe=row"], None, "stagess", resolve=False)


def test_hydra_shows_its_own_part_and_where_it_looked(row, capsys):
    print_by_hydra(["recipe=row"], None, "hydra.job", False, "hydra")
    assert "name: compressbench" in capsys.readouterr().out
    print_by_hydra(["recipe=row"], None, None, False, "info searchpath")
    assert "recipes://" in capsys.readouterr().out
