"""The cache gives back what was stored, and only that."""

from __future__ import annotations

import json
import multiprocessing
import time
import warnings
from pathlib import Path

import pytest
import torch

from compressbench.core.constraint import Mask
from compressbench.core.dotted import locate
from compressbench.core.format import Sparse
from compressbench.core.plugins import only, use
from compressbench.core.subject import Skipped, Subject
from compressbench.running.cache import StageCache, StageResult
from tests.running.plans import LENET
from tests.users_plugins import write_plugins


@pytest.fixture
def subject() -> Subject:
    keep = torch.rand(500, 800, generator=torch.Generator().manual_seed(0)) > 0.9
    pruned = Subject(LENET.build(), LENET, {"fc1.weight": Sparse()}, [Mask("fc1.weight", keep)])
    pruned.enforce()
    return pruned


def stored(tmp_path: Path, subject: Subject) -> tuple[StageCache, StageResult]:
    cache = StageCache(tmp_path)
    measured = {"key": {"top1": 0.5}}
    result = StageResult(measured, [{"epoch": 1.0}], [Skipped("conv1", "too small")], {"precision": "fp32"}, 1.5)
    cache.store("stage", subject, result)
    return cache, result


def test_weights_constraints_formats_and_what_is_known_come_back(tmp_path: Path, subject: Subject) -> None:
    cache, result = stored(tmp_path, subject)
    found = cache.find("stage")
    assert found == result
    loaded = cache.load("stage", found)
    assert all(torch.equal(a, b) for a, b in zip(loaded.model.parameters(), subject.model.parameters(), strict=True))
    assert loaded.formats == subject.formats
    assert loaded.skipped == [Skipped("conv1", "too small")]
    assert torch.equal(loaded.constraints[0].keep, subject.constraints[0].keep)
    assert loaded.constraints[0].holds(loaded.model)


def test_values_that_stood_in_a_list_with_their_units_are_read(tmp_path: Path, subject: Subject) -> None:
    cache, _ = stored(tmp_path, subject)
    file = tmp_path / "stage" / "stage.json"
    content = json.loads(file.read_text())
    content["measured"] = {"key": [{"name": "top1", "value": 0.5, "unit": "fraction", "higher_is_better": True}]}
    del content["digest"]
    file.write_text(json.dumps(content))
    found = cache.find("stage")
    assert found is not None
    assert found.measured == {"key": {"top1": 0.5}}


def test_what_was_never_stored_is_not_found(tmp_path: Path) -> None:
    assert StageCache(tmp_path).find("other") is None


@pytest.mark.parametrize("name", ["model.cbp", "constraints.safetensors", "stage.json"])
def test_any_damaged_file_makes_the_stage_not_found_with_a_warning(tmp_path: Path, subject: Subject, name: str) -> None:
    cache, _ = stored(tmp_path, subject)
    path = tmp_path / "stage" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match="computed again"):
        assert cache.find("stage") is None
    assert not (tmp_path / "stage").exists()


def test_checkpoints_are_gone_once_the_stage_is_stored(tmp_path: Path, subject: Subject) -> None:
    cache = StageCache(tmp_path)
    cache.checkpoint_path("stage").mkdir(parents=True)
    (cache.checkpoint_path("stage") / "0").write_bytes(b"half a training")
    cache.store("stage", subject, StageResult())
    assert not cache.checkpoint_path("stage").exists()


def test_checkpoints_that_a_killed_process_left_beside_a_stored_stage_go_when_it_is_found(
    tmp_path: Path, subject: Subject
) -> None:
    cache, _ = stored(tmp_path, subject)
    cache.checkpoint_path("stage").mkdir()
    assert cache.find("stage")
    assert not cache.checkpoint_path("stage").exists()


def test_the_packed_file_of_another_stage_in_its_place_is_found(tmp_path: Path, subject: Subject) -> None:
    cache, _ = stored(tmp_path, subject)
    cache.store("other", Subject(LENET.build(), LENET), StageResult())
    (tmp_path / "stage" / "model.cbp").write_bytes((tmp_path / "other" / "model.cbp").read_bytes())
    with pytest.warns(UserWarning, match=r"model\.cbp is damaged.*computed again"):
        assert cache.find("stage") is None


def _hold(folder: Path, entered: multiprocessing.Queue[float]) -> None:
    with StageCache(folder).lock("stage"):
        entered.put(time.monotonic())
        time.sleep(0.3)


def test_a_locked_stage_makes_the_next_process_wait_and_say_so(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    entered = context.Queue()
    process = context.Process(target=_hold, args=(tmp_path, entered))
    process.start()
    first = entered.get(timeout=20)
    with pytest.warns(UserWarning, match="waiting for it"), StageCache(tmp_path).lock("stage", "waiting for it"):
        assert time.monotonic() - first >= 0.25
    process.join()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with StageCache(tmp_path).lock("stage", "nobody holds it now"):
            pass


PROMISE = """
from dataclasses import dataclass

import torch


@dataclass(eq=False)
class Within:
    parameter: str
    limit: torch.Tensor

    def enforce(self, model):
        pass

    def holds(self, model):
        return True


@dataclass(eq=False)
class Counted(Within):
    times: int = 1
"""


def test_a_constraint_of_a_plugin_comes_back_by_its_dotted_path(tmp_path: Path, subject: Subject) -> None:
    write_plugins(PROMISE)
    use("plugins.Within")
    made = locate("plugins.Within", "compressbench.")
    subject.constraints.append(made("fc1.weight", torch.tensor(0.5)))
    cache, result = stored(tmp_path / "cache", subject)
    loaded = cache.load("stage", result)
    assert type(loaded.constraints[1]) is made
    assert loaded.constraints[1].limit == 0.5
    with only([]), pytest.raises(ValueError, match="'plugins', declared in the working folder, was not asked for"):
        cache.load("stage", result)


def test_a_constraint_that_cannot_be_stored_is_named(tmp_path: Path, subject: Subject) -> None:
    write_plugins(PROMISE)
    use("plugins.Counted")
    subject.constraints.append(locate("plugins.Counted", "compressbench.")("fc1.weight", torch.tensor(0.5)))
    with pytest.raises(ValueError, match="Counted cannot be stored: it keeps times, a int; allowed: texts and tensors"):
        stored(tmp_path, subject)
