"""Whatever is damaged of what a run stored is found, said once, and made again; nothing is taken as it is."""

from __future__ import annotations

import random
import shutil
import warnings
from pathlib import Path

import pytest

from compressbench.cli.main import main
from tests.running.damages import TINY, damage, figures, stored, write_recipe

NAMES = {
    "what is known of a stage": "cache/stages/*/stage.json",
    "the packed file of a stage": "cache/stages/*/model.cbp",
    "the promises of a stage": "cache/stages/*/constraints.safetensors",
    "the note of a finished run": "cache/finished/*.json",
    "the record of a finished run": "runs/**/record.json",
    "the packed file of a finished run": "runs/**/model.cbp",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    write_recipe(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", TINY, f"outputs={folder / 'outputs'}"]) == 0
    return folder


def again(finished: Path, pattern: str, chance: random.Random) -> list[str]:
    """Damage one of the files of a copy, run again, and return what was warned of."""
    outputs = finished / "outputs"
    wanted, names = figures(outputs), stored(outputs)
    copy = finished / "copy"
    shutil.copytree(outputs, copy, dirs_exist_ok=True)
    chosen = chance.choice(sorted(copy.glob(pattern)))
    if "stages" in pattern:  # which a finished run would not look at
        for file in (copy / "runs").rglob("record.json"):
            file.unlink()
    way = damage(chosen, chance)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert main(["run", TINY, f"outputs={copy}"]) == 0, (chosen, way)
    assert figures(copy) == wanted, (chosen, way)
    assert stored(copy) == names, (chosen, way)
    shutil.rmtree(copy)
    return [str(warning.message) for warning in said]


@pytest.mark.parametrize("what", NAMES)
def test_a_damaged_file_is_found_said_once_and_made_again(
    finished: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(finished)
    said = again(finished, NAMES[what], random.Random(what))
    assert len(said) == 1
    assert "cannot be used" in said[0]


@pytest.mark.parametrize(
    "seed", [pytest.param(each, marks=pytest.mark.long if each else pytest.mark.slow) for each in range(3)]
)
@pytest.mark.parametrize("what", NAMES)
def test_damage_of_any_kind_changes_no_figure_and_ends_no_run(
    finished: Path, monkeypatch: pytest.MonkeyPatch, what: str, seed: int
) -> None:
    """108 in all."""
    monkeypatch.chdir(finished)
    chance = random.Random(f"{what} {seed}")
    for _ in range(6):
        said = again(finished, NAMES[what], chance)
        assert [message for message in said if "cannot be used" in message] == said
        assert len(said) <= 1  # none if the damage was in white space
