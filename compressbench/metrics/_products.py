"""Products of matrices in a forward pass that belong to no layer whose cost a formula knows.

They are seen where torch computes them (torch's own formulas, `torch.utils.flop_counter`), and put down to the module
that runs then: attention, einsum and matmul in a network's own code, bare parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

ADDED = {"addmm": 0, "baddbmm": 0, "convolution": 2, "_convolution": 2}
"""Operators with a term that is only added, and which of their arguments it is."""
COPIES = frozenset({"clone", "_to_copy", "copy", "contiguous", "_reshape_copy", "repeat"})
"""What gives a weight another place in memory, but is still the weight."""
FREE = frozenset(
    (
        *("cat", "stack", "embedding", "index", "index_select", "index_put", "gather", "where", "roll", "flip"),
        *("sum", "mean", "amax", "amin", "linalg_vector_norm", "_softmax", "constant_pad_nd", "tril", "triu"),
        *("native_layer_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit_no_training"),
        *("_fused_rms_norm", "rms_norm", "_weight_norm_interface", "_local_scalar_dense", "equal"),
    )
)
"""Operators that multiply no matrices, beside those torch calls pointwise, views and copies."""
COSTLY = ("_fft", "_cdist", "linalg_")
"""Beginnings of operators that multiply, and have no formula here, whatever they work on."""


@dataclass
class Products:
    """By name of the module that runs: multiply-adds, those with a weight that is not zero (a product of two
    activations counts in full), and what could not be counted.

    valued: False if a weight had no values (on the meta device), so that the second means nothing.
    """

    macs: dict[str, int] = field(default_factory=dict)
    macs_nonzero: dict[str, int] = field(default_factory=dict)
    not_counted: dict[str, list[str]] = field(default_factory=dict)
    valued: bool = True

    def add(self, name: str, macs: int, macs_nonzero: int | None) -> None:
        self.macs[name] = self.macs.get(name, 0) + macs
        if macs_nonzero is None:
            self.valued = False
        else:
            self.macs_nonzero[name] = self.macs_nonzero.get(name, 0) + macs_nonzero

    def miss(self, name: str, operator: str) -> None:
        missed = self.not_counted.setdefault(name, [])
        if operator not in missed:
            missed.append(operator)


@contextmanager
def products(model: nn.Module, is_known: Callable[[nn.Module], bool]) -> Iterator[Products]:
    """Give what is multiplied while it lasts, but in modules that are known. The model comes back as it was."""
    mode = _Counting(model)
    fast, handles = torch.backends.mha.get_fastpath_enabled(), []
    for name, module in model.named_modules():
        entry = None if is_known(module) else name
        handles.append(module.register_forward_pre_hook(mode.entering(entry)))
        handles.append(module.register_forward_hook(mode.leave, always_call=True))
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # one kernel for a whole layer has no formula
        with mode, sdpa_kernel(SDPBackend.MATH):
            yield mode.found
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()


class _Counting(TorchDispatchMode):
    """Sees every operator. running: the modules that run, innermost last; None for one that is known."""

    def __init__(self, model: nn.Module):
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = Products()
        self.running: list[str | None] = []
        self.weights = {_place(weight) for weight in model.parameters()}
        self.copies: list[Tensor] = []  # alive, so that no place is given to another tensor

    def entering(self, entry: str | None) -> Callable[[nn.Module, Any], None]:
        def enter(module: nn.Module, given: Any) -> None:
            self.running.append(entry)

        return enter

    def leave(self, module: nn.Module, given: Any, output: Any) -> None:
        self.running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        owner = self.running[-1] if self.running else None
        if owner is not None:
            self._see(owner, func, args, kwargs or {}, output)
        return output

    def _see(self, owner: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        operator = func._overloadpacket.__name__
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            macs = int(formula(*args, **kwargs, out_val=output)) // 2
            factors = [value for place, value in enumerate(args) if place != ADDED.get(operator)]
            self.found.add(owner, macs, self._nonzero(macs, [each for each in factors if isinstance(each, Tensor)]))
            return
        given = [value for arg in args for value in (arg if isinstance(arg, list | tuple) else [arg])]
        weighted = any(isinstance(value, Tensor) and _place(value) in self.weights for value in given)
        if weighted and operator in COPIES and isinstance(output, Tensor):
            self.copies.append(output)
            self.weights.add(_place(output))
        elif (operator.startswith(COSTLY) and operator not in FREE) or (weighted and not _is_free(func, operator)):
            self.found.miss(owner, operator)

    def _nonzero(self, macs: int, factors: list[Tensor]) -> int | None:
        """Return how many of the products have no weight that is zero: all weights of a factor are used as often."""
        weights = [factor for factor in factors if _place(factor) in self.weights]
        if any(weight.is_meta for weight in weights):
            return None
        shares = [macs * int(torch.count_nonzero(weight)) // max(1, math.prod(weight.shape)) for weight in weights]
        return min(shares, default=macs)


def _place(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _is_free(func: Any, operator: str) -> bool:
    views = any(returned.alias_info is not None for returned in func._schema.returns)
    return views or torch.Tag.pointwise in func.tags or operator in FREE or operator in COPIES
