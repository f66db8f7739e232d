"""Other people's tools on the network of the shoot-out: `python -m tests.benchmarks.peers DENSE FOLDER`.

DENSE: the folder of a finished run of shootout/mnist_dense. Each tool is run by its own code, on the same network and
split, with one epoch of recovery where it can recover; accuracy is that of what the tool itself computes, the size is
the length of the file that the tool itself writes. A record a tool is written into FOLDER, as a row of the same table.
Needs `pip install -e '.[peers]'`, and nncodec, which asks for an older numpy than it needs: `pip install --no-deps
nncodec opencv-python-headless h5py ptflops torchmetrics lightning-utilities`.
"""

from __future__ import annotations

import io
import sys
import warnings
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from compressbench import vision
from compressbench.core.architecture import Architecture
from compressbench.core.data import Splits
from compressbench.core.plan import Limits
from compressbench.core.record import RunRecord, StageRecord
from compressbench.core.subject import Subject
from compressbench.core.task import Task
from compressbench.core.training import TrainingConfig
from compressbench.data.mnist import MNIST
from compressbench.packing import packed_file
from compressbench.reporting.gather import commit_records
from compressbench.running.counting import counts
from compressbench.testing.made_up import Silent
from compressbench.training.loop import train

RECOVERY = TrainingConfig(1, 128, 0.01, "sgd", "one_cycle", 5e-4, nesterov=True, precision="fp32")
"""That of the other rows."""
CALIBRATION = 512
"""Training images, not augmented, that ranges of activations are taken from."""


@dataclass(frozen=True)
class Made:
    """What a tool made. size_bytes: of the file it writes. counted: params and macs, if not the dense ones."""

    answer: Callable[[Tensor], Tensor]
    size_bytes: int
    counted: dict[str, int] | None = None


def pruned(model: nn.Module, splits: Splits, task: Task, ratio: float) -> Made:
    """torch-pruning: the group's L2 norm, one ratio for the whole network, and our recovery; saved by torch."""
    import torch_pruning

    example = task.example()
    last = list(model.modules())[-1]
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    pruner = torch_pruning.pruner.MetaPruner(
        model, example, importance, pruning_ratio=ratio, global_pruning=True, ignored_layers=[last]
    )
    pruner.step()
    subject = Subject(model, Architecture("none"))
    lent = {"task": task, "seed": 0, "limits": Limits(), "progress": Silent()}
    train(subject, RECOVERY, splits.train, splits.validation, **lent)  # type: ignore[arg-type]
    torch.save(model.state_dict(), file := io.BytesIO())
    return Made(model.eval(), len(file.getvalue()), counts(subject, example))


def torchao_int8(model: nn.Module, splits: Splits, task: Task) -> Made:
    """torchao: static int8 of everything through its export path (pt2e), saved by torch.export."""
    from torchao.quantization.pt2e import move_exported_model_to_eval
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    images = next(splits.train.batches(CALIBRATION, torch.Generator().manual_seed(0), augmented=False))[0]
    several = ({0: torch.export.Dim.AUTO},)
    graph = torch.export.export(model, (images[:2].clone(),), dynamic_shapes=several, strict=True).module()
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(graph, quantizer)
    prepared(images)
    converted = move_exported_model_to_eval(convert_pt2e(prepared))
    used = {node.target for node in converted.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in converted.named_parameters() if name not in used]:
        delattr(converted.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2])  # the floats, left over
    torch.export.save(
        torch.export.export(converted, (images[:2].clone(),), dynamic_shapes=several), file := io.BytesIO()
    )
    return Made(converted, len(file.getvalue()))


def torchao_int4(model: nn.Module, splits: Splits, task: Task) -> Made:
    """torchao: int4 weights in groups of 32, of linear layers (it leaves convolutions alone), saved by torch."""
    from torchao.quantization import IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerGroup

    quantize_(model, IntxWeightOnlyConfig(torch.int4, PerGroup(32)))
    torch.save(model.state_dict(), file := io.BytesIO())
    return Made(model, len(file.getvalue()))


def onnxruntime_int8(model: nn.Module, splits: Splits, task: Task, folder: Path) -> Made:
    """ONNX Runtime: quantize_static, a scale a channel, saved as ONNX."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    images = next(splits.train.batches(CALIBRATION, torch.Generator().manual_seed(0), augmented=False))[0]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(images.split(64))

        def get_next(self) -> dict[str, object] | None:
            batch = next(self.left, None)
            return None if batch is None else {"images": batch.numpy()}

    dense, ready, small = (str(folder / f"{name}.onnx") for name in ("dense", "ready", "int8"))
    several = ({0: torch.export.Dim.DYNAMIC},)
    torch.onnx.export(
        model,
        (images[:2].clone(),),
        dense,
        input_names=["images"],
        dynamic_shapes=several,
        dynamo=True,
        external_data=False,
    )
    quant_pre_process(dense, ready)
    quantize_static(ready, small, Reader(), per_channel=True, weight_type=QuantType.QInt8)
    session = onnxruntime.InferenceSession(small, providers=["CPUExecutionProvider"])
    return Made(
        lambda given: torch.from_numpy(session.run(None, {"images": given.numpy()})[0]), Path(small).stat().st_size
    )


def nncodec(model: nn.Module, splits: Splits, task: Task, folder: Path, most_bytes: int) -> Made:
    """nncodec (ISO NNC): the finest step (qp) with which its own bit stream is small enough; nothing is trained."""
    from nncodec.nn import decode, encode

    state = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}

    def stream(qp: int) -> bytes:
        given = {name: array.copy() for name, array in state.items()}
        found: bytes = encode(given, {"qp": qp, "verbose": False, "results": str(folder)})
        return found

    steps = range(-44, -4)  # every fourth doubles the step
    qp = steps[bisect_left(steps, True, key=lambda qp: len(stream(qp)) <= most_bytes)]
    best = stream(qp)
    model.load_state_dict({name: torch.as_tensor(value) for name, value in decode(best).items()})
    return Made(model, len(best))


PEERS = {
    "torch_pruning_25": ("torch-pruning", lambda model, splits, task, folder: pruned(model, splits, task, 0.5)),
    "torch_pruning_5": ("torch-pruning", lambda model, splits, task, folder: pruned(model, splits, task, 0.787)),
    "torchao_int8": ("torchao", lambda model, splits, task, folder: torchao_int8(model, splits, task)),
    "torchao_int4": ("torchao", lambda model, splits, task, folder: torchao_int4(model, splits, task)),
    "onnxruntime_int8": ("onnxruntime", onnxruntime_int8),
    "nncodec_25": ("nncodec", lambda model, splits, task, folder: nncodec(model, splits, task, folder, 2853578)),
    "nncodec_5": ("nncodec", lambda model, splits, task, folder: nncodec(model, splits, task, folder, 570715)),
}
"""By the end of their row's name: the package, and what runs it."""


@torch.no_grad()
def top1(answer: Callable[[Tensor], Tensor], splits: Splits) -> float:
    right = count = 0
    for images, labels in splits.test.batches(500):
        right += int((answer(images).argmax(1) == labels).sum())
        count += len(labels)
    return right / count


def row(dense: RunRecord, name: str, package: str, made: Made, score: float) -> RunRecord:
    """Return the record of a peer: the dense network's, and one stage more."""
    trained = dense.stages[0]
    figures = {**trained.metrics, **(made.counted or {}), "top1": score, "size_bytes": made.size_bytes}
    kept = {key: figures[key] for key in ("top1", "params", "macs", "size_bytes")}
    stage = StageRecord("peer", f"peer/{name}", "", kept, setting={"version": version(package)})
    what = f"{package} {version(package)}, its own code and file; no recipe of ours"
    return replace(
        dense,
        recipe="",  # no recipe of ours makes it
        row=f"peer_{name}",
        plan_id=f"peer-{name}-{dense.seed}",
        plan={**dense.plan, "stages": {"train": dense.plan["stages"]["train"], "peer": {"technique": f"peer/{name}"}}},
        reference={**dense.reference, "note": what},
        stages=[trained, stage],
        tensors=[],
        layers=[],
        sweeps={},
        digests={},
    )


def main(run: Path, folder: Path) -> None:
    vision.mend()
    dense = RunRecord.read(run / "record.json")
    dataset = MNIST(None, False, 32, 5000, 0, False)
    splits, task = dataset.load(), dataset.task
    for name, (package, make) in PEERS.items():
        model = packed_file.read(run / "model.cbp").model.eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = make(model, splits, task, folder)
        score = top1(made.answer, splits)
        commit_records([row(dense, name, package, made, score)], folder)
        print(f"{name}: top1 {100 * score:.2f}, {made.size_bytes:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
