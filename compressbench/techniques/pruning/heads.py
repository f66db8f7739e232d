"""Attention heads that the loss hangs on least go (Michel et al. 2019)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import check_ratios, choose, leave_out
from compressbench.techniques.pruning._attention import (
    Heads,
    attentions,
    heads_of,
    remove_heads,
    silence_heads,
    with_parts,
)
from compressbench.techniques.pruning._gradients import products
from compressbench.techniques.pruning._groups import Group
from compressbench.techniques.pruning._removal import proven
from compressbench.techniques.pruning._structured import check_promises, check_scope, lowest, share


@dataclass(frozen=True)
class HeadPruning(Technique):
    """Remove the heads of a transformer's attention whose absence would change the loss least, to first order.

    Source: Michel et al. 2019, "Are Sixteen Heads Really Better than One?", section 4.1: the mean over examples of
    |output of the head times the gradient of the loss|, divided by the L2 norm of the layer's. In all,
    floor(n (1 - ratio)) of n heads stay, and at least one of each layer. Queries, keys, values and what reads the head
    get smaller. Hidden units of a transformer's perceptrons need nothing of their own: any criterion of filters prunes
    them with `targets: [linear]`.

    targets, ignore: modules that attend: `attention`, `first`, `last`, names or globs. They are nn.MultiheadAttention
    and modules that count their heads (`heads`, `num_heads`) and have linear layers `qkv` or `query`, `key`, `value`,
    and `project` or `out_proj`; others are left out. ratio: fraction of heads removed, 0 or more and less than 1.
    scope: which heads compete: all (`global`, as in the paper) or those of each layer (`per_layer`). examples: training
    examples that the mean is over, 1 or more. normalize: whether scores are divided by the L2 norm of their layer's.

    We differ: all heads go at once, where the paper removes a tenth at a time. nn.MultiheadAttention, whose heads
    always fill its width, becomes `layers.attention.HeadAttention` where it loses heads.
    """

    targets: list[str]
    ignore: list[str]
    ratio: float
    scope: str
    examples: int
    normalize: bool

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})
    predictable: ClassVar[bool] = False  # with scope global

    def __post_init__(self) -> None:
        check_ratios(self.ratio, {})
        check_scope(self.scope, {})
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        check_promises(subject)
        names = choose(
            attentions(subject.model), self.targets, self.ignore, ("attention",), type(subject.model).__name__
        )
        measured = copy.deepcopy(subject.model)
        found = {name: heads for name in names if (heads := self._heads(measured, name, subject.skipped))}
        groups = [(Group((name,), heads.count, ()), share(heads.count, self.ratio)) for name, heads in found.items()]
        scores = self._scores(measured, found, context)
        chosen = lowest(groups, [scores[name] for name in found], 1, self.scope, subject.skipped)
        gone = {group.members[0]: sorted(heads) for group, heads in chosen if heads}
        for name in gone:
            silence_heads(measured.get_submodule(name), found[name], gone[name])
        with proven(subject.model, measured, context.example):
            for name in gone:
                if isinstance(module := subject.model.get_submodule(name), nn.MultiheadAttention):
                    replacement = with_parts(module)
                    assert not isinstance(replacement, str)
                    subject.replace_module(name, replacement)
                remove_heads(subject.model.get_submodule(name), found[name], gone[name])
        return subject

    def _heads(self, measured: nn.Module, name: str, skipped: list[Skipped]) -> Heads | None:
        """Return how a module attends, nn.MultiheadAttention put into parts, or None if its heads must stay."""
        module: nn.Module | str = measured.get_submodule(name)
        if isinstance(module, nn.MultiheadAttention):
            module = with_parts(module)
        found = module if isinstance(module, str) else heads_of(module)
        if isinstance(found, str):
            leave_out(skipped, name, self.targets, "cannot lose heads", found)
            return None
        assert isinstance(module, nn.Module)
        measured.set_submodule(name, module)
        return found

    def _scores(self, model: nn.Module, found: dict[str, Heads], context: Context) -> dict[str, Tensor]:
        """Return the scores of the heads, (heads,), by name of the module."""
        places = {f"{name}.{heads.out}": name for name, heads in found.items()}
        scores = {name: torch.zeros(heads.count) for name, heads in found.items()}
        for batch in products(model, places, context, self.examples, of_inputs=True) if places else ():
            for name, columns in batch.items():
                scores[name] += columns.unflatten(1, (found[name].count, -1)).sum(2).abs().sum(0).cpu()
        if not self.normalize:
            return scores
        return {name: own / own.norm().clamp_min(torch.finfo(own.dtype).tiny) for name, own in scores.items()}
