"""Tab completion."""

from __future__ import annotations

from pathlib import Path

from compressbench.planning.catalogue import recipes
from compressbench.planning.complete import complete, offer


def test_recipes_and_groups(row):
    assert complete(["run", "recipe=ro"]) == ["recipe=row "]
    assert complete(["run", "mod"]) == ["model="]
    assert complete(["check", "model=lenet5"]) == ["model=lenet5 "]


def test_parameters_of_the_recipe_on_the_line(row):
    assert complete(["run", "recipe=row", "stages.prune.rati"]) == ["stages.prune.ratio=", "stages.prune.ratios="]
    assert complete(["run", "recipe=row", "stages.prune.technique=pruning/l1"]) == [
        "stages.prune.technique=pruning/l1_norm "
    ]
    assert complete(["run", "recipe=row", "~"]) == ["~stages.train ", "~stages.prune ", "~stages.finetune "]


def test_only_what_bash_takes_for_the_word_is_offered(row):
    assert offer("compressbench run recipe=ro", "ro", ["run"]) == ["row "]
    assert offer("compressbench run recipe=ro", "recipe=ro", ["run"]) == ["recipe=row "]  # bash without `=` as a break
    assert offer("compressbench re", "re", ["run", "report"]) == ["report "]
    assert offer("compressbench ", "", ["run", "report"]) == ["run ", "report "]


def test_the_last_value_of_a_sweep(row):
    assert complete(["run", "-m", "recipe=quickstart,ro"]) == ["recipe=quickstart,row "]


def test_an_unknown_or_broken_recipe_completes_to_nothing_more(write):
    write("broken", "stages: [\n")
    assert complete(["run", "recipe=broken", "stages."]) == []
    assert complete(["run", "recipe=absent", "stages."]) == []


def test_other_verbs(row):
    assert complete(["list", "mod"]) == ["models "]
    assert complete(["list", "train"])[0] == "training "
    assert complete(["list", "surv"]) == ["survey ", "survey_best "]
    assert complete(["check", "training=surv"]) == ["training=survey ", "training=survey_best "]
    assert complete(["list", "pruning/mag"]) == ["pruning/magnitude "]
    assert complete(["list", "table"]) == ["table1 ", "table2 ", "table5 ", "table6 ", "table7 ", *(
        f"{entry.name} " for table in (1, 2, 5, 6, 7) for entry in recipes() if entry.name.startswith(f"table{table}/")
    )]  # fmt: skip
    assert {"table5 ", "row "} <= set(complete(["report", ""]))
    assert complete(["sweep", "re"]) == ["resume ", "report "]
    Path("outputs/sweeps/abcd1234").mkdir(parents=True)
    assert complete(["sweep", "resume", "ab"]) == complete(["report", "ab"]) == ["abcd1234 "]
    assert complete(["check", "--mu"]) == ["--multirun "]
    assert complete(["ui", ""]) == []


def test_overrides_stand_behind_a_packed_file_whose_name_bash_completes(row):
    assert complete(["evaluate", "mod"]) == []
    assert complete(["evaluate", "model.cbp", "da"]) == ["dataset="]
    assert "dataset=mnist " in complete(["evaluate", "model.cbp", "dataset=mn"])
    assert complete(["export", "model.cbp", "--"]) == ["--output "]
    assert complete(["inspect", "mod"]) == []
