"""Networks of timm; skipped where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from compressbench.zoo.timm_models import timm_model

pytestmark = pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")


def test_a_network_of_timm_takes_the_datasets_channels_classes_and_options() -> None:
    network = timm_model(1, 7, "vit_tiny_patch16_224", {"img_size": 32}).eval()
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 7)
    with pytest.raises(ValueError, match=r"timm's resnet10t cannot be built: .*img_sice"):
        timm_model(1, 7, "resnet10t", {"img_sice": 32})
