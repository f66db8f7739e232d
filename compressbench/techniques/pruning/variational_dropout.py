"""Every weight learns how much noise it bears; those that bear any amount go (Molchanov et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, log
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Objective, Seen
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import is_convolution, select, uncalled, usable
from compressbench.techniques.pruning._unstructured import keep_masked

K1, K2, K3 = 0.63576, 1.87320, 1.48695
"""Of the approximation of the KL divergence (equation 14)."""
TINY = 1e-8


@dataclass(frozen=True)
class VariationalDropout(Technique):
    """Train with Gaussian noise of a learned variance on every weight, and prune those that are more noise than weight.

    Source: Molchanov et al. 2017, "Variational Dropout Sparsifies Deep Neural Networks", equations 11 to 14 and section
    4.4: the additive parameters log sigma^2, noise on a layer's outputs in the place of its weights (local
    reparametrization), the KL divergence from a log-uniform prior by its approximation; at the end weights with log
    alpha = log(sigma^2 / w^2) of `threshold` or more are zero, and the others stay as they are, without noise.

    training: how weights and variances are trained; without weight decay, whose place the prior takes. targets, ignore:
    what is noisy and pruned, and what is not; biases are not. threshold: of log alpha; 3 is a dropout rate of 95 %.
    warm_up: fraction of the training in which the divergence's weight rises from 0 to `divergence`, 0 to 1. divergence:
    its weight at the end; 1 is the paper's, less keeps more weights. initial_deviation: of the noise on
    every weight at first, more than 0.

    We differ: weights and variances have one learning rate, that of the training.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    threshold: float
    warm_up: float
    divergence: float
    initial_deviation: float

    adds: ClassVar[frozenset[str]] = frozenset({"trained", "sparse", "retrained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})
    predictable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.training.weight_decay:
            raise ValueError(f"training.weight_decay is {self.training.weight_decay}; allowed: 0, for there is a prior")
        if not 0 <= self.warm_up <= 1:
            raise out_of_range("warm_up", self.warm_up, "a fraction from 0 to 1")
        for key in ("threshold", "divergence"):
            if not 0 <= getattr(self, key) < inf:
                raise out_of_range(key, getattr(self, key), "0 or more")
        if not 0 < self.initial_deviation < inf:
            raise out_of_range("initial_deviation", self.initial_deviation, "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        layers = self._noisy_layers(subject)
        noises = {}
        for name, layer in layers.items():
            noises[name] = Noise(layer.get_parameter("weight"), self.initial_deviation, self.threshold)
        examples = context.steps(self.training) * self.training.batch_size / max(1, self.training.epochs)

        def loss(seen: Seen) -> Tensor:
            rise = min(1.0, seen.done / self.warm_up) if self.warm_up else 1.0
            divergences = [divergence(noises[name].log_alpha(_mean(layer))).sum() for name, layer in layers.items()]
            return seen.task_loss() + rise * self.divergence / examples * torch.stack(divergences).sum()

        with latent(subject, {f"{name}.weight": noise for name, noise in noises.items()}), noisy(layers, noises):
            subject = context.train(subject, self.training, Objective(loss))
            keeps = {name: noises[name].keep(_mean(layer)) for name, layer in layers.items()}
            subject.model.train()  # the weights, as they are
        subject.model.eval()
        for name, keep in keeps.items():
            if not keep.any():
                keep.view(-1)[subject.model.get_parameter(f"{name}.weight").detach().abs().argmax()] = True
                subject.skipped.append(
                    Skipped(name, f"none of its {keep.numel()} weights would stay; its largest does")
                )
            keep_masked(subject, f"{name}.weight", keep)
        subject.enforce()
        return subject

    def _noisy_layers(self, subject: Subject) -> dict[str, nn.Module]:
        """Return the selected layers to whose outputs noise can be added; the others are reported.

        Raises ValueError for one of these that a selector names exactly, and if they are all.
        """
        found = select(subject.model, self.targets, self.ignore)
        silent = {name: uncalled(layer) for name, layer in found.items()}
        return {name: found[name] for name in usable(subject.skipped, silent, self.targets, "cannot be noisy")}


class Noise(nn.Module):
    """The variance of each weight of a layer. In evaluation mode it lets only those weights through that would stay."""

    def __init__(self, weight: Tensor, deviation: float, threshold: float):
        super().__init__()
        self.log_variance = nn.Parameter(torch.full_like(weight.detach(), 2 * log(deviation)))
        self.threshold = threshold

    def log_alpha(self, weight: Tensor) -> Tensor:
        """Return the logarithm of variance over square, from -8 to 8, in the weight's shape."""
        return (self.log_variance - (weight.square() + TINY).log()).clamp(-8, 8)

    @torch.no_grad()
    def keep(self, weight: Tensor) -> Tensor:
        """Return which weights are more than noise."""
        return self.log_alpha(weight) < self.threshold

    def forward(self, weight: Tensor) -> Tensor:
        return weight if self.training else weight * self.keep(weight)


def divergence(log_alpha: Tensor) -> Tensor:
    """Return the KL divergence of each weight's distribution from the log-uniform prior (equation 14)."""
    return K1 - K1 * torch.sigmoid(K2 + K3 * log_alpha) + functional.softplus(-log_alpha) / 2


@contextmanager
def noisy(layers: Mapping[str, nn.Module], noises: Mapping[str, Noise]) -> Iterator[None]:
    """Add to the outputs of the layers, in training mode, the noise that their weights' variances make (equation 7)."""

    def hook(noise: Noise) -> Callable[..., Tensor]:
        def add(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if not layer.training:
                return output
            squares, variances = given[0].square(), noise.log_variance.exp()
            if is_convolution(layer):
                spread = layer._conv_forward(squares, variances, None)
            else:
                spread = functional.linear(squares, variances)
            return output + (spread + TINY).sqrt() * torch.randn_like(output)

        return add

    handles = [layer.register_forward_hook(hook(noises[name])) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _mean(layer: nn.Module) -> Tensor:
    """Return the latent weights of a layer, which are the means."""
    return layer.get_parameter("parametrizations.weight.original")
