"""torchvision's classifiers, with the channels and classes of any dataset, and their published weights."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

from compressbench.core.errors import suggestion
from compressbench.vision import torchvision

_OLD_DENSENET_KEY = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)$")


_WITH_HELPERS = ("googlenet", "inception_v3")
"""Networks that give the outputs of auxiliary classifiers too while they train, unless they are told not to."""


def model_names() -> list[str]:
    """Return what torchvision calls its classifiers, sorted."""
    models = torchvision("models")
    found: list[str] = models.list_models(module=models)
    return found


def torchvision_model(in_channels: int, classes: int, name: str, options: dict[str, Any] | None = None) -> nn.Module:
    """Return torchvision's classifier `name`, freshly initialised, for images of in_channels x 224 x 224.

    With other than 3 channels the first convolution is a new one of the same geometry, drawn with He's rule.
    options: whatever else it takes (`image_size` of a vision transformer, `dropout`). ValueError for an unknown name,
    and for what the network refuses.
    """
    if name not in model_names():
        raise ValueError(f"name is {name!r}; {suggestion(name, model_names())}")
    own = {"aux_logits": False, "init_weights": True} if name in _WITH_HELPERS else {}
    try:
        model: nn.Module = torchvision("models").get_model(
            name, weights=None, num_classes=classes, **{**own, **(options or {})}
        )
    except TypeError as error:
        raise ValueError(f"torchvision's {name} cannot be built: {error}") from error
    if in_channels != 3:
        _replace_first_convolution(model, in_channels)
    return model


def torchvision_weights(name: str, weights: str) -> dict[str, Tensor]:
    """Return the state dict of a published weight set (`IMAGENET1K_V1`) of `name`, from torch's cache or the network.

    It is for 3 channels and 1000 classes. ValueError as `published_set` raises it, and, saying what to do instead, if
    the download fails.
    """
    found = published_set(name, weights)
    url = found.url
    try:
        state: dict[str, Tensor] = found.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, RuntimeError) as error:  # no network, no disk, a wrong hash
        raise ValueError(
            f"the weights {weights!r} of {name} could not be downloaded ({error}); "
            f"fetch {url} elsewhere and set model.weights to the file's path"
        ) from error
    return current_names(state)


def published_set(name: str, weights: str) -> Any:
    """Return torchvision's entry of a weight set, not downloaded. ValueError, saying what exists, if unknown."""
    if name not in model_names():
        raise ValueError("is no file, and published weight sets exist only for networks of torchvision")
    sets = {member.name: member for member in torchvision("models").get_model_weights(name)}
    if weights not in sets:
        raise ValueError(f"{name} has no weight set {weights!r}; it has: {', '.join(sorted(sets))}")
    return sets[weights]


def current_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` with the names torchvision uses now: DenseNet's published files say `norm.1` for `norm1`."""
    return {_OLD_DENSENET_KEY.sub(r"\1\2", key): tensor for key, tensor in state.items()}


def _replace_first_convolution(model: nn.Module, in_channels: int) -> None:
    path, old = next((path, module) for path, module in model.named_modules() if isinstance(module, nn.Conv2d))
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]  # a tuple of two, which the stub calls a tuple of any length
        stride=old.stride,  # type: ignore[arg-type]
        padding=old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    model.set_submodule(path, new)
