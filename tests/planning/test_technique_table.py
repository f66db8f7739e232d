"""Every technique with its paper, what it needs and its tables, read as text: it must agree with the classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from compressbench.planning import catalogue
from compressbench.planning.recipe import load_yaml
from compressbench.planning.schema import located
from compressbench.planning.technique_table import Row, families, paper_in, rows
from compressbench.planning.uses import tables_of_techniques
from tests.overview import README, with_overview

WITHOUT_PAPER = {"coding/entropy", "training/finetune", "training/from_scratch"}


def row(name: str) -> Row:
    (found,) = (each for each in rows() if each.name == name)
    return found


def test_a_technique_has_its_paper_its_needs_and_its_tables():
    found = row("pruning/magnitude")
    assert (found.family, found.paper, found.year, found.needs) == ("pruning", "Han et al. 2015", 2015, ("trained",))
    assert found.title.startswith("Learning both Weights and Connections")
    assert {"han2015", "table5"} <= set(found.tables)
    assert found.summary == "Set the weights with the smallest magnitude to zero."


def test_they_come_by_family_and_year_those_without_a_paper_last():
    found = rows()
    assert found == sorted(found, key=lambda each: (each.family, each.year))
    assert [each.name for each in families()] == sorted({each.family for each in found})
    assert all(each.about for each in families())


def test_all_but_a_few_follow_a_paper_that_their_docstring_names_with_its_year():
    assert {each.name for each in rows() if not each.paper} == WITHOUT_PAPER


def test_what_is_read_from_the_text_is_what_the_class_says():
    for found in rows():
        file = catalogue.group_file("technique", found.name)
        technique = located(str(load_yaml(file)["_target_"]), "compressbench.", found.name)
        assert set(found.needs) == technique.needs
        assert (found.paper, found.title) == paper_in(technique.__doc__)


@pytest.mark.parametrize(
    ("text", "paper"),
    [
        ('Source: Zhu and Gupta 2017, "To prune,\n    or not", equation 1.', "Zhu and Gupta 2017"),
        ("Source: Gupta et al. 2015, section 3.", ""),
        ('As in the public code of Liu et al. 2019, "Rethinking".', ""),
    ],
)
def test_a_paper_is_named_by_first_author_year_and_title(text, paper):
    assert paper_in(text)[0] == paper


def test_a_stage_counts_that_is_inherited_replaced_or_deleted(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "recipes" / "mine"
    folder.mkdir(parents=True)
    (folder / "_first.yaml").write_text("stages: {a: {technique: x/1}, b: {technique: x/2}, c: {technique: x/3}}")
    (folder / "second.yaml").write_text(
        "extends: _first\nstages: {a: {ratio: 0.5, distill: {technique: x/4}}, b: {technique: x/5}, c: null}"
    )
    (folder / "broken.yaml").write_text("stages: [")
    (folder / "circle.yaml").write_text("extends: circle\nstages: [1]")
    found = tables_of_techniques()
    assert {name for name, tables in found.items() if "mine" in tables} == {"x/1", "x/4", "x/5"}


def test_the_readmes_table_of_families_is_the_one_they_make():
    text = Path(README).read_text()
    assert text == with_overview(text), "write it anew: python -m tests.overview"
