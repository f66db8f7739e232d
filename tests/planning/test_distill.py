"""`distill:` of a stage: completed with defaults, checked, part of identities, and refused where it has no place."""

from __future__ import annotations

import pytest

from compressbench.core.source import Source
from compressbench.planning.complete import complete
from compressbench.planning.show import job_config
from compressbench.techniques.distillation.kd import KnowledgeDistillation
from tests.planning.plans import built, faults

TAUGHT = """\
# A row whose fine-tuning is taught.
model: lenet5
dataset: digits
stages:
  train: {technique: training/from_scratch, training: {epochs: 2}}
  prune: {technique: pruning/l1_norm, ratio: 0.5}
  finetune: {technique: training/finetune, distill: {teacher: {stage: train}}}
"""


@pytest.fixture(autouse=True)
def taught(write) -> None:
    write("taught", TAUGHT)


def test_it_is_kd_with_its_defaults_and_without_a_training_of_its_own():
    stage = built("recipe=taught").stages[2]
    assert stage.distill is not None
    assert stage.distill.technique == KnowledgeDistillation(Source("train"), temperature=4.0, weight=0.9)
    assert stage.as_dict()["distill"] == {
        "technique": "distillation/kd",
        "teacher": {"stage": "train", "recipe": "", "overrides": [], "file": ""},
        "temperature": 4.0,
        "weight": 0.9,
    }
    assert "temperature: 4.0" in job_config(["recipe=taught"], None, "stages.finetune.distill", resolve=True)


def test_the_command_line_reaches_into_it_adds_it_and_takes_it_away(row):
    set_ = built("recipe=taught", "stages.finetune.distill.temperature=2").stages[2].distill
    added = built("recipe=row", "stages.finetune.distill={teacher: {stage: train}, temperature: 2}").stages[2].distill
    assert set_ == added
    assert built("recipe=taught", "stages.finetune.distill=null").stage_ids() == built("recipe=row").stage_ids()
    word = "stages.finetune.distill.temperature="
    assert complete(["run", "recipe=taught", word[:-5]]) == [word]


def test_it_counts_in_identities_with_all_that_it_reads(row):
    plain, ids = built("recipe=row").stage_ids(), built("recipe=taught").stage_ids()
    assert plain[:2] == ids[:2]
    others = [
        built("recipe=taught", f"stages.finetune.distill.{change}").stage_ids()[2]
        for change in ("weight=0.5", "teacher.stage=prune", "temperature=2")
    ]
    assert len({plain[2], ids[2], *others}) == 5
    assert list(built("recipe=taught").reads(built("recipe=taught").stages[2])) == ["train"]


def test_another_recipe_may_teach(write):
    write("far", TAUGHT.replace("{stage: train}", "{recipe: taught, stage: train}"))
    assert list(built("recipe=far").others) == ["taught: train"]


def test_a_child_changes_what_it_says_and_another_distillation_replaces_it(write):
    write("child", "extends: taught\nstages:\n  finetune: {distill: {weight: 0.5}}\n")
    found = built("recipe=child").stages[2].distill
    assert found is not None
    assert (found.technique.weight, found.technique.teacher) == (0.5, Source("train"))
    write(
        "logits",
        "extends: taught\nstages:\n  finetune: {distill: {technique: distillation/logits, teacher: {stage: train}}}\n",
    )
    write("half", "extends: logits\nstages:\n  finetune: {distill: {weight: 0.5}}\n")
    taught = built("recipe=half").stages[2].distill
    assert taught is not None
    assert (taught.kind, taught.technique.weight) == ("distillation/logits", 0.5), "whose kind a child need not repeat"
    write("other", "extends: taught\nstages:\n  finetune: {distill: {technique: distillation/kdd}}\n")
    assert [each for each in faults("recipe=other") if "kdd" in each] == [
        "stages.finetune.distill.technique: there is no 'distillation/kdd'; did you mean 'distillation/kd'? "
        "(`compressbench list techniques` shows all)"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("finetune.distill=kd", "finetune.distill: is 'kd'; allowed: a mapping, e.g. `{teacher: {stage: train}}`"),
        ("finetune.distill.temperatur=2", "finetune.distill.temperatur: there is no such key; did you mean 'temperat"),
        ("finetune.distil={}", "finetune.distil: there is no such key; did you mean 'distill'?"),
        ("finetune.distill.weight=2", "finetune.distill: weight is 2.0; allowed: 0 to 1"),
        ("finetune.distill.training.epochs=2", "finetune.distill.training: has no place here"),
        ("finetune.distill.technique=pruning/l1_norm", "is 'pruning/l1_norm', which cannot be lent; allowed: "),
        (
            "finetune.distill.technique=distillation/net2net",
            "is 'distillation/net2net', which cannot be lent; allowed: ",
        ),
        ("finetune.distill.distill={}", "distill.distill: there is no such key; allowed: teacher, temperature, "),
        ("prune.distill={teacher: {stage: train}}", "prune.distill: pruning/l1_norm trains nothing here"),
        ("finetune.technique=distillation/kd", "finetune.distill: distillation/kd brings an objective of its own"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_key(change, said):
    given = ["+stages.finetune.teacher={stage: train}"] if "technique=distillation" in change else []
    assert [each for each in faults("recipe=taught", f"stages.{change}", *given) if said in each], said


def test_everything_wrong_is_said_at_once(row):
    given = ["stages.finetune.epochs=2", "+stages.finetune.distill={temperature: x, wight: 1}"]
    assert len(faults("recipe=row", *given)) == 4, "an unknown key outside and inside, a wrong value, no teacher"
