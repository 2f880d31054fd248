"""The rounds of a comparison: what is open gets a replicate in each, until the rule or the budget closes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gdbench.gate.timing.abba_blocks import Sample
from gdbench.gate.timing.errors import Died, Entangled, Failed, TooSlow
from gdbench.gate.timing.pair_state import Track
from gdbench.gate.timing.sessions import Bench, Lab

__all__ = ["Course", "Heard"]

Heard = Callable[[str, float], None]
"""Hears what goes on, in words, and which share is done of the most that it can take."""


@dataclass
class Course:
    """Carries out rounds, one after the other, and keeps what the machine did meanwhile."""

    lab: Lab
    heard: Heard
    facts: list[Mapping[str, float | None]] = field(default_factory=list)
    alike: bool = True
    """Whether all processes run the same torch and Python."""

    def run(self, tracks: Sequence[Track], beside: Sequence[Track], decided: Callable[[Track], bool]) -> None:
        """Rounds until every track is decided, which is tried at the looks; ``beside`` is in all of them."""
        settings, going = self.lab.settings, list(tracks)
        for number in range(settings.most):
            going = [track for track in going if not (track.failed or track.exhausted)]
            if number in settings.looks:
                going = [track for track in going if not decided(track)]
            if not going:
                return
            words = f"round {number + 1}, {len(going)} series"
            self.round(number, [*going, *beside], words, number / settings.most)

    def confirm(self, tracks: Sequence[Track]) -> None:
        """Fresh rounds for tracks that were found slower; roles and hash seeds are others than in the rounds before."""
        settings = self.lab.settings
        self.lab.end()
        for count in range(settings.confirmations if tracks else 0):
            words = f"confirming {len(tracks)} slower series, {count + 1} of {settings.confirmations}"
            number = settings.most + 1 + count  # the first of another parity than the very first, which swaps roles
            self.round(number, tracks, words, count / settings.confirmations, confirming=True)

    def round(
        self, number: int, tracks: Sequence[Track], words: str, share: float, *, confirming: bool = False
    ) -> None:
        """One replicate of each track, in random order; a process that dies is replaced for those still to come."""
        order = np.random.default_rng((self.lab.settings.seed, number)).permutation(len(tracks))
        waiting = [tracks[index] for index in order]
        while waiting:
            bench = self.lab.round(number)
            self.alike = all(each == bench.versions[0] for each in bench.versions)
            while waiting:
                track = waiting.pop(0)
                self.heard(f"{words}: {track.name}", share)
                kept = track.confirming if confirming else track.samples
                if not _measured(bench, track, kept, number, self.lab.settings.most):
                    self.lab.end()
                    break
            else:
                self.facts.append(bench.facts())


def _measured(bench: Bench, track: Track, kept: dict[int, Sample], number: int, most: int) -> bool:
    """Give a track its replicate, or the reason why it has none; whether the bench lives on."""
    try:
        kept[number] = bench.measure(track.pair, track.series.budget_s / most)
    except Died as error:
        track.failed = str(error)
        return False
    except (Entangled, Failed, TooSlow) as error:
        track.failed = str(error)
    return True
