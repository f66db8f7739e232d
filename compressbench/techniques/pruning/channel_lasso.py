"""Channels chosen by LASSO so that the next layer's output can be put together from them (He et al. 2017)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path_gram
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques.pruning._channels import (
    Contributions,
    Read,
    columns_that_stay,
    damped,
    drop,
    prune_by_readers,
)
from compressbench.techniques.pruning._structured import check_by_ratio


@dataclass(frozen=True)
class ChannelLassoPruning(Technique):
    """Keep the channels that a LASSO needs for the outputs of the layer that reads them, and fit its weights again.

    Source: He et al. 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", section 3.1, equations 2 to 4:
    factors of the channels, whose weights have norm 1, are fitted to the outputs with an L1 penalty that is just large
    enough for the wanted number of channels; then the weights of those to the outputs by least squares. Layer after
    layer, on inputs that come through the layers pruned so far, towards the outputs of the network as it was (section
    3.2).

    targets, ignore: whose filters are pruned, and whose not. ratio: fraction of filters removed, 0 or more and less
    than 1; floor(n (1 - ratio)) of n stay. ratios: other ratios for some layers. round_to: filters that stay are
    rounded up to a multiple; 1 is off. examples: training examples to look at, 1 or more. reconstruct: whether weights
    are fitted again.

    We differ: the penalty comes from the whole path of the LASSO (LARS, by scikit-learn) instead of being raised step
    by step; the outputs are those at every place of the examples, not at ten of each. Outputs that are added to a
    shortcut are wanted as they were: its error is not made up for (section 3.3). Channels that several layers read are
    chosen for all of them.
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    round_to: int
    examples: int
    reconstruct: bool

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_by_ratio(self)
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        refit = reconstructed if self.reconstruct else drop
        return prune_by_readers(subject, context, self, chosen_by_lasso, refit, towards_original=True)


def chosen_by_lasso(found: Contributions, kept: int) -> Tensor:
    """Return the size of each channel's factor where as many as should stay are not zero, (filters,).

    Those that are zero there have minus the number of steps along the path to a smaller penalty until they are not.
    """
    norms = torch.where(found.norms > 0, found.norms, 1.0)
    gram, amount = damped(found.gram / norms / norms[:, None])
    wanted = found.wanted / norms + amount * norms  # a factor of the norm is no change
    scale = float(gram.diagonal().mean())
    most = max(500, 8 * len(gram))  # steps; scikit-learn's 500 do not reach the end of a path of many channels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # channels that others can put together drop out
        _, _, path = lars_path_gram(
            (wanted / scale).cpu().numpy(), (gram / scale).cpu().numpy(), n_samples=1, max_iter=most, method="lasso"
        )
    factors = torch.from_numpy(path).abs()  # (filters, steps), the penalty falls
    there = factors > 0
    steps = factors.shape[1]
    last = int((there.sum(0) <= kept).nonzero().max())
    later = torch.where(there[:, last:].any(1), there[:, last:].int().argmax(1), steps)
    return torch.where(there[:, last], factors[:, last], -later.double())


def reconstructed(read: Read, stays: Tensor) -> Tensor:
    """Return the weights of the channels that stay with which the outputs are nearest to those wanted."""
    columns = columns_that_stay(read, stays)
    matrix, amount = damped(read.inputs[columns][:, columns])
    wanted = read.products[columns] + amount * read.weight[:, columns].T
    weight = torch.zeros_like(read.weight)
    weight[:, columns] = torch.linalg.solve(matrix, wanted).T
    return weight
