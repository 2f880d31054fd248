"""The runs of a watched pass: lanes that stopped being finite leave it, and the others go on without their weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from gdbench.optimizers import Seen
from gdbench.params import Params, lanes_last
from gdbench.watch import Told, Watch, Watched, begin, ended, some, told, update

__all__ = ["LEAST", "Crowd", "staying"]

LEAST = 1024
"""Fewer lanes cost what their operations cost to dispatch, however many of them are left."""
WORTH = 0.75
"""Lanes leave when at most this share of them is left: to lay the others out anew costs about a step."""


class Crowd:
    """What has been seen of all runs of a pass, alone or in lanes, while some of these leave."""

    def __init__(self, watch: Watch) -> None:
        """Nobody has left."""
        self.watch, self.seen = watch, begin(watch)
        self.first = watch
        self.rows: Tensor | None = None
        """Which lanes go on; None while all do."""
        self.whole: Watched | None = None

    def look(self, k: int, x: Params, seen: Seen) -> None:
        """Look at x_k of all that go on (see ``watch.update``)."""
        self.seen = update(self.watch, k, x, seen, self.seen)

    def leavers(self, looked: int) -> Tensor | None:
        """The lanes that go on after so many points, if enough of the others can leave; one stays in any case."""
        lanes = self.watch.start.numel()
        if not self.watch.laned or lanes < LEAST:
            return None
        alive = self.seen.lived == looked
        if int(alive.sum()) > WORTH * lanes:
            return None
        alive[0] |= ~alive.any()
        return alive.nonzero()[:, 0]

    def leave(self, stay: Tensor, looked: int, points: int) -> Tensor:
        """Let all lanes but ``stay`` go, after ``looked`` of ``points`` points; what those will miss is known.

        Returns which of the first lanes are left.
        """
        self._put(ended(self.watch, points - looked, self.seen))
        self.rows = stay if self.rows is None else self.rows[stay]
        self.watch, self.seen = some(self.watch, self.seen, stay)
        return self.rows

    def _put(self, seen: Watched) -> None:
        """Keep what is known of those that still are here."""
        if self.rows is None or self.whole is None:
            self.whole = seen
        else:
            rows = self.rows
            for kept, new in zip(_tensors(self.whole), _tensors(seen), strict=True):
                kept[rows] = new

    def told(self, steps: int) -> Told[Tensor]:
        """The whole story of all lanes, after x_steps has been looked at."""
        self._put(ended(self.watch, 0, self.seen) if self.watch.laned and self.rows is not None else self.seen)
        assert self.whole is not None
        return told(self.first, steps, self.whole)

    def spread(self, values: Any) -> Any:
        """Numbers of the lanes that are here as numbers of all, NaN (or 0, of whole numbers) for those that left."""
        if self.rows is None:
            return values
        return tree_map_only(Tensor, self._spread, values)

    def _spread(self, leaf: Tensor) -> Tensor:
        lanes, fill = self.first.start.numel(), torch.nan if leaf.is_floating_point() else 0
        whole = torch.full((lanes, *leaf.shape[1:]), fill, dtype=leaf.dtype, device=leaf.device)
        whole[self.rows] = leaf
        return whole


def _tensors(seen: Watched) -> list[Tensor]:
    return [each for field in seen for each in (field if isinstance(field, tuple) else (field,))]


def staying(tree: Any, lanes: int, stay: Tensor) -> Any:
    """An x, or a method's state, of some of the lanes; what has no axis of lanes stays as it is."""

    def pick(leaf: Tensor) -> Tensor:
        return lanes_last(leaf.detach()[stay]) if leaf.shape[:1] == (lanes,) else leaf

    return tree_map_only(Tensor, pick, tree)
