"""Outputs softened by a temperature, and how far apart those of two networks are (Hinton et al. 2015)."""

from __future__ import annotations

from math import inf

from torch import Tensor
from torch.nn import functional

from compressbench.core.errors import out_of_range


def divergence(ours: Tensor, theirs: Tensor, temperature: float) -> Tensor:
    """Return KL(p || q), the mean over the batch; p and q: softmax of the teacher's and the student's logits / T.

    Its gradients are T^2 times as small as those of the logits' distance. The last dimension counts the classes.
    ValueError for other classes.
    """
    check_classes(ours, theirs)
    log_q, log_p = (functional.log_softmax(logits / temperature, -1) for logits in (ours, theirs))
    return functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1).mean()


def check_classes(ours: Tensor, theirs: Tensor) -> None:
    """Raise ValueError unless outputs are of the same classes, two or more; the last dimension counts them."""
    if ours.shape != theirs.shape or ours.shape[-1] < 2:
        shapes = f"{list(theirs.shape[1:])}, the student {list(ours.shape[1:])}"
        raise ValueError(f"the teacher gives {shapes}; distillation needs the same classes, two or more")


def check_temperature(temperature: float) -> None:
    """Raise ValueError for 0 or less."""
    if not 0 < temperature < inf:
        raise out_of_range("temperature", temperature, "more than 0")


def check_weights(**weights: float) -> None:
    """Raise ValueError for the first weight of a loss that is negative."""
    for key, value in weights.items():
        if not 0 <= value < inf:
            raise out_of_range(key, value, "0 or more")
