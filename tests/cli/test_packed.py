"""The verbs about a packed file, as people type them: what they print, and the exit code."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from compressbench.cli.main import main
from compressbench.core.architecture import Architecture
from compressbench.core.format import Coding, Sparse
from compressbench.core.subject import Subject
from compressbench.data.digits import Digits
from compressbench.export.onnx_model import missing_packages
from compressbench.metrics.accuracy import accuracy
from compressbench.packing.packed_file import note, rewrite_note, write
from tests.cli.commands import Captured, refused

LENET = Architecture("compressbench.zoo.lenet.LeNet300100", {"in_channels": 1, "classes": 10, "image_size": 32})


@pytest.fixture
def file() -> str:
    """A sparse LeNet-300-100 that was never trained, with the figures it has, in the working folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LENET.build().eval()
    with torch.no_grad():
        weight = model.get_parameter("fc1.weight")
        weight[weight.abs() < 0.03] = 0  # all but 4 %
    measured = accuracy(model, Digits().task, Digits().load().test.batches(500))
    noted = {"dataset": {"name": "digits"}, "seed": 0, "stages": {"prune": {"technique": "pruning/magnitude"}}}
    subject = Subject(model, LENET, {"fc1.weight": Sparse()}, coding=Coding(("bitmask", "ans", "context")))
    write(subject, Path("model.cbp"), {**noted, "measured": {**measured, "params": 338_610}})
    return "model.cbp"


def test_inspect_shows_every_tensor_and_where_the_network_comes_from(file: str, capsys: Captured) -> None:
    assert main(["inspect", file]) == 0
    printed = capsys.readouterr().out
    for words in ("fc1.weight", "300 x 1024", "Sparse", "pruning/magnitude", "digits", "LeNet300100", "params 338610"):
        assert words in printed
    assert f"{Path(file).stat().st_size:,} bytes" in printed
    assert "1,354,440 bytes" in printed  # 338,610 elements in fp32


def test_inspect_as_csv_adds_up(file: str, capsys: Captured) -> None:
    assert main(["inspect", file, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert sum(int(row["elements"]) for row in rows) == 338_610
    assert sum(int(row["bytes"]) for row in rows) < Path(file).stat().st_size
    assert rows[1]["shape"] == "300 x 1024"


@pytest.mark.parametrize(
    ("style", "sign"), [("markdown", "| fc1.weight | 300 x 1024 |"), ("html", "<td>fc1.weight</td>")]
)
def test_inspect_as_markdown_and_html(file: str, capsys: Captured, style: str, sign: str) -> None:
    assert main(["inspect", file, "--format", style]) == 0
    assert sign in capsys.readouterr().out


@pytest.mark.parametrize("noted", [{}, {"dataset": 3, "stages": [1], "measured": "x"}, {"stages": {"a": None}}])
def test_inspect_copes_with_any_note(file: str, capsys: Captured, noted: dict[str, object]) -> None:
    rewrite_note(Path(file), noted)
    assert main(["inspect", file]) == 0
    assert "fc1.weight" in capsys.readouterr().out


def test_a_note_cannot_paint_the_terminal_or_write_html(file: str, capsys: Captured) -> None:
    rewrite_note(Path(file), {"dataset": {"name": "\x1b[31m<script>[bold]x[/bold]"}})
    assert main(["inspect", file]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[bold]x[/bold]" in printed
    assert main(["inspect", file, "--format", "html"]) == 0
    page = capsys.readouterr().out
    assert "<script>[bold]" not in page  # there is one of ours, which sorts tables
    assert "&lt;script&gt;[bold]x[/bold]" in page


@pytest.mark.parametrize("words", [[], ["dataset=digits", "device=cpu", "threads=1"]], ids=["as noted", "said"])
def test_evaluate_finds_the_noted_figures_again(file: str, capsys: Captured, words: list[str]) -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*")}
    assert main(["evaluate", file, *words]) == 0
    printed = capsys.readouterr().out
    assert f"{note(Path(file))['measured']['top1']:.6f}" in printed
    assert "338,610" in printed
    assert "all is as the file notes" in printed
    assert {path: path.read_bytes() for path in Path().rglob("*")} == before  # nothing is written or tracked


def test_evaluate_says_which_figures_are_not_as_noted_and_fails(file: str, capsys: Captured) -> None:
    noted = note(Path(file))
    noted["measured"] |= {"top1": 0.99, "params": 338_611}
    rewrite_note(Path(file), noted)
    assert main(["evaluate", file]) == 1
    assert "not as the file notes: top1, params" in capsys.readouterr().out


def test_evaluate_holds_accuracies_on_other_data_against_nothing(file: str, capsys: Captured) -> None:
    words = ["dataset=synthetic", "dataset.shape=[1,32,32]", "dataset.classes=10", "metrics=[accuracy,parameters]"]
    assert main(["evaluate", file, *words]) == 0
    printed = capsys.readouterr().out
    assert printed.count("other data") == 4  # three figures, and why
    assert "the same" in printed  # parameters


def test_evaluate_a_file_without_figures(file: str, capsys: Captured) -> None:
    rewrite_note(Path(file), {"dataset": {"name": "digits"}, "measured": {}})
    assert main(["evaluate", file, "metrics=[size]"]) == 0
    printed = capsys.readouterr().out
    assert f"{Path(file).stat().st_size:,}" in printed
    assert "notes no figures" in printed


def test_what_evaluate_cannot_use_is_said_in_one_message(file: str, capsys: Captured) -> None:
    assert "did you mean 'mnist'?" in refused(capsys, "evaluate", file, "dataset=mnits")
    assert "dataset.image_size" in refused(capsys, "evaluate", file, "dataset=mnist", "dataset.image_size=big")
    assert "did you mean 'accuracy'?" in refused(capsys, "evaluate", file, "metrics=[accurracy]")
    assert "did you mean 'device'?" in refused(capsys, "evaluate", file, "devise=cpu")
    assert "device: is 'gpu'" in refused(capsys, "evaluate", file, "device=gpu")
    assert "/nowhere" in refused(capsys, "evaluate", file, "dataset=mnist", "dataset.root=/nowhere")
    words = ["dataset=synthetic", "dataset.shape=[3,32,32]", "dataset.classes=10"]
    assert "does not take inputs of 3 x 32 x 32" in refused(capsys, "evaluate", file, *words)
    words = ["dataset=synthetic", "dataset.shape=[1,32,32]", "dataset.classes=7"]
    assert "a logit for each of the 7 classes" in refused(capsys, "evaluate", file, *words)


@pytest.mark.parametrize(
    "noted", [{}, {"dataset": {"name": "pets", "classes": 2}}, {"dataset": "mnist"}, {"dataset": None}]
)
def test_evaluate_without_a_dataset_that_is_known_says_what_to_give(
    file: str, capsys: Captured, noted: dict[str, object]
) -> None:
    rewrite_note(Path(file), noted)
    assert "add dataset=NAME" in refused(capsys, "evaluate", file)


def test_evaluate_refuses_a_measure_that_needs_the_network_before_compression(file: str, capsys: Captured) -> None:
    printed = refused(capsys, "evaluate", file, "metrics=[accuracy,latency]")
    assert "latency needs the network before compression, which the file does not hold" in printed


@pytest.mark.parametrize(
    "verb", [["inspect"], ["evaluate"], ["export", "--output", "model.onnx"]], ids=lambda verb: verb[0]
)
def test_a_file_that_is_none_or_damaged_is_refused_in_one_message(file: str, capsys: Captured, verb: list[str]) -> None:
    Path("other").write_bytes(b"PK\x03\x04")
    Path("cut.cbp").write_bytes(Path(file).read_bytes()[:-1])
    assert "absent.cbp cannot be read as a packed file: No such file" in refused(capsys, *verb, "absent.cbp")
    assert "it is no file" in refused(capsys, *verb, ".")
    assert "does not begin like a packed file" in refused(capsys, *verb, "other")
    assert "damaged or cut short" in refused(capsys, *verb, "cut.cbp")


def test_export_writes_an_onnx_model(file: str, capsys: Captured) -> None:
    code = main(["export", file, "--output", "model.onnx"])
    printed = capsys.readouterr()
    if missing_packages():
        assert code == 1
        assert "onnx" in printed.err
    else:
        assert code == 0
        assert "inputs of 1 x 32 x 32" in printed.out
        assert Path("model.onnx").stat().st_size > 1_354_000


@pytest.mark.parametrize("verb", ["inspect", "evaluate", "export"])
def test_help_loads_no_torch(verb: str) -> None:
    code = (
        "import sys\nfrom compressbench.cli.main import main\n"
        f"try:\n    main(['{verb}', '--help'])\nexcept SystemExit:\n"
        "    print({'torch', 'omegaconf', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"compressbench {verb}" in done.stdout
    assert done.stdout.endswith("set()\n")
