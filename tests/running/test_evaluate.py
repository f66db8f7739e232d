"""A metric returns a number for each of the figures it declares, or the run ends with one error that names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from compressbench.core.errors import RunError
from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.record import RunRecord
from compressbench.core.task import Task
from compressbench.running.folders import run_folder
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from tests.running.plans import plan

DECLARED = MetricSpec("images", "count", higher_is_better=True)
OTHER = MetricSpec("pictures", "count", higher_is_better=True)


@dataclass(frozen=True)
class Images:
    """Counts the images of the test split, and says whatever it was made with."""

    found: tuple[tuple[str, float], ...]

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return (DECLARED,)

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        assert sum(len(targets) for _, targets in given.test_batches()) == 64
        return [MetricValue({"images": DECLARED}.get(name, OTHER), value) for name, value in self.found]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ((("images", float("nan")),), "returns something that is no finite number as images (nan)"),
        ((("images", float("inf")),), "returns something that is no finite number as images (inf)"),
        ((), "does not return images"),
        ((("images", 64), ("pictures", 64)), "returns, but does not declare, pictures (64)"),
    ],
)
def test_what_is_not_as_declared_ends_the_run_with_one_error(
    found: tuple[tuple[str, float], ...], why: str, tmp_path: Path
) -> None:
    whole = plan(stages=plan().stages[:1], metrics=(("images", Images(found)),))
    with pytest.raises(RunError) as error:
        run(whole, tmp_path, SilentProgress())
    assert str(error.value) == f"stages.train: the metric 'images' {why}"
    record = RunRecord.read(run_folder(tmp_path, whole) / "record.json")
    assert (record.status, record.error) == ("failed", str(error.value))


def test_what_its_metrics_say_is_in_the_record(tmp_path: Path) -> None:
    whole = plan(stages=plan().stages[:1], metrics=(("images", Images((("images", 64),))),))
    record = run(whole, tmp_path, SilentProgress())
    assert record.metric_specs == {"images": DECLARED}
    assert (record.final.metrics, record.primary) == ({"images": 64}, "top1")
