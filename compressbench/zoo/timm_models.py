"""timm's networks for images, with the channels and classes of any dataset. Needs the extra `timm`."""

from __future__ import annotations

from typing import Any

from torch import nn

from compressbench.core.installation import missing
from compressbench.vision import mend


def timm_model(in_channels: int, classes: int, name: str, options: dict[str, Any] | None = None) -> nn.Module:
    """Return timm's network `name`, freshly initialised: nothing is downloaded.

    options: whatever else it takes (`img_size`, `drop_path_rate`). ValueError if timm is not installed, and for what it
    refuses.
    """
    mend()  # torchvision, which timm imports, and this machine may have to mend first
    try:
        import timm
    except ImportError as error:
        raise ValueError(missing(["timm"], "timm")) from error
    try:
        model: nn.Module = timm.create_model(
            name, pretrained=False, num_classes=classes, in_chans=in_channels, **(options or {})
        )
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"timm's {name} cannot be built: {error}") from error
    return model
