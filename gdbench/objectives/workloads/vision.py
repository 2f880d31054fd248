"""Workloads on images: classifiers, an autoencoder and a variational autoencoder of the digits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gdbench.objectives.training import Training
from gdbench.objectives.validation import check_float, check_int
from gdbench.objectives.workloads.data import load_digits, split_samples
from gdbench.objectives.workloads.scores import accuracy

__all__ = ["digits_autoencoder", "digits_cnn", "digits_mlp", "digits_vae"]

SOURCE = "Alpaydin and Kaynak 1998, UCI optical digits; data from scikit-learn"
HELD_OUT = 300


def digits_mlp(hidden: int = 64, dropout: float = 0.1, batch: int = 32) -> Training:
    """A perceptron with BatchNorm and Dropout that classifies the digits.

    Linear(64, hidden), BatchNorm, ReLU, Dropout, Linear(hidden, hidden), BatchNorm, ReLU, Dropout, Linear(hidden, 10);
    mean cross-entropy. No bias stands before a BatchNorm, which takes it away: its gradient would be rounding alone,
    and Adam would follow that. 1,197 images of 8 x 8 pixels to train, 300 held out, 300 to test. Metric: accuracy.

    Raises UsageError for hidden < 1, dropout outside [0, 1) or batch < 1.
    """
    wide, rate = check_int("hidden", hidden, least=1), check_float("dropout", dropout, least=0, example=0.1)

    def module() -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(64, wide, bias=False), nn.BatchNorm1d(wide), nn.ReLU(), nn.Dropout(rate)),
            *(nn.Linear(wide, wide, bias=False), nn.BatchNorm1d(wide), nn.ReLU(), nn.Dropout(rate)),
            nn.Linear(wide, 10),
        )

    return _classify_digits(module, batch, "held_out.accuracy>=0.963")


def digits_cnn(channels: int = 8, batch: int = 32) -> Training:
    """A convolutional network with BatchNorm that classifies the digits.

    Conv(1, channels, 3 x 3), BatchNorm, ReLU, maximum over 2 x 2, Conv(channels, 2 channels, 3 x 3), BatchNorm, ReLU,
    maximum over 2 x 2, Linear(8 channels, 10); data, loss and metric are those of ``digits_mlp``.

    Raises UsageError for channels < 1 or batch < 1.
    """
    narrow = check_int("channels", channels, least=1)
    wide = 2 * narrow

    def module() -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(1, narrow, 3, padding=1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(narrow, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(8 * narrow, 10)),
        )

    return _classify_digits(module, batch, "held_out.accuracy>=0.983")


def _classify_digits(module: Callable[[], nn.Module], batch: int, target: str) -> Training:
    """The workload of a network that classifies the digits."""
    return Training(
        module=module,
        **split_samples(load_digits(), HELD_OUT, HELD_OUT),
        metrics={"accuracy": accuracy},
        target_metric=target,
        batch=check_int("batch", batch, least=1),
        source=SOURCE,
    )


def digits_autoencoder(code: int = 8, batch: int = 32) -> Training:
    """An autoencoder of the digits, a deep and narrow network whose curvature is bad.

    64 - 64 - 32 - code - 32 - 64 - 64 with tanh, the last layer linear; mean squared error of the pixels, which are the
    targets too. Data are those of ``digits_mlp``. Hinton and Salakhutdinov 2006; Martens 2010.

    Raises UsageError for code < 1 or batch < 1.
    """
    sizes = (64, 64, 32, check_int("code", code, least=1), 32, 64, 64)

    def module() -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.Tanh()]
        return nn.Sequential(*layers[:-1], nn.Unflatten(1, (1, 8, 8)))

    images, _ = load_digits()
    return Training(
        module=module,
        **split_samples([images], HELD_OUT, HELD_OUT),
        loss=nn.functional.mse_loss,
        target_metric="held_out.loss<=0.0317",
        batch=check_int("batch", batch, least=1),
        source="Hinton and Salakhutdinov 2006, Science 313:504; data from scikit-learn",
    )


class VariationalAutoencoder(nn.Module):
    """An encoder to mean and log-variance of a code, and a decoder of a code that is drawn from them in training."""

    def __init__(self, hidden: int, code: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 2 * code))
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, 64))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The logits of the pixels ``[m, 64]``, and mean and log-variance of the code ``[m, code]``."""
        mean, log_variance = self.encoder(images).chunk(2, dim=-1)
        deviation = (0.5 * log_variance).exp()
        code = mean + torch.randn_like(deviation) * deviation if self.training else mean
        return self.decoder(code), mean, log_variance


def compute_evidence_loss(outputs: Any, images: Tensor) -> Tensor:
    """Cross-entropy of the pixels plus the divergence of the code from a standard normal, the mean over images."""
    logits, mean, log_variance = outputs
    pixels = nn.functional.binary_cross_entropy_with_logits(logits, images.flatten(1), reduction="none").sum(-1)
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(-1)
    loss: Tensor = (pixels + divergence).mean()
    return loss


def digits_vae(hidden: int = 64, code: int = 4, batch: int = 32) -> Training:
    """A variational autoencoder of the digits, whose gradient has the noise of a drawn code.

    Encoder 64 - hidden - (mean, log-variance of ``code`` numbers), decoder code - hidden - 64, ReLU; the negative
    evidence lower bound, summed over pixels. It is judged at the mean of the code. Data are those of ``digits_mlp``.
    Kingma and Welling 2014.

    Raises UsageError for hidden < 1, code < 1 or batch < 1.
    """
    wide, size = check_int("hidden", hidden, least=1), check_int("code", code, least=1)
    images, _ = load_digits()
    return Training(
        module=lambda: VariationalAutoencoder(wide, size),
        **split_samples([images], HELD_OUT, HELD_OUT),
        loss=compute_evidence_loss,
        target_metric="held_out.loss<=25.3",
        batch=check_int("batch", batch, least=1),
        source="Kingma and Welling 2014, ICLR, Auto-encoding variational Bayes; data from scikit-learn",
    )
