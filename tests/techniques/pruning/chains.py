"""Two layers after each other, whose outputs can be counted by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compressbench.techniques._layer_sums import columns_of
from compressbench.techniques.pruning._channels import Read, _read
from compressbench.techniques.pruning._groups import Graph
from compressbench.techniques.pruning._readers import readers
from tests.techniques.lending import StageContext, seeded


def chain(linear: bool = False) -> nn.Sequential:
    """A convolution of 6 filters, read by a convolution or by a linear layer behind a flattening; float64."""
    after = [nn.Flatten(), nn.Linear(6 * 9, 5)] if linear else [nn.Conv2d(6, 4, 2)]
    return seeded(lambda: nn.Sequential(nn.Conv2d(2, 6, 2), nn.ReLU(), *after)).double()


def doubled() -> StageContext:
    context = StageContext(channels=2, side=4)
    context.inputs, context.example = context.inputs.double(), context.example.double()
    return context


def read_of(model: nn.Module, context: StageContext, original: nn.Module | None = None) -> Read:
    (group,) = Graph(model, context.example).groups(["0"])
    (reader,) = readers(model, group)
    with torch.no_grad():
        return _read(model, reader, context, 64, original)


def parts(model: nn.Module, context: StageContext) -> Tensor:
    """Return what each channel contributes to each output, (outputs at all places of all examples, 6), by running the
    reader on one channel at a time."""
    reader = next(name for name, layer in model.named_modules() if name != "0" and hasattr(layer, "weight"))
    weight = model.get_submodule(reader).weight.detach().flatten(1)
    ((inputs, _),) = context.calibration(64, 1)
    columns = columns_of(model, reader, inputs)[0].detach()
    kernel = weight.shape[1] // 6
    alone = [columns[:, i * kernel : (i + 1) * kernel] @ weight[:, i * kernel : (i + 1) * kernel].T for i in range(6)]
    return torch.stack([part.flatten() for part in alone], 1)
