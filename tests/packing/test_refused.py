"""What cannot be said is not written, and nothing comes out of a file that is cut short or names what it must not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.errors import RunError
from compressbench.core.format import Codebook, Coding, Dense, Sparse
from compressbench.core.subject import Subject
from compressbench.packing.container import PackedFileError, seal
from compressbench.packing.packed_file import content_of, read, write
from tests.packing.networks import LENET


def test_a_tensor_that_its_format_cannot_say_is_an_error_and_leaves_the_old_file(subject: Subject, file: Path) -> None:
    write(subject, file)
    before = file.read_bytes()
    subject.formats["fc1.weight"] = Codebook(5)
    with pytest.raises(ValueError, match=r"fc1\.weight cannot be stored as Codebook"):
        write(subject, file)
    assert file.read_bytes() == before


def test_a_format_of_a_tensor_that_is_not_there_is_an_error(subject: Subject, file: Path) -> None:
    subject.formats["fc7.weight"] = Dense()
    with pytest.raises(ValueError, match=r"fc7\.weight has a format"):
        write(subject, file)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv1d(1, 2, 3), "conv1 is a Conv1d"),
        (nn.Sequential(nn.Conv2d(1, 64, 11)), "conv1 is a Sequential"),
        (nn.Conv2d(1, 64, 11, stride=4, padding=5, dtype=torch.float64), "tensors are not those"),
    ],
)
def test_a_module_that_files_cannot_say_is_refused_when_writing(
    subject: Subject, file: Path, layer: nn.Module, reason: str
) -> None:
    subject.model.conv1 = layer
    with pytest.raises(ValueError, match=reason):
        write(subject, file)
    assert not file.exists()


def test_a_file_that_cannot_be_written_whole_is_not_written(subject: Subject, file: Path) -> None:
    file.mkdir()  # renaming over a folder fails, after everything was written beside it
    with pytest.raises(RunError, match="cannot write"):
        write(subject, file)
    assert list(file.parent.iterdir()) == [file]


def test_a_note_that_is_too_long_is_refused_when_writing(subject: Subject, file: Path) -> None:
    with pytest.raises(ValueError, match="2,097,152 bytes"):
        write(subject, file, {"story": "x" * (1 << 21)})


@pytest.mark.parametrize("cut", [0, 7, 23, 100, 5000, -1])
def test_a_file_that_was_cut_off_is_refused(subject: Subject, file: Path, cut: int) -> None:
    write(subject, file)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(PackedFileError, match=r"model\.cbp cannot be read"):
        read(file)
    with pytest.raises(PackedFileError, match=r"model\.cbp cannot be read"):
        content_of(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "a", "No such file"), (tmp_path, "no file"), (Path("/dev/zero"), "no file")):
        with pytest.raises(PackedFileError, match=reason):
            read(path)


def rewritten(file: Path, **changes: object) -> None:
    """Give a file another header, with the checksum made right."""
    content = content_of(file)
    file.write_bytes(seal({**content.header, **changes}, content.note, [bytes(content.data)]))


@pytest.mark.parametrize(
    "target",
    [
        "subprocess.zoo.Popen",
        "compressbench.zoo.alexnet.Sequence",  # imported there, not defined
        "compressbench.zoo.alexnet.nn.Sequential",
        "compressbench.zoo.torchvision_models.torchvision_weights",  # would download
        "compressbench.zoo._initialization.he_normal",
        "compressbench.zoo.resnet_cifar.Block",
        "compressbench.zoo.lenet.__builtins__",
        "compressbench.zoo...cli.main.main",
    ],
)
def test_a_file_can_name_nothing_but_networks_of_the_zoo(subject: Subject, file: Path, target: str) -> None:
    write(subject, file)
    rewritten(file, architecture=[target, {}])
    with pytest.raises(
        PackedFileError, match=r"no network|is no class|may not be named|cannot be imported|defined there"
    ):
        read(file)


def test_a_file_with_more_elements_than_its_bytes_may_hold_is_neither_read_nor_written(file: Path) -> None:
    wide = Architecture(LENET.target, {"in_channels": 1, "classes": 10, "image_size": 280})
    subject = Subject(wide.build(), wide, coding=Coding(("ans",)))
    for name in ("fc1.weight", "fc2.weight"):  # 23.5 million and 30,000
        nn.init.zeros_(subject.model.get_parameter(name))
        subject.formats[name] = Sparse()
    with pytest.raises(PackedFileError, match="more elements than so few bytes"):
        write(subject, file)
