"""The stated rule of the choice as a filter over whole songs: lists, one walk over all windows, no trees or stamps.

Written from docs/music.md and the head of choice/rule.py: what may be played is narrowed step by step, song by song,
and the last step names the one to play.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.rule import ChoiceRule


@dataclass
class PlainWindow:
    row: int
    song: int
    point: tuple[float, float]
    left_s: float


@dataclass
class Fit:
    """A song at its nearest start of the kind that is looked at."""

    distance: float
    window: PlainWindow

    @property
    def song(self) -> int:
        return self.window.song

    @property
    def place(self) -> tuple[float, int]:
        return self.distance, self.window.row


@dataclass
class PlainChoice:
    windows: list[PlainWindow]
    playable: set[int]
    rule: ChoiceRule
    seed: int = 0
    played: list[int] = field(default_factory=list)
    counts: dict[int, Counts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.seed)

    def take(self, song: int) -> None:
        self.played.append(song)

    def withdraw(self, song: int) -> None:
        self.playable.discard(song)

    def since(self, song: int) -> float:
        """How many different songs were played after this one last was; endless for one never played."""
        if song not in self.played:
            return math.inf
        last = len(self.played) - 1 - self.played[::-1].index(song)
        return len(set(self.played[last + 1 :]))

    def recent(self, playing: int | None) -> set[int]:
        return {song for song in set(self.played) if self.since(song) < self.rule.recent} | ({playing} - {None})

    def choose(
        self, target: tuple[float, float], playing: int | None = None, nearer_than: float = math.inf
    ) -> PlainWindow | None:
        open_songs = self.playable - self.recent(playing)
        for kind in (self.leaves_the_dwell, self.leaves_less):
            songs = self.fits(target, kind)
            if not (open_ := [fit for fit in songs if fit.song in open_songs]):
                continue
            nearer = [fit for fit in open_ if fit.distance < nearer_than]
            return self.best(nearer, min(fit.distance for fit in songs)) if nearer else None
        if nearer_than < math.inf or not self.playable:
            return None
        rest = self.playable - {playing} or self.playable
        oldest = max(sorted(rest), key=self.since)
        whole = [fit for fit in self.fits(target, self.leaves_the_dwell) if fit.song == oldest]
        return (whole or [fit for fit in self.fits(target, self.leaves_less) if fit.song == oldest])[0].window

    def best(self, songs: list[Fit], nearest_of_all: float) -> PlainWindow:
        reach = max(self.rule.radius, nearest_of_all + self.rule.margin)
        fresh = [fit for fit in songs if self.since(fit.song) >= self.rule.spacing]
        equal = [fit for fit in fresh if fit.distance <= self.rule.radius]
        within = [fit for fit in songs if fit.distance <= reach]
        if equal:
            return self.one_of(equal)
        if fresh_within := [fit for fit in fresh if fit in within]:
            return min(fresh_within, key=lambda fit: fit.place).window
        return self.one_of(within) if within else min(songs, key=lambda fit: fit.place).window

    def one_of(self, candidates: list[Fit]) -> PlainWindow:
        order = sorted(candidates, key=lambda fit: (-self.since(fit.song), *fit.place))
        first = order[0]
        quarter = order[: math.ceil(len(order) / 4)]
        due = [
            fit
            for fit in order
            if (fit in quarter or fit.song not in self.played)
            and abs(fit.distance - first.distance) <= self.rule.radius
        ]
        known = [self.counts.get(fit.song, Counts()) for fit in due]
        if all(count == Counts() for count in known):
            return first.window
        draws = [self.generator.beta(1 + count.likes, 1 + count.dislikes + count.skips / 2) for count in known]
        return due[draws.index(max(draws))].window

    def fits(self, target: tuple[float, float], kind: Callable[[PlainWindow], bool]) -> list[Fit]:
        """Every playable song that has a start of that kind."""
        found: dict[int, Fit] = {}
        for window in self.windows:
            if window.song in self.playable and kind(window):
                fit = Fit(math.hypot(window.point[0] - target[0], window.point[1] - target[1]), window)
                if window.song not in found or fit.place < found[window.song].place:
                    found[window.song] = fit
        return list(found.values())

    def leaves_the_dwell(self, window: PlainWindow) -> bool:
        return window.left_s - self.rule.fade_s >= self.rule.dwell_s

    def leaves_less(self, window: PlainWindow) -> bool:
        return not self.leaves_the_dwell(window)
