"""Rows of dense layers become sums of code words: product and residual quantization (Gong et al. 2014)."""

from __future__ import annotations

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
from compressbench.layers.chain import MOST_PARTS, Sum
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import select, usable
from compressbench.techniques.quantization._code_words import CodeBook, CodeWords, from_runs, k_means, to_runs
from compressbench.techniques.quantization._freeze import freeze


@dataclass(frozen=True)
class ResidualQuantization(Technique):
    """Replace runs of each row of a dense layer by a code word, what is left by a second one, and so on.

    Source: Gong et al. 2014, "Compressing Deep Convolutional Networks using Vector Quantization", sections 3.2.2 (one
    stage: product quantization) and 3.2.3 (whole rows in several stages: residual quantization). Words are found by
    k-means of what the stages before have left, rows alike, a code book for each run of columns and each stage.

    targets, ignore: which dense layers; layers of other kinds are left out. dimension: columns of a run; 0 for whole
    rows, the paper's residual quantization. A layer whose columns it does not divide is left out. bits: 2^bits words a
    code book, 15 at most. stages: how many words are added up. k_means_rounds: rounds of Lloyd's algorithm. retrain: a
    training of code words and of all that is not quantized, the assignment kept; null for none. Biases are not
    quantized. A layer of R rows takes t R bits for every run and 32 t 2^bits dimension bits a run for its words.

    We differ: a layer of several stages becomes as many dense layers whose results are added (`Sum`), each of them
    stored as its code words; counted are the MACs of all of them, as if no product were looked up.
    """

    targets: list[str]
    ignore: list[str]
    dimension: int
    bits: int
    stages: int
    k_means_rounds: int
    retrain: TrainingConfig | None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        if self.dimension < 0:
            raise out_of_range("dimension", self.dimension, "1 or more, or 0 for whole rows")
        if not 0 <= self.bits <= 15:
            raise out_of_range("bits", self.bits, "0 to 15")
        if not 1 <= self.stages <= MOST_PARTS:
            raise out_of_range("stages", self.stages, f"1 to {MOST_PARTS}")
        if self.k_means_rounds < 0:
            raise out_of_range("k_means_rounds", self.k_means_rounds, "0 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        books: dict[str, CodeBook] = {}
        chosen = self._chosen(subject)
        with context.progress.task("code books", len(chosen)) as advance, torch.no_grad():
            for name, layer in chosen.items():
                books |= self._quantize(subject, name, layer, context)
                advance(1, name)
        if self.retrain is not None:
            with latent(subject, {name: CodeWords(book) for name, book in books.items()}):
                subject = context.train(subject, self.retrain)
        for name, book in books.items():
            freeze(subject, name, Product(book.words.shape[2]))
        return subject

    def _chosen(self, subject: Subject) -> dict[str, nn.Linear]:
        """Return the layers to quantize by name; the others that were selected are reported.

        Raises ValueError for a layer that cannot be quantized though a selector names it exactly, and if none is left.
        """
        layers = select(subject.model, self.targets, self.ignore)
        obstacles = {name: self._obstacle(layer) for name, layer in layers.items()}
        names = usable(subject.skipped, obstacles, self.targets, "cannot be quantized")
        return {name: layer for name, layer in layers.items() if name in names and isinstance(layer, nn.Linear)}

    def _obstacle(self, layer: nn.Module) -> str:
        if type(layer) is not nn.Linear:
            return f"it is a {type(layer).__name__}, no dense layer"
        if not layer.weight.numel() or layer.in_features % (self.dimension or 1):
            return f"its {layer.in_features} columns cannot be split into runs of {self.dimension}"
        return ""

    def _quantize(self, subject: Subject, name: str, layer: nn.Linear, context: Context) -> dict[str, CodeBook]:
        """Put the sums of code words in the place of a layer; return the code books by the name of each weight."""
        dimension, left = self.dimension or layer.in_features, layer.weight.detach().clone()
        parts: dict[str, nn.Linear] = {}
        books = {}
        for stage in range(1, self.stages + 1):
            book = k_means(to_runs(left, dimension), 2**self.bits, self.k_means_rounds, context.generator)
            runs = torch.stack([book.runs(group) for group in range(len(book.words))])
            words = from_runs(runs, left.shape).contiguous()
            part = layer if self.stages == 1 else _dense(layer, bias=stage == 1)
            part.weight.copy_(words)
            left -= words
            parts[f"stage{stage}"] = part
            books[f"{name}.weight" if self.stages == 1 else f"{name}.stage{stage}.weight"] = book
        if self.stages > 1:
            subject.replace_module(name, Sum(parts))
        return books


def _dense(like: nn.Linear, bias: bool) -> nn.Linear:
    """Return a layer of the same shape; with the very bias of the other one, or without."""
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are not used
        made = nn.Linear(like.in_features, like.out_features, bias=bias and like.bias is not None)
    made.to(like.weight.device)
    if bias and like.bias is not None:
        made.bias = like.bias
    return made.train(like.training)
