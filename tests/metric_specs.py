"""What our metrics say of their figures, for records that are made by hand."""

from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.metrics.accuracy import Accuracy
from compressbench.metrics.flops_survey import FlopsSurvey
from compressbench.metrics.latency import Latency
from compressbench.metrics.macs import Macs
from compressbench.metrics.parameters import Parameters
from compressbench.metrics.size import Size

METRICS = (Accuracy(), Parameters(), Macs(), FlopsSurvey(), Size(), Latency(["onnx", "torch"], [1, 64], 5, 1.0, 10))
TASK = ImageClassification([1, 32, 32], 10)
SPECS = {spec.name: spec for metric in METRICS for spec in metric.specs(TASK)}
DESCRIBED = {"metric_specs": SPECS, "primary": "top1"}
"""The fields of a record that say what its figures are."""
