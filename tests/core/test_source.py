"""What names another stage's result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compressbench.core.identity import essence
from compressbench.core.source import Source, sources_in


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, r"stage has no value; allowed: \{stage\}, \{recipe, stage\} or \{file\}"),
        ({"recipe": "table5/cifar10_base"}, "stage has no value"),
        ({"file": "a.cbp", "stage": "train"}, "file is given beside stage"),
        ({"stage": "train", "overrides": ["seed=1"]}, "overrides are given, but they are for another recipe"),
    ],
)
def test_what_names_nothing_or_too_much_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source(**fields)  # type: ignore[arg-type]


def test_it_says_in_words_what_it_is() -> None:
    sources = [Source("train"), Source("train", "quickstart"), Source(file="a.cbp")]
    assert list(map(str, sources)) == ["train", "quickstart: train", "a.cbp"]


def test_where_a_result_comes_from_is_no_identity() -> None:
    assert essence(Source("train", "quickstart", ["seed=1"])) == essence(Source(file="a.cbp")) == {}


def test_a_files_identity_is_its_content_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a.cbp").write_bytes(b"same")
    (tmp_path / "b.cbp").write_bytes(b"same")
    (tmp_path / "c.cbp").write_bytes(b"other")
    a, b, c = (Source(file=str(tmp_path / f"{name}.cbp")).file_id() for name in "abc")
    assert a == b != c
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        Source(file=str(tmp_path / "d.cbp")).file_id()


def test_all_sources_of_a_technique_are_found_however_deep() -> None:
    @dataclass
    class Inner:
        teacher: Source = field(default_factory=lambda: Source("inner"))

    @dataclass
    class Outer:
        many: dict[str, list[Source]] = field(default_factory=lambda: {"all": [Source("one"), Source("two")]})
        inner: Inner = field(default_factory=Inner)
        none: Source | None = None

    assert [source.stage for source in sources_in(Outer())] == ["one", "two", "inner"]
