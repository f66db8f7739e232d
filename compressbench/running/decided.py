"""What `precision: auto` means in a run: decided once, from the plan and the device, before anything is computed."""

from __future__ import annotations

from dataclasses import replace

import torch

from compressbench.core.plan import Plan
from compressbench.metrics.macs import layer_table
from compressbench.training.autotuning import decide, has_bf16


def decided(plan: Plan, device: torch.device) -> Plan:
    """Return the plan with `auto`, and the others that it reads with theirs.

    For the same plan, device, processor and number of threads it is always the same.

    The network is only laid out, so the global random state is left alone.
    """
    network = plan.model.architecture.lay_out().eval()
    layers = layer_table(network, plan.dataset.task.example())
    others = {name: decided(other, device) for name, other in plan.others.items()}
    return replace(plan, others=others, auto=str(decide(layers, device, torch.get_num_threads(), has_bf16())))
