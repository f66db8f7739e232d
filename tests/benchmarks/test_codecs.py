"""Our coders against the entropy, DeepCABAC, zstd and xz, on four networks: the same integers for all.

Three networks are trained here, pruned to 11 % by magnitude and trained again under their masks: an MLP on digits,
LeNet-5 on MNIST and the survey's AlexNet on CIFAR10 (as JPEG). The fourth has a bell curve's weights, pruned alike:
there is nothing to learn.
Weights are shared by 1-D k-means, 2^bits - 1 values beside zero.

DeepCABAC is that of nncodec 2.1.3 (ISO/IEC 15938-17), whose own quantizer is left out: `Encoder.encodeLayer` is given
the signed numbers of the centroids, of every tensor apart, and the smallest of twelve settings counts (scan order 0, 1
and 4; 1, 11, 15 and 32 flags for greater-than; optimised adaptation rates always; the size of the code book told).
nncodec asks for numpy below 2, with which we do not go; its coder works with any: `pip install --no-deps nncodec`.
"""

from __future__ import annotations

import importlib.util
import lzma
import time
from functools import cache
from pathlib import Path

import numpy
import pytest
import torch
import yaml
from torch.nn import functional

from compressbench.codecs.coders import CODERS
from compressbench.data.image_folder import ImageFolder
from compressbench.data.mnist import MNIST
from compressbench.packing.inspect import entropy_bytes
from compressbench.zoo.alexnet import AlexNet
from compressbench.zoo.lenet import LeNet5

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

DATASETS = Path(__file__).parents[2] / "conf/dataset"
NETWORKS = ("digits", "mnist", "cifar10", "independent")
DENSITY = 0.11
HEADER_BYTES = 200
"""What a whole file may add to the coded tensors."""
AT_MOST_OF_ENTROPY = {5: 1.005, 8: 1.02}


def pruned(weights):
    """Return the weights with all but the largest DENSITY of them zero."""
    threshold = numpy.quantile(numpy.abs(weights), 1 - DENSITY)
    return numpy.where(numpy.abs(weights) > threshold, weights, 0)


def shared(weights, bits, rounds=30):
    """Return the number of each weight's centroid in order of value, 0 for zero; and the same, signed, around zero."""
    values = numpy.sort(weights[weights != 0].astype(float))
    sums = numpy.concatenate([[0], numpy.cumsum(values)])
    centroids = numpy.linspace(values[0], values[-1], min(2**bits - 1, values.size))
    for _ in range(rounds):
        ends = numpy.searchsorted(values, (centroids[1:] + centroids[:-1]) / 2)
        ends = numpy.concatenate([[0], ends, [values.size]])
        sizes = numpy.diff(ends)
        centroids = numpy.sort(numpy.where(sizes, numpy.diff(sums[ends]) / numpy.maximum(sizes, 1), centroids))
    numbers = numpy.searchsorted((centroids[1:] + centroids[:-1]) / 2, weights)
    negative = int((centroids < 0).sum())
    signed = numpy.where(numbers < negative, numbers - negative, numbers - negative + 1)
    present = weights != 0
    return (numbers + 1) * present, signed * present


def fit(model, batches, epochs, masks):
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9, weight_decay=5e-4, nesterov=True)
    for _ in range(epochs):
        for images, labels in batches():
            optimizer.zero_grad()
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            with torch.no_grad():
                for name, mask in masks.items():
                    model.get_parameter(name).mul_(mask)


def trained(model, batches, epochs, epochs_pruned):
    """Train, prune, train again; return the weights."""
    fit(model, batches, epochs, {})
    masks = {}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                masks[name] = torch.from_numpy((pruned(weight.numpy()) != 0).astype("float32"))
                weight.mul_(masks[name])
    fit(model, batches, epochs_pruned, masks)
    return [model.get_parameter(name).detach().numpy() for name in masks]


def digits():
    from sklearn.datasets import load_digits

    images, labels = (torch.from_numpy(part) for part in load_digits(return_X_y=True))
    images = images.float() / 16
    linear = torch.nn.Linear
    model = torch.nn.Sequential(linear(64, 1000), torch.nn.ReLU(), linear(1000, 300), torch.nn.ReLU(), linear(300, 10))
    return trained(model, lambda: [(images[i], labels[i]) for i in torch.randperm(1797).split(64)], 20, 20)


def of_dataset(kind, name, model, epochs, epochs_pruned):
    fields = yaml.safe_load((DATASETS / f"{name}.yaml").read_text())
    fields.pop("_target_")
    dataset = kind(**fields | ({"image_size": 28} if name == "mnist" else {}))
    if missing := dataset.missing():
        pytest.skip(missing)
    split = dataset.load().train
    generator = torch.Generator().manual_seed(0)
    return trained(model(), lambda: split.batches(128, generator), epochs, epochs_pruned)


@cache
def weights_of(network):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    if network == "digits":
        return digits()
    if network == "mnist":
        return of_dataset(MNIST, "mnist", lambda: LeNet5(1, 10, 28), 1, 1)
    if network == "cifar10":
        # After a single epoch the weights are still nearly those it started with, and no row differs from another.
        return of_dataset(ImageFolder, "cifar10_jpeg", lambda: AlexNet(3, 10, True, 0.5, True, [512, 512]), 8, 2)
    shapes = [(64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3), (10, 256)]
    return [pruned(torch.randn(shape).numpy()) for shape in shapes]


def deep_cabac():
    """Return nncodec's coder without the package around it, which imports what it needs for training networks."""
    found = importlib.util.find_spec("nncodec")
    if found is None:
        pytest.skip("needs DeepCABAC: pip install --no-deps nncodec")
    file = next(Path(found.submodule_search_locations[0], "extensions").glob("deepCABAC*.so"))
    spec = importlib.util.spec_from_file_location("deepCABAC", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def deep_cabac_bytes(module, signed):
    matrix = numpy.ascontiguousarray(signed.reshape(len(signed), -1), dtype=numpy.int32)
    nothing, history = numpy.zeros(len(matrix), numpy.int32), numpy.zeros(1, numpy.int8)
    size, zero = int(matrix.max() - matrix.min()) + 1, int(-matrix.min())

    def coded(scan, flags):
        encoder = module.Encoder()
        encoder.initCtxModels(flags, 1)
        encoder.encodeLayer(matrix, 0, scan, 0, 0, 0, nothing, module.HdspMode.AlwaysOff, history, size, zero)
        return encoder.finish().nbytes

    return min(coded(scan, flags) for scan in (0, 1, 4) for flags in (1, 11, 15, 32))


def sizes_of(tensors, bits):
    """Return the bytes of a network by every way to code it; 8-bit integers for zstd and xz, which see all of them."""
    zstandard = pytest.importorskip("zstandard", reason="needs zstandard")
    module = deep_cabac()
    sizes = dict.fromkeys(("entropy", *CODERS, "smallest", "deep_cabac"), 0.0)
    for symbols, signed in tensors:
        coded = {name: len(coder.encode(symbols.ravel(), 2**bits, symbols.shape)) for name, coder in CODERS.items()}
        coded |= {"smallest": min(coded.values()), "entropy": entropy_bytes(symbols.ravel())}
        coded["deep_cabac"] = deep_cabac_bytes(module, signed)
        for name, size in coded.items():
            sizes[name] += size
    content = b"".join(symbols.astype(numpy.uint8).tobytes() for symbols, _ in tensors)
    sizes["zstd -19"] = len(zstandard.ZstdCompressor(level=19).compress(content))
    sizes["xz"] = len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    return sizes


@pytest.mark.parametrize("bits", [5, 8])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_file_is_no_larger_than_the_entropy_and_smaller_than_deep_cabacs(network, bits):
    tensors = [shared(weights, bits) for weights in weights_of(network)]
    sizes = sizes_of(tensors, bits)
    print(f"\n{network}, {bits} bits, {sum(symbols.size for symbols, _ in tensors):,} weights: bytes, of entropy")
    for name, size in sizes.items():
        print(f"  {name:17}{size:10,.0f}  {size / sizes['entropy']:.4f}")
    print(f"  smallest / DeepCABAC: {sizes['smallest'] / sizes['deep_cabac']:.4f}")
    assert sizes["smallest"] + HEADER_BYTES <= AT_MOST_OF_ENTROPY[bits] * sizes["entropy"]
    assert sizes["smallest"] <= 0.985 * sizes["deep_cabac"]
    assert sizes["smallest"] < min(sizes["relative_huffman"], sizes["zstd -19"], sizes["xz"])


def processor_seconds(work, rounds=3):
    """Return the least processor time: other processes on the machine do not count."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize(
    ("name", "encoding", "decoding"), [("ans", 0.6, 1.2), ("context", 2, 2.5), ("relative_huffman", 1, 2)]
)
def test_coding_takes_no_longer_than_the_limits_in_times_of_xz(name, encoding, decoding):
    """In units of xz at its fastest setting on the same integers, which did 110 MB of fp32 weights a second where ours
    are asked for 100 (ans: 1.1 units) and 20 (context: 5.5 units). The limits are about twice what was measured."""
    shape = (1000, 8192)
    rng = numpy.random.default_rng(0)
    symbols = numpy.where(rng.random(shape) < DENSITY, rng.integers(1, 32, shape), 0).astype(numpy.uint8).ravel()
    coder = CODERS[name]
    data = coder.encode(symbols, 32, shape)
    reference = processor_seconds(lambda: lzma.compress(symbols.tobytes(), preset=0))
    encode = processor_seconds(lambda: coder.encode(symbols, 32, shape))
    decode = processor_seconds(lambda: coder.decode(data, 32, shape))
    megabytes = 4 * symbols.size / 1e6
    print(f"\n{name}: encodes {megabytes / encode:.0f}, decodes {megabytes / decode:.0f} MB of fp32 weights a second")
    print(f"  of xz -0 ({megabytes / reference:.0f} MB/s): {encode / reference:.3f} and {decode / reference:.3f}")
    assert encode <= encoding * reference
    assert decode <= decoding * reference
