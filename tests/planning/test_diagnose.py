"""Everything that is wrong, in one message, where Hydra would stop at the first."""

from __future__ import annotations

import pytest
from hydra.core.plugins import Plugins

from compressbench.core.errors import PlanError
from compressbench.planning.diagnose import composed
from compressbench.planning.launch import launch, read_sweep
from tests.planning.test_launch import job, run, seen


def said(*overrides: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        composed(overrides)
    return [str(fault).partition(";")[0] for fault in caught.value.faults]


def test_faults_of_several_groups_keys_stages_and_the_budget_come_together(row):
    words = ["model=alexnett", "dataset=digitz", "sead=1", "stages.prune.technique=pruning/l1", "budget.params=abc"]
    assert said("recipe=row", *words, "stages.train.training.epochs=many") == [
        "dataset: there is no 'digitz'",
        "model: there is no 'alexnett'",
        "sead: there is no such key",
        "stages.train.training.epochs: is 'many'",
        "stages.prune.technique: there is no 'pruning/l1'",
        "budget.params: is 'abc'",
    ]


def test_those_of_a_recipe_too(write):
    write(
        "bad", "model: {name: alexnett, hiden: [3]}\ndataset: digitz\nstages: {a: {technique: training/x}}\nsead: 1\n"
    )
    found = said("recipe=bad")
    assert [each.partition(":")[0] for each in found] == [
        "dataset",
        "model",
        "sead",
        "model.hiden",
        "stages.a.technique",
    ]


def test_words_that_cannot_be_read_hide_nothing(row):
    assert said("recipe=row", "=3", "seed=(", "quick", "stages.prune.ratio=2") == [
        "=3: has no key",
        "seed=(: cannot be read",
        "quick: is not an override",
        "stages.prune: ratio is 2.0",
    ]


def test_an_unknown_recipe_is_taken_for_the_nearest_to_find_the_rest(row):
    assert said("recipe=rwo", "stages.prune.ratoi=1", "sead=1") == [
        "recipe: there is no 'rwo'",
        "sead: there is no such key",
        "stages.prune.ratoi: there is no such key",
    ]


def test_of_what_has_no_name_at_all_nothing_more_is_said(row):
    assert said("recipe=row", "model=xyz", "model.depth=20", "stages.prune.ratio=2") == [
        "model: there is no 'xyz'",
        "stages.prune: ratio is 2.0",
    ]
    assert said("recipe=nonsense", "stages.prune.ratio=2") == ["recipe: there is no 'nonsense'"]


def test_a_sweep_says_all_of_it_too_and_starts_nothing(row):
    with pytest.raises(PlanError) as caught:
        run("recipe=row", "seed=1,2", "model=alexnett", "stages.prune.ratio=2")
    assert [fault.where for fault in caught.value.faults] == ["model", "stages.prune"]
    assert seen() == []


def test_a_launcher_that_is_not_installed_names_its_package_and_our_extra(row, monkeypatch):
    found = said("recipe=row", "hydra/launcher=submitit_nowhere", "sead=1")
    assert found[1:] == ["sead: there is no such key"]
    monkeypatch.setattr("compressbench.planning.errors.LAUNCHERS", {"cloud": ("sky", "hydra-cloud-launcher")})
    [told] = said("recipe=row", "hydra/launcher=cloud")
    assert told == "launcher: sky (Hydra's cloud) needs what is not there: hydra-cloud-launcher cannot be imported"


def test_a_launcher_that_cannot_start_jobs_here_is_one_sentence(row, monkeypatch):
    def away(*_, **__):  # as submitit does
        raise RuntimeError('Could not detect "srun", are you indeed on a slurm cluster?')

    basic = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
    monkeypatch.setattr(Plugins.instance().class_name_to_class[basic], "launch", away)
    with pytest.raises(PlanError, match='launcher: cannot start jobs here: Could not detect "srun"'):
        launch(read_sweep(["recipe=row", "seed=1,2"]), job)
