"""Nothing that is done to a packed file does more than raise PackedFileError."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from compressbench.packing.container import PackedFileError
from compressbench.packing.inspect import tensor_table
from compressbench.packing.packed_file import read, write
from tests.packing.mutations import damaged_bytes, damaged_data, damaged_header, with_right_checksum
from tests.packing.networks import ALL, FORMATS, in_parts, stored_as

SECONDS = 10.0
"""No file of 200 KB may take longer to be refused: of the processor's time, for the machine may be busy."""
MEGABYTES = 400
"""What all of a thousand files together may add to the largest memory the process had."""


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a small network in every format, and one for each coder."""
    path = tmp_path_factory.mktemp("originals") / "model.cbp"
    made = {}
    for name, form in FORMATS.items():
        write(stored_as(form), path, {"seed": 0, "stages": {"train": {"technique": "training/from_scratch"}}})
        made[name] = path.read_bytes()
    write(in_parts(), path)
    made["in_parts"] = path.read_bytes()
    for coder in ALL:
        write(stored_as(FORMATS["codebook"], coders=(coder,)), path)
        made[coder] = path.read_bytes()
    return made


def weights_of(path: Path) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in read(path).model.state_dict().values()]


def outcome(path: Path, content: bytes) -> str:
    """Return whether a file loads to the same weights every time, or why it is refused; anything else is raised."""
    path.write_bytes(content)
    started = time.process_time()
    try:
        found = "loads" if weights_of(path) == weights_of(path) else "differs"
        tensor_table(path)
    except PackedFileError as error:
        found = str(error)
        assert found.startswith(str(path))
        assert len(found) < 600
    assert time.process_time() - started < SECONDS
    return found


def attack(
    path: Path, originals: dict[str, bytes], damage: Callable[[bytes, random.Random], bytes], seed: int, times: int
) -> list[str]:
    """Damage the files in turn, and return what came of each."""
    chance, names = random.Random(seed), sorted(originals)
    return [outcome(path, damage(originals[names[number % len(names)]], chance)) for number in range(times)]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_400_damaged_files_are_refused_or_load_to_the_identical_network(
    originals: dict[str, bytes], tmp_path: Path, seed: int
) -> None:
    """2,000 in all."""
    chance, path, refused = random.Random(seed), tmp_path / "model.cbp", 0
    names, wanted = sorted(originals), {}
    for name, content in originals.items():
        path.write_bytes(content)
        wanted[name] = weights_of(path)
    for number in range(400):
        name = names[number % len(names)]
        path.write_bytes(damaged_bytes(originals[name], chance))
        started = time.process_time()
        try:
            assert weights_of(path) == wanted[name]
        except PackedFileError:
            refused += 1
        assert time.process_time() - started < SECONDS
    assert refused > 380  # a run of bytes may be overwritten by the same ones


def test_damage_under_a_right_checksum_is_refused_or_loads(originals: dict[str, bytes], tmp_path: Path) -> None:
    """Anywhere, in the tensors' bytes, and in the header as JSON."""
    found = attack(tmp_path / "model.cbp", originals, lambda *given: with_right_checksum(damaged_bytes(*given)), 2, 50)
    found += attack(tmp_path / "model.cbp", originals, damaged_data, 3, 100)
    found += attack(tmp_path / "model.cbp", originals, damaged_header, 4, 250)
    assert set(found) > {"loads"}
    assert "differs" not in found
    assert sum(each != "loads" for each in found) > 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_much_damage_under_a_right_checksum_takes_no_memory_and_no_time(
    originals: dict[str, bytes], tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "model.cbp"
    attack(path, originals, damaged_data, seed, 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attack(path, originals, lambda *given: with_right_checksum(damaged_bytes(*given)), 10 + seed, 300)
    attack(path, originals, damaged_data, 20 + seed, 500)
    attack(path, originals, damaged_header, 30 + seed, 1200)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024


ABSURD = """
import json, resource, sys, time
from pathlib import Path
from compressbench.packing.container import PackedFileError, seal, unseal
from compressbench.packing.packed_file import read
from compressbench.vision import torchvision

torchvision("models")  # importing it is what takes long
path = Path(sys.argv[1])
original = unseal(path.read_bytes())
header, data = original.header, bytes(original.data)
target, arguments = header["architecture"]
rows = header["tensors"]

def zoo(name, /, **more):
    return {"architecture": [f"compressbench.zoo.{name}", {"in_channels": 3, "classes": 10, **more}]}

def layer(kind, **given):
    return {"modules": {"fc1": {"type": kind, "arguments": given}}}

def tensors(index, **changes):
    keys = ["name", "dtype", "shape", "format", "sides", "coder", "alphabet", "coded"]
    new = [list(row) for row in rows]
    for key, value in changes.items():
        new[index][keys.index(key)] = value
    return {"tensors": new}

alex = dict(batch_norm=False, dropout=0.0, conv_bias=False)
cases = [
    zoo("resnet_cifar.ResNetCifar", depth=6 * 10**9 + 2),
    zoo("resnet_cifar.ResNetCifar", depth=1e9),
    zoo("alexnet.AlexNet", hidden=[10**9] * 3, **alex),
    zoo("alexnet.AlexNet", hidden=[10**12] * 2, **alex),
    zoo("alexnet.AlexNet", hidden=[1] * 200_000, **alex),
    zoo("alexnet.AlexNet", hidden={"1": 2}, **alex),
    zoo("alexnet.AlexNet", hidden=[float("nan")], **alex),
    zoo("lenet.LeNet300100", image_size=10**9),
    zoo("lenet.LeNet300100", image_size=10**30),
    zoo("lenet.LeNet300100", image_size=True),
    zoo("torchvision_models.torchvision_model", name="vgg16"),
    zoo("torchvision_models.torchvision_weights", name="vgg16"),
    zoo("torchvision_models.published_set", name="vgg16"),
    {"architecture": [target, {**arguments, "image_size": 3000}]},
    {"architecture": [target, [["in_channels", 1]]]},
    {"architecture": [target]},
    {"architecture": target},
    layer("Linear", in_features=10**6, out_features=10**6, device="cpu"),
    layer("Linear", in_features=10**9, out_features=10**9),
    layer("Linear", in_features=36, out_features=300, bias=[[]]),
    layer("Conv2d", in_channels=1, out_channels=1, kernel_size=[10**5] * 10**5),
    layer("GroupNorm", num_groups=0, num_channels=4),
    layer("LayerNorm", normalized_shape=[2] * 10**5),
    layer("Linear"),
    layer("Chain", parts=["x" + str(n) for n in range(10_000)]),
    layer("Chain", parts=10**12),
    layer("Chain", parts=["forward"]),
    layer("Sum", parts=["a", "a"]),
    layer("Sum", parts=[]),
    layer("TensorTrainLinear", in_modes=[10**9] * 16, out_modes=[10**9] * 16, ranks=[10**9] * 15),
    layer("TensorTrainLinear", in_modes=[6] * 10**5, out_modes=[6] * 10**5, ranks=[1] * (10**5 - 1)),
    layer("TensorTrainLinear", in_modes=[6, 6], out_modes=[30, 10], ranks=[-1]),
    {"modules": {"fc1" + ".a" * n: {"type": "Chain", "arguments": {"parts": ["a"]}} for n in range(900)}},
    {"modules": {"fc1": {"type": "Module", "arguments": {}}}},
    {"modules": {"fc1.fc1.fc1": {"type": "Identity", "arguments": {}}}},
    {"modules": {"": {"type": "Identity", "arguments": {}}}},
    {"modules": {"__class__": {"type": "Identity", "arguments": {}}}},
    {"modules": {str(n): {} for n in range(10_000)}},
    {"modules": None},
    {"coding": {"coders": [], "index_bits": None}},
    {"coding": {"coders": "fixed", "index_bits": None}},
    {"coding": {"coders": ["fixed"], "index_bits": 10**30}},
    {"tensors": []},
    {"tensors": rows * 1000},
    {"tensors": [rows[0]] * len(rows)},
    {"tensors": [[]]},
    {"tensors": {}},
    tensors(1, shape=[10**12, 1]),
    tensors(1, shape=[10**6] * 50_000),
    tensors(1, shape=[-300, -36]),
    tensors(1, alphabet=10**12),
    tensors(1, coded=10**18),
    tensors(1, coded=-5),
    tensors(1, sides=[["float32", 10**15]]),
    tensors(1, sides=[["float64", 8]] * 10**5),
    tensors(1, format=["Hashed", 10**12, 0]),
    tensors(1, format=["PowerOfTwo", 1000, 1]),
    tensors(1, format=["FixedPoint", 10**9, 1]),
    tensors(1, format=["Codebook", 10**9]),
    tensors(1, format=["Product", 0]),
    tensors(1, format=["Uniform", 10**9, 0]),
    tensors(1, format=["Uniform", 4, 10**18]),
    tensors(1, format=["Codebook", 5, 5]),
    tensors(1, name="__class__"),
    tensors(1, name=["fc1.weight"]),
    tensors(1, coder="os.system"),
]
sealed = [seal({**header, **case}, {}, [data]) for case in cases]
sealed += [seal({key: value for key, value in header.items() if key != missing}, {}, [data]) for missing in header]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + (1 << 30), in_use + (1 << 30)))
for number, content in enumerate(sealed):
    path.write_bytes(content)
    started = time.process_time()
    try:
        read(path)
        raise SystemExit(f"case {number} was read: {(cases + list(header))[number]}")
    except PackedFileError as error:
        print(f"{time.process_time() - started:.2f} s", str(error)[len(str(path)):][:150])
    assert time.process_time() - started < 10, number
added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(added, "KiB added")
assert added < 200 * 1024, added
"""


@pytest.mark.slow
def test_absurd_headers_are_refused_within_little_memory_and_time(originals: dict[str, bytes], tmp_path: Path) -> None:
    """In a process of its own with a limit on its memory, where the largest it ever had can be read."""
    path = tmp_path / "model.cbp"
    path.write_bytes(originals["codebook"])
    done = subprocess.run(
        [sys.executable, "-c", ABSURD, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "KiB added" in done.stdout


def test_a_file_that_is_all_zeros_in_a_few_bytes_takes_no_more_memory_than_it_may(tmp_path: Path) -> None:
    """4 million weights in 40 bytes are allowed, 400 million are not (see `test_refused`)."""
    from compressbench.core.architecture import Architecture
    from compressbench.core.format import Coding, Sparse
    from compressbench.core.subject import Subject

    wide = Architecture("compressbench.zoo.lenet.LeNet300100", {"in_channels": 1, "classes": 10, "image_size": 117})
    subject = Subject(wide.build(), wide, coding=Coding(("ans",)))
    torch.nn.init.zeros_(subject.model.get_parameter("fc1.weight"))
    subject.formats["fc1.weight"] = Sparse()
    length = write(subject, tmp_path / "model.cbp")
    assert length < 130_000
    assert not np.any(read(tmp_path / "model.cbp").model.get_parameter("fc1.weight").detach().numpy())
