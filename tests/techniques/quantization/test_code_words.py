"""Code books, and their correction, against brute force."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from compressbench.techniques.quantization import _code_words
from compressbench.techniques.quantization._code_words import (
    CodeBook,
    CodeWords,
    _correct_words,
    _reassign,
    correct,
    from_runs,
    k_means,
    to_runs,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def quantized(book: CodeBook, shape: torch.Size) -> Tensor:
    return from_runs(torch.stack([book.runs(group) for group in range(len(book.words))]), shape)


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3, 3)])
def test_runs_are_consecutive_channels_at_one_kernel_position(shape: tuple[int, ...]) -> None:
    weight = normal(*shape)
    runs = to_runs(weight, 4)
    assert runs.shape == (2, 6, weight[0, 0].numel(), 4)
    assert torch.equal(runs[1, 5, -1], weight.flatten(2)[5, 4:, -1] if weight.dim() == 4 else weight[5, 4:])
    assert torch.equal(from_runs(runs, weight.shape), weight)


def test_k_means_finds_clusters_that_are_there() -> None:
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], dtype=torch.float64)
    number = torch.randint(3, (1, 60, 1), generator=generator())
    runs = centres[number] + 0.1 * normal(1, 60, 1, 2)
    errors = []
    for seed in range(5):
        book = k_means(runs, 3, 20, generator(seed))
        errors.append(float((book.runs(0) - runs[0]).square().mean()))
    assert min(errors) < 0.012
    book = k_means(runs, 3, 20, generator(errors.index(min(errors))))
    for word in range(3):
        members = runs[0, :, 0][book.assignment[0, :, 0] == word]
        assert torch.allclose(book.words[0, word], members.mean(0))


def test_more_rounds_of_k_means_never_make_the_error_larger() -> None:
    runs = normal(3, 50, 2, 4)
    errors = [
        sum(float((book.runs(group) - runs[group]).square().sum()) for group in range(3))
        for book in (k_means(runs, 8, rounds, generator()) for rounds in (0, 1, 2, 5, 20))
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.9 * errors[0]


def test_as_many_words_as_runs_lose_nothing() -> None:
    runs = normal(2, 3, 4, 5)
    book = k_means(runs, 12, 20, generator())
    assert all(torch.equal(book.runs(group), runs[group]) for group in range(2))


def problem(shape: tuple[int, ...]) -> tuple[Tensor, CodeBook, Tensor, Tensor]:
    """Return a weight, its code book, inputs (100, columns) with correlated columns, and wanted outputs."""
    weight = normal(*shape)
    columns = weight[0].numel()
    inputs = normal(100, columns, seed=1) @ normal(columns, columns, seed=2)
    return weight, k_means(to_runs(weight, 2), 4, 10, generator()), inputs, inputs @ weight.flatten(1).T


def error(weight: Tensor, inputs: Tensor, outputs: Tensor) -> float:
    return float((inputs @ weight.flatten(1).T - outputs).square().sum() / outputs.square().sum())


@pytest.mark.parametrize("shape", [(12, 8), (12, 4, 2, 2)])
def test_every_round_of_correction_brings_the_output_nearer(shape: tuple[int, ...]) -> None:
    weight, book, inputs, outputs = problem(shape)
    errors = [error(quantized(book, weight.shape), inputs, outputs)]
    for _ in range(4):
        correct(book, inputs.T @ inputs, inputs.T @ outputs, 1)
        errors.append(error(quantized(book, weight.shape), inputs, outputs))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.6 * errors[0]


def one_group() -> tuple[CodeBook, Tensor, Tensor, Tensor]:
    """Return a code book of one group, 2 channels at 2 places of the kernel, and what its correction works with.

    Its columns are positions, then channels, so inputs and wanted outputs are made in that order.
    """
    runs = normal(1, 5, 2, 2)
    book = k_means(runs, 3, 10, generator())
    inputs = normal(40, 4, seed=1) @ normal(4, 4, seed=2)
    outputs = inputs @ runs[0].flatten(1).T
    wanted = outputs.T @ inputs - book.runs(0).flatten(1) @ (inputs.T @ inputs)
    return book, inputs, outputs, wanted


def test_corrected_words_are_the_least_squares_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_code_words, "ENOUGH", 1e-9)
    book, inputs, outputs, wanted = one_group()
    design = torch.zeros(40, 5, 3, 2, dtype=torch.float64)  # output of a row as a function of the words
    for row, position in itertools.product(range(5), range(2)):
        design[:, row, book.assignment[0, row, position]] += inputs[:, 2 * position : 2 * position + 2]
    expected = torch.linalg.lstsq(design.view(200, 6), outputs.reshape(200, 1)).solution.view(3, 2)
    left = _correct_words(book, 0, inputs.T @ inputs, wanted)
    assert torch.allclose(book.words[0], expected, rtol=1e-4)
    again = outputs.T @ inputs - book.runs(0).flatten(1) @ (inputs.T @ inputs)
    assert torch.allclose(left, again, atol=1e-6)


def test_each_row_gets_the_word_that_makes_its_output_best() -> None:
    book, inputs, outputs, wanted = one_group()
    best = []
    for row in range(5):
        tried = []
        for word in range(3):
            runs = book.runs(0)[row].clone()
            runs[1] = book.words[0, word]
            tried.append(float((inputs @ runs.flatten() - outputs[:, row]).square().sum()))
        best.append(tried.index(min(tried)))
    first = book.assignment[0, :, 0].clone()
    _reassign(book, 0, 1, inputs.T @ inputs, wanted)
    assert book.assignment[0, :, 1].tolist() == best
    assert torch.equal(book.assignment[0, :, 0], first)


def test_a_word_gets_the_sum_of_the_gradients_of_its_places() -> None:
    weight = normal(6, 4, 2, 2)
    book = k_means(to_runs(weight, 2), 3, 5, generator())
    words = CodeWords(book)
    made = words(torch.empty_like(weight))
    assert torch.equal(made, quantized(book, weight.shape))
    upstream = normal(6, 4, 2, 2, seed=1)
    made.backward(upstream)
    assert words.words.grad is not None
    for group, word in itertools.product(range(2), range(3)):
        places = book.assignment[group] == word
        assert torch.allclose(words.words.grad[group, word], to_runs(upstream, 2)[group][places].sum(0))
