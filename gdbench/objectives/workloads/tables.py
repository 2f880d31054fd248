"""Workloads on tables, ratings, graphs and equations."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gdbench.objectives.counter_rng import random_normals, random_uniforms
from gdbench.objectives.datasets import load_dataset, standardise
from gdbench.objectives.training import Training
from gdbench.objectives.validation import check_float, check_int
from gdbench.objectives.workloads.data import split_samples
from gdbench.objectives.workloads.scores import accuracy, mean_absolute_error

__all__ = ["block_model_gcn", "diabetes_mlp", "poisson_pinn", "zipf_ratings"]


def diabetes_mlp(hidden: int = 32, dropout: float = 0.1, batch: int = 32) -> Training:
    """A perceptron with Dropout for a noisy regression on a table of ten columns.

    Linear(10, hidden), SiLU, Dropout, Linear(hidden, hidden), SiLU, Linear(hidden, 1); mean squared error of the
    standardised target. 282 patients to train, 80 held out, 80 to test: it overfits soon. Metric: mean absolute error.
    Efron, Hastie, Johnstone and Tibshirani 2004.

    Raises UsageError for hidden < 1, dropout outside [0, 1) or batch < 1.
    """
    wide, rate = check_int("hidden", hidden, least=1), check_float("dropout", dropout, least=0, example=0.1)
    features, target = load_dataset("diabetes")
    table = standardise(features).float(), standardise(target[:, None]).float()

    def module() -> nn.Module:
        return nn.Sequential(
            *(nn.Linear(10, wide), nn.SiLU(), nn.Dropout(rate)),
            *(nn.Linear(wide, wide), nn.SiLU(), nn.Linear(wide, 1)),
        )

    return Training(
        module=module,
        **split_samples(table, 80, 80),
        loss=nn.functional.mse_loss,
        metrics={"absolute_error": mean_absolute_error},
        lower_is_better=("absolute_error",),
        target_metric="held_out.loss<=0.52",
        batch=check_int("batch", batch, least=1),
        source="Efron, Hastie, Johnstone and Tibshirani 2004, Ann. Statist. 32:407; data from scikit-learn",
    )


class Factors(nn.Module):
    """A vector and a bias of each user and item; a rating is their inner product and the biases."""

    def __init__(self, users: int, items: int, rank: int) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(users, rank), nn.Embedding(items, rank)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        for embedding in (self.user, self.item):
            nn.init.normal_(embedding.weight, std=0.1)
        for bias in (self.user_bias, self.item_bias):
            nn.init.zeros_(bias.weight)

    def forward(self, pairs: Tensor) -> Tensor:
        """The ratings ``[m]`` of pairs ``[m, 2]`` of user and item."""
        user, item = pairs.unbind(-1)
        products = (self.user(user) * self.item(item)).sum(-1)
        ratings: Tensor = products + (self.user_bias(user) + self.item_bias(item)).squeeze(-1)
        return ratings


def zipf_ratings(
    users: int = 256, items: int = 128, rank: int = 4, ratings: int = 16_384, batch: int = 128
) -> Training:
    """Matrix factorisation with users and items of Zipf's frequencies: most rows are rarely seen.

    A rating is u'v of ``rank`` numbers plus biases, from true vectors of the same rank and noise of deviation 0.5; mean
    squared error, so that 0.25 is the least. User k has the frequency 1/k, as have the items. An eighth of the ratings
    is held out, an eighth to test. Koren, Bell and Volinsky 2009.

    Raises UsageError for sizes below 1.
    """
    people, goods, size = (check_int(*pair, least=1) for pair in (("users", users), ("items", items), ("rank", rank)))
    count = check_int("ratings", ratings, least=16)
    seed = torch.tensor(0)
    pairs = torch.stack([draw_zipf(people, count, 0), draw_zipf(goods, count, 1)], -1)
    vectors = (random_normals(seed, 2, (people + goods) * size) / size**0.25).reshape(-1, size)
    noise = 0.5 * random_normals(seed, 3, count)
    values = (vectors[pairs[:, 0]] * vectors[people + pairs[:, 1]]).sum(-1) + noise
    return Training(
        module=lambda: Factors(people, goods, size),
        **split_samples((pairs, values.float()), count // 8, count // 8),
        loss=nn.functional.mse_loss,
        target_metric="held_out.loss<=0.435" if (people, goods, size, count) == (256, 128, 4, 16_384) else None,
        batch=check_int("batch", batch, least=1),
        source="Koren, Bell and Volinsky 2009, Computer 42:30",
    )


def draw_zipf(kinds: int, count: int, stream: int) -> Tensor:
    """Numbers 0 ... kinds - 1, number k with a frequency of 1 / (k + 1)."""
    shares = 1 / torch.arange(1, kinds + 1, dtype=torch.float64)
    uniform = random_uniforms(torch.tensor(0), stream, count)
    return torch.searchsorted((shares / shares.sum()).cumsum(0), uniform).clamp(max=kinds - 1)


class GraphNetwork(nn.Module):
    """Two graph convolutions over a fixed graph; a sample is the number of a node."""

    def __init__(self, adjacency: Tensor, features: Tensor, hidden: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.register_buffer("features", features)
        self.first, self.second = nn.Linear(features.shape[1], hidden), nn.Linear(hidden, classes)

    def forward(self, nodes: Tensor) -> Tensor:
        """The scores ``[m, classes]`` of nodes ``[m]``."""
        hidden = (self.adjacency @ self.first(self.features)).relu()
        scores: Tensor = (self.adjacency @ self.second(hidden))[nodes]
        return scores


def block_model_gcn(nodes: int = 200, classes: int = 4, hidden: int = 16, batch: int = 32) -> Training:
    """A graph network that finds the communities of a stochastic block model.

    Two convolutions (A first(F)).relu, A second, with A the adjacency, self-loops added, normalised by degrees on both
    sides. Edges have the probability 0.1 within a community and 0.02 between; the features of a node are 8 numbers, of
    which the mean depends on its community. An eighth of the nodes is held out, a quarter to test. Kipf and Welling
    2017.

    Raises UsageError for nodes < 16, classes < 2, hidden < 1 or batch < 1.
    """
    count, kinds = check_int("nodes", nodes, least=16), check_int("classes", classes, least=2)
    seed, community = torch.tensor(0), torch.arange(count) % kinds
    uniform = random_uniforms(seed, 0, count * count).reshape(count, count)
    linked = (uniform < torch.where(community[:, None] == community, 0.1, 0.02)).triu(1)
    graph = (linked | linked.T).float() + torch.eye(count)
    scale = graph.sum(1) ** -0.5
    means = random_normals(seed, 1, kinds * 8).reshape(kinds, 8)
    features = (0.5 * means[community] + random_normals(seed, 2, count * 8).reshape(count, 8)).float()
    wide = check_int("hidden", hidden, least=1)
    return Training(
        module=lambda: GraphNetwork(scale[:, None] * graph * scale, features, wide, kinds),
        **split_samples((torch.arange(count), community), count // 8, count // 4),
        metrics={"accuracy": accuracy},
        target_metric="held_out.loss<=0.114" if (count, kinds) == (200, 4) else None,
        batch=check_int("batch", batch, least=1),
        source="Kipf and Welling 2017, ICLR; Holland, Laskey and Leinhardt 1983",
    )


class PoissonNetwork(nn.Module):
    """A network u(s, t) on the unit square that is 0 on its border; the output is the residual of the equation."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, hidden), nn.Linear(hidden, 1)

    def forward(self, points: Tensor) -> Tensor:
        """Laplace u ``[m]`` at points ``[m, 2]``, with derivatives by hand: u = b n, b = s (1 - s) t (1 - t)."""
        hidden = self.first(points).tanh()
        slope = 1 - hidden**2
        value = self.last(hidden).squeeze(-1)
        weight, total = self.last.weight[0], torch.zeros_like(points[:, 0])
        border = points * (1 - points)
        for axis in (0, 1):
            inner = self.first.weight[:, axis]
            first, second = (slope * inner) @ weight, (-2 * hidden * slope * inner**2) @ weight
            here, other = border[:, axis], border[:, 1 - axis]
            total = total + other * (-2 * value + 2 * (1 - 2 * points[:, axis]) * first + here * second)
        return total


def poisson_pinn(hidden: int = 32, points: int = 1024, batch: int = 64) -> Training:
    """A physics-informed network for the Poisson equation on the unit square, whose curvature is bad.

    -(u_ss + u_tt) = 2 pi^2 sin(pi s) sin(pi t), u = 0 on the border; the mean squared residual, divided by pi^4, at
    points drawn uniformly: ``points`` to train, a quarter as many held out and to test. Raissi, Perdikaris and
    Karniadakis 2019.

    Raises UsageError for hidden < 1, points < 8 or batch < 1.
    """
    count = check_int("points", points, least=8)
    drawn = random_uniforms(torch.tensor(0), 0, 3 * count)
    places = drawn[: 2 * (count + 2 * (count // 4))].reshape(-1, 2)
    force = -2 * math.pi**2 * (math.pi * places).sin().prod(-1)
    wide = check_int("hidden", hidden, least=1)
    return Training(
        module=lambda: PoissonNetwork(wide),
        **split_samples((places.float(), force.float()), count // 4, count // 4),
        loss=lambda residual, target: ((residual - target) ** 2).mean() / math.pi**4,
        target_metric="held_out.loss<=0.000286" if count == 1024 else None,
        batch=check_int("batch", batch, least=1),
        source="Raissi, Perdikaris and Karniadakis 2019, J. Comput. Phys. 378:686",
    )
