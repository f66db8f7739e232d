"""What one machine computed another one takes from the shared cache; a shared cache that fails costs no run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from compressbench.core.errors import PlanError
from compressbench.core.record import RunRecord
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.running.shared_cache import check_uri
from tests.running.damages import figures
from tests.running.plans import plan


def carried_out(outputs: Path, uri: str) -> RunRecord:
    return run(plan(), outputs, SilentProgress(), shared=uri)


@pytest.fixture(params=["file", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield f"file://{tmp_path}/shared" if request.param == "file" else "memory://shared"
    if request.param == "memory":
        import fsspec

        fsspec.filesystem("memory").rm("/shared", recursive=True)


def test_a_stage_is_computed_once_for_all_machines(tmp_path: Path, uri: str) -> None:
    first = carried_out(tmp_path / "one", uri)
    second = carried_out(tmp_path / "other", uri)
    assert [stage.cached for stage in first.stages] == [False] * len(first.stages)
    assert [stage.cached for stage in second.stages] == [True] * len(second.stages)
    assert figures(tmp_path / "one") == figures(tmp_path / "other")


def test_what_is_damaged_there_is_computed_again_and_mended(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/shared"
    carried_out(tmp_path / "one", uri)
    for packed in (tmp_path / "shared").rglob("model.cbp"):
        packed.write_bytes(packed.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="computed again"):
        second = carried_out(tmp_path / "other", uri)
    assert not any(stage.cached for stage in second.stages)
    assert figures(tmp_path / "one") == figures(tmp_path / "other")
    assert all(stage.cached for stage in carried_out(tmp_path / "third", uri).stages)


def test_one_that_cannot_be_used_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        record = carried_out(tmp_path / "one", f"file://{tmp_path}/file/shared")
    assert record.status == "finished"
    assert len([each for each in said if "going on without" in str(each.message)]) == 1


def test_a_uri_of_no_kind_is_refused() -> None:
    with pytest.raises(PlanError, match=r"cache: is 'nowhere://a'.*allowed: file://, s3:// and gs://"):
        check_uri("nowhere://a")
