"""A format of the user's own: it owns its symbols, and a file names it by its dotted path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from compressbench import load
from compressbench.cli.main import main
from compressbench.core.architecture import Architecture
from compressbench.core.dotted import locate
from compressbench.core.plugins import use
from compressbench.core.subject import Subject
from compressbench.packing.container import PackedFileError, seal, unseal
from compressbench.packing.packed_file import read, write
from tests.users_plugins import write_plugins

SIGNS = """
from dataclasses import dataclass

import numpy as np

from compressbench.core.levels import Format, Levels, check_sizes


@dataclass(frozen=True)
class Thirds(Format):
    '''-step, 0 or step, a power of two.'''

    exponent: int

    def levels(self, tensor):
        whole = tensor.ravel() / np.float32(2.0**self.exponent)
        if not np.isin(whole, [-1, 0, 1]).all():
            raise ValueError("it has other values than three")
        return Levels((whole.astype(np.int8) % 3).astype(np.uint8), 3, tensor.shape)

    def tensor(self, levels, shape):
        values = np.array([0, 1, -1], np.float32) * np.float32(2.0**self.exponent)
        return values[levels.symbols].reshape(shape)

    def symbols_shape(self, shape, lengths, alphabet):
        check_sizes(not lengths and alphabet == 3, "there are three symbols")
        return shape


@dataclass(frozen=True)
class NoFormat:
    exponent: int
"""


@pytest.fixture
def subject() -> Subject:
    write_plugins(SIGNS)
    use("plugins.Thirds")
    thirds = locate("plugins.Thirds", "compressbench.")
    architecture = Architecture("compressbench.zoo.lenet.LeNet5", {"in_channels": 1, "classes": 3, "image_size": 16})
    made = Subject(architecture.build(), architecture)
    with torch.no_grad():
        weight = made.model.get_parameter("fc1.weight")
        weight.copy_(torch.randint(-1, 2, weight.shape, generator=torch.Generator().manual_seed(0)) / 8)
    made.store("fc1.weight", thirds(-3))
    return made


@pytest.fixture
def file(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its packed file, in a process that knows nothing of the plugin."""
    write(subject, tmp_path / "model.cbp")
    monkeypatch.setattr("compressbench.core.plugins._named", {})
    monkeypatch.delitem(sys.modules, "plugins")
    return tmp_path / "model.cbp"


def test_it_is_stored_by_its_own_symbols_and_read_again_bit_for_bit(subject: Subject, tmp_path: Path) -> None:
    size = write(subject, tmp_path / "model.cbp")
    found = read(tmp_path / "model.cbp")
    assert torch.equal(found.model.get_parameter("fc1.weight"), subject.model.get_parameter("fc1.weight"))
    assert found.formats == subject.formats
    subject.release("fc1.weight")
    dense, elements = write(subject, tmp_path / "dense.cbp"), subject.model.get_parameter("fc1.weight").numel()
    saved = 32 - (1 + 2 / 3)  # bits an element: zero or not, and a sign for two thirds of them
    assert dense - size == pytest.approx(elements * saved / 8, rel=0.005)


def test_what_it_cannot_say_is_refused_when_it_is_written(subject: Subject, tmp_path: Path) -> None:
    with torch.no_grad():
        subject.model.get_parameter("fc1.weight").add_(0.1)
    with pytest.raises(ValueError, match=r"fc1\.weight cannot be stored as Thirds: it has other values than three"):
        write(subject, tmp_path / "model.cbp")


def test_a_file_of_it_is_opened_with_the_plugin_and_not_without(file: Path) -> None:
    with pytest.raises(PackedFileError, match=r"needs the plugin 'plugins' .*\(for plugins\.Thirds\)"):
        load(file)
    assert "plugins" not in sys.modules
    assert load(file, plugins=["plugins"]).state_dict()["fc1.weight"].unique().tolist() == [-0.125, 0.0, 0.125]


@pytest.mark.parametrize(
    "name", ["plugins.NoFormat", "plugins.Nothing", "os.system", "compressbench.core.format.Sparse"]
)
def test_nothing_else_can_be_named_in_its_place(file: Path, name: str) -> None:
    content = unseal(file.read_bytes())
    for row in content.header["tensors"]:
        if row[3][0] == "plugins.Thirds":
            row[3][0] = name
    file.write_bytes(seal(content.header, content.note, [bytes(content.data)]))
    with pytest.raises(PackedFileError, match="names a format that does not exist"):
        load(file, plugins=["plugins"])


def test_inspect_opens_it_without_the_plugin(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(file)]) == 0
    said = capsys.readouterr().out
    assert "plugins.Thirds" in said
    assert "conv1.weight" in said
    assert "plugins" not in sys.modules
