"""Architecture: what builds a network, with which arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compressbench.core.dotted import locate
from compressbench.core.errors import lack_of_memory, suggestion
from compressbench.core.returns import makes_network

if TYPE_CHECKING:
    from torch import nn

ZOO = "compressbench.zoo."
"""Where our networks lie. Beside what is below this path, only code of a plugin in use is ever called."""

OTHERS = (f"{ZOO}timm_models.", f"{ZOO}transformers_models.")
"""Doors of the zoo to networks of other people's packages."""
SYNONYMS = {
    "in_channels": ("in_chans", "num_channels"),
    "classes": ("num_classes", "n_classes", "num_labels"),
    "image_size": ("img_size",),
    "vocabulary": ("vocab_size", "num_tokens"),
    "outputs": ("num_outputs", "out_features"),
    "features": ("num_features", "in_features", "input_size"),
    "context": ("block_size", "context_length"),
    "length": ("sequence_length",),
}
"""What a task says of itself, and what else other people's networks call it."""
GIVEN_OUT = frozenset({"classes", "vocabulary", "outputs"})
"""How much a network has to give out. Every network of the zoo takes one of these, and nothing else there does."""

BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Architecture:
    """A network before any training: `target` is the dotted path of a callable that returns an `nn.Module`.

    It lies below `compressbench.zoo`, or in a plugin.
    arguments: keyword arguments of the target, JSON-able; what its task said of itself among them.
    """

    target: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether the code of the network is ours, or torchvision's, so that it is known what its constructor does."""
        return self.target.startswith(ZOO) and not self.target.startswith(OTHERS)

    def build(self) -> nn.Module:
        """Return a freshly initialised network (from torch's global generator).

        ValueError for an argument that the target does not take, for one it needs and does not get, for what it
        refuses, and if it returns anything but an `nn.Module`.
        """
        import torch

        builder = self.builder()
        self._check_arguments(parameters_of(builder, self.target))
        try:
            network = builder(**self.arguments)
        except ValueError:
            raise
        except Exception as error:  # other people's code raises anything
            if self.is_ours or lack_of_memory(error):
                raise
            raise ValueError(f"{self.target} raises {type(error).__name__}: {error}") from error
        if not isinstance(network, torch.nn.Module):
            raise ValueError(f"{self.target} returns a {type(network).__name__}; a network is a torch.nn.Module")
        return network

    def lay_out(self) -> nn.Module:
        """Return the network for its names and shapes; the global random state is left alone.

        One that is ours has no memory for its weights (the meta device), unless its constructor reads values. Another
        one is built in full: what its constructor computes beside parameters stands in no file. ValueError as `build`
        raises it.
        """
        import torch

        if self.is_ours:
            with suppress(NotImplementedError), torch.device("meta"):
                return self.build()
        with torch.random.fork_rng(devices=[]):
            return self.build()

    def builder(self) -> Callable[..., Any]:
        """Return the class or function named by `target`.

        ValueError if it may not be named (`core.dotted.locate`), or makes no network: all of the zoo that do take one
        of `GIVEN_OUT`; of a plugin's see `makes_network`. A file may name any target, so what else a module holds must
        not be called.
        """
        found: Callable[..., Any] = locate(self.target, ZOO)
        ours = self.target.startswith(ZOO)
        if not (GIVEN_OUT & inspect.signature(found).parameters.keys() if ours else makes_network(found)):
            what = "a subclass of nn.Module, or a function that says it returns one (`-> nn.Module`)"
            raise ValueError(f"{self.target!r} is no network; allowed: {what}")
        return found

    def _check_arguments(self, known: Mapping[str, inspect.Parameter]) -> None:
        if not any(each.kind is each.VAR_KEYWORD for each in known.values()):
            for name in self.arguments:
                if name not in known:
                    raise ValueError(f"{name!r} is not an argument of {self.target}; {suggestion(name, known)}")
        for name, each in known.items():
            variable = each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
            if not variable and each.default is each.empty and name not in self.arguments:
                raise ValueError(f"{self.target} needs the argument {name!r}; the task does not say it")


def parameters_of(builder: Callable[..., Any], target: str) -> Mapping[str, inspect.Parameter]:
    """Return what a target takes. ValueError if it is not callable or does not say."""
    try:
        return inspect.signature(builder).parameters
    except (TypeError, ValueError) as error:
        raise ValueError(f"the network {target!r} cannot be called: {error}") from error


def taken(said: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Return what a task says of itself (`said`) under the names a callable gives it, as far as it takes it by name."""
    found = {}
    for key, value in said.items():
        for name in (key, *SYNONYMS.get(key, ())):
            if name in known and known[name].kind in BY_NAME:
                found[name] = value
                break
    return found
