"""The rule of the choice once more, by plain loops over all windows, without trees, stamps, masks or arrays."""

from __future__ import annotations

import math
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
        self.played = [other for other in self.played if other != song] + [song]

    def withdraw(self, song: int) -> None:
        self.playable.discard(song)

    def recent(self, playing: int | None) -> set[int]:
        return set(self._last(self.rule.recent)) | ({playing} if playing is not None else set())

    def choose(
        self, target: tuple[float, float], playing: int | None = None, nearer_than: float = math.inf
    ) -> PlainWindow | None:
        rule = self.rule
        recent = self.recent(playing)
        for whole in (True, False):
            starts = [w for w in self.windows if w.song in self.playable and self._whole(w) == whole]
            everything = [(math.hypot(w.point[0] - target[0], w.point[1] - target[1]), w) for w in starts]
            allowed = [(d, w) for d, w in everything if w.song not in recent]
            if not allowed:
                continue
            allowed = [(d, w) for d, w in allowed if d < nearer_than]
            if not allowed:
                return None
            near = [(d, w) for d, w in allowed if d <= rule.radius]
            lately = self._last(rule.spacing)
            if any(w.song not in lately for _, w in near):
                return self._due(near)
            reach = max(rule.radius, min(d for d, _ in everything) + rule.margin)
            within = [(d, w) for d, w in allowed if d <= reach]
            fresh = [(d, w) for d, w in within if w.song not in lately]
            if fresh:
                return _nearest(fresh)
            return self._due(within) if within else _nearest(allowed)
        if nearer_than < math.inf or not self.playable:
            return None
        others = self.playable - {playing} or self.playable
        song = min(sorted(others), key=self._age)
        mine = [w for w in self.windows if w.song == song]
        mine = [w for w in mine if self._whole(w)] or mine
        return _nearest([(math.hypot(w.point[0] - target[0], w.point[1] - target[1]), w) for w in mine])

    def _due(self, candidates: list[tuple[float, PlainWindow]]) -> PlainWindow:
        best: dict[int, tuple[float, PlainWindow]] = {}
        for distance, window in candidates:
            found = best.get(window.song)
            if found is None or (distance, window.row) < (found[0], found[1].row):
                best[window.song] = (distance, window)
        order = sorted(best.values(), key=lambda pair: (self._age(pair[1].song), pair[0], pair[1].row))
        never = sum(window.song not in self.played for _, window in order)
        oldest = order[: max(math.ceil(len(order) / 4), never)]
        first_at = oldest[0][0]
        due = [window for distance, window in oldest if abs(distance - first_at) <= self.rule.radius]
        known = [self.counts.get(window.song, Counts()) for window in due]
        if all(count == Counts() for count in known):
            return due[0]
        draws = [self.generator.beta(1 + count.likes, 1 + count.dislikes + count.skips / 2) for count in known]
        return due[draws.index(max(draws))]

    def _whole(self, window: PlainWindow) -> bool:
        return window.left_s - self.rule.fade_s >= self.rule.dwell_s

    def _age(self, song: int) -> int:
        return self.played.index(song) if song in self.played else -1

    def _last(self, count: int) -> list[int]:
        return self.played[max(0, len(self.played) - count) :]


def _nearest(pairs: list[tuple[float, PlainWindow]]) -> PlainWindow:
    return min(pairs, key=lambda pair: (pair[0], pair[1].row))[1]
