"""Data sets of scikit-learn as float64 tensors, and their standardisation.

scikit-learn is imported only where a data set is read: other objectives do not need it.
"""

from __future__ import annotations

import hashlib
from functools import cache

import torch
from torch import Tensor

__all__ = ["build_columns", "hash_dataset", "load_dataset", "standardise"]


def load_dataset(name: str) -> tuple[Tensor, Tensor]:
    """Load features ``[m, n]`` and targets ``[m]`` or ``[m, t]`` of a data set of scikit-learn, in float64.

    breast_cancer [569, 30] (Street, Wolberg and Mangasarian 1993), diabetes [442, 10] (Efron et al. 2004), digits
    [1797, 64] (Alpaydin and Kaynak 1998), iris [150, 4] (Fisher 1936), linnerud [20, 3], exercises, with three
    targets, weight, waist and pulse (Tenenhaus 1998), wine [178, 13] (Forina et al. 1988).
    """
    features, target = _read(name)
    return features.clone(), target.clone()


@cache
def _read(name: str) -> tuple[Tensor, Tensor]:
    from sklearn import datasets

    features, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    return torch.tensor(features, dtype=torch.float64), torch.tensor(target, dtype=torch.float64)


def hash_dataset(name: str) -> str:
    """SHA-256 of a data set's numbers as little-endian float64, features first."""
    numbers = hashlib.sha256()
    for part in load_dataset(name):
        numbers.update(part.contiguous().numpy().astype("<f8").tobytes())
    return numbers.hexdigest()


def standardise(features: Tensor) -> Tensor:
    """Scale columns to mean 0 and population standard deviation 1; a constant column becomes 0."""
    deviation = features.std(0, correction=0)
    return (features - features.mean(0)) / deviation.where(deviation > 0, 1.0)


def build_columns(features: Tensor) -> Tensor:
    """Build ``[n + 1, m]``: standardised features and a last 1 for the bias, one column per sample."""
    return torch.cat([standardise(features), torch.ones(len(features), 1, dtype=features.dtype)], 1).T.contiguous()
