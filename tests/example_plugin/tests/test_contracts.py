"""The plugin keeps the contracts of compressbench."""

from cb_example.bars import Bars
from cb_example.clipping import Clipping
from cb_example.network import Tiny
from cb_example.weight_norm import WeightNorm

from compressbench.testing import dataset_contract, metric_contract, network_contract, technique_contract


def test_the_technique() -> None:
    technique_contract(Clipping(quantile=0.8))


def test_the_metric_the_dataset_and_the_network() -> None:
    metric_contract(WeightNorm())
    dataset_contract(Bars())
    network_contract(Tiny, Bars().task, width=4)
