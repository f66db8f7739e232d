"""What has been sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compressbench.tracking import journal
from compressbench.tracking.journal import Entry, content_of, pending
from tests.tracking.records import record, written


def test_a_record_is_pending_until_it_is_noted_for_that_store(tmp_path: Path) -> None:
    run = record()
    folder = written(run, tmp_path)
    assert pending(tmp_path, "here") == [("here", folder / "record.json")]
    journal.write(folder, Entry("here", "1", "abc", content_of(run)))
    assert pending(tmp_path, "here") == []
    assert pending(tmp_path, "elsewhere") == [("elsewhere", folder / "record.json")]


def test_a_record_that_changed_is_pending_again(tmp_path: Path) -> None:
    run = record()
    folder = written(run, tmp_path)
    journal.write(folder, Entry("here", "1", "abc", content_of(replace(run, status="failed"))))
    assert pending(tmp_path, "here") == [("here", folder / "record.json")]


def test_a_broken_journal_means_not_sent(tmp_path: Path) -> None:
    folder = written(record(), tmp_path)
    (folder / journal.NAME).write_text("{")
    assert journal.read(folder) is None
    assert pending(tmp_path, "here") == [("here", folder / "record.json")]


def test_what_is_no_record_is_left_out(tmp_path: Path) -> None:
    folder = written(record(), tmp_path)
    (folder / "record.json").write_text("{}")
    assert pending(tmp_path, "here") == []


def test_a_repeat_from_the_cache_is_the_same_content_and_another_result_is_not() -> None:
    run, repeat = record(), record()
    repeat.started, repeat.seconds = "2026-04-01T00:00:00+00:00", 0.1
    for stage in repeat.stages:
        stage.cached, stage.seconds = True, 0.0
    assert content_of(repeat) == content_of(run)
    repeat.stages[2].metrics["top1"] += 0.001
    assert content_of(repeat) != content_of(run)


def test_a_record_goes_where_it_was_meant_to_go(tmp_path: Path) -> None:
    """It was noted before anything was sent, and holds unless somebody asks about another store."""
    run = record()
    folder = written(run, tmp_path)
    assert pending(tmp_path, None, "default") == [("default", folder / "record.json")]
    journal.intend(folder, "server")
    assert pending(tmp_path, None, "default") == [("server", folder / "record.json")]
    assert pending(tmp_path, "asked", "default") == [("asked", folder / "record.json")]
    journal.write(folder, Entry("server", "1", "abc", content_of(run)))
    journal.intend(folder, "server")
    assert pending(tmp_path, None, "default") == []
