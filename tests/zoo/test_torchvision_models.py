import re

import pytest
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.zoo.torchvision_models import current_names, model_names, torchvision_model, torchvision_weights

NAMES = (
    *("alexnet", "densenet121", "mobilenet_v2", "resnet18", "resnet34", "resnet50", "squeezenet1_0"),
    *("vgg16", "vgg16_bn"),
)
"""Those of our catalogue."""
SIZES = {"inception_v3": 299, "vit_h_14": 224}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channels", "classes"), [(3, 1000), (1, 7)])
def test_every_network_takes_the_datasets_channels_and_classes(name, channels, classes):
    with torch.device("meta"):
        network = torchvision_model(channels, classes, name).eval()
        assert network(torch.zeros(2, channels, 224, 224)).shape == (2, classes)


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_every_classifier_of_torchvision_gives_logits_and_nothing_else(name):
    target = "compressbench.zoo.torchvision_models.torchvision_model"
    network = Architecture(target, {"in_channels": 1, "classes": 7, "name": name}).lay_out().to("meta")
    size = SIZES.get(name, 224)
    for training in (False, True):
        assert network.train(training)(torch.zeros(2, 1, size, size, device="meta")).shape == (2, 7)


def test_options_are_passed_on_and_one_that_it_does_not_take_is_refused():
    with torch.device("meta"):
        small = torchvision_model(3, 10, "vit_b_16", {"image_size": 32})
        assert small(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(ValueError, match=r"torchvision's resnet18 cannot be built: .*'image_size'"):
        torchvision_model(3, 10, "resnet18", {"image_size": 32})


def test_a_new_first_convolution_keeps_the_old_ones_geometry():
    with torch.device("meta"):
        old, new = (torchvision_model(channels, 10, "resnet18").conv1 for channels in (3, 5))
    assert (new.in_channels, new.out_channels, new.bias) == (5, 64, None)
    for setting in ("kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(new, setting) == getattr(old, setting)


def test_a_new_first_convolution_starts_with_he_s_spread_and_without_bias():
    torch.manual_seed(0)
    first = next(module for module in torchvision_model(6, 10, "alexnet").modules() if isinstance(module, nn.Conv2d))
    assert first.weight.std().item() == pytest.approx((2 / (64 * 121)) ** 0.5, rel=0.05)
    assert not first.bias.any()


def test_an_unknown_network_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"name is 'resnet17'; did you mean 'resnet1\d+'\?"):
        torchvision_model(3, 10, "resnet17")


def test_an_unknown_weight_set_is_refused_with_all_there_are():
    with pytest.raises(ValueError, match=r"resnet50 has no weight set 'IMAGENET'; .*IMAGENET1K_V1, IMAGENET1K_V2"):
        torchvision_weights("resnet50", "IMAGENET")


def test_weights_for_a_network_of_ours_must_be_a_file():
    with pytest.raises(ValueError, match="published weight sets exist only for networks of torchvision"):
        torchvision_weights("", "trained.pt")


@pytest.mark.parametrize("name", NAMES)
def test_without_a_network_the_error_says_how_to_use_a_file(name, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # nothing listens there: no network
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(ValueError, match=r"'IMAGENET1K_V1' of .* could not be downloaded .*https://.* model\.weights"):
        torchvision_weights(name, "IMAGENET1K_V1")


def test_weights_in_torchs_cache_need_no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = torchvision_model(3, 1000, "squeezenet1_0")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / "squeezenet1_0-b66bff10.pth")
    state = torchvision_weights("squeezenet1_0", "IMAGENET1K_V1")
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in network.state_dict().items())


def test_names_of_densenets_published_file_become_the_names_of_the_network():
    with torch.device("meta"):
        now = torchvision_model(3, 1000, "densenet121").state_dict()
    published = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in now.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in published
    assert current_names(published).keys() == now.keys()


def test_names_of_other_networks_stay():
    with torch.device("meta"):
        state = torchvision_model(3, 1000, "resnet18").state_dict()
    assert current_names(state).keys() == state.keys()


def test_a_real_published_state_dict_fits(real_data):
    path = real_data / "squeezenet1_0-imagenet.pth"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    torchvision_model(3, 1000, "squeezenet1_0").load_state_dict(torch.load(path, weights_only=True))
