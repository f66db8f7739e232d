"""A record says what it ran on, and a device that is not there is refused."""

import pytest
import torch

from compressbench.running.environment import choose_device, environment


def test_versions_and_processor_are_recorded_but_no_host_or_user() -> None:
    found = environment(torch.device("cpu"))
    assert found["torch"] == torch.__version__
    assert found.keys() == {"compressbench", "python", "torch", "system", "processor", "cores", "threads", "device"}


def test_a_device_that_is_not_there_is_refused() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="no device"):
        choose_device("gpu")
