"""A change of the code that changes results fails here until the version of what made them is raised with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import write
from tests.golden.figures import differences
from tests.golden.made import MAKERS, Made
from tests.golden.store import RESULTS, fault, path_of, read


@pytest.mark.parametrize("name", MAKERS)
def test_the_result_is_what_it_was_when_its_version_was_given(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPRESSBENCH_CACHE", str(tmp_path / "cache"))
    found = fault(name, MAKERS[name](tmp_path), read(name))
    assert found is None, found


def test_every_golden_result_is_one_of_ours() -> None:
    assert {path.name for path in RESULTS.iterdir()} == {path_of(name).name for name in MAKERS}


BEFORE: Made = (1, {"weight": [1.0, 2.0], "nonzero": 7})


@pytest.mark.parametrize("figures", [{"weight": [1.0, 2.001], "nonzero": 7}, {"weight": [1.0, 2.0], "nonzero": 8}])
def test_another_result_under_the_same_version_is_a_fault_that_says_to_raise_it(figures: dict[str, object]) -> None:
    found = fault("technique/pruning/l1_norm", (1, figures), BEFORE)
    assert found is not None
    assert "raise the class attribute `version` of the technique" in found
    assert "python -m tests.golden.write technique/pruning/l1_norm" in found


def test_a_raised_version_asks_for_its_result_to_be_written() -> None:
    found = fault("training/sgd", (2, BEFORE[1]), BEFORE)
    assert found is not None
    assert "version 2, its golden result of version 1; write it with" in found
    assert fault("training/sgd", BEFORE, None) is not None
    assert fault("training/sgd", BEFORE, BEFORE) is None


def test_roundings_of_another_processor_are_no_difference() -> None:
    assert differences({"weight": [1.0, 2.00001]}, {"weight": [1.0, 2.0]}) == []
    assert differences({"weight": [1.0]}, {"bias": [1.0]}) == ["bias: [1.0] -> None", "weight: None -> [1.0]"]


def test_a_result_is_not_written_over_one_of_the_same_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.golden.store.RESULTS", tmp_path)
    monkeypatch.setattr(write, "MAKERS", {"training/sgd": lambda folder: BEFORE})
    assert write.main([]) == 0
    monkeypatch.setattr(write, "MAKERS", {"training/sgd": lambda folder: (1, {"weight": [3.0, 2.0], "nonzero": 7})})
    assert write.main([]) == 1
    assert "raise `LOOP_VERSION`" in capsys.readouterr().err
    assert read("training/sgd") == BEFORE
    monkeypatch.setattr(write, "MAKERS", {"training/sgd": lambda folder: (2, {})})
    assert write.main(["training/sgd"]) == 0
    assert write.main(["training/none"]) == 1
