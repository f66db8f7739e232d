"""A run is in MLflow from its start on, and it is the same run that ends, fails or is taken over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord
from compressbench.tracking import journal
from compressbench.tracking.live import SECONDS_AFTER_A_FAILURE, Live
from compressbench.tracking.send import send
from compressbench.tracking.store import Store, client
from compressbench.tracking.sync import sync
from tests.tracking.records import record, runs_of, written

NOWHERE = Store("http://127.0.0.1:9", timeout_s=1, retries=0)  # the discard port: nothing listens there


def opened(run: RunRecord, folder: Path, store: Store, epochs: int = 2) -> Live:
    """Return `run` as it is shown after so many epochs of its first stage."""
    live = Live.of(replace(run, status="running", stages=[], layers=[]), folder, store)
    for entry in run.stages[0].curve[:epochs]:
        live.reached("train", entry, 1_772_366_401_000)
    live.write()
    return live


def curve(store: Store, identity: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client(store).get_metric_history(identity, "train/train_loss")]


def test_a_run_that_goes_on_has_its_parameters_and_its_curve_so_far(store: Store, outputs: Path) -> None:
    live = opened(record(0.5), outputs / "run", store)
    found = client(store).get_run(live.going.run)
    assert (found.info.status, found.info.run_name) == ("RUNNING", "mnist_l1norm_50 seed 0")
    assert found.data.params["stages.prune.ratio"] == "0.5"
    assert curve(store, live.going.run) == [(1, 0.5), (2, 0.25)]
    assert live.pause() is None  # nothing left to write


def test_its_end_completes_the_same_run_and_writes_nothing_twice(store: Store, outputs: Path) -> None:
    run = record(0.5)
    folder = written(run, outputs)
    live = opened(run, folder, store)
    assert send(run, folder, store, live.going) == live.going.run
    (found,) = runs_of(store)
    assert found.info.status == "FINISHED"
    assert found.data.metrics["top1"] == pytest.approx(0.9858)
    assert curve(store, live.going.run) == [(1, 0.5), (2, 0.25), (3, 0.5 / 3)]


def test_a_run_that_was_given_up_goes_on_as_the_same_one(store: Store, outputs: Path) -> None:
    run = record(0.5)
    folder = written(run, outputs)
    first = opened(run, folder, store)
    first.give_up("KILLED")
    assert runs_of(store)[0].info.status == "KILLED"
    second = opened(run, folder, store, epochs=3)
    assert second.going.run == first.going.run
    assert runs_of(store)[0].info.status == "RUNNING"
    assert send(run, folder, store, second.going) == first.going.run
    assert curve(store, first.going.run) == [(1, 0.5), (2, 0.25), (3, 0.5 / 3)]


def test_a_run_whose_machine_died_stays_running_until_it_is_started_again(store: Store, outputs: Path) -> None:
    run = record(0.5)
    first = opened(run, written(run, outputs), store)  # and nobody ends it
    second = opened(run, outputs / "run", store)
    assert second.going.run == first.going.run
    assert len(runs_of(store)) == 1


def test_a_failed_run_that_is_started_again_says_no_more_that_it_failed(store: Store, outputs: Path) -> None:
    run = record(0.5)
    folder = written(run, outputs)
    failed = replace(run, status="failed", error="training diverged", stages=run.stages[:1])
    first = send(failed, folder, store)
    live = opened(run, folder, store)
    assert live.going.run == first
    assert "error" not in runs_of(store)[0].data.tags
    live.give_up("KILLED")
    (folder / "record.json").write_text(failed.to_json())
    assert [each.sent for each in sync(outputs, store, everything=False)] == [1]  # MLflow does not say so any more
    assert runs_of(store)[0].info.status == "FAILED"


def test_an_epoch_that_came_out_otherwise_makes_another_run(store: Store, outputs: Path) -> None:
    """Trained again after a kill where results do not repeat: the curve must be the record's."""
    run = record(0.5)
    folder = written(run, outputs)
    live = opened(run, folder, store)
    run.stages[0].curve[1]["train_loss"] = 0.24
    assert send(run, folder, store) != live.going.run
    (found,) = runs_of(store)
    assert curve(store, found.info.run_id)[1] == (2, 0.24)


def test_how_long_an_epoch_took_may_differ(store: Store, outputs: Path) -> None:
    run = record(0.5)
    run.stages[0].curve[0]["seconds"] = 1.0
    folder = written(run, outputs)
    live = opened(run, folder, store)
    run.stages[0].curve[0]["seconds"] = 2.0
    assert send(run, folder, store) == live.going.run


def test_odd_values_are_no_difference(store: Store, outputs: Path) -> None:
    run = record(0.5)
    run.stages[0].curve[0] |= {"validation_loss": float("inf"), "train_loss": float("nan")}
    folder = written(run, outputs)
    live = opened(run, folder, store)
    assert send(run, folder, store) == live.going.run


def test_a_result_that_is_there_already_is_kept(store: Store, outputs: Path) -> None:
    run = record(0.5)
    folder = written(run, outputs)
    first = send(run, folder, store)
    live = opened(run, folder, store)
    assert live.going.run != first
    assert send(run, folder, store, live.going) == first
    assert [found.info.run_id for found in runs_of(store)] == [first]


def test_a_run_that_fails_without_a_record_says_why(store: Store, outputs: Path) -> None:
    live = opened(record(0.5), outputs / "run", store)
    live.give_up("FAILED", "out of memory")
    (found,) = runs_of(store)
    assert (found.info.status, found.data.tags["error"]) == ("FAILED", "out of memory")


def test_a_store_that_is_down_is_left_alone_for_a_while_and_says_nothing(
    outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    live = opened(record(0.5), outputs / "run", NOWHERE)
    assert live.going is None
    assert live.pause() > SECONDS_AFTER_A_FAILURE / 2
    assert capfd.readouterr().err == ""


def test_what_could_not_be_written_is_written_once_the_store_is_back(store: Store, outputs: Path) -> None:
    live = opened(record(0.5), outputs / "run", NOWHERE)
    live.store = store
    live.reached("train", {"epoch": 3.0, "train_loss": 0.1}, 1_772_366_402_000)
    live.write()
    assert curve(store, live.going.run) == [(1, 0.5), (2, 0.25), (3, 0.1)]
    assert journal.read(outputs / "run").content == ""
