"""An architecture builds networks of the zoo and nothing else."""

import pytest

from compressbench.core.architecture import Architecture


def test_only_the_zoo_is_ever_called() -> None:
    for target in ("os.system", "compressbench.cli.main.main", "compressbench.zoo.lenet.Nothing"):
        with pytest.raises(ValueError, match=r"may not be named|cannot be imported"):
            Architecture(target).build()


def test_an_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'classes'"):
        Architecture("compressbench.zoo.lenet.LeNet5", {"class": 10}).build()


@pytest.mark.parametrize(
    "target",
    [
        "compressbench.zoo.alexnet.Sequence",  # imported there, not defined
        "compressbench.zoo.alexnet.CHANNELS",
        "compressbench.zoo.alexnet.nn.Linear",
        "compressbench.zoo.torchvision_models.torchvision_weights",
        "compressbench.zoo.resnet_cifar.Block",
        "compressbench.zoo._initialization.he_normal",
        "compressbench.zoo.lenet.__class__",
        "compressbench.zoo..lenet.LeNet5",
    ],
)
def test_what_else_a_file_of_the_zoo_holds_is_never_called(target: str) -> None:
    with pytest.raises(ValueError, match=r"may not be named|cannot be imported|defined there|no network"):
        Architecture(target, {}).builder()
