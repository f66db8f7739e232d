"""How long a network takes for a batch, beside the dense network it was made from."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import ClassVar

import torch
from torch import Tensor

from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Task, feed, first, moved, random_like, tensors
from compressbench.export.onnx_model import input_names, missing_packages, to_onnx
from compressbench.metrics._rounds import FEWEST_ROUNDS, one_thread, ratio, take_turns

Runner = Callable[[Inputs], Tensor]
"""A network in a runtime: inputs to outputs."""

CHOOSING = "cross_entropy"
"""The loss of tasks whose answer is one of several."""

_spec = partial(MetricSpec, table="Latency: runtime, batch")


@dataclass(frozen=True)
class Latency:
    """Milliseconds a batch on one thread of the processor, and how many times faster that is than the dense network.

    For each runtime R (`onnx`: ONNX Runtime; `torch`: eager) and batch B: `latency_R_bB_ms`, the median;
    `latency_R_bB_ratio`, the time of the dense fp32 network in the same runtime over the own time, the median over
    rounds in which both take turns; `latency_R_bB_ratio_spread`, the interquartile range of these ratios. With both
    runtimes also `latency_onnx_bB_ratio_eager`, the dense network in eager torch over the own time in ONNX Runtime.
    For each runtime `latency_R_agreement`: the fraction of answers on test examples that are the dense network's. An
    answer is which of the outputs (the last dimension) is largest; a network with a single one has none to compare.

    The dense network is `given.baseline()`. rounds, and at most so many seconds for each batch: how long it
    is timed. images: how many test examples are compared.
    """

    needs_baseline: ClassVar[bool] = True

    runtimes: list[str]
    batches: list[int]
    rounds: int
    seconds: float
    images: int

    def __post_init__(self) -> None:
        for runtime in self.runtimes:
            if runtime not in RUNTIMES:
                raise ValueError(f"runtimes has {runtime!r}; {suggestion(runtime, RUNTIMES)}")
        if not self.runtimes or not self.batches:
            raise ValueError(f"runtimes is {self.runtimes} and batches is {self.batches}; allowed: one of each or more")
        for key, value, least in (
            ("batches", min(self.batches), 1),
            ("rounds", self.rounds, FEWEST_ROUNDS),
            ("images", self.images, 1),
        ):
            if value < least:
                raise out_of_range(key, value, f"{least} or more")
        if not 0 <= self.seconds < inf:
            raise out_of_range("seconds", self.seconds, "0 or more")
        if "onnx" in self.runtimes and (problem := missing_packages()):
            raise ValueError(f"runtimes has 'onnx', but {problem}; or leave it out: runtimes: [torch]")

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        timed = [spec for batch in self.batches for name in self.runtimes for spec in self._of_batch(name, batch)]
        if CHOOSING not in task.losses:  # the answer is a number, and no choice
            return tuple(timed)
        rows = {name: tuple(f"{name}, {batch}" for batch in self.batches) for name in self.runtimes}
        heading = f"same {task.primary} as dense"
        share = partial(_spec, unit="fraction", higher_is_better=True, heading=heading, format="percent", limit=True)
        agreements = [share(f"latency_{name}_agreement", on_data=True, rows=rows[name]) for name in self.runtimes]
        return (*timed, *agreements)

    def _of_batch(self, runtime: str, batch: int) -> list[MetricSpec]:
        key, rows = f"latency_{runtime}_b{batch}", (f"{runtime}, {batch}",)
        found = [
            _spec(f"{key}_ms", "ms", False, "ms a batch", "ms", True, rows=rows),
            _spec(f"{key}_ratio", "ratio", True, "times as fast as dense", "ratio", True, rows=rows),
            _spec(f"{key}_ratio_spread", "ratio", False, "quartiles apart", "ratio", rows=rows),
        ]
        if runtime == "onnx" and "torch" in self.runtimes:
            heading = "as dense in eager torch"
            found.append(_spec(f"{key}_ratio_eager", "ratio", True, heading, "ratio", True, rows=rows))
        return found

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        with one_thread():
            own = {name: RUNTIMES[name](given.subject, given.example) for name in self.runtimes}
            baseline = given.baseline()
            dense = {name: RUNTIMES[name](baseline, given.example) for name in self.runtimes}
            found: dict[str, float] = {}
            for batch in self.batches:
                found |= self._timed(own, dense, random_inputs(batch, given.example))
            specs = self.specs(given.task)
            for name in self.runtimes if any(spec.on_data for spec in specs) else ():
                same = agreement(own[name], dense[name], given.test_batches(), self.images)
                found[f"latency_{name}_agreement"] = same
        return [MetricValue(spec, found[spec.name]) for spec in specs]

    def _timed(self, own: Mapping[str, Runner], dense: Mapping[str, Runner], inputs: Inputs) -> dict[str, float]:
        works: dict[str, Callable[[], object]] = {}
        for name in self.runtimes:
            works[f"dense {name}"] = _call(dense[name], inputs)
            works[f"own {name}"] = _call(own[name], inputs)
        times = take_turns(works, self.rounds, self.seconds)
        found: dict[str, float] = {}
        batch = len(tensors(inputs)[0])
        for name in self.runtimes:
            key, mine = f"latency_{name}_b{batch}", times[f"own {name}"]
            faster = ratio(times[f"dense {name}"], mine)
            found[f"{key}_ms"] = 1000 * statistics.median(mine)
            found[f"{key}_ratio"], found[f"{key}_ratio_spread"] = faster
        if {"onnx", "torch"} <= own.keys():
            across = ratio(times["dense torch"], times["own onnx"]).median
            found[f"latency_onnx_b{batch}_ratio_eager"] = across
        return found


def in_torch(subject: Subject, example: Inputs) -> Runner:
    """Return a copy of the network in eager torch, on the processor."""
    model = copy.deepcopy(subject.model).cpu().eval()

    def run(inputs: Inputs) -> Tensor:
        with torch.inference_mode():
            outputs: Tensor = feed(model, inputs)
            return outputs

    return run


def in_onnx_runtime(subject: Subject, example: Inputs) -> Runner:
    """Return the network, exported, in ONNX Runtime with one thread. RunError if it cannot be exported."""
    content = to_onnx(subject, example)
    import onnxruntime  # an extra, and a second

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = input_names(example)

    def run(inputs: Inputs) -> Tensor:
        given = {name: each.numpy() for name, each in zip(names, tensors(inputs), strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return run


RUNTIMES: dict[str, Callable[[Subject, Inputs], Runner]] = {"onnx": in_onnx_runtime, "torch": in_torch}


def random_inputs(batch: int, example: Inputs) -> Inputs:
    """Return made-up inputs of the example's shape, always the same."""
    return random_like(example, batch, torch.Generator().manual_seed(0))


def agreement(one: Runner, other: Runner, batches: Iterable[tuple[Inputs, Tensor]], examples: int) -> float:
    """Return the fraction of answers to the first so many examples that both give. ValueError if there is none."""
    same = seen = answers = 0
    for batch, _ in batches:
        batch = moved(first(batch, examples - seen), "cpu")
        alike = one(batch).argmax(-1) == other(batch).argmax(-1)
        same, answers, seen = same + int(alike.sum()), answers + alike.numel(), seen + len(alike)
        if seen >= examples:
            break
    if not seen:
        raise ValueError("the agreement cannot be measured: there is no example in the test split")
    return same / answers


def _call(runner: Runner, inputs: Inputs) -> Callable[[], object]:
    return lambda: runner(inputs)
