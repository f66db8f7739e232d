"""What stands below a table: which machine computed which stage."""

from __future__ import annotations

from compressbench.core.record import RunRecord
from compressbench.planning import catalogue
from compressbench.reporting.compare import compare
from compressbench.reporting.remarks import PROTOCOLS, remarks
from tests.reporting.made import MNIST_50, made_record

LAPTOP = {"torch": "2.13.0", "python": "3.11.7", "device": "cpu", "processor": "a processor"}
SERVER = {**LAPTOP, "torch": "2.11.0", "device": "NVIDIA H200"}


def run_with(*records: RunRecord) -> list[str]:
    """Return the remarks that say what the records were run with."""
    comparisons, _ = compare(list(records), {"mnist_l1norm_50": MNIST_50})
    return [words for words in remarks(comparisons) if "Run with" in words]


def computed(*environments: dict[str, str], seed: int = 0) -> RunRecord:
    """Return a record of train, prune, finetune, computed in these; its last environment is the laptop's."""
    record = made_record(seed)
    for stage, environment in zip(record.stages, environments, strict=True):
        stage.environment = environment
    return record


def test_a_run_of_one_machine_names_it_once() -> None:
    both = computed(LAPTOP, LAPTOP, LAPTOP), computed(LAPTOP, LAPTOP, LAPTOP, seed=1)
    assert run_with(*both) == ["Run with torch 2.13.0, Python 3.11.7, a processor."]


def test_stages_of_several_machines_are_named_with_theirs() -> None:
    assert run_with(computed(SERVER, LAPTOP, SERVER)) == [
        "Run with torch 2.11.0, Python 3.11.7, NVIDIA H200 (train, finetune); "
        "torch 2.13.0, Python 3.11.7, a processor (prune)."
    ]


def test_runs_whose_stages_came_from_several_machines_share_one_sentence() -> None:
    first, second = computed(SERVER, LAPTOP, SERVER), computed(SERVER, LAPTOP, LAPTOP, seed=1)
    assert run_with(first, second) == [
        "Run with torch 2.11.0, Python 3.11.7, NVIDIA H200 (train, finetune); "
        "torch 2.13.0, Python 3.11.7, a processor (prune, finetune)."
    ]


def test_what_lay_in_the_cache_is_said_to_be_of_the_machine_that_computed_it_not_of_the_last_one() -> None:
    assert run_with(computed(SERVER, SERVER, SERVER)) == ["Run with torch 2.11.0, Python 3.11.7, NVIDIA H200."]


def test_an_older_record_falls_back_to_its_own_environment() -> None:
    assert run_with(made_record()) == ["Run with torch 2.13.0, Python 3.11.7, a processor."]


def test_an_older_record_whose_trainings_came_from_a_gpu_says_so() -> None:
    record = made_record()
    for stage in (record.stages[0], record.stages[2]):
        stage.setting = {"precision": "tf32", "layout": "channels_last", "device": "cuda", "threads": "1"}
    assert run_with(record) == ["Run with a GPU (train, finetune); torch 2.13.0, Python 3.11.7, a processor (prune)."]


def test_every_schedule_is_said_in_words() -> None:
    names = [entry.name for entry in catalogue.training()]
    assert [name for name in names if name not in PROTOCOLS and name.partition("_")[0] not in PROTOCOLS] == []


def test_the_default_schedule_is_said_to_be_no_papers() -> None:
    comparisons, _ = compare([made_record()], {"mnist_l1norm_50": MNIST_50})
    (said,) = [words for words in remarks(comparisons) if words.startswith("steps_160: ")]
    assert "Liu et al. 2017 and Li et al. 2017 mixed, no paper's own. Run: train 160 epochs" in said


def test_rows_of_different_seeds_are_said_to_be_compared_by_their_changes() -> None:
    one, two = made_record(seed=0, row="a"), [made_record(seed=seed, row="b") for seed in (0, 1)]
    said = "Not all rows of mnist, steps_160 have the same seeds"
    assert any(words.startswith(said) for words in remarks(compare([one, *two], {})[0]))
    assert not any(words.startswith(said) for words in remarks(compare([one, two[0]], {})[0]))
