"""What the loss says of filters: their outputs times its gradients, and pruning by that, in rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.task import feed, moved
from compressbench.core.training import TrainingConfig
from compressbench.techniques._layers import kind_of, layers_of
from compressbench.techniques.pruning._groups import Graph, evaluating, every_gradient
from compressbench.techniques.pruning._structured import (
    ByRatio,
    asked,
    check_by_ratio,
    check_scope,
    finish,
    group_scores,
    lowest,
)

BATCH = 32
"""Examples of a forward and backward pass."""
Products = dict[str, Tensor]
"""By name of a layer, for each example of a batch and each of its filters, (examples, filters): the sum over all places
of output times gradient of the example's loss. Its negative is the change of the loss, to first order, if the filter's
output became zero."""


class ByGradients(ByRatio, Protocol):
    """The fields of a technique that removes filters by what the loss says."""

    @property
    def scope(self) -> str: ...
    @property
    def examples(self) -> int: ...
    @property
    def rounds(self) -> int: ...
    @property
    def retrain(self) -> TrainingConfig | None: ...


def check_by_gradients(fields: ByGradients) -> None:
    """Raise ValueError for a field out of range, or rounds without a training between them."""
    check_by_ratio(fields)
    check_scope(fields.scope, fields.ratios)
    for key in ("examples", "rounds"):
        if getattr(fields, key) < 1:
            raise out_of_range(key, getattr(fields, key), "1 or more")
    if fields.rounds > 1 and fields.retrain is None:
        raise ValueError(f"retrain is None with rounds {fields.rounds!r}; say how to train between the rounds")


def prune_in_rounds(
    subject: Subject, context: Context, fields: ByGradients, score: Callable[[Iterator[Products]], Products]
) -> Subject:
    """Remove filters, in each round the same number and by new scores, with a training before every further round.

    score: from the products of all batches to scores, (filters,), by name of the layer. The filters that stay at last
    are as many as without rounds. Raises ValueError as `asked` does.
    """
    whole = {name: layer.get_parameter("weight").shape[0] for name, layer in layers_of(subject.model).items()}
    for number in range(1, fields.rounds + 1):
        if number > 1:
            assert fields.retrain is not None
            subject = context.train(subject, fields.retrain)
        subject = _prune(subject, context, fields, score, Fraction(number, fields.rounds), whole)
    subject.skipped[:] = dict.fromkeys(subject.skipped)  # what a round leaves out, the next one does too
    return subject


def _prune(
    subject: Subject,
    context: Context,
    fields: ByGradients,
    score: Callable[[Iterator[Products]], Products],
    done: Fraction,
    whole: Mapping[str, int],
) -> Subject:
    model = subject.model
    graph = Graph(model, context.example)
    groups = asked(subject, graph, fields, done, whole)
    names = {model.get_submodule(name): name for group, _ in groups for name in group.members}
    # behind the batch norm that alone reads a layer, as its shift goes with the filter
    places = {graph.norm_after(name) or name: name for name in names.values()}
    found = score(products(model, places, context, fields.examples)) if names else {}
    scores = [group_scores(model, group, lambda layer: found[names[layer]]) for group, _ in groups]
    return finish(subject, context, lowest(groups, scores, fields.round_to, fields.scope, subject.skipped))


def products(
    model: nn.Module, places: Mapping[str, str], context: Context, examples: int, of_inputs: bool = False
) -> Iterator[Products]:
    """Yield the products of a batch of training examples after the other. The loss is the task's own.

    places: by name of the module whose outputs are taken, or whose inputs, what they are called. The network is in
    evaluation mode. What the loss does not hang on has products of zero.
    """
    loss = next(iter(context.task.losses.values()))
    device = next(model.parameters()).device
    size = min(BATCH, examples)
    with evaluating(model), every_gradient(model):
        for inputs, targets in context.calibration(size, -(-examples // size)):
            with _noted(model, places, of_inputs) as values:
                value = loss(feed(model, moved(inputs, device)).float(), targets.to(device)) * len(targets)
            noted = [(name, each) for name, several in values.items() for each in several]
            gradients = torch.autograd.grad(value, [each for _, each in noted], allow_unused=True)
            found: Products = {}
            for (name, output), gradient in zip(noted, gradients, strict=True):
                product = torch.zeros_like(output) if gradient is None else output.detach() * gradient
                summed = _by_channel(product, model.get_submodule(name)).flatten(2).sum(2)
                found[places[name]] = found.get(places[name], 0) + summed
            yield found


def _by_channel(values: Tensor, layer: nn.Module) -> Tensor:
    """Return them as (examples, channels, places)."""
    return (values.movedim(-1, 1) if kind_of(layer) == "linear" else values).unsqueeze(-1)


@contextmanager
def _noted(model: nn.Module, places: Iterable[str], of_inputs: bool) -> Iterator[dict[str, list[Tensor]]]:
    """Note what these modules return, or are given, every time; what follows gets a copy, as it may write."""
    noted: dict[str, list[Tensor]] = {name: [] for name in places}

    def before(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        noted[name].append(inputs[0])
        return inputs[0].clone(), *inputs[1:]

    def after(name: str, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        noted[name].append(output)
        return output.clone()

    modules = {name: model.get_submodule(name) for name in places}
    hooks = [
        module.register_forward_pre_hook(partial(before, name))
        if of_inputs
        else module.register_forward_hook(partial(after, name))
        for name, module in modules.items()
    ]
    try:
        yield noted
    finally:
        for hook in hooks:
            hook.remove()
