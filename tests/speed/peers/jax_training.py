"""What one writes in JAX: seeds of a small network under jit(vmap(scan)), judged at each 20th step, into one table.

``python jax_training.py SEEDS STEPS OUT.parquet`` trains the network of ``objective=mlp`` (64-32-10, tanh) on the
digits with Adam at batch 32, and judges the loss on all images. Needs jax, pandas, pyarrow and scikit-learn.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

HIDDEN, BATCH, LR, JUDGE_EVERY = 32, 32, 0.003, 20
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def compute_loss(params: dict[str, jax.Array], images: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross-entropy."""
    hidden = jnp.tanh(images @ params["w1"].T + params["b1"])
    logits = hidden @ params["w2"].T + params["b2"]
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).mean()


def draw_start(key: jax.Array) -> dict[str, jax.Array]:
    """Parameters as torch draws them: uniform within 1 / sqrt(inputs) of 0."""
    shapes = {"w1": (HIDDEN, 64), "b1": (HIDDEN,), "w2": (10, HIDDEN), "b2": (10,)}
    keys = jax.random.split(key, len(shapes))
    width = {"1": 64**-0.5, "2": HIDDEN**-0.5}
    return {
        name: jax.random.uniform(one, shape, minval=-width[name[1]], maxval=width[name[1]])
        for one, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def train(seed: jax.Array, steps: int, images: jax.Array, labels: jax.Array) -> jax.Array:
    """The losses on all images at the start, at every judged step and at the end."""
    first, rest = jax.random.split(jax.random.key(seed))

    def step(carry: tuple, k: jax.Array) -> tuple[tuple, None]:
        x, m, v = carry
        chosen = jax.random.randint(jax.random.fold_in(rest, k), (BATCH,), 0, len(images))
        grad = jax.grad(compute_loss)(x, images[chosen], labels[chosen])
        m = jax.tree.map(lambda old, g: BETA1 * old + (1 - BETA1) * g, m, grad)
        v = jax.tree.map(lambda old, g: BETA2 * old + (1 - BETA2) * g * g, v, grad)
        rate, scale = LR / (1 - BETA1 ** (k + 1)), 1 / (1 - BETA2 ** (k + 1))
        x = jax.tree.map(lambda p, a, b: p - rate * a / (jnp.sqrt(b * scale) + EPS), x, m, v)
        return (x, m, v), None

    def block(carry: tuple, start: jax.Array) -> tuple[tuple, jax.Array]:
        judged = compute_loss(carry[0], images, labels)
        carry, _ = jax.lax.scan(step, carry, start + jnp.arange(JUDGE_EVERY, dtype=jnp.float32))
        return carry, judged

    x = draw_start(first)
    zeros = jax.tree.map(jnp.zeros_like, x)
    carry, losses = jax.lax.scan(block, (x, zeros, zeros), jnp.arange(0, steps, JUDGE_EVERY, dtype=jnp.float32))
    return jnp.append(losses, compute_loss(carry[0], images, labels))


def main(seeds: int, steps: int, out: str) -> None:
    """Train all seeds, and write their losses."""
    pixels, labels = load_digits(return_X_y=True)
    images, classes = jnp.asarray(pixels / 16, jnp.float32), jnp.asarray(labels)
    sweep = jax.jit(jax.vmap(lambda seed: train(seed, steps, images, classes)))
    losses = np.asarray(sweep(jnp.arange(seeds)))
    pd.DataFrame({"seed": np.arange(seeds), "start_loss": losses[:, 0], "final_loss": losses[:, -1]}).to_parquet(out)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
