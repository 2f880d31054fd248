"""Data of the workloads: a split into three parts, images of digits, and texts that are generated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import TypedDict

import torch
from torch import Tensor

from gdbench.objectives.counter_rng import random_indices
from gdbench.objectives.datasets import load_dataset
from gdbench.objectives.text_corpus import TEXT
from gdbench.objectives.training_data import compute_epoch_order

__all__ = ["ALPHABET", "Split", "generate_text", "load_digits", "make_windows", "split_samples"]

ALPHABET = "".join(sorted(set(TEXT)))


class Split(TypedDict):
    """The data of a Training, as its arguments."""

    train: tuple[Tensor, ...]
    held_out: tuple[Tensor, ...]
    test: tuple[Tensor, ...]


def split_samples(tensors: Sequence[Tensor], held_out: int, test: int) -> Split:
    """Split samples at random, the same on every machine: ``held_out``, ``test``, and the rest for training."""
    order = compute_epoch_order(torch.tensor(0), 0, len(tensors[0]))
    parts = [tensor[order] for tensor in tensors]
    first, second = len(order) - held_out - test, len(order) - test

    def take(bounds: slice) -> tuple[Tensor, ...]:
        return tuple(part[bounds] for part in parts)

    return Split(train=take(slice(0, first)), held_out=take(slice(first, second)), test=take(slice(second, None)))


def load_digits() -> tuple[Tensor, Tensor]:
    """The digits of scikit-learn: images ``[1797, 1, 8, 8]`` in [0, 1], float32, and labels ``[1797]``."""
    pixels, labels = load_dataset("digits")
    return (pixels / 16).reshape(-1, 1, 8, 8).float(), labels.long()


@cache
def generate_text(length: int, order: int = 4, stream: int = 0) -> Tensor:
    """Letters ``[length]`` drawn from a Markov chain: after each ``order`` letters as in gdbench's own text.

    Each letter is drawn from those that follow the last ``order`` ones somewhere in the text, which is read as a ring.
    """
    letters = [ALPHABET.index(letter) for letter in TEXT]
    following: dict[tuple[int, ...], list[int]] = defaultdict(list)
    ring = letters + letters[:order]
    for place in range(len(letters)):
        following[tuple(ring[place : place + order])].append(ring[place + order])
    draws = random_indices(torch.tensor(stream), 0, length, 2**30).tolist()
    written = letters[:order]
    for draw in draws:
        choices = following[tuple(written[-order:])]
        written.append(choices[draw % len(choices)])
    return torch.tensor(written[order:])


def make_windows(letters: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Consecutive windows ``[m, context]`` of a text, and the letters that follow each of theirs."""
    count = (len(letters) - 1) // context
    return letters[: count * context].reshape(count, context), letters[1 : count * context + 1].reshape(count, context)
