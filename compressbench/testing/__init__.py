# What a technique, metric, dataset or network owes to the runner: one call in a plugin's test.
from compressbench.testing.parts import dataset_contract as dataset_contract
from compressbench.testing.parts import metric_contract as metric_contract
from compressbench.testing.parts import network_contract as network_contract
from compressbench.testing.technique import technique_contract as technique_contract
