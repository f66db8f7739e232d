"""A packed file gives back the network that was written, and nothing from a damaged one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import compressbench
from compressbench.core.architecture import Architecture
from compressbench.core.faults import RunError
from compressbench.core.format import Codebook, Coding, Dense, Sparse
from compressbench.core.subject import Subject
from compressbench.packing.container import PackedFileError, seal
from compressbench.packing.packed_file import content_of, entries, note, read, rewrite_note, write
from tests.packing.networks import ALEXNET, ALL, FORMATS, LENET, stored_as, subject_of


@pytest.fixture
def subject() -> Subject:
    return subject_of(ALEXNET)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.cbp"


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


def test_equal_networks_are_equal_files_in_every_process(file: Path, tmp_path: Path) -> None:
    write(stored_as(FORMATS["codebook"]), file)
    code = (
        "import sys; from pathlib import Path; from compressbench.packing.packed_file import read, write;"
        "write(read(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    for seed in ("1", "2"):  # of Python's hashes, which decide the order of sets
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(file), str(tmp_path / seed)], check=True, env=environment)
        assert (tmp_path / seed).read_bytes() == file.read_bytes()


def test_load_gives_a_working_network_in_a_new_process(file: Path, tmp_path: Path) -> None:
    subject = stored_as(FORMATS["codebook"])
    write(subject, file)
    images = torch.randn(4, 1, 6, 6)
    torch.save(images, tmp_path / "images")
    code = (
        "import sys, torch, compressbench; model = compressbench.load(sys.argv[1]);"
        "torch.save(model(torch.load(sys.argv[2])), sys.argv[3])"
    )
    words = [str(file), str(tmp_path / "images"), str(tmp_path / "logits")]
    subprocess.run([sys.executable, "-c", code, *words], check=True)
    assert torch.equal(torch.load(tmp_path / "logits"), subject.model(images))
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
    with pytest.raises(PackedFileError, match=r"network"):
        read(file)


def test_a_file_with_more_elements_than_its_bytes_may_hold_is_neither_read_nor_written(file: Path) -> None:
    wide = Architecture(LENET.target, {"in_channels": 1, "classes": 10, "image_size": 280})
    subject = Subject(wide.build(), wide, coding=Coding(("ans",)))
    for name in ("fc1.weight", "fc2.weight"):  # 23.5 million and 30,000
        nn.init.zeros_(subject.model.get_parameter(name))
        subject.formats[name] = Sparse()
    with pytest.raises(PackedFileError, match="more elements than so few bytes"):
        write(subject, file)
