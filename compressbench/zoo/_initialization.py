"""Starting weights shared by the networks of this folder."""

from __future__ import annotations

from torch import nn


def he_normal(model: nn.Module) -> None:
    """Draw every convolution's weights from N(0, 2 / (cout k k)) and set its bias to 0, in place (He et al. 2015, 2.2).

    torch's default, a uniform draw with a sixth of the variance, makes a plain network's signal fainter with every
    layer; the networks of He et al. 2016 and Li et al. 2017 that are rebuilt here were trained from He's.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
