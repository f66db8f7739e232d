"""Runs of input channels become code words, chosen so that a layer's output changes little (Wu et al. 2016)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.format import Product
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques._layer_sums import layer_sums, obstacle
from compressbench.techniques._layers import is_convolution, select, usable
from compressbench.techniques.quantization._code_words import CodeBook, CodeWords, correct, from_runs, k_means, to_runs
from compressbench.techniques.quantization._freeze import freeze

DAMPING = 1e-4
"""How much staying near the weights counts beside the output, by the mean square of an input."""


@dataclass(frozen=True)
class ProductQuantization(Technique):
    """Q-CNN: quantize runs of input channels with a code book for each group of channels.

    Source: Wu et al. 2016, "Quantized Convolutional Neural Networks for Mobile Devices", sections 3.1 to 3.3. Layer
    after layer: k-means of the runs, then error correction (`_code_words.correct`) towards the outputs of the network
    as it was, on inputs that come through the layers quantized so far (section 3.3.3). A layer of m code books of K
    words of dimension d and C rows takes 32 m K d bits and C m log2(K) more for every position of the kernel.

    targets, ignore: what is quantized, and what is not; biases are not. conv_dimension, linear_dimension: channels of a
    run; layers whose input channels it does not divide are left out. conv_bits, linear_bits: 2^bits words a code book,
    15 at most. k_means_rounds: rounds of Lloyd's algorithm. correction_rounds: passes over the groups of a layer; 0 is
    plain k-means. correction_images: training images that errors are corrected on. retrain: a training of code words
    and of all that is not quantized, the assignment kept; null for none. Fine-tuning of the layers left alone, the
    paper's, is a stage `training/finetune` behind this one.

    We differ: a word stays near the weights where the inputs do not say what it should be (DAMPING).
    """

    targets: list[str]
    ignore: list[str]
    conv_dimension: int
    conv_bits: int
    linear_dimension: int
    linear_bits: int
    k_means_rounds: int
    correction_rounds: int
    correction_images: int
    retrain: TrainingConfig | None

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        for key in ("conv_dimension", "linear_dimension", "correction_images"):
            if getattr(self, key) < 1:
                raise out_of_range(key, getattr(self, key), "1 or more")
        for key in ("conv_bits", "linear_bits"):
            if not 0 <= getattr(self, key) <= 15:
                raise out_of_range(key, getattr(self, key), "0 to 15")
        for key in ("k_means_rounds", "correction_rounds"):
            if getattr(self, key) < 0:
                raise out_of_range(key, getattr(self, key), "0 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        chosen = self._chosen(subject)
        original, books = copy.deepcopy(subject.model).eval(), dict[str, CodeBook]()
        with context.progress.task("code books", len(chosen)) as advance, torch.no_grad():
            for name in chosen:
                books[name] = self._quantize(subject.model.eval(), original, name, context)
                advance(1, name)
        if self.retrain is not None:
            with latent(subject, {f"{name}.weight": CodeWords(book) for name, book in books.items()}):
                subject = context.train(subject, self.retrain)
        for name in chosen:
            freeze(subject, f"{name}.weight", Product(self._dimension(subject.model.get_submodule(name))))
        return subject

    def _chosen(self, subject: Subject) -> list[str]:
        """Return the layers to quantize; the others that were selected are reported.

        Raises ValueError for a layer that cannot be quantized though a selector names it exactly.
        """
        layers = select(subject.model, self.targets, self.ignore)
        obstacles = {name: _obstacle(layer, self._dimension(layer)) for name, layer in layers.items()}
        return usable(subject.skipped, obstacles, self.targets, "cannot be quantized")

    def _dimension(self, layer: nn.Module) -> int:
        return self.conv_dimension if is_convolution(layer) else self.linear_dimension

    def _quantize(self, model: nn.Module, original: nn.Module, name: str, context: Context) -> CodeBook:
        """Quantize one layer of the model, in place."""
        layer = model.get_submodule(name)
        weight, bits = layer.get_parameter("weight"), self.conv_bits if is_convolution(layer) else self.linear_bits
        book = k_means(to_runs(weight, self._dimension(layer)), 2**bits, self.k_means_rounds, context.generator)
        if self.correction_rounds:
            sums = layer_sums(model, name, context, self.correction_images, original)
            inputs, products = sums.inputs[0], sums.products[0]
            damping = DAMPING * float(inputs.diagonal().mean())
            inputs.diagonal().add_(damping)
            correct(book, inputs, products.add_(weight.flatten(1).T, alpha=damping), self.correction_rounds)
        runs = torch.stack([book.runs(group) for group in range(len(book.words))])
        weight.copy_(from_runs(runs, weight.shape))
        return book


def _obstacle(layer: nn.Module, dimension: int) -> str:
    """Return why a layer cannot be quantized, or nothing."""
    if why := obstacle(layer):
        return why
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        return "it is a convolution in groups"
    channels = layer.get_parameter("weight").shape[1]
    if channels % dimension:
        return f"its {channels} input channels cannot be split into runs of {dimension}"
    return ""
