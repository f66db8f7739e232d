"""The report in its four formats."""

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.errors import PlanError
from compressbench.reporting.gather import commit_records
from compressbench.reporting.table import report
from tests.reporting.made import MNIST_50, made_record, plain

MISPRINT = "Prints 0.80 | means <0.79>."


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """Three seeds of one row, one of another on a dataset the paper did not use; a third row is not run."""
    records = [made_record(0, 0.987, 0.986), made_record(1, 0.988, 0.988), made_record(2, 0.989, 0.990)]
    other = made_record(0, 0.66, 0.67, "cifar10_l1norm_50", dataset="cifar10-jpeg", protocol="reduced")
    other.stages[1].skipped = [["conv1", "it is kept"], ["fc3", "it is the last layer"]]
    other.missed = ["params is 1,030,314; at most 1,000,000"]
    commit_records([*records, other], tmp_path / "table5" / "records")
    return tmp_path


REFERENCES = {
    "mnist_l1norm_50": MNIST_50 | {"summary": "Half of the filters."},
    "mnist_bnd": MNIST_50 | {"top1": 0.9866, "note": MISPRINT},
    "cifar10_l1norm_50": MNIST_50 | {"dataset": "cifar10", "top1": 0.7452, "before": {"top1": 0.74}},
}


def made(recipes: Path, format: str) -> str:
    found = report("table5", recipes / "outputs", [recipes], REFERENCES, format)
    return found if isinstance(found, str) else plain(found)


@pytest.mark.parametrize("format", ["rich", "markdown", "html"])
def test_ours_the_published_and_the_difference_stand_beneath_each_other(recipes: Path, format: str) -> None:
    text = made(recipes, format)
    for ours in (
        "mnist, steps_160, 3 seeds",
        "98.80 ± 0.20",
        "+0.00 ± 0.10",
        "1.03 M",
        "32.61 M",
        "4,122 kB",
        "reproduced",
    ):
        assert ours in text
    for published in ("98.68", "98.53", "-0.15"):
        assert published in text
    for difference in ("+0.27", "±0.0 %"):  # 98.80 - 98.53
        assert difference in text
    assert "not run" in text


@pytest.mark.parametrize("format", ["rich", "markdown", "html"])
def test_another_dataset_and_a_reduced_protocol_are_explained(recipes: Path, format: str) -> None:
    text = made(recipes, format)
    assert "cifar10-jpeg, reduced, 1 seed" in text
    assert "re-encoded as JPEG" in text
    assert "train 15 epochs in batches of 128, one_cycle schedule, lr 0.03; finetune 5 epochs" in " ".join(text.split())
    assert "train 160 epochs" in text
    assert "-8.12" not in text  # 67.00 - 74.52 or any other level: not comparable
    assert "-7.52" not in text


def test_what_was_left_out_or_missed_is_a_footnote_of_its_row(recipes: Path) -> None:
    lines = made(recipes, "markdown").splitlines()
    [row] = [line for line in lines if line.startswith("| cifar10_l1norm_50 (")]
    numbers = [word.strip("()") for word in row.split("|")[1].split() if word.startswith("(")]
    texts = [line.partition(". ")[2] for line in lines if line.partition(". ")[0] in numbers]
    assert texts == [
        "prune left out conv1: it is kept; fc3: it is the last layer.",
        "Limit missed with seed 0: params is 1,030,314; at most 1,000,000",
    ]


def test_markdown_escapes_what_would_break_its_tables(recipes: Path) -> None:
    text = made(recipes, "markdown")
    assert r"Prints 0.80 \| means &lt;0.79&gt;." in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace(r"\|", "").count("|") for line in rows} == {13, 3}  # the table, what its rows are


def test_markdown_says_how_to_run_it_again(recipes: Path) -> None:
    text = made(recipes, "markdown")
    assert text.startswith("# table5\n")
    assert "compressbench run -m recipe=table5/mnist_l1norm_50 seed=0,1,2 training=steps_160\n" in text
    run = "compressbench run -m 'recipe=glob(table5/cifar10_l1norm_50*)'"
    assert run not in text  # one row is named, not matched
    assert "recipe=table5/cifar10_l1norm_50 seed=0 dataset=cifar10_jpeg dataset.root=FOLDER training=reduced\n" in text
    assert "compressbench report table5 --format markdown > recipes/table5/RESULTS.md" in text


def test_training_changed_by_hand_has_no_command_that_claims_to_repeat_it(tmp_path: Path) -> None:
    commit_records([made_record(protocol="custom"), made_record(1)], tmp_path / "table5" / "records")
    text = report("table5", tmp_path, [tmp_path], REFERENCES, "markdown")
    assert "seed=1 training=steps_160\n" in text
    assert "seed=0" not in text
    assert "or one changed on the command line, which no command above repeats. Run: train 15 epochs" in text


def test_a_row_that_no_recipe_makes_stands_in_the_table_and_has_no_command(tmp_path: Path) -> None:
    peer = replace(made_record(), recipe="", row="peer_somebodys_tool", plan_id="peer")
    commit_records([peer, made_record(1)], tmp_path / "table5" / "records")
    text = report("table5", tmp_path, [tmp_path], REFERENCES, "markdown")
    assert "| peer_somebodys_tool |" in text
    assert "peer" not in text.partition("```sh")[2].partition("```")[0]


def test_a_schedule_of_the_recipes_own_has_the_command_that_repeats_it(tmp_path: Path) -> None:
    record = made_record(protocol="custom")
    commit_records([record], tmp_path / "table5" / "records")
    own = {"mnist_l1norm_50": {**REFERENCES["mnist_l1norm_50"], "plan": record.plan}}
    text = report("table5", tmp_path, [tmp_path], own, "markdown")
    assert "compressbench run -m recipe=table5/mnist_l1norm_50 seed=0\n" in text


def test_the_epochs_said_are_those_that_were_run_not_those_that_were_planned(tmp_path: Path) -> None:
    record = made_record()
    record.stages[0].curve = record.stages[0].curve[:7]
    commit_records([record], tmp_path / "table5" / "records")
    text = report("table5", tmp_path, [tmp_path], REFERENCES, "markdown")
    assert "train 7 epochs" in text


def test_tolerances_and_what_each_row_is_are_said(recipes: Path) -> None:
    text = made(recipes, "markdown")
    assert "Tolerances: top1 0.30 points (3 rows), params 0.5 % (3 rows), survey FLOPs 0.5 % (3 rows)." in text
    assert "| mnist_l1norm_50 | Half of the filters. |" in text


def test_html_escapes_and_stands_alone(recipes: Path) -> None:
    text = made(recipes, "html")
    assert "Prints 0.80 | means &lt;0.79&gt;." in text
    assert "<0.79>" not in text
    assert "http" not in text
    assert text.count('<script type="application/json">') == text.count('class="chart"') == 2
    assert not re.search(r"\b(src|href)=['\"]?[^#'\"]", text)
    assert text.count("<tr ") == 3 + 1 + 3 + 1  # the last one says what a row is


def test_csv_holds_fractions_and_plain_numbers(recipes: Path) -> None:
    rows = {row["row"]: row for row in csv.DictReader(io.StringIO(made(recipes, "csv")))}
    ours = rows["mnist_l1norm_50"]
    assert float(ours["top1"]) == pytest.approx(0.988)
    assert float(ours["top1_spread"]) == pytest.approx(0.002)
    assert float(ours["top1_change_spread"]) == pytest.approx(0.001)
    assert ours["seeds"] == "0 1 2"
    assert float(ours["published_top1"]) == 0.9853
    assert float(ours["params_compared"]) == 1_030_314
    assert rows["mnist_bnd"]["verdict"] == "not run"
    assert rows["mnist_bnd"]["top1"] == ""
    assert rows["mnist_bnd"]["note"] == MISPRINT


def test_a_row_stands_beside_the_one_that_it_names_paired_by_seed(tmp_path: Path) -> None:
    pruned = [made_record(seed, after=top1, row="mnist_pruned") for seed, top1 in enumerate((0.98, 0.99))]
    scratch = [made_record(seed, after=top1, row="mnist_scratch") for seed, top1 in enumerate((0.984, 0.992))]
    for record in (*pruned, *scratch):
        record.table = "table6"
    commit_records([*pruned, *scratch], tmp_path / "table6" / "records")
    beside = {"beside": "mnist_pruned"}
    references = {
        "mnist_pruned": MNIST_50 | {"top1": 0.9866} | beside,
        "mnist_scratch": MNIST_50 | {"top1": 0.9864} | beside,
    }
    text = report("table6", tmp_path, [tmp_path], references, "markdown")
    assert isinstance(text, str)
    # +0.4 and +0.2 points: 0.3, with a sample standard deviation of 0.14; a row beside itself says nothing
    line = "mnist, steps_160, 2 seeds | 98.50 ± 0.71 | 98.80 ± 0.57 | +0.30 ± 0.14 |"
    assert "| mnist_pruned | mnist_pruned |" not in text
    assert f"| mnist_scratch | mnist_pruned | {line}" in text
    assert "|  |  | published | 98.66 | 98.64 | -0.02 |" in text


def test_rows_stand_beside_each_other_if_one_keeps_to_no_protocol_but_not_on_other_data(tmp_path: Path) -> None:
    alone, taught, elsewhere = made_record(row="alone"), made_record(row="taught"), made_record(row="elsewhere")
    taught = replace(taught, protocol="", dataset=alone.dataset)
    elsewhere.dataset["name"] = "kmnist"
    commit_records([alone, taught, elsewhere], tmp_path / "table5" / "records")
    references = {row: {"beside": "alone"} for row in ("alone", "taught", "elsewhere")}
    text = report("table5", tmp_path, [tmp_path], references, "markdown")
    assert isinstance(text, str)
    assert "| taught | alone | mnist, 1 seed |" in text
    assert "| elsewhere | alone |" not in text


def test_unreadable_records_are_named_in_the_report(recipes: Path) -> None:
    (recipes / "table5" / "records" / "broken.json").write_text("no record")
    assert "broken.json" in made(recipes, "markdown")


def test_an_unknown_table_and_an_unknown_format_name_what_there_is(recipes: Path) -> None:
    (recipes / "table5" / "row.yaml").write_text("model: alexnet\n")
    with pytest.raises(PlanError, match="did you mean 'table5'"):
        report("tabel5", recipes / "outputs", [recipes], {})
    with pytest.raises(PlanError, match="did you mean 'markdown'"):
        report("table5", recipes / "outputs", [recipes], REFERENCES, "markdwon")


def test_a_column_in_which_nobody_says_anything_is_left_out(tmp_path: Path) -> None:
    record = made_record()
    record = replace(record, reference={"dataset": "mnist"})
    for stage in record.stages:
        del stage.metrics["flops_survey"]
    commit_records([record], tmp_path / "table5" / "records")
    text = report("table5", tmp_path, [tmp_path], {}, "markdown")
    assert isinstance(text, str)
    assert "survey FLOPs |" not in text
    assert "MACs |" in text


def test_reports_need_no_torch() -> None:
    code = "import sys, compressbench.reporting.table, compressbench.reporting.run_table; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
