"""Zeros in a pattern, for every weight pruner alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.format import Blocks, Codebook, NOfM
from compressbench.core.subject import Subject
from compressbench.packing.packed_file import read, write
from compressbench.techniques.pruning._patterns import pattern_of
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.pruning.random_weights import RandomWeightPruning
from compressbench.techniques.sharing.kmeans import SharedWeights
from tests.techniques.lending import StageContext, bare, subject_of


def magnitude(**fields: Any) -> MagnitudePruning:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ratio": 0.5, "ratios": {}, "ignore": []}
    return MagnitudePruning(**{**own, "scope": "per_layer", "rounds": 1, "retrain": None, **fields})


def lenet() -> Subject:
    """Layers of 300 x 64, 100 x 300 and 10 x 100."""
    return subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)


def matrix(weight: Tensor) -> Tensor:
    """Return kernel positions side by side, the input channels of each together."""
    return weight.detach().flatten(2).mT.flatten(1) if weight.ndim > 2 else weight.detach()


def test_the_two_largest_of_four_neighbours_stay() -> None:
    before = lenet().model.fc2.weight.detach().view(-1, 4)
    subject = magnitude(pattern="2:4").apply(lenet(), StageContext(1, 8))
    after = subject.model.get_parameter("fc2.weight").detach().view(-1, 4)
    assert ((after != 0).sum(1) == 2).all()
    assert (before.abs().where(after == 0, 0).amax(1) <= before.abs().where(after != 0, 9).amin(1)).all()
    assert torch.equal(after[after != 0], before[after != 0])
    assert subject.formats == dict.fromkeys(["fc1.weight", "fc2.weight", "fc3.weight"], NOfM(2, 4))


def test_of_a_convolution_neighbours_are_input_channels() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3), nn.Conv2d(8, 8, 3, groups=2))
    subject = magnitude(pattern="1:4", ratio=0.75, targets=["conv"]).apply(bare(model), StageContext(3, 12))
    for layer in ("1", "2"):
        weight = subject.model.get_parameter(f"{layer}.weight")
        assert ((weight.view(len(weight), -1, 4, 3, 3) != 0).sum(2) == 1).all()
    assert [(skipped.what, skipped.why) for skipped in subject.skipped] == [
        ("0", "its 3 input channels are no multiple of 4")
    ]
    assert "0.weight" not in subject.formats


def test_blocks_go_by_the_sum_of_their_magnitudes() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1, 1, 0, 0], [1, 1, 0, 3], [5, 0, 0, 0], [0, 0, 0, 0.5]]))
    subject = magnitude(pattern="2x2").apply(bare(model), StageContext(1, 2))
    assert subject.model.get_parameter("1.weight").tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0]]
    assert subject.formats == {"1.weight": Blocks(2, 2)}


def test_blocks_of_all_layers_may_compete() -> None:
    subject = lenet()
    with torch.no_grad():
        subject.model.get_parameter("fc1.weight").mul_(1e-6)
    subject = magnitude(pattern="5x4", scope="global", ratio=0.3).apply(subject, StageContext(1, 8))
    gone = [int((subject.model.get_parameter(f"fc{number}.weight") == 0).sum()) for number in (1, 2, 3)]
    assert gone == [15_060, 0, 0], "30 % of 2,510 blocks of 20"


def test_what_was_pruned_stays_so() -> None:
    subject = magnitude(ratio=0.6).apply(lenet(), StageContext(1, 8))
    gone = subject.model.get_parameter("fc2.weight") == 0
    with torch.no_grad():
        subject.model.get_parameter("fc2.weight")[gone] = 5.0
    for pattern in ("2:4", "5x4"):
        again = magnitude(pattern=pattern).apply(subject.clone(), StageContext(1, 8))
        assert not again.model.get_parameter("fc2.weight")[gone].any()
    assert magnitude(pattern="2:4").fault_after([magnitude(ratio=0.6)]) is None
    assert magnitude(pattern="2:4").fault_after([magnitude(pattern="2:4")]) is not None


@pytest.mark.parametrize("pattern", ["2:4", "5x4"])
def test_a_pruned_network_is_packed_and_its_values_can_be_shared_later(pattern: str, tmp_path: Path) -> None:
    own = {"targets": ["linear"], "ratio": 0.5, "ratios": {}, "ignore": [], "scope": "per_layer"}
    subject = RandomWeightPruning(**own, pattern=pattern).apply(lenet(), StageContext(1, 8))  # type: ignore[arg-type]
    write(subject, tmp_path / "model.cbp")
    found = read(tmp_path / "model.cbp")
    assert set(found.formats.values()) == {pattern_of(pattern)}
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], tensor)
    shared = SharedWeights(["linear"], [], 3, {}, "optimal", 10, None, "fp32").apply(found, StageContext(1, 8))
    assert shared.formats["fc2.weight"] == Codebook(3)
    kept = shared.model.get_parameter("fc2.weight") != 0
    assert torch.equal(kept, subject.model.get_parameter("fc2.weight") != 0)


def test_a_layer_that_is_named_and_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="fc3 cannot have the pattern: its 10 output channels are no multiple of 4"):
        magnitude(pattern="4x4", targets=["fc2", "fc3"]).apply(lenet(), StageContext(1, 8))
    with pytest.raises(ValueError, match="is left to work on: fc1 cannot have the pattern: its 64 input channels"):
        magnitude(pattern="3x7").apply(lenet(), StageContext(1, 8))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pattern": "4:2"}, "pattern is '4:2'; allowed: a text like '2:4'"),
        ({"pattern": "2:32"}, "pattern is '2:32'"),
        ({"pattern": "0x4"}, "pattern is '0x4'"),
        ({"pattern": "124"}, "pattern is '124'"),
        ({"pattern": "1:4"}, r"ratio is 0\.5 with pattern 1:4, which sets 0\.75 to zero; allowed: 0\.75"),
        ({"pattern": "2:4", "scope": "global"}, "scope is 'global' with pattern 2:4; allowed: 'per_layer'"),
        ({"pattern": "2:4", "ratios": {"conv": 0.6}}, "ratios is {'conv': 0.6} with pattern 2:4"),
        ({"pattern": "2:4", "rounds": 2, "retrain": object()}, "rounds is 2 with pattern 2:4; allowed: 1"),
    ],
)
def test_patterns_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        magnitude(**fields)


def test_a_third_may_be_written_as_it_can_be() -> None:
    assert magnitude(pattern="2:3", ratio=0.333).pattern == "2:3"
