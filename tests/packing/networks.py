"""Small real networks with a tensor in every format."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.format import (
    Binary,
    Blocks,
    Codebook,
    Coding,
    FixedPoint,
    Format,
    Hashed,
    NOfM,
    PowerOfTwo,
    Product,
    Sparse,
    Uniform,
)
from compressbench.core.hashing import places
from compressbench.core.subject import Subject
from compressbench.layers.chain import Chain, Sum

ALEXNET = Architecture(
    "compressbench.zoo.alexnet.AlexNet",
    {"in_channels": 1, "classes": 10, "batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [512, 512]},
)
LENET = Architecture("compressbench.zoo.lenet.LeNet300100", {"in_channels": 1, "classes": 10, "image_size": 6})
"""36 x 300 + 300 x 100 + 100 x 10 weights."""

ALL = ("fixed", "bitmask", "huffman", "relative_huffman", "ans", "context")


def subject_of(architecture: Architecture = LENET) -> Subject:
    """Return a subject with always the same weights; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Subject(architecture.build().eval(), architecture)


def sayable(weight: torch.Tensor, form: Format) -> torch.Tensor:
    """Return weights of the same shape and like size that a format can say."""
    flat, generator = weight.numpy(), np.random.default_rng(0)
    if isinstance(form, Sparse):
        made = np.where(np.abs(flat) > np.quantile(np.abs(flat), 0.9), flat, -0.0)
    elif isinstance(form, NOfM):
        groups = np.abs(flat).reshape(-1, form.m)
        made = np.where((groups.argsort(axis=1).argsort(axis=1) >= form.m - form.n).reshape(flat.shape), flat, 0)
    elif isinstance(form, Blocks):
        there = generator.random((flat.shape[0] // form.rows, flat.shape[1] // form.columns)) < 0.3
        made = flat * np.kron(there, np.ones((form.rows, form.columns)))
    elif isinstance(form, Codebook):
        made = generator.choice(np.append(generator.normal(size=2**form.bits), 0), flat.shape)
    elif isinstance(form, PowerOfTwo):
        exponents = form.largest - generator.integers(0, 2 ** (form.bits - 2), flat.shape)
        made = np.ldexp(generator.choice([-1.0, 0.0, 1.0], flat.shape), exponents)
    elif isinstance(form, FixedPoint):
        limit = 2 ** (form.bits - 1)
        made = np.ldexp(generator.integers(-limit, limit, flat.shape).astype(float), -form.fraction_bits)
    elif isinstance(form, Binary):
        scale = np.abs(flat.reshape(len(flat), -1)).mean(axis=1).reshape(-1, *[1] * (flat.ndim - 1))
        made = np.where(flat < 0, -scale, scale)
    elif isinstance(form, Product):
        words = generator.normal(size=(7, form.dimension))
        runs = words[generator.integers(0, 7, (len(flat), flat.shape[1] // form.dimension))]
        made = runs.reshape(flat.shape)
    elif isinstance(form, Hashed):
        bucket, sign = places(flat.shape, form.buckets, form.seed)
        made = (generator.normal(size=form.buckets)[bucket] * sign).reshape(flat.shape)
    elif isinstance(form, Uniform):
        runs = -(-flat[0].size // form.group) if form.group else 1
        scales = np.ldexp(generator.integers(128, 256, (len(flat), runs)), -12)  # as bfloat16 has them
        spread = np.repeat(scales, form.group or flat[0].size, axis=1)[:, : flat[0].size]
        limit = 2 ** (form.bits - 1)
        whole = generator.integers(-limit, limit, spread.shape)
        made = (whole * spread).reshape(flat.shape)
    else:
        made = flat
    return torch.from_numpy(np.asarray(made, np.float32))


FORMATS: dict[str, Format] = {
    "sparse": Sparse(),
    "n_of_m": NOfM(2, 4),
    "blocks": Blocks(5, 2),
    "codebook": Codebook(5),
    "power_of_two": PowerOfTwo(5, -1),
    "fixed_point": FixedPoint(8, 7),
    "binary": Binary(),
    "product": Product(4),
    "hashed": Hashed(300, 1),
    "uniform": Uniform(4, 16),
}


def stored_as(form: Format, coders: tuple[str, ...] = ALL, architecture: Architecture = LENET) -> Subject:
    """Return a LeNet-300-100 whose two larger layers have a format."""
    subject = subject_of(architecture)
    for name in ("fc1.weight", "fc2.weight"):
        weight = subject.model.get_parameter(name)
        with torch.no_grad():
            weight.copy_(sayable(weight.detach(), form))
        subject.formats[name] = form
    subject.coding = Coding(coders)
    return subject


def in_parts() -> Subject:
    """Return a LeNet-300-100 whose layers are several each, in a row and side by side."""
    subject = subject_of()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        sides = Sum({"wide": nn.Linear(9, 300), "narrow": nn.Linear(9, 300, bias=False)})
        subject.replace_module("fc1", Chain({"reduce": nn.Linear(36, 9, bias=False), "sides": sides}))
        subject.replace_module("fc2", Chain({"reduce": nn.Linear(300, 4), "expand": nn.Linear(4, 100)}))
    return subject
