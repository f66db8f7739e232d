"""What comes out of a layer, channel by channel, on calibration examples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.task import feed, moved
from compressbench.techniques._layer_sums import CALIBRATION_BATCH


@torch.no_grad()
def output_statistics(model: nn.Module, layer: nn.Module, context: Context, examples: int) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each output of a layer over calibration examples and places.

    ValueError if the network never calls the layer.
    """
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, given, output: seen.append(output))
    total, squares, count = torch.tensor(0.0), torch.tensor(0.0), 0
    try:
        for given, _ in context.calibration(CALIBRATION_BATCH, -(-examples // CALIBRATION_BATCH)):
            feed(model, moved(given, next(model.parameters()).device))
            if not seen:
                raise ValueError("the network never calls it, so that its outputs cannot be seen")
            output = seen.pop().double()
            flat = output.flatten(0, -2) if isinstance(layer, nn.Linear) else output.transpose(0, 1).flatten(1).T
            total, squares, count = total + flat.sum(0), squares + flat.square().sum(0), count + len(flat)
    finally:
        hook.remove()
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.float(), deviation.float()
