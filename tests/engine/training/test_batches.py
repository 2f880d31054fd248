"""The batches of a training run: pure functions of seed and step, from tensors, Datasets and loaders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from gdbench import Training, UsageError
from gdbench.engine.training.batches import BatchSource
from gdbench.objectives.training_objective import build_training_objective

SAMPLES, SIZE = 22, 5
DATA = (torch.arange(SAMPLES, dtype=torch.float32)[:, None], torch.arange(SAMPLES))


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Samples that are augmented by noise from torch's generator at each access."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return DATA[0][index] + 0.1 * torch.rand(1), DATA[1][index]


def load_shuffled(generator: torch.Generator) -> DataLoader[Any]:
    """A loader with a shuffle, augmentation, and a last batch that is not full."""
    return DataLoader(Noisy(), SIZE, shuffle=True, generator=generator)


def load_without_generator(generator: torch.Generator) -> DataLoader[Any]:
    """A loader that ignores the generator and so draws from torch's own."""
    return DataLoader(Noisy(), SIZE, shuffle=True, num_workers=0)


def load_once(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """A generator of batches, which can be iterated only once."""
    for _ in range(4):
        chosen = torch.randint(SAMPLES, (SIZE,), generator=generator)
        yield DATA[0][chosen], DATA[1][chosen]


SOURCES: dict[str, Any] = {
    "tensors": DATA,
    "TensorDataset": TensorDataset(*DATA),
    "Dataset": Noisy(),
    "loader": load_shuffled,
    "loader without generator": load_without_generator,
    "iterator": load_once,
}


def make_source(train: Any, seed: int = 0) -> Callable[[int], tuple[Tensor, ...]]:
    """The batches of a run on such data."""
    training = Training(module=lambda: nn.Linear(1, SAMPLES), train=train, batch=SIZE)
    return BatchSource(build_training_objective(training), seed, "cpu").batch


@pytest.mark.parametrize("name", SOURCES)
def test_a_batch_follows_seed_and_step_alone(name: str) -> None:
    """Another pass, going back, skipping ahead and what is drawn in between change no batch; another seed does."""
    source = make_source(SOURCES[name])
    first = [source(k) for k in range(12)]
    torch.rand(7)
    again = {k: source(k) for k in (0, 1, 1, 9, 3, 11, 4)}
    fresh = make_source(SOURCES[name])
    skipped = {k: fresh(k) for k in (6, 2)}
    other = make_source(SOURCES[name], seed=1)(0)

    for k, batch in (again | skipped).items():
        assert all(map(torch.equal, batch, first[k])), k
    assert not torch.equal(other[0], first[0][0])
    assert not torch.equal(first[0][0], first[4][0])


@pytest.mark.parametrize("name", SOURCES)
def test_a_batch_leaves_the_generators_alone(name: str) -> None:
    """What a dataset or loader draws is no draw of the step: a mask drawn afterwards is the same."""
    source = make_source(SOURCES[name])
    before = torch.random.get_rng_state()
    for k in range(6):
        source(k)

    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_epoch_takes_every_sample_once_and_drops_a_partial_batch() -> None:
    """The batches of an epoch of tensors hold different samples, and the next epoch has another order."""
    source = make_source(DATA)
    epochs = [torch.cat([source(k)[1] for k in range(first, first + 4)]).tolist() for first in (0, 4)]

    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_loader_gives_its_partial_batch() -> None:
    """The last batch of a loader is smaller, and the next step begins the next epoch."""
    source = make_source(load_shuffled)

    assert [len(source(k)[1]) for k in range(6)] == [5, 5, 5, 5, 2, 5]


def test_batches_are_in_the_dtype_of_the_run() -> None:
    """Samples of a Dataset are cast to the dtype of a float64 run; whole numbers keep theirs."""
    training = Training(module=lambda: nn.Linear(1, SAMPLES), train=Noisy(), batch=SIZE)
    objective = build_training_objective(training).to(torch.float64, "cpu")

    assert [part.dtype for part in BatchSource(objective, 0, "cpu").batch(0)] == [torch.float64, torch.int64]


@pytest.mark.parametrize(
    ("name", "steps"),
    [("tensors", 4), ("Dataset", 4), ("loader", 5), ("loader without generator", 5), ("iterator", None)],
)
def test_the_steps_of_an_epoch_are_counted(name: str, steps: int | None) -> None:
    """22 samples are 4 full batches of 5; a loader says how many it gives, and one without a length is not known."""
    training = Training(module=lambda: nn.Linear(1, SAMPLES), train=SOURCES[name], batch=SIZE)

    assert training.steps_per_epoch == steps


def test_a_loader_that_gives_no_batch_is_refused() -> None:
    """An empty loader is one line, when the workload is built; one that is empty later, in its epoch."""
    with pytest.raises(UsageError, match=r"the loader gives no batch; drop_last=True"):
        make_source(lambda generator: DataLoader(Noisy(), 50, drop_last=True))

    passes = iter([3, 3])

    def fade(generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        return [tuple(DATA)] * next(passes, 0)  # type: ignore[list-item]

    source = make_source(lambda generator: iter(fade(generator)))
    source(2)
    with pytest.raises(UsageError, match=r"gives no batch in epoch 1;"):
        source(3)
