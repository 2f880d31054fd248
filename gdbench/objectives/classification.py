"""Logistic regression and small networks on data sets of scikit-learn, and a network on random data; no downloads."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.counter_rng import make_batch_sampler
from gdbench.objectives.datasets import build_columns, load_dataset
from gdbench.objectives.newton_solver import minimise_newton
from gdbench.objectives.validation import check_choice, check_float, check_int

__all__ = ["cnn", "logistic", "mean_field", "mlp", "mlp_square"]

SAMPLES = 1797
"""Number of images in the digits data set."""


def logistic(l2: float = 0.01, dataset: str = "breast_cancer", batch: int = 0) -> Objective:
    """Logistic regression with an l2 penalty: strongly convex, on real data.

    f(w) = mean_i log(1 + exp(-y_i a_i'w)) + l2/2 |w|^2, y_i in {-1, 1}, where a_i holds the standardised features
    (population deviation) and a last 1 for the bias, which is penalised as the others are. w of shape [31] for
    breast_cancer (569 tumours, 1 = benign; Street, Wolberg and Mangasarian 1993), [65] for digits (1797 images,
    1 = an odd digit; Alpaydin and Kaynak 1998). Start 0, where f = log 2. Minimum and minimiser are computed by
    Newton's method to |gradient| <= 1e-12; L = lambda_max(A'A) / (4 m) + l2, mu = l2. Each step's gradient is that of
    ``batch`` samples drawn at random, or of all for 0.

    Raises UsageError for l2 < 1e-6 (without a penalty separable data have no minimiser), an unknown data set, or a
    batch larger than the data set.
    """
    penalty = check_float("l2", l2, least=1e-6, example=0.01)
    signed = load_signed_columns(check_choice("dataset", dataset, ("breast_cancer", "digits")))

    def fn(w: Tensor, signed: Tensor) -> Tensor:
        return (penalty / 2) * (w**2).sum(-1) - nn.functional.logsigmoid(w @ signed).mean(-1)

    minimiser = minimise_newton(partial(fn, signed=signed), torch.zeros(len(signed), dtype=torch.float64))
    return Objective(
        fn=fn,
        start=torch.zeros_like(minimiser),
        data={"signed": signed},
        batch=make_batch_sampler("signed", batch=batch, of=signed.shape[1], axis=1),
        minimum=float(fn(minimiser, signed)),
        minimum_kind="computed",
        minimisers=(minimiser,),
        smoothness=float(torch.linalg.matrix_norm(signed, 2) ** 2 / (4 * signed.shape[1]) + penalty),
        strong_convexity=penalty,
        laned=True,
        source="Cox 1958, J. R. Stat. Soc. B 20:215; data from scikit-learn",
    )


def load_signed_columns(dataset: str) -> Tensor:
    """Load the columns y_i a_i of a data set, ``[features + 1, m]``, which are all that the loss depends on."""
    features, target = load_dataset(dataset)
    return build_columns(features) * (2 * (target % 2) - 1)


def mlp(hidden: int = 32, samples: int = SAMPLES, batch: int = 0) -> Objective:
    """A neural network with one hidden layer that classifies digits.

    f(params) = mean cross-entropy of Linear(64, hidden), tanh, Linear(hidden, 10) on the first ``samples`` images of
    the digits (8 x 8 pixels, scaled to [0, 1]); each step's gradient is that of ``batch`` of them drawn at random, or
    of all for 0. ``params`` is a dict of tensors: 0.weight [hidden, 64], 0.bias [hidden], 2.weight [10, hidden], 2.bias
    [10]. The start depends on the seed: uniform within 1 / sqrt(inputs) of 0, as torch.nn.Linear is initialised. The
    minimum is not known, but at least 0. Data: Alpaydin and Kaynak 1998.

    Raises UsageError for hidden < 1, samples outside 1 ... 1797 or batch outside 0 ... samples.
    """
    check_int("hidden", hidden, least=1)
    with torch.device("meta"):  # shapes and names only: the numbers come from ``params``
        net = nn.Sequential(nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 10))
    return _build_classifier(net, (64,), samples, batch)


def mlp_square(hidden: int = 32, samples: int = SAMPLES, batch: int = 0) -> Objective:
    """A network with two hidden layers, whose sharpness rises to the edge of stability under full-batch descent.

    f(params) = mean of 1/2 |out - label|^2, labels as unit vectors [10], out of Linear(64, hidden), tanh,
    Linear(hidden, hidden), tanh, Linear(hidden, 10); images, ``samples``, ``batch``, start and bound are those of
    ``mlp``. ``params``: 0.weight [hidden, 64], 0.bias, 2.weight [hidden, hidden], 2.bias, 4.weight [10, hidden],
    4.bias. Cohen, Kaur, Li, Kolter and Talwalkar 2021, arXiv 2103.00065.

    Raises UsageError for hidden < 1, samples outside 1 ... 1797 or batch outside 0 ... samples.
    """
    wide = check_int("hidden", hidden, least=1)
    with torch.device("meta"):
        layers = (nn.Linear(64, wide), nn.Tanh(), nn.Linear(wide, wide), nn.Tanh(), nn.Linear(wide, 10))
        net = nn.Sequential(*layers)
    return _build_classifier(net, (64,), samples, batch, half_squared_error)


def half_squared_error(out: Tensor, labels: Tensor) -> Tensor:
    """The mean of 1/2 |out - label|^2 over the samples, labels as unit vectors."""
    unit = nn.functional.one_hot(labels, 10).to(out.dtype)
    return 0.5 * ((out - unit) ** 2).sum(-1).mean(-1)


def mean_field(width: int = 8, instance: int = 0) -> Objective:
    """A network with one hidden layer on random data, whose boundary of trainability is a fractal.

    f(params) = mean_i (v'tanh(sqrt(2 / n) W'a_i) / n - y_i)^2, n = ``width``; ``params``: first, W of [n, n], and last,
    v of [n]. As many samples as parameters, n^2 + n, standard normal by ``instance``; the start is standard normal by
    the seed. The minimum is not known, but at least 0. Sohl-Dickstein 2024, arXiv 2402.06184, where n = 16.

    Raises UsageError for width < 1 or instance < 0.
    """
    n, draw = check_int("width", width, least=1), make_generator(check_int("instance", instance, least=0))
    data = {
        "inputs": torch.randn(n * n + n, n, generator=draw, dtype=torch.float64),
        "targets": torch.randn(n * n + n, generator=draw, dtype=torch.float64),
    }

    def fn(params: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        # In lanes twice as fast as matmul, which would compute a batch of tiny products.
        hidden = ((2 / n) ** 0.5 * torch.einsum("mi,...ij->...mj", inputs, params["first"])).tanh()
        out = (hidden * params["last"][..., None, :]).sum(-1) / n
        loss: Tensor = ((out - targets) ** 2).mean(-1)
        return loss

    def start(seed: int) -> dict[str, Tensor]:
        normal = make_generator(seed)
        return {
            name: torch.randn(shape, generator=normal, dtype=torch.float64)
            for name, shape in (("first", (n, n)), ("last", (n,)))
        }

    return Objective(
        fn=fn,
        start=start,
        data=data,
        minimum=0.0,
        minimum_kind="lower_bound",
        laned=True,
        source="Sohl-Dickstein 2024, arXiv 2402.06184",
    )


def cnn(channels: int = 4, samples: int = SAMPLES, batch: int = 0) -> Objective:
    """A small convolutional network that classifies digits.

    f(params) = mean cross-entropy of Conv(1, channels, 3 x 3, padded), tanh, mean over 2 x 2, Conv(channels,
    2 channels, 3 x 3, padded), tanh, mean over 2 x 2, Linear(8 channels, 10); images, ``samples``, ``batch``, start and
    bound are those of ``mlp``. ``params``: 0.weight [channels, 1, 3, 3], 0.bias, 3.weight [2 channels, channels,
    3, 3], 3.bias, 7.weight [10, 8 channels], 7.bias. LeCun, Bottou, Bengio and Haffner 1998, Proc. IEEE 86:2278.

    Raises UsageError for channels < 1, samples outside 1 ... 1797 or batch outside 0 ... samples.
    """
    narrow = check_int("channels", channels, least=1)
    with torch.device("meta"):
        net = nn.Sequential(
            nn.Conv2d(1, narrow, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(narrow, 2 * narrow, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * narrow, 10),
        )
    return _build_classifier(net, (1, 8, 8), samples, batch)


def _build_classifier(
    net: nn.Sequential,
    shape: tuple[int, ...],
    samples: int,
    batch: int,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
) -> Objective:
    """Build the objective of a network that classifies the digits; each image has the given shape."""
    count = check_int("samples", samples, least=1, most=SAMPLES)
    pixels, labels = load_dataset("digits")
    data = {"images": (pixels[:count] / 16).reshape(count, *shape), "labels": labels[:count].long()}

    def fn(params: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return loss(torch.func.functional_call(net, params, (images,)), labels)

    return Objective(
        fn=fn,
        start=lambda seed: draw_torch_init(net, make_generator(seed)),
        data=data,
        batch=make_batch_sampler(*data, batch=batch, of=count),
        minimum=0.0,
        minimum_kind="lower_bound",
        source="Alpaydin and Kaynak 1998, UCI optical digits; data from scikit-learn",
    )


def draw_torch_init(net: nn.Sequential, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw parameters uniformly within 1 / sqrt(inputs of a unit) of 0, as torch initialises its layers."""
    return {
        f"{name}.{kind}": (2 * torch.rand(leaf.shape, generator=generator, dtype=torch.float64) - 1)
        / math.sqrt(math.prod(layer.get_parameter("weight").shape[1:]))
        for name, layer in net.named_children()
        for kind, leaf in layer.named_parameters()
    }
