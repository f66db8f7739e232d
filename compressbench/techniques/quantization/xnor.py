"""Binary inputs, and binary weights with a scale for each filter (Rastegari et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.context import Context
from compressbench.core.format import Binary
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques.quantization._binary import ScaledSign
from compressbench.techniques.quantization._binary_inputs import binarize_inputs
from compressbench.techniques.quantization._clip import clipped
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._pools import move_pools


@dataclass(frozen=True)
class XnorNetwork(Technique):
    """XNOR-Net: weights are alpha sign(W), alpha = mean|W| of each filter, and inputs are signs.

    Source: Rastegari et al. 2016, "XNOR-Net", section 3.2. The gradient of a latent weight is
    g (1/n + alpha 1{|w| <= 1}), n the weights of a filter. The network may be fresh or trained.

    training: how it is trained. targets, ignore: what becomes binary, and what does not; the paper
    leaves the first and the last layer as they are. The first layer that runs has a real input in any case. pool_first:
    the network is built again with batch norm, and pools in front of it, as in the paper, if it can be.

    We differ: the scale K of the inputs is dropped (the paper found it to matter little).
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    pool_first: bool

    adds = frozenset({"trained", "quantized"})
    refuses = frozenset({"quantized", "sparse"})

    def apply(self, subject: Subject, context: Context) -> Subject:
        if self.pool_first:
            subject = move_pools(subject)
        names = binarize_inputs(subject, context, self.targets, self.ignore)
        with clipped(subject, dict.fromkeys(names, 1.0)), latent(subject, {name: ScaledSign() for name in names}):
            subject = context.train(subject, self.training)
        for name in names:
            freeze(subject, name, Binary())
        return subject
