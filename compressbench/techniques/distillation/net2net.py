"""A wider or deeper network starts from what its teacher computes (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.task import feed
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._layers import is_convolution, kind_of, layers_of

KINDS = ("conv", "linear", "bn")
BATCH = 64
"""Training examples that a new batch norm is set by, and the two networks are held together on."""


@dataclass(frozen=True)
class Net2Net(Technique):
    """Give the network weights with which it computes what a smaller teacher does, then train it on.

    Source: Chen et al. 2016, "Net2Net: Accelerating Learning via Knowledge Transfer", sections 2.3 (Net2WiderNet) and
    2.4 (Net2DeeperNet). A wider layer holds copies of units drawn at random; what reads them divides its weights by how
    many copies there are. A new layer is the identity, and its batch norm undoes what it does to the training examples.

    training: of the network afterwards; the paper takes a tenth of the teacher's learning rate. teacher: the trained
    network, `{recipe: R, stage: S}`, an earlier `{stage: S}` of this run, or `{file: F}`. deeper: names of layers that
    the teacher lacks, where a ReLU comes before and after; all others, with their batch norms, are the teacher's in the
    order of definition. noise: deviation of what is added to the copies so that they do not stay alike, as a fraction
    of that of the layer's weights.

    We differ: only networks that run their layers one after the other, which is proved on training examples before the
    noise is added.
    """

    training: TrainingConfig
    teacher: Source
    deeper: list[str]
    noise: float

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized", "int8"})

    def __post_init__(self) -> None:
        if not 0 <= self.noise < inf:
            raise out_of_range("noise", self.noise, "0 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if the two networks do not fit, or would not compute the same."""
        teacher = context.subject_of(self.teacher).model.eval()
        copies = grown(subject.model, teacher, self.deeper, context)
        examples, _ = next(context.calibration(BATCH, 1))
        with torch.no_grad():
            ours, theirs = (feed(model, examples) for model in (subject.model.eval(), teacher))
        if ours.shape != theirs.shape or float((ours - theirs).abs().max()) > 1e-3 * float(theirs.abs().max()) + 1e-6:
            raise ValueError(
                "the network would not compute what its teacher does; net2net is for layers that run one after the "
                "other, with ReLU between them"
            )
        for weight, where in copies:
            drawn = torch.randn(weight.shape, generator=context.generator) * float(weight.detach().std()) * self.noise
            with torch.no_grad():
                weight[where] += drawn[where]
        return context.train(subject, self.training)


@torch.no_grad()
def grown(
    student: nn.Module, teacher: nn.Module, deeper: Iterable[str], context: Context
) -> list[tuple[nn.Parameter, Tensor]]:
    """Give the student its teacher's function, in place; return each weight that has copies, and which rows are."""
    channels: Tensor | None = None  # the teacher's channel that each of the student's is a copy of
    copies = []
    for name, original in pairs(student, teacher, deeper):
        layer = student.get_submodule(name)
        if original is None:
            make_identity(student, name, context)
        elif isinstance(layer, _BatchNorm):
            assert isinstance(original, _BatchNorm)
            for key, tensor in layer.state_dict().items():
                theirs = original.state_dict()[key]
                tensor.copy_(theirs if theirs.dim() == 0 or channels is None else theirs[channels])
        else:
            channels = widen(name, layer, original, channels, context.generator)
            first = original.get_parameter("weight").shape[0]
            if len(channels) > first:
                copies.append((layer.get_parameter("weight"), torch.arange(len(channels)) >= first))
    return copies


def pairs(student: nn.Module, teacher: nn.Module, deeper: Iterable[str]) -> list[tuple[str, nn.Module | None]]:
    """Return each layer of the student, in order, and the teacher's; None for a new one and the batch norm after it."""
    ours, theirs = layers_of(student, KINDS), list(layers_of(teacher, KINDS).values())
    new = set(deeper)
    for name in new:
        if name not in ours:
            raise ValueError(f"deeper has {name!r}, which is no layer of the student; {suggestion(name, ours)}")
    for before, name in zip(list(ours), list(ours)[1:], strict=False):
        if before in new and kind_of(ours[name]) == "bn":
            new.add(name)
    old = [name for name in ours if name not in new]
    kinds = [[kind_of(layer) for layer in layers] for layers in ([ours[name] for name in old], theirs)]
    if kinds[0] != kinds[1]:
        said = [", ".join(map(str, each)) for each in kinds]
        raise ValueError(f"beside those in deeper the student has {said[0]}; the teacher has {said[1]}")
    known = dict(zip(old, theirs, strict=True))
    return [(name, known.get(name)) for name in ours]


def widen(
    name: str, layer: nn.Module, original: nn.Module, channels: Tensor | None, generator: torch.Generator
) -> Tensor:
    """Set a layer so that it computes its original's channels, some of them more than once; return which."""
    ours, theirs = layer.get_parameter("weight"), original.get_parameter("weight")
    read = torch.arange(theirs.shape[1]) if channels is None else _spread(channels, theirs.shape[1])
    grouped = is_convolution(layer) and layer.groups > 1
    fits = len(ours) >= len(theirs) and ours.shape[1] == len(read) and ours.shape[2:] == theirs.shape[2:]
    if grouped or not fits or (layer.bias is None) != (original.bias is None):
        shapes = f"{list(ours.shape)}, the teacher's {list(theirs.shape)}"
        raise ValueError(f"{name} has weights of {shapes}; it cannot be a wider one (grouped convolutions never)")
    extra = torch.randint(len(theirs), (len(ours) - len(theirs),), generator=generator)
    found = torch.cat([torch.arange(len(theirs)), extra])
    times = torch.bincount(read, minlength=theirs.shape[1])[read].view(1, -1, *[1] * (ours.dim() - 2))
    ours.copy_(theirs[found][:, read] / times)
    if layer.bias is not None:
        layer.get_parameter("bias").copy_(original.get_parameter("bias")[found])
    return found


def _spread(channels: Tensor, inputs: int) -> Tensor:
    """Return the teacher's input that each of the student's is a copy of; a layer may read many places of a channel."""
    places = max(1, inputs // (int(channels.max()) + 1))
    return (channels[:, None] * places + torch.arange(places)).flatten()


def make_identity(student: nn.Module, name: str, context: Context) -> None:
    """Let a layer give what it takes; a batch norm, on training examples."""
    layer = student.get_submodule(name)
    if isinstance(layer, _BatchNorm):
        seen: list[Any] = []
        handle = layer.register_forward_hook(lambda module, inputs, outputs: seen.append(inputs[0]))
        feed(student.eval(), next(context.calibration(BATCH, 1))[0])
        handle.remove()
        values = seen[0].transpose(0, 1).flatten(1)
        mean, variance = values.mean(1), values.var(1, correction=0)
        new = {"running_mean": mean, "running_var": variance, "weight": (variance + layer.eps).sqrt(), "bias": mean}
        layer.load_state_dict(new, strict=False)
        return
    weight = layer.get_parameter("weight")
    same = not is_convolution(layer) or (layer.stride == (1,) * (weight.dim() - 2) and layer.groups == 1)
    odd = all(side % 2 for side in weight.shape[2:])
    if weight.shape[0] != weight.shape[1] or not same or not odd:
        raise ValueError(f"deeper has {name!r}, which cannot be an identity: as many outputs as inputs, stride 1")
    weight.zero_()
    middle = weight.flatten(2).shape[2] // 2 if weight.dim() > 2 else 0
    weight.view(len(weight), len(weight), -1)[:, :, middle].fill_diagonal_(1)
    if layer.bias is not None:
        layer.get_parameter("bias").zero_()
