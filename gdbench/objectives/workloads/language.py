"""Workloads on text: a transformer and a recurrent network for characters, and bigrams of Zipf's law."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gdbench.errors import UsageError
from gdbench.objectives.counter_rng import random_uniforms
from gdbench.objectives.training import Training
from gdbench.objectives.validation import check_float, check_int
from gdbench.objectives.workloads.data import ALPHABET, Split, generate_text, make_windows, split_samples
from gdbench.objectives.workloads.scores import accuracy, cross_entropy

__all__ = ["char_gru", "char_transformer", "zipf_bigram"]

LETTERS = 65_536
SOURCE = "a text of gdbench's own, continued by a Markov chain"


def load_windows(context: int) -> Split:
    """Different windows of generated text, split into three."""
    before, after = make_windows(generate_text(LETTERS), context)
    pairs = torch.unique(torch.stack([before, after], 1), dim=0)  # a short one comes several times
    part = len(pairs) // 8
    return split_samples(pairs.unbind(1), part, part)


class Block(nn.Module):
    """A transformer block: causal attention and a feed-forward network, each after a LayerNorm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[m, context, width]`` to the same shape."""
        samples, length, width = x.shape
        heads = self.qkv(self.norm1(x)).reshape(samples, length, 3, self.heads, width // self.heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        scores = (q @ k.mT / (width // self.heads) ** 0.5).masked_fill(later, -torch.inf).softmax(-1)
        x = x + self.out((scores @ v).transpose(1, 2).reshape(samples, length, width))
        out: Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return out


class CharTransformer(nn.Module):
    """Embedding, two blocks, and an output that is tied to the embedding."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.embedding, self.place = nn.Embedding(len(ALPHABET), width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(Block(width, heads), Block(width, heads))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(ALPHABET), bias=False)
        self.head.weight = self.embedding.weight
        for embedding in (self.embedding, self.place):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, letters: Tensor) -> Tensor:
        """The scores ``[m, context, letters]`` of the next letter at every place of windows ``[m, context]``."""
        x = self.embedding(letters) + self.place.weight[: letters.shape[1]]
        scores: Tensor = self.head(self.norm(self.blocks(x)))
        return scores


def char_transformer(width: int = 32, heads: int = 4, context: int = 32, batch: int = 16) -> Training:
    """A transformer with two blocks and a tied embedding that predicts the next letter.

    Pre-norm blocks with causal attention and a feed-forward network four times as wide; cross-entropy in nats. The text
    has 65,536 letters of a Markov chain of order 4 (see ``generate_text``): windows of ``context`` letters, an eighth
    of them held out, an eighth to test. Metric: accuracy. Vaswani et al. 2017.

    Raises UsageError for heads that do not divide width, or sizes below 1.
    """
    size, length = check_int("width", width, least=1), check_int("context", context, least=1, most=256)
    if size % check_int("heads", heads, least=1):
        raise UsageError(f"objective.heads={heads}: it must divide width={width}; try objective.heads=1")
    return Training(
        module=lambda: CharTransformer(size, heads, length),
        **load_windows(length),
        loss=cross_entropy,
        metrics={"accuracy": accuracy},
        target_metric="held_out.loss<=2.32",
        batch=check_int("batch", batch, least=1),
        source=f"Vaswani et al. 2017, NeurIPS; {SOURCE}",
    )


class CharGru(nn.Module):
    """Embedding, one recurrent layer of gated units written as a loop, and a linear output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), width)
        self.inputs, self.hidden = nn.Linear(width, 3 * width), nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, len(ALPHABET))

    def forward(self, letters: Tensor) -> Tensor:
        """The scores ``[m, context, letters]`` of the next letter at every place of windows ``[m, context]``."""
        given = self.inputs(self.embedding(letters))
        state, states = torch.zeros_like(given[:, 0, : self.head.in_features]), []
        for place in range(letters.shape[1]):
            from_input, from_state = given[:, place].chunk(3, -1), self.hidden(state).chunk(3, -1)
            reset, update = ((a + b).sigmoid() for a, b in zip(from_input[:2], from_state[:2], strict=True))
            proposal = (from_input[2] + reset * from_state[2]).tanh()
            state = proposal + update * (state - proposal)
            states.append(state)
        scores: Tensor = self.head(torch.stack(states, 1))
        return scores


def char_gru(width: int = 32, context: int = 16, batch: int = 16) -> Training:
    """A recurrent network of gated units that predicts the next letter.

    The recurrence is torch.nn.GRU's, written as a loop that vmap can trace; text, loss and metric are those of
    ``char_transformer``. Cho et al. 2014.

    Raises UsageError for sizes below 1.
    """
    size, length = check_int("width", width, least=1), check_int("context", context, least=1, most=256)
    return Training(
        module=lambda: CharGru(size),
        **load_windows(length),
        loss=cross_entropy,
        metrics={"accuracy": accuracy},
        target_metric="held_out.loss<=1.47",
        batch=check_int("batch", batch, least=1),
        source=f"Cho et al. 2014, EMNLP; {SOURCE}",
    )


def draw_zipf_pairs(words: int, exponent: float, pairs: int) -> tuple[Tensor, Tensor]:
    """Pairs of a word and the next: words k = 1 ... by frequency k^-exponent, the next one of a rotated frequency.

    After word k the frequencies are those of all words, in an order that is rotated by k places.
    """
    shares = torch.arange(1, words + 1, dtype=torch.float64) ** -exponent
    bounds = (shares / shares.sum()).cumsum(0)
    uniform = random_uniforms(torch.tensor(0), 0, 2 * pairs)
    first, step = torch.searchsorted(bounds, uniform).clamp(max=words - 1).reshape(2, pairs)
    return first, (first + step) % words


def zipf_bigram(words: int = 256, exponent: float = 1.0, batch: int = 64) -> Training:
    """A table of bigrams under Zipf's law, on which gradient descent is slow and sign descent is not.

    The scores of the next word are a row of a table ``[words, words]``, at first 0; cross-entropy. Word k has the
    frequency k^-exponent; 40,000 pairs to train, 4,000 held out, 4,000 to test. Rare words have small gradients, so
    that descent along the gradient hardly moves their rows. Kunstner and Bach 2025, arXiv 2505.19227.

    Raises UsageError for words < 2, exponent < 0 or batch < 1.
    """
    count = check_int("words", words, least=2)
    pairs = draw_zipf_pairs(count, check_float("exponent", exponent, least=0, example=1.0), 48_000)

    def module() -> nn.Module:
        table = nn.Embedding(count, count)
        nn.init.zeros_(table.weight)
        return table

    return Training(
        module=module,
        **split_samples(pairs, 4000, 4000),
        loss=cross_entropy,
        metrics={"accuracy": accuracy},
        target_metric="held_out.loss<=4.8" if (count, exponent) == (256, 1.0) else None,
        batch=check_int("batch", batch, least=1),
        source="Kunstner and Bach 2025, arXiv 2505.19227",
    )
