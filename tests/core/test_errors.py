"""Faults are sentences; a suggestion is the nearest name, or all there are."""

import pickle

from compressbench.core.errors import Fault, PlanError, suggestion


def test_the_nearest_name_is_suggested_and_else_all_of_them() -> None:
    assert suggestion("rato", ["ratio", "layers"]) == "did you mean 'ratio'?"
    assert suggestion("zzz", ["ratio", "layers"]) == "allowed: layers, ratio"
    assert suggestion("zzz", []) == "nothing is allowed here"


def test_an_error_says_all_its_faults_and_survives_the_way_to_another_process() -> None:
    error = PlanError([Fault("stages.prune", "ratio is 1.5"), Fault("", "no recipe")])
    assert str(error) == "stages.prune: ratio is 1.5\nno recipe"
    assert pickle.loads(pickle.dumps(error)).faults == error.faults
