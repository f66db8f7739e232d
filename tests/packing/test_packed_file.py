"""A model file gives back the network that was written, and nothing from a damaged one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.format import Sparse
from compressbench.core.subject import Subject
from compressbench.packing.model_file import ModelFileError, read, write

ALEXNET = Architecture(
    "compressbench.zoo.alexnet.AlexNet",
    {"in_channels": 1, "classes": 10, "batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [512, 512]},
)


@pytest.fixture
def subject() -> Subject:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Subject(ALEXNET.build(), ALEXNET)


def assert_same(first: nn.Module, second: nn.Module) -> None:
    one, two = first.state_dict(), second.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) and one[name].dtype == two[name].dtype for name in one)


def test_the_weights_come_back_bit_for_bit(subject: Subject, tmp_path: Path) -> None:
    length = write(subject, tmp_path / "model.safetensors")
    assert length == (tmp_path / "model.safetensors").stat().st_size
    assert_same(subject.model, read(tmp_path / "model.safetensors").model)


def test_equal_networks_are_equal_files_in_every_process(subject: Subject, tmp_path: Path) -> None:
    write(subject, tmp_path / "here")
    code = (
        "import sys; from pathlib import Path; from compressbench.packing.model_file import read, write;"
        "write(read(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    for number in range(3):  # by chance, two of the orders the library takes are the same
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "here"), str(tmp_path / f"{number}")], check=True)
        assert (tmp_path / f"{number}").read_bytes() == (tmp_path / "here").read_bytes()


def test_a_network_whose_layers_changed_shape_comes_back_in_its_new_shape(subject: Subject, tmp_path: Path) -> None:
    subject.model.conv1 = nn.Conv2d(1, 44, 11, stride=4, padding=5)
    subject.model.bn1 = nn.BatchNorm2d(44)
    subject.model.conv2 = nn.Conv2d(44, 192, 5, padding=2)
    write(subject, tmp_path / "model.safetensors")
    decoded = read(tmp_path / "model.safetensors").model
    assert_same(subject.model, decoded)
    assert decoded.conv1.out_channels == 44
    assert decoded.conv1.stride == (4, 4)
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(subject.model.eval()(images), decoded(images))


def test_a_sparse_tensor_takes_a_bit_an_element_and_its_non_zeros(subject: Subject, tmp_path: Path) -> None:
    dense = write(subject, tmp_path / "dense.safetensors")
    weight = subject.model.get_parameter("fc1.weight")  # 256 x 512
    with torch.no_grad():
        weight[:, 26:] = 0
    subject.formats["fc1.weight"] = Sparse()
    sparse = write(subject, tmp_path / "sparse.safetensors")
    kept = 512 * 26
    assert abs((dense - sparse) - (4 * 256 * 512 - 256 * 512 // 8 - 4 * kept)) < 400  # the header grows a little
    assert_same(subject.model, read(tmp_path / "sparse.safetensors").model)


def test_reading_leaves_the_global_random_state_alone(subject: Subject, tmp_path: Path) -> None:
    write(subject, tmp_path / "model.safetensors")
    before = torch.get_rng_state()
    read(tmp_path / "model.safetensors")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("cut", [0, 7, 100, 5000, -1])
def test_a_file_that_was_cut_off_is_refused(subject: Subject, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "model.safetensors"
    write(subject, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        read(path)


def test_a_file_cannot_name_code_outside_the_zoo(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(subject, path)
    hostile = path.read_bytes().replace(b"compressbench.zoo.alexnet.AlexNet", b"subprocess.zoo.alexnet.xx.AlexNet")
    path.write_bytes(hostile)
    with pytest.raises(ModelFileError, match=r"not below compressbench\.zoo"):
        read(path)


def test_a_module_that_files_cannot_name_is_refused_when_writing(subject: Subject, tmp_path: Path) -> None:
    subject.model.conv1 = nn.Conv1d(1, 2, 3)
    with pytest.raises(ValueError, match="conv1 is a Conv1d"):
        write(subject, tmp_path / "model.safetensors")
