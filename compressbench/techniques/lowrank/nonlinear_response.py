"""Convolutions lose rank where their responses, as the ReLU leaves them, do not need it (Zhang et al. 2015)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, feed, moved, tensors
from compressbench.core.technique import Technique
from compressbench.techniques._layer_sums import columns_of, obstacle
from compressbench.techniques._layers import value_by_layer
from compressbench.techniques.lowrank._factored import factorable, grows, leave, matrices, put, two_factors
from compressbench.techniques.lowrank._ranks import check_ranks, chosen_rank

PENALTIES = (0.01, 1.0)
"""How much staying near M y' + b counts: first little, so that z goes its own way, then much, so that M can follow."""
BATCH = 64
RIDGE = 1e-6
"""Beside the mean square of a response: filters may be alike."""


@dataclass(frozen=True)
class NonlinearResponse(Technique):
    """Put d filters and N of 1 x 1 in the place of N filters, so that what the ReLU makes of their responses stays.

    Source: Zhang et al. 2015, "Accelerating Very Deep Convolutional Networks for Classification and Detection",
    sections 2.1 to 2.3. Responses lie near a subspace: minimise the sum over examples and places of |r(y) - r(M y' +
    b)|^2 for M of rank d, r the ReLU, y the responses of the network as it was and y' of the layers decomposed so far
    (asymmetric). Solved in turn for M and b, by reduced-rank regression, and for a stand-in z of M y' + b, element by
    element; M = P Q^T, and the layer becomes Q^T W and P.

    targets, ignore: which layers; a linear one is one of 1 x 1. nonlinear: false minimises |y - M y' - b|^2 instead,
    which is also done where no ReLU takes what the layer gives. asymmetric: false: y' is y. rank: d of each; null: by
    energy. energy: fraction of the variance of the responses that stays; null: by ratio. ratio: fraction of a layer's
    weights that goes at least, 0 or more and less than 1. ranks: other ranks for some layers, by selector. examples:
    training examples; places: of each, drawn at random, that responses are of. rounds: for each of two penalties.

    A layer that would have no fewer weights is left out.
    We differ: ranks are chosen layer by layer, not by the product of all energies (section 2.4).
    """

    targets: list[str]
    ignore: list[str]
    nonlinear: bool
    asymmetric: bool
    rank: int | None
    energy: float | None
    ratio: float
    ranks: dict[str, int]
    examples: int
    places: int
    rounds: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"factored"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_ranks(self.rank, self.energy, self.ratio, self.ranks)
        for key in ("examples", "places", "rounds"):
            if getattr(self, key) < 1:
                raise out_of_range(key, getattr(self, key), "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = factorable(subject, self.targets, self.ignore, _obstacle)
        given = value_by_layer(subject.model, self.targets, self.ignore, self.rank, self.ranks, "ranks")
        training = subject.model.training
        original = copy.deepcopy(subject.model).eval()
        subject.model.eval()
        rectified = before_relu(subject.model, names, context) if self.nonlinear else set()
        with context.progress.task("factors", len(names)) as advance, torch.no_grad():
            for name in names:
                self._factor(subject, original, name, given[name], name in rectified, context)
                advance(1, name)
        subject.model.train(training)
        return subject

    def _factor(
        self, subject: Subject, original: nn.Module, name: str, given: int | None, rectified: bool, context: Context
    ) -> None:
        layer = subject.model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        weight = matrices(layer)[0].double()
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.double()
        aims, found = self._responses(subject.model, original, name, weight, bias, context)
        centred = aims - aims.mean(0)
        cost = sum(weight.shape)
        spread = torch.linalg.eigvalsh(centred.T @ centred).flip(0).clamp_min(0).sqrt()
        rank = chosen_rank(given, self.energy, self.ratio, weight.numel(), cost, lambda: spread[None])
        if why := grows(weight.numel(), rank * cost, str(rank)):
            leave(subject, name, self.targets, why)
            return
        solved = regression(found, aims, rank)
        for penalty in PENALTIES if rectified else ():
            for _ in range(self.rounds):
                solved = regression(found, stand_in(aims, solved.of(found), penalty), rank)
        shift = solved.left @ (solved.right @ bias) + solved.shift
        put(subject, name, two_factors(layer, solved.left[None], (solved.right @ weight)[None], shift))

    def _responses(
        self, model: nn.Module, original: nn.Module, name: str, weight: Tensor, bias: Tensor, context: Context
    ) -> tuple[Tensor, Tensor]:
        """Return y and y', (examples and places, filters), at the same places."""
        aims, found = [], []
        for inputs, _ in context.calibration(BATCH, -(-self.examples // BATCH)):
            inputs = moved(inputs, weight.device)
            theirs = columns_of(original, name, inputs)[0]
            ours = columns_of(model, name, inputs)[0] if self.asymmetric else theirs
            count = min(len(theirs), self.places * len(tensors(inputs)[0]))
            chosen = torch.randperm(len(theirs), generator=context.generator)[:count].to(weight.device)
            aims.append(theirs[chosen].double() @ weight.T + bias)
            found.append(ours[chosen].double() @ weight.T + bias)
        return torch.cat(aims), torch.cat(found)


class Solved(NamedTuple):
    """M = left right, and b: left (filters, rank), right (rank, filters), shift (filters,)."""

    left: Tensor
    right: Tensor
    shift: Tensor

    def of(self, responses: Tensor) -> Tensor:
        return responses @ self.right.T @ self.left.T + self.shift


def regression(given: Tensor, wanted: Tensor, rank: int) -> Solved:
    """Return the M of a rank and the b with the least |wanted - M given - b|^2: the plain regression, of which the
    directions are kept in which its results vary most. given, wanted: (examples, filters)."""
    mean, aim = given.mean(0), wanted.mean(0)
    inputs, outputs = given - mean, wanted - aim
    gram = inputs.T @ inputs
    gram = gram + torch.eye(len(gram)).to(gram) * (RIDGE * gram.diagonal().mean() + torch.finfo(gram.dtype).tiny)
    whole = torch.linalg.solve(gram, inputs.T @ outputs).T
    fitted = inputs @ whole.T
    left = torch.linalg.eigh(fitted.T @ fitted)[1].flip(1)[:, :rank]
    left = left * torch.where(left.gather(0, left.abs().argmax(0, keepdim=True)) < 0, -1.0, 1.0)
    right = left.T @ whole
    return Solved(left, right, aim - left @ (right @ mean))


def stand_in(aims: Tensor, predicted: Tensor, penalty: float) -> Tensor:
    """Return the z with the least (r(y) - r(z))^2 + penalty (z - predicted)^2, element by element (section 2.2):
    the better of the best that is 0 or less and the best that is 0 or more."""
    wanted = aims.relu()
    below = predicted.clamp_max(0)
    above = ((penalty * predicted + wanted) / (penalty + 1)).clamp_min(0)
    worse = (wanted.square() + penalty * (below - predicted).square()) > (
        (wanted - above).square() + penalty * (above - predicted).square()
    )
    return torch.where(worse, above, below)


def _obstacle(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        return "it is a convolution in groups"
    return obstacle(layer)


@torch.no_grad()
def before_relu(model: nn.Module, names: Sequence[str], context: Context) -> set[str]:
    """Return the layers whose output the next function takes that takes it is a ReLU."""
    watch = _FirstTaker()
    handles = [model.get_submodule(name).register_forward_hook(watch.leaving(name)) for name in names]
    inputs: Inputs = moved(context.example, next(model.parameters()).device)
    try:
        with watch:
            feed(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return watch.rectified


class _FirstTaker(TorchFunctionMode):
    """Sees which function first takes what a layer gives."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[int, str] = {}
        self.alive: list[Tensor] = []  # so that no identity is given to another tensor
        self.rectified: set[str] = set()

    def leaving(self, name: str) -> Any:
        def hook(layer: nn.Module, given: Any, output: Tensor) -> None:
            self.waiting[id(output)] = name
            self.alive.append(output)

        return hook

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in args:
            name = self.waiting.pop(id(value), None) if isinstance(value, Tensor) else None
            if name is not None and func.__name__.strip("_") == "relu":
                self.rectified.add(name)
        return func(*args, **(kwargs or {}))
