"""A small transformer that predicts the next character of a text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gdbench.errors import UsageError
from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.counter_rng import make_batch_sampler
from gdbench.objectives.text_corpus import TEXT
from gdbench.objectives.validation import check_int

__all__ = ["transformer"]

ALPHABET = "".join(sorted(set(TEXT)))


def transformer(width: int = 16, heads: int = 2, context: int = 16, batch: int = 0) -> Objective:
    """A transformer with one block and causal attention that predicts the characters of a text.

    f(params) = mean cross-entropy of every next character, in consecutive windows of ``context`` characters (a rest
    that does not fill a window is left out). x = embed[c] + place; x += attention(norm(x)) out; x +=
    gelu(norm(x) up) down; scores = norm(x) embed', where norm takes each vector to mean 0 and variance 1. ``params``:
    embed [27, width], place [context, width], qkv [width, 3 width], out [width, width], up [width, 4 width], down
    [4 width, width]. Start normal with deviation 1 / sqrt(width) (embed, place: 0.1), by the seed. The minimum is not
    known, but at least 0. Each step's gradient is that of ``batch`` windows drawn at random, or of all for 0.

    Raises UsageError for width < 1, heads that do not divide width, context outside 1 ... 256 or a batch larger than
    the number of windows. Vaswani et al. 2017, NeurIPS; the text is part of gdbench.
    """
    size, length = check_int("width", width, least=1), check_int("context", context, least=1, most=256)
    if size % check_int("heads", heads, least=1):
        raise UsageError(f"objective.heads={heads}: it must divide width={width}; try objective.heads=1")
    letters = torch.tensor([ALPHABET.index(letter) for letter in TEXT])
    count = (len(letters) - 1) // length
    data = {
        "before": letters[: count * length].reshape(count, length),
        "after": letters[1 : count * length + 1].reshape(count, length),
    }
    shapes = {
        "embed": (len(ALPHABET), size),
        "place": (length, size),
        "qkv": (size, 3 * size),
        "out": (size, size),
        "up": (size, 4 * size),
        "down": (4 * size, size),
    }

    def fn(params: dict[str, Tensor], before: Tensor, after: Tensor) -> Tensor:
        x = params["embed"][before] + params["place"]
        x = x + attention(layer_norm(x) @ params["qkv"], heads) @ params["out"]
        x = x + nn.functional.gelu(layer_norm(x) @ params["up"]) @ params["down"]
        return nn.functional.cross_entropy((layer_norm(x) @ params["embed"].T).flatten(0, 1), after.flatten())

    def start(seed: int) -> dict[str, Tensor]:
        generator = make_generator(seed)
        return {
            name: (0.1 if name in ("embed", "place") else size**-0.5)
            * torch.randn(shape, generator=generator, dtype=torch.float64)
            for name, shape in shapes.items()
        }

    return Objective(
        fn=fn,
        start=start,
        data=data,
        batch=make_batch_sampler(*data, batch=batch, of=count),
        minimum=0.0,
        minimum_kind="lower_bound",
        source="Vaswani et al. 2017, NeurIPS, Attention is all you need; a text of gdbench's own",
    )


def layer_norm(x: Tensor) -> Tensor:
    """Normalise every vector to mean 0 and variance 1, with 1e-5 added to the variance."""
    return nn.functional.layer_norm(x, x.shape[-1:])


def attention(qkv: Tensor, heads: int) -> Tensor:
    """Causal attention: ``[windows, context, 3 width]`` to ``[windows, context, width]``."""
    windows, length, triple = qkv.shape
    q, k, v = qkv.reshape(windows, length, 3, heads, triple // (3 * heads)).permute(2, 0, 3, 1, 4)
    scores = q @ k.mT / q.shape[-1] ** 0.5
    later = torch.ones(length, length, dtype=torch.bool, device=qkv.device).triu(1)
    output: Tensor = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
    return output.transpose(1, 2).reshape(windows, length, triple // 3)
