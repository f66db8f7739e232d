"""A coder of a plugin, named by its dotted path, among those a file may choose from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from compressbench import load
from compressbench.cli.main import main
from compressbench.core.format import Codebook
from compressbench.core.plugins import only
from compressbench.core.subject import Subject
from compressbench.packing.coders import coder_of
from compressbench.packing.container import PackedFileError, seal, unseal
from compressbench.packing.inspect import tensor_table
from compressbench.packing.packed_file import read, write
from tests.packing.networks import stored_as
from tests.users_plugins import write_plugins

CODERS = """
import zlib
from pathlib import Path

import numpy as np

Path("ran").touch()


class Deflated:
    def encode(self, symbols, alphabet, shape, index_bits=None):
        return zlib.compress(symbols.astype("<u2").tobytes(), 9)

    def decode(self, data, alphabet, shape):
        return np.frombuffer(zlib.decompress(data), "<u2")


class Loses(Deflated):
    def encode(self, symbols, alphabet, shape, index_bits=None):
        return super().encode(symbols * 0, alphabet, shape)


class Floats(Deflated):
    def decode(self, data, alphabet, shape):
        return super().decode(data, alphabet, shape).astype(float)


class Nothing:
    pass


def wipe(path):
    Path(path).unlink()
"""
ONLY_THEIRS = ("plugins.Deflated",)


@pytest.fixture
def subject() -> Subject:
    write_plugins(CODERS)
    return stored_as(Codebook(5), ONLY_THEIRS)


@pytest.fixture
def file(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(subject, tmp_path / "model.cbp")
    monkeypatch.setattr("compressbench.core.plugins._named", {})
    monkeypatch.delitem(sys.modules, "plugins")
    Path("ran").unlink()
    return tmp_path / "model.cbp"


def test_what_it_wrote_is_read_again_bit_for_bit(file: Path, subject: Subject) -> None:
    model = load(file, plugins=["plugins"])
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    with only(["plugins"]):
        assert read(file).coding.coders == ONLY_THEIRS
        coders = {row["name"]: row["coder"] for row in tensor_table(file)}
    assert coders["fc1.weight"] == "plugins.Deflated"


def test_without_the_plugin_the_file_says_what_it_needs_and_is_inspected(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PackedFileError, match=r"needs the plugin 'plugins' .* \(for plugins\.Deflated\)"):
        load(file)
    assert main(["inspect", str(file)]) == 0
    assert "plugins.Deflated" in capsys.readouterr().out
    rows = {row["name"]: row for row in tensor_table(file)}
    assert rows["fc1.weight"]["entropy_bytes"] is None
    assert rows["fc1.bias"]["entropy_bytes"] > 0
    assert not Path("ran").exists()


def test_a_coder_that_loses_is_refused_when_it_writes(subject: Subject, tmp_path: Path) -> None:
    for name, said in (("Loses", "does not give back"), ("Floats", "gives no symbols of")):
        subject.coding = type(subject.coding)((f"plugins.{name}",))
        with pytest.raises(ValueError, match=rf"plugins\.{name} {said}"):
            write(subject, tmp_path / "model.cbp")


@pytest.mark.parametrize(
    "name", ["os.system", "plugins.wipe", "plugins.Nothing", "plugins.Path", "plugins.np.load", "plugins.__loader__"]
)
def test_no_file_names_anything_but_coders(file: Path, name: str) -> None:
    content = unseal(file.read_bytes())
    rows = [[name if cell == "plugins.Deflated" else cell for cell in row] for row in content.header["tensors"]]
    file.write_bytes(seal({**content.header, "tensors": rows}, content.note, [bytes(content.data)]))
    with pytest.raises(PackedFileError, match="cannot be read as a packed file"):
        load(file, plugins=["plugins"])
    with (
        only(["plugins"]),
        pytest.raises(ValueError, match=r"may not be named|is no c|cannot be imp|has no"),
    ):
        coder_of(name)


def test_our_own_coders_are_found_by_their_names_only() -> None:
    assert coder_of("huffman").decode(b"", 1, (0,)).size == 0
    for name in ("compressbench.codecs.coders.Coder", "nothing", "compressbench.codecs.bits.BitReader"):
        with pytest.raises(ValueError, match=r"may not be named|is no coder"):
            coder_of(name)
