"""What a run left in MLflow is a model there: MLflow's own load predicts with it, and its registry takes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy
import pandas
import pytest
import torch

import compressbench
from compressbench.core.preprocessing import Preprocessing
from compressbench.core.subject import Subject
from compressbench.packing import feeding, packed_file
from compressbench.tracking.send import send
from compressbench.tracking.store import Store, client
from tests.running.plans import LENET
from tests.tracking.records import record, written

DIGITS = Preprocessing(1, (28, 28), (28, 28), (28, 28), (0.5,), (0.5,))
IMAGES = numpy.random.default_rng(0).standard_normal((300, 1, 28, 28)).astype("float32")


@pytest.fixture
def run(store: Store, outputs: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run in MLflow whose packed file is a LeNet-5."""
    made = record()
    folder = written(made, outputs)
    packed_file.write(Subject(LENET.build(), LENET), folder / "model.cbp", feeding.noted(DIGITS, None))
    identity = send(made, folder, store)
    assert identity is not None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    return identity


def test_mlflow_s_own_load_gives_what_our_own_does(run: str, outputs: Path) -> None:
    import mlflow

    network = compressbench.load(next(outputs.glob("runs/**/model.cbp")))
    model = mlflow.pyfunc.load_model(f"runs:/{run}/model")
    assert model.metadata.metadata["recipe"] == "table5/mnist_l1norm_50"
    with torch.inference_mode():
        wanted = network(torch.from_numpy(IMAGES)).numpy()
        numpy.testing.assert_allclose(model.predict(IMAGES), wanted, atol=1e-5)
        numpy.testing.assert_allclose(model.predict(pandas.DataFrame(IMAGES.reshape(300, -1))), wanted, atol=1e-5)
        pictures = numpy.arange(2 * 28 * 28).reshape(2, 28, 28).astype("uint8")
        prepared = network(network.preprocess(list(pictures))).numpy()
        numpy.testing.assert_allclose(model.predict(pictures), prepared, atol=1e-5)


def test_inputs_of_another_shape_are_refused_with_the_right_one(run: str) -> None:
    import mlflow

    model = mlflow.pyfunc.load_model(f"runs:/{run}/model")
    with pytest.raises(ValueError, match=r"shape \(2, 3, 5, 5\); it takes float32 NCHW, grey, 28 x 28"):
        model.predict(numpy.zeros((2, 3, 5, 5), "float32"))


def test_the_registry_takes_it_and_gives_it_back(run: str) -> None:
    import mlflow

    version = mlflow.register_model(f"runs:/{run}/model", "lenet5")
    assert (version.version, version.run_id) == (1, run)
    assert mlflow.pyfunc.load_model("models:/lenet5/1").predict(IMAGES[:3]).shape == (3, 4)


def test_plugins_are_asked_for_as_mlflow_passes_settings(run: str) -> None:
    import mlflow

    with pytest.raises(compressbench.PlanError, match="absent_plugin"):
        mlflow.pyfunc.load_model(f"runs:/{run}/model", model_config={"plugins": ["absent_plugin"]})


def test_the_packed_file_is_stored_once_and_the_run_is_known_to_have_a_model(
    run: str, store: Store, outputs: Path
) -> None:
    assert len(list((outputs / "mlflow-artifacts").rglob("*.cbp"))) == 1
    tags = client(store).get_run(run).data.tags
    (model,) = json.loads(tags["mlflow.log-model.history"])
    assert (model["artifact_path"], list(model["flavors"])) == ("model", ["python_function"])


def test_a_run_that_failed_is_said_to_have_no_model(store: Store, outputs: Path) -> None:
    failed = replace(record(), status="failed", error="the disk is full")
    tags = client(store).get_run(send(failed, written(failed, outputs), store)).data.tags
    assert "mlflow.log-model.history" not in tags
