"""Linear probes: what a linear classifier makes of the features after each layer of a frozen network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.task import feed
from compressbench.techniques.pruning._groups import evaluating

BATCH = 128
ITERATIONS = 100
"""Of L-BFGS at most; it stops earlier where the loss no longer falls."""

FARTHEST = 1e15
"""Size of a feature; a dry run's made-up weights make them overflow."""


@dataclass(frozen=True)
class Probed:
    """A place where a network is probed: `layer` as people name it, and the module whose outputs are the features
    (its batch norm). rectified: whether ReLU comes after it."""

    layer: str
    module: str
    rectified: bool

    def features(self, outputs: Tensor) -> Tensor:
        """Return the mean over all positions of each channel, (n, channels)."""
        found = (functional.relu(outputs) if self.rectified else outputs).detach().float()
        return found.flatten(2).mean(2) if found.dim() > 2 else found


class Probe(nn.Module):
    """The network up to a place, and a linear classifier of the features there."""

    def __init__(self, model: nn.Module, place: Probed, classifier: nn.Linear):
        super().__init__()
        self.model, self.place, self.classifier = model, place, classifier

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits, (n, classes)."""
        with _watched(self.model, [self.place]) as seen:
            self.model(*inputs)
        logits: Tensor = self.classifier(seen[self.place.layer])
        return logits


def accuracies(subject: Subject, context: Context, places: Sequence[Probed], examples: int) -> dict[str, float]:
    """Return the task's primary metric on the validation split of a probe at each place, by layer.

    Each learns from so many training examples. ValueError for what is no classification.
    """
    model = subject.model
    with evaluating(model):
        features, targets, classes = _learned_from(model, context, places, examples)
        found = {}
        with context.progress.task("probing", len(places)) as advance:
            for place in places:
                classifier = fitted(features.pop(place.layer), targets, classes)
                probe = Subject(Probe(model, place, classifier), subject.architecture)
                found[place.layer] = context.validate(probe)[context.task.primary]
                advance()
    return found


@torch.no_grad()
def _learned_from(
    model: nn.Module, context: Context, places: Sequence[Probed], examples: int
) -> tuple[dict[str, Tensor], Tensor, int]:
    """Return the features at each place and the labels of so many training examples, and how many classes there are."""
    features: dict[str, list[Tensor]] = {place.layer: [] for place in places}
    labels, classes = list[Tensor](), 0
    for inputs, targets in context.calibration(min(BATCH, examples), -(-examples // BATCH)):
        with _watched(model, places) as seen:
            outputs = feed(model, inputs)
        if outputs.dim() != 2 or targets.dim() != 1 or targets.is_floating_point():
            raise ValueError(f"linear probes are for classifications; {context.task.name} is none")
        classes = outputs.shape[1]
        labels.append(targets)
        for name, found in seen.items():
            features[name].append(found)
    return {name: torch.cat(found) for name, found in features.items()}, torch.cat(labels), classes


@contextmanager
def _watched(model: nn.Module, places: Sequence[Probed]) -> Iterator[dict[str, Tensor]]:
    """Collect the features of what is fed meanwhile, by layer."""
    seen: dict[str, Tensor] = {}

    def watch(place: Probed) -> Any:
        def keep(module: nn.Module, inputs: Any, outputs: Tensor) -> None:
            seen[place.layer] = place.features(outputs)

        return model.get_submodule(place.module).register_forward_hook(keep)

    handles = [watch(place) for place in places]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def fitted(features: Tensor, targets: Tensor, classes: int) -> nn.Linear:
    """Return the logistic regression of labels on features, each of which is brought to mean 0 and deviation 1 first.

    An L2 penalty of 1 / examples on the weights, as scikit-learn's `LogisticRegression` has it.
    """
    features = features.double().nan_to_num().clamp(-FARTHEST, FARTHEST)
    mean, deviation = features.mean(0), features.std(0, correction=0).clamp(min=1e-6)
    scaled = (features - mean) / deviation
    weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        penalty = weight.square().sum() / (2 * len(targets))
        found = functional.cross_entropy(functional.linear(scaled, weight, bias), targets) + penalty
        found.backward()  # type: ignore[no-untyped-call]
        return found

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    classifier: nn.Linear = nn.utils.skip_init(nn.Linear, features.shape[1], classes)
    with torch.no_grad():
        classifier.weight.copy_(weight / deviation)
        classifier.bias.copy_(bias - (weight / deviation) @ mean)
    return classifier
