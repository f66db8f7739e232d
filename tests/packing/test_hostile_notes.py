"""Whatever stands in a note, and however deep, a file is shown, or refused with PackedFileError."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from compressbench.app.inspect import head
from compressbench.cli.main import main
from compressbench.packing.container import DEEPEST_JSON, PackedFileError, unseal
from compressbench.packing.inspect import summary
from compressbench.packing.packed_file import note, read, write
from tests.packing.mutations import damaged_note, nested, sealed_with
from tests.packing.networks import FORMATS, stored_as

NOTE = {"seed": 0, "dataset": {"name": "digits"}, "stages": {"train": {"technique": "training/from_scratch"}}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.cbp"
    write(stored_as(FORMATS["sparse"]), file, NOTE)
    return file


@pytest.mark.parametrize("as_header", [False, True], ids=["note", "header"])
@pytest.mark.parametrize("depth", [DEEPEST_JSON + 1, 700, 990, 3_000, 100_000])
def test_a_note_or_header_nested_too_deep_is_refused_by_every_verb(
    path: Path, depth: int, as_header: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(sealed_with(unseal(path.read_bytes()), nested(depth), as_header))
    for words in (["inspect", str(path)], ["evaluate", str(path)], ["export", str(path), "--output", "model.onnx"]):
        assert main(words) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("error: ")
        assert "cannot be read as a packed file" in printed
        assert len(printed.splitlines()) == 1
    with pytest.raises(PackedFileError):
        read(path)


def test_a_note_as_deep_as_allowed_is_shown(path: Path) -> None:
    path.write_bytes(sealed_with(unseal(path.read_bytes()), nested(DEEPEST_JSON), as_header=False))
    assert note(path)["a"]
    assert head(summary(path))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_200_damaged_notes_under_a_right_checksum_are_shown_or_refused(path: Path, seed: int) -> None:
    chance, original, refused = random.Random(seed), path.read_bytes(), 0
    for _ in range(200):
        path.write_bytes(damaged_note(original, chance))
        try:
            assert head(summary(path))
        except PackedFileError:
            refused += 1
    assert 10 < refused < 100  # those that are nested too deep
