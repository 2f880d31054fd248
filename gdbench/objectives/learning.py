"""Small learning problems on real data that scikit-learn carries, so that nothing is downloaded.

scikit-learn is imported where data are read, and only there: other objectives do without it.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn

from gdbench.objectives import Objective, seeded
from gdbench.objectives.check import choice, real, whole
from gdbench.objectives.draws import drawn

__all__ = ["logistic", "mlp"]

SAMPLES = 1797
"""How many images the digits hold."""


def logistic(l2: float = 0.01, dataset: str = "breast_cancer", batch: int = 0) -> Objective:
    """Logistic regression with an l2 penalty: strongly convex, on real data.

    f(w) = mean_i log(1 + exp(-y_i a_i'w)) + l2/2 |w|^2, y_i in {-1, 1}, where a_i holds the standardised features
    (population deviation) and a last 1 for the bias, which is penalised as the others are. w of shape [31] for
    breast_cancer (569 tumours, 1 = benign; Street, Wolberg and Mangasarian 1993), [65] for digits (1797 images,
    1 = an odd digit; Alpaydin and Kaynak 1998). Start 0, where f = log 2. Minimum and minimiser are computed by
    Newton's method to |gradient| <= 1e-12; L = lambda_max(A'A) / (4 m) + l2, mu = l2. A step's gradient is of ``batch``
    samples drawn for it, of all for 0.

    Raises UsageError for l2 < 1e-6 (without a penalty separable data have no minimiser) an unknown data set, or a batch
    that is larger than it.
    """
    penalty = real("l2", l2, least=1e-6, example=0.01)
    signed = signed_features(choice("dataset", dataset, ("breast_cancer", "digits")))
    minimiser = newton(dataset, penalty)

    def fn(w: Tensor, signed: Tensor) -> Tensor:
        return (penalty / 2) * (w**2).sum(-1) - nn.functional.logsigmoid(w @ signed).mean(-1)

    return Objective(
        fn=fn,
        start=torch.zeros_like(minimiser),
        data={"signed": signed},
        batch=drawn("signed", batch=batch, of=signed.shape[1], axis=1),
        minimum=float(fn(minimiser, signed)),
        f_star_kind="computed",
        minimisers=(minimiser,),
        smoothness=float(torch.linalg.matrix_norm(signed, 2) ** 2 / (4 * signed.shape[1]) + penalty),
        strong_convexity=penalty,
        laned=True,
        source="Cox 1958, J. R. Stat. Soc. B 20:215; data from scikit-learn",
    )


@cache
def signed_features(dataset: str) -> Tensor:
    """The columns y_i a_i of a data set, ``[features + 1, m]``: all that the loss needs of it."""
    from sklearn import datasets

    table, target = getattr(datasets, f"load_{dataset}")(return_X_y=True)
    features, odd = torch.tensor(table, dtype=torch.float64), torch.tensor(target) % 2
    deviation = features.std(0, correction=0)
    features = (features - features.mean(0)) / deviation.where(deviation > 0, 1.0)  # some pixels are never inked
    return ((2 * odd - 1) * torch.cat([features, torch.ones(len(odd), 1)], 1).T).contiguous()


@cache
def newton(dataset: str, l2: float) -> Tensor:
    """The minimiser of ``logistic``, by Newton's method; a step is halved until the gradient shrinks."""
    signed = signed_features(dataset)
    n, m = signed.shape

    def gradient(w: Tensor) -> Tensor:
        return l2 * w - signed @ torch.sigmoid(-(w @ signed)) / m

    w = torch.zeros(n, dtype=torch.float64)
    while (slope := gradient(w)).norm() > 1e-12:
        miss = torch.sigmoid(-(w @ signed))
        hessian = l2 * torch.eye(n, dtype=w.dtype) + (signed * (miss * (1 - miss))) @ signed.T / m
        step = torch.linalg.solve(hessian, slope)
        while gradient(w - step).norm() > slope.norm():
            step = step / 2
        w = w - step
    return w


def mlp(hidden: int = 32, samples: int = SAMPLES, batch: int = 0) -> Objective:
    """A small neural network that learns to read digits.

    f(params) = mean cross-entropy of Linear(64, hidden), tanh, Linear(hidden, 10) on the first ``samples`` images of
    the digits (8 x 8 pixels, scaled to [0, 1]); a step's gradient is of ``batch`` of them drawn for it, of all for 0.
    ``params`` is a dict of tensors: 0.weight [hidden, 64], 0.bias [hidden], 2.weight [10, hidden], 2.bias [10]. The
    start depends on the seed: uniform within 1 / sqrt(inputs) of 0, as torch.nn.Linear starts. The least value is not
    known, but never below 0. Data: Alpaydin and Kaynak 1998.

    Raises UsageError for hidden < 1, samples outside 1 ... 1797 or batch outside 0 ... samples.
    """
    whole("hidden", hidden, least=1)
    with torch.device("meta"):  # shapes and names only: the numbers come from ``params``
        net = nn.Sequential(nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 10))
    images, labels = digits(whole("samples", samples, least=1, most=SAMPLES))

    def fn(params: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(torch.func.functional_call(net, params, (images,)), labels)

    def start(seed: int) -> dict[str, Tensor]:
        generator = seeded(seed)
        return {
            f"{name}.{kind}": uniform(leaf.shape, layer.in_features, generator)
            for name, layer in net.named_children()
            if isinstance(layer, nn.Linear)
            for kind, leaf in layer.named_parameters()
        }

    return Objective(
        fn=fn,
        start=start,
        data={"images": images, "labels": labels},
        batch=drawn("images", "labels", batch=batch, of=samples),
        minimum=0.0,
        f_star_kind="lower_bound",
        source="Alpaydin and Kaynak 1998, UCI optical digits; data from scikit-learn",
    )


def uniform(shape: torch.Size, inputs: int, generator: torch.Generator) -> Tensor:
    """Numbers drawn evenly from within 1 / sqrt(inputs) of 0."""
    return (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1) / math.sqrt(inputs)


def digits(samples: int) -> tuple[Tensor, Tensor]:
    """The first images of the digits, ``[samples, 64]`` in [0, 1], and their labels ``[samples]``."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels[:samples] / 16, dtype=torch.float64), torch.tensor(labels[:samples])
