"""Code words: runs of input channels that share a few values. K-means, and correction of the layer's output.

A layer's weights are runs (groups, rows, positions, dimension): group g has input channels g dimension to
(g + 1) dimension - 1, row r is an output channel, position p a place of the kernel. A code book is words
(groups, number, dimension) and an assignment (groups, rows, positions): the number of each run's word in its group.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LARGEST = 1 << 24
"""Distances held in memory at once."""
ENOUGH, MOST_STEPS = 1e-3, 20
"""Conjugate gradients stop where this fraction of the gradient is left, or after so many steps; rounds go on there."""


@dataclass
class CodeBook:
    """words: (groups, number, dimension). assignment: (groups, rows, positions), int64."""

    words: Tensor
    assignment: Tensor

    def runs(self, group: int) -> Tensor:
        """Return the words of one group where they stand, (rows, positions, dimension)."""
        return self.words[group][self.assignment[group]]


def to_runs(weight: Tensor, dimension: int) -> Tensor:
    """Return (groups, rows, positions, dimension) of a weight (rows, channels, ...)."""
    rows, channels = weight.shape[:2]
    return weight.reshape(rows, channels // dimension, dimension, -1).permute(1, 0, 3, 2)


def from_runs(runs: Tensor, shape: torch.Size) -> Tensor:
    """Return the weight of that shape: the inverse of `to_runs`."""
    return runs.permute(1, 0, 3, 2).reshape(shape)


class CodeWords(nn.Module):
    """Makes a weight of code words; the tensor it is given counts for its shape alone.

    words: trained, with the sum of the gradients of the places that share one.
    """

    assignment: Tensor

    def __init__(self, book: CodeBook):
        super().__init__()
        self.words = nn.Parameter(book.words.clone())
        groups, number, _ = book.words.shape
        places = book.assignment + number * torch.arange(groups, device=book.assignment.device)[:, None, None]
        self.register_buffer("assignment", places)

    def forward(self, weight: Tensor) -> Tensor:
        runs = self.words.flatten(0, 1).index_select(0, self.assignment.flatten())
        return from_runs(runs.view(*self.assignment.shape, -1), weight.shape)


def k_means(runs: Tensor, number: int, rounds: int, generator: torch.Generator) -> CodeBook:
    """Return code books of at most `number` words, by Lloyd's algorithm in each group, from runs chosen by chance.

    A group of no more runs than words keeps them all, to the bit. A word that nothing is nearest to stays.
    """
    groups, rows, positions, dimension = runs.shape
    points = runs.reshape(groups, rows * positions, dimension)
    count = points.shape[1]
    if count <= number:
        every = torch.arange(count, device=points.device).view(1, rows, positions)
        return CodeBook(points.clone(), every.expand(groups, -1, -1))
    order = torch.stack([torch.randperm(count, generator=generator)[:number] for _ in range(groups)])
    words = points.gather(1, order.to(points.device)[:, :, None].expand(-1, -1, dimension))
    size = max(1, LARGEST // (count * number))
    nearest = torch.cat([_lloyd(*part, rounds) for part in zip(points.split(size), words.split(size), strict=True)])
    return CodeBook(words, nearest.view(groups, rows, positions))


def _lloyd(points: Tensor, words: Tensor, rounds: int) -> Tensor:
    """Move the words (groups, number, dimension), in place, and return the nearest of each point (groups, count)."""
    for _ in range(rounds):
        nearest = _nearest(points, words)
        index = nearest[:, :, None].expand_as(points)
        sums = torch.zeros_like(words).scatter_add_(1, index, points)
        counts = torch.zeros_like(words).scatter_add_(1, index, torch.ones_like(points))
        words.copy_(torch.where(counts > 0, sums / counts.clamp(min=1), words))
    return _nearest(points, words)


def _nearest(points: Tensor, words: Tensor) -> Tensor:
    """Return argmin of |p - w|^2, without the |p|^2 that all words share."""
    return torch.baddbmm(words.square().sum(2)[:, None], points, words.mT, alpha=-2).argmin(2)


def correct(book: CodeBook, inputs: Tensor, products: Tensor, rounds: int) -> None:
    """Change a code book, in place, so that the layer's output comes nearer to what it should be.

    Q-CNN's error correction (Wu et al. 2016, section 3.3): minimise the sum of |o - W s|^2 over inputs s and wanted
    outputs o, group after group, by turns over the words (all of a group's at once) and the assignment (one position of
    the kernel after the other). The error never grows. The inputs count through two sums alone, so any number will do:

    inputs: sum of s s^T, (columns, columns). products: sum of s o^T, (columns, rows). Columns are channels, then kernel
    positions, as in `weight.flatten(1)`.
    """
    groups, rows, positions = book.assignment.shape
    dimension = book.words.shape[2]
    order = torch.arange(len(inputs), device=inputs.device).view(groups, dimension, positions).mT.reshape(groups, -1)
    weight = torch.stack([book.runs(group).flatten(1) for group in range(groups)])  # (groups, rows, columns of a group)
    whole = inputs.new_zeros(rows, len(inputs))
    whole[:, order.flatten()] = weight.permute(1, 0, 2).reshape(rows, -1)
    for _ in range(rounds):
        for group, columns in enumerate(order):
            own = inputs[columns][:, columns]
            wanted = products[columns].T - whole @ inputs[:, columns]  # minus half the gradient, (rows, own columns)
            wanted = _correct_words(book, group, own, wanted)
            for position in range(positions):
                wanted = _reassign(book, group, position, own, wanted)
            whole[:, columns] = book.runs(group).flatten(1)


def _correct_words(book: CodeBook, group: int, own: Tensor, wanted: Tensor) -> Tensor:
    """Improve all words of a group by conjugate gradients, and return what is wanted after that.

    own: (columns, columns), the inputs of the group; wanted: (rows, columns). Columns: positions, then channels.
    """
    words, places = book.words[group], book.assignment[group]

    def apart(change: Tensor) -> Tensor:
        return change[places].flatten(1)

    def together(runs: Tensor) -> Tensor:
        return torch.zeros_like(words).index_add_(0, places.flatten(), runs.reshape(-1, words.shape[1]))

    left = together(wanted)
    size = words.shape[1]
    metric = own.view(own.shape[0] // size, size, -1, size).diagonal(dim1=0, dim2=2).sum(2)  # of all positions
    inverse = torch.linalg.pinv(metric, hermitian=True) * places.shape[1]
    counts = torch.bincount(places.flatten(), minlength=len(words)).clamp(min=1)[:, None]
    change, left = torch.zeros_like(words), together(wanted)
    direction = ahead = left @ inverse / counts  # a step that is exact where the kernel has one position
    slope = float((left * ahead).sum())
    enough = ENOUGH**2 * slope
    for _ in range(MOST_STEPS):
        moved = together(apart(direction) @ own)
        curvature = float((direction * moved).sum())
        if slope <= enough or curvature <= 0:
            break
        change += slope / curvature * direction
        left -= slope / curvature * moved
        ahead = left @ inverse / counts
        slope, before = float((left * ahead).sum()), slope
        direction = ahead + slope / before * direction
    words += change
    return wanted - apart(change) @ own


def _reassign(book: CodeBook, group: int, position: int, own: Tensor, wanted: Tensor) -> Tensor:
    """Give each row the best word at one position, all else as it is, and return what is wanted after that."""
    words, places = book.words[group], book.assignment[group]
    dimension = words.shape[1]
    here = slice(position * dimension, (position + 1) * dimension)
    metric, before = own[here, here], words[places[:, position]]
    aims = before @ metric + wanted[:, here]
    cost = ((words @ metric) * words).sum(1) - 2 * aims @ words.T  # (rows, number): w G w - 2 w (G w' + e)
    places[:, position] = cost.argmin(1)
    return wanted - (words[places[:, position]] - before) @ own[here]
