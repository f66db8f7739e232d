"""What "before compression" is, for stacks that train first, that start from given weights, and that do neither."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compressbench.core.before import GIVEN, index_before
from compressbench.core.plan import Stage
from compressbench.core.record import StageRecord
from tests.core.test_record import RECORD
from tests.running.plans import plan

GIVEN_NETWORK = StageRecord(GIVEN, GIVEN, "start", {"top1": 0.99})
TRAIN, FINETUNE, PRUNE = "training/from_scratch", "training/finetune", "pruning/l1_norm"
GRADUAL, BNN = "pruning/gradual", "quantization/bnn"


@pytest.mark.parametrize(
    ("kinds", "given", "expected"),
    [
        ([TRAIN, PRUNE, FINETUNE], False, 0),
        ([TRAIN], False, 0),
        ([PRUNE, FINETUNE], True, -1),
        ([FINETUNE, PRUNE], True, 0),  # trained on before anything is compressed
        ([GRADUAL], True, -1),
        ([], True, -1),
        ([GRADUAL, FINETUNE], False, None),
        ([BNN], False, None),
        ([], False, None),
    ],
)
def test_plans_and_records_agree_on_what_was_before(kinds: list[str], given: bool, expected: int | None) -> None:
    assert index_before(kinds, given) == expected
    technique = plan().stages[0].technique
    stages = tuple(Stage(f"s{number}", kind, technique) for number, kind in enumerate(kinds))
    planned = plan(stages=stages, model=replace(plan().model, weights="some.pt" if given else None))
    assert planned.before == expected
    records = [StageRecord(stage.name, stage.kind, stage.name) for stage in stages]
    record = replace(RECORD, stages=records, given=GIVEN_NETWORK if given else None)
    assert record.before is (None if expected is None else [*records, record.given][expected])


def test_the_given_network_comes_before_the_stages_and_is_the_final_one_without_any() -> None:
    record = replace(RECORD, given=GIVEN_NETWORK)
    assert [network.name for network in record.networks] == ["given", "train"]
    assert replace(record, stages=[]).final is GIVEN_NETWORK
