"""From YAML values to a checked dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from compressbench.core.errors import PlanError
from compressbench.core.training import TrainingConfig
from compressbench.planning.schema import located, schema_of, typed


@dataclass(frozen=True)
class Example:
    ratio: float
    names: list[str]
    ratios: dict[str, float]
    round_to: int | None = None
    flag: bool = False
    training: TrainingConfig | None = field(default=None)


GOOD = {"ratio": 1, "names": ["a"], "ratios": {"a": 1}}


def faults(**values: object) -> list[str]:
    with pytest.raises(PlanError) as caught:
        typed(Example, GOOD | values, "x")
    return [str(fault) for fault in caught.value.faults]


def test_values_are_converted_to_their_fields_types():
    made = typed(Example, GOOD, "x")
    assert made == Example(1.0, ["a"], {"a": 1.0})
    assert isinstance(made.ratio, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ratio": "half"}, "x.ratio: is 'half'; a number is needed"),
        ({"ratio": None}, "x.ratio: is None; a number is needed"),
        ({"ratio": "???"}, "x.ratio: has no value; a number is needed"),
        ({"round_to": 2.5}, "x.round_to: is 2.5; a whole number or null is needed"),
        ({"round_to": True}, "x.round_to: is True; a whole number or null is needed"),
        ({"flag": "perhaps"}, "x.flag: is 'perhaps'; true or false is needed"),
        ({"names": "a"}, "x.names: is 'a'; a list of text is needed"),
        ({"ratios": {"a": "b"}}, "x.ratios: is {'a': 'b'}; a mapping from text to number is needed"),
        ({"rato": 1}, "x.rato: there is no such key; did you mean 'ratio'?"),
    ],
)
def test_a_bad_value_is_told_in_words(values, message):
    assert faults(**values) == [message]


def test_all_faults_come_together():
    assert len(faults(ratio="half", names=3, rato=1)) == 3


def test_a_missing_field_is_named():
    with pytest.raises(PlanError) as caught:
        typed(Example, {"ratio": 1, "names": []}, "x")
    assert [str(fault) for fault in caught.value.faults] == [
        "x.ratios: has no value; a mapping from text to number is needed"
    ]


def test_what_the_class_refuses_is_a_fault_of_the_node():
    values = {"epochs": -1, "batch_size": 1, "lr": 1, "optimizer": "sgd", "schedule": "steps", "weight_decay": 0}
    with pytest.raises(PlanError) as caught:
        typed(TrainingConfig, values, "x")
    assert [str(fault) for fault in caught.value.faults] == ["x: epochs is -1; allowed: 0 or more"]


def test_the_parameters_of_a_function_are_checked_like_fields():
    def build(depth: int, names: tuple[str, ...] = (), **rest: object) -> None: ...

    schema = schema_of(build)
    assert typed(schema, {"depth": "3"}, "model").depth == 3
    with pytest.raises(PlanError):
        typed(schema, {"depth": "deep"}, "model")
    with pytest.raises(PlanError):
        typed(schema, {}, "model")


def test_code_outside_the_folder_is_never_imported():
    with pytest.raises(PlanError) as caught:
        located("os.system", "compressbench.zoo.", "model")
    assert "only what is below compressbench.zoo., or in a plugin that you declared, may be run" in str(
        caught.value.faults[0]
    )
    with pytest.raises(PlanError):
        located("compressbench.zoo.nothing.Here", "compressbench.zoo.", "model")
