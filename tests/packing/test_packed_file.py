"""A packed file gives back the network that was written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import compressbench
from compressbench.core.format import Codebook, Coding, Sparse
from compressbench.core.subject import Subject
from compressbench.packing.packed_file import content_of, entries, note, read, rewrite_note, write
from tests.packing.networks import ALEXNET, ALL, FORMATS, stored_as, subject_of


def assert_same(first: nn.Module, second: nn.Module) -> None:
    one, two = first.state_dict(), second.state_dict()
    assert list(one) == list(two)
    assert all(torch.equal(one[name], two[name]) and one[name].dtype == two[name].dtype for name in one)


def test_the_weights_come_back_bit_for_bit(subject: Subject, file: Path) -> None:
    length = write(subject, file)
    assert length == file.stat().st_size
    decoded = read(file)
    assert_same(subject.model, decoded.model)
    assert not decoded.model.training
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in decoded.model.parameters())
    assert decoded.architecture == subject.architecture


@pytest.mark.parametrize("form", FORMATS)
def test_weights_in_every_format_come_back_with_the_format_and_the_coding(form: str, file: Path) -> None:
    subject = stored_as(FORMATS[form])
    write(subject, file)
    decoded = read(file)
    assert_same(subject.model, decoded.model)
    assert decoded.formats == {"fc1.weight": FORMATS[form], "fc2.weight": FORMATS[form]}
    assert decoded.coding == Coding(ALL)


@pytest.mark.parametrize("form", FORMATS)
def test_a_decoded_network_is_written_as_the_same_file(form: str, file: Path, tmp_path: Path) -> None:
    write(stored_as(FORMATS[form]), file)
    write(read(file), tmp_path / "again.cbp")
    assert file.read_bytes() == (tmp_path / "again.cbp").read_bytes()


@pytest.mark.parametrize("coder", ALL)
def test_every_coder_gives_the_weights_back(coder: str, file: Path) -> None:
    for form in (Sparse(), Codebook(5)):
        subject = stored_as(form, coders=(coder,))
        write(subject, file)
        assert_same(subject.model, read(file).model)
        assert {entry.coder for entry, _ in entries(file)} == {coder, ""}


def test_of_the_allowed_coders_the_smallest_is_taken_for_each_tensor(file: Path) -> None:
    alone = {}
    for coder in ("fixed", "huffman", "ans", "context"):
        write(stored_as(Codebook(5), coders=(coder,)), file)
        alone[coder] = {entry.name: entry.coded_bytes for entry, _ in entries(file)}
    write(stored_as(Codebook(5), coders=("fixed", "huffman", "ans", "context")), file)
    for entry, _ in entries(file):
        assert entry.coded_bytes == min(lengths[entry.name] for lengths in alone.values())


IN_ANOTHER_PROCESS = """
import torch
import compressbench
from pathlib import Path
torch.save(compressbench.load("model.cbp")(torch.load("images")), "logits")
from compressbench.packing.packed_file import read, write
write(read(Path("model.cbp")), Path("again.cbp"))
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_loads_a_working_network_and_writes_the_same_file(seed: str, file: Path) -> None:
    """seed: of Python's hashes, which decide the order of sets."""
    subject, images = stored_as(FORMATS["codebook"]), torch.randn(4, 1, 6, 6)
    write(subject, file)
    torch.save(images, file.with_name("images"))
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS], check=True, env=environment, cwd=file.parent)
    assert file.with_name("again.cbp").read_bytes() == file.read_bytes()
    assert torch.equal(torch.load(file.with_name("logits")), subject.model(images))
    assert torch.equal(compressbench.load(file)(images), subject.model(images))


def test_a_network_whose_layers_changed_shape_comes_back_in_its_new_shape(subject: Subject, file: Path) -> None:
    subject.model.conv1 = nn.Conv2d(1, 44, 11, stride=4, padding=5)
    subject.model.bn1 = nn.Identity()
    subject.model.conv2 = nn.Conv2d(44, 192, 5, padding=2)
    subject.model.dropout_fc1.p = 0.25
    write(subject, file)
    decoded = read(file).model
    assert_same(subject.model, decoded)
    assert decoded.conv1.out_channels == 44
    assert decoded.conv1.stride == (4, 4)
    assert decoded.dropout_fc1.p == 0.25
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(subject.model.eval()(images), decoded(images))


def test_a_mask_of_a_bit_an_element_and_the_non_zeros_are_what_a_sparse_tensor_takes(file: Path) -> None:
    subject = subject_of(ALEXNET)
    subject.coding = Coding(("bitmask",))
    dense = write(subject, file)
    weight = subject.model.get_parameter("fc1.weight")  # 256 x 512
    with torch.no_grad():
        weight[:, 26:] = 0
    subject.formats["fc1.weight"] = Sparse()
    sparse = write(subject, file)
    kept = 512 * 26
    assert abs((dense - sparse) - (4 * 256 * 512 - 256 * 512 // 8 - 4 * kept)) < 50  # the header grows a little
    assert_same(subject.model, read(file).model)


def test_reading_leaves_the_global_random_state_alone(subject: Subject, file: Path) -> None:
    write(subject, file)
    before = torch.get_rng_state()
    read(file)
    assert torch.equal(before, torch.get_rng_state())


def test_the_note_can_be_replaced_and_nothing_else_changes(file: Path) -> None:
    subject = stored_as(FORMATS["codebook"])
    length = write(subject, file, {"seed": 1})
    assert note(file) == {"seed": 1}
    data = bytes(content_of(file).data)
    assert rewrite_note(file, {"seed": 1, "measured": {"top1": 0.5}}) == file.stat().st_size > length
    assert note(file)["measured"] == {"top1": 0.5}
    assert bytes(content_of(file).data) == data
    assert_same(subject.model, read(file).model)
