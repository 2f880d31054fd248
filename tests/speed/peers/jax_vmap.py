"""What one writes in JAX: a grid of heavy-ball runs on Rosenbrock's valley under jit(vmap(scan)), into one table.

``python jax_vmap.py POINTS STEPS OUT.parquet [SECONDS.jsonl]`` takes POINTS x POINTS runs (lr x momentum) from
(-1.2, 1) in float32, and yields what gdbench's table says of them exactly: status, first hits of twelve targets, best
and final loss.
Needs jax, optax, pandas and pyarrow.
"""

import json
import os
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

LADDER = jnp.array([10.0**-power for power in range(1, 13)])


def rosenbrock(x: jax.Array) -> jax.Array:
    """The valley."""
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def run(lr: jax.Array, momentum: jax.Array, steps: int) -> tuple[jax.Array, ...]:
    """One run, watched as gdbench watches: every point from x_0 to x_steps is looked at."""
    start = jnp.array([-1.2, 1.0])
    f0 = rosenbrock(start)
    method = optax.sgd(lr, momentum=momentum)
    evaluate = jax.value_and_grad(rosenbrock)

    def look(seen: tuple, x: jax.Array, loss: jax.Array, grad: jax.Array) -> tuple:
        best, missed, alive, level, k = seen
        alive = alive & jnp.isfinite(loss) & jnp.isfinite(x).all() & jnp.isfinite(grad).all()
        best = jnp.minimum(best, jnp.where(alive, loss, jnp.inf))
        return best, missed + (best > LADDER * f0), alive, jnp.where(loss > f0, level, k), k + 1

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        x, state, seen = carry
        loss, grad = evaluate(x)
        seen = look(seen, x, loss, grad)
        updates, state = method.update(grad, state)
        return (optax.apply_updates(x, updates), state, seen), None

    seen = (jnp.inf, jnp.zeros(12, jnp.int32), True, -1, 0)
    (x, _, seen), _ = jax.lax.scan(step, (start, method.init(start), seen), None, length=steps)
    loss, grad = evaluate(x)
    best, missed, alive, level, _ = look(seen, x, loss, grad)
    return best, loss, missed, alive, level


def main(points: int, steps: int, out: str, seconds: str = os.devnull) -> None:
    """Run the grid and write the table; add a line with the seconds that each part took to the file ``seconds``."""
    lr, momentum = np.meshgrid(np.geomspace(1e-5, 1e-1, points), np.linspace(0, 0.99, points), indexing="ij")
    grid = jax.jit(jax.vmap(lambda a, b: run(a, b, steps)))
    given = jnp.float32(lr.ravel()), jnp.float32(momentum.ravel())
    started = time.perf_counter()
    compiled = grid.lower(*given).compile()
    built = time.perf_counter()
    best, loss, missed, alive, level = map(np.asarray, compiled(*given))
    ran = time.perf_counter()
    columns = {"lr": lr.ravel(), "momentum": momentum.ravel(), "best_loss": best, "final_loss": loss}
    diverged = alive & (level < steps)
    status = np.select([~alive, diverged, missed[:, 5] <= steps], ["nonfinite", "diverged", "target"], "other")
    columns["status"] = pd.Categorical(status)
    for power in range(1, 13):
        hits = missed[:, power - 1]
        columns[f"hit_1e-{power:02d}"] = pd.array(hits, dtype="Int32")
        columns[f"hit_1e-{power:02d}"][hits > steps] = pd.NA
    pd.DataFrame(columns).to_parquet(out)
    taken = {"compile_s": built - started, "run_s": ran - built, "table_s": time.perf_counter() - ran}
    with Path(seconds).open("a") as file:
        file.write(json.dumps(taken) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
