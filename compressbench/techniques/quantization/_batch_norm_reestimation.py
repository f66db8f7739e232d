"""Running statistics of batch normalisation, measured again."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.task import feed

BATCHES = 50


@torch.no_grad()
def measure_again(subject: Subject, context: Context, batch_size: int) -> None:
    """Replace running means and variances by those over 50 batches of training examples, each counting the same.

    They are those of the weights that the training saw; weights that differ from these need their own.
    """
    norms = [layer for layer in subject.model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    subject.model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    for inputs, _ in context.calibration(batch_size, BATCHES):
        feed(subject.model, inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
