"""The masked twin of a pruned network: the whole one, with the removed channels forced to zero wherever they flow."""

from __future__ import annotations

import copy
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor, nn

from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques.pruning import _structured
from compressbench.techniques.pruning._removal import Removal
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.vision import torchvision
from tests.techniques.lending import StageContext, bare, seeded


def halve(*layers: str, ratio: float = 0.5, ignore: tuple[str, ...] = (), round_to: int = 1) -> L1NormPruning:
    """Return L1-norm pruning of half of the filters."""
    return L1NormPruning(list(layers), ratio, {}, list(ignore), round_to)


def from_torchvision(name: str) -> Callable[[], Subject]:
    """Return what makes one of torchvision's networks, for ten classes."""
    return lambda: bare(seeded(lambda: torchvision("models").get_model(name, weights=None, num_classes=10)))


def apply_and_note(technique: Technique, subject: Subject, context: StageContext) -> tuple[Subject, Removal]:
    """Return the pruned subject and which channels of which modules went."""
    noted: list[Removal] = []
    real = _structured.remove
    with patch.object(
        _structured, "remove", lambda model, gone, example: (noted.append(gone), real(model, gone, example))
    ):
        pruned = technique.apply(subject, context)
    return pruned, noted[0]


def mask_equivalent(model: nn.Module, removed: Removal) -> nn.Module:
    """Return a copy whose convolutions, linear layers and batch norms put out zeros in place of removed channels.

    Nothing is done to the layers that read them, so the twin knows nothing of how consumers were cut.
    """
    twin = copy.deepcopy(model)
    for (name, side), channels in removed.items():
        if side == "out":
            twin.get_submodule(name).register_forward_hook(_zero(channels))
    return twin


def _zero(channels: list[int]):
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        silenced = output.clone()
        silenced[:, channels] = 0
        return silenced

    return hook


@torch.no_grad()
def lived_in(model: nn.Module) -> nn.Module:
    """Give every batch norm scales, shifts and statistics as after training, so that a forgotten one shows."""
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.uniform_(-0.5, 0.5, generator=generator)
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return model
