"""How far repeats are spaced on DEAM, with likes, dislikes and skips, and that an evening can be heard again."""

from __future__ import annotations

import numpy as np
import pytest

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.paths import packaged_deam_index
from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.rule import ChoiceRule, SongChoice
from emomusic_edge.runtime.targets import CALM_GOAL, GUIDE_GOAL

INDEX = read_index(packaged_deam_index())
RULE = ChoiceRule()
WHOLE = INDEX.song_end_s[INDEX.song] - INDEX.start_s >= RULE.dwell_s + RULE.fade_s
CALM_POSITIVE = ValenceArousal(0.2, -0.15)


class Listener:
    """Hears songs for one feeling or many and, if it is to, likes, dislikes and skips them as a seed has it."""

    def __init__(self, *, judges: bool, seed: int = 0, playable: np.ndarray | None = None) -> None:
        songs = np.ones(INDEX.song_count, np.bool_) if playable is None else playable
        self.choice = SongChoice(INDEX, songs, RULE, seed=seed)
        self.judges = judges
        self.generator = np.random.default_rng(seed)
        self.known: dict[int, Counts] = {}
        self.heard: list[int] = []
        self.rows: list[int] = []

    def hear(self, target: ValenceArousal) -> None:
        row = self.choice.choose(target, playing=self.heard[-1] if self.heard else None)
        assert row is not None
        song = int(INDEX.song[row])
        self.heard.append(song)
        self.rows.append(row)
        self.choice.played(song)
        if self.judges:
            likes, dislikes, skips = (int(self.generator.random() < share) for share in (0.3, 0.1, 0.2))
            self.known[song] = self.known.get(song, Counts()) + Counts(likes, dislikes, skips)
            self.choice.judge(self.known)

    @property
    def gaps(self) -> list[int]:
        """How many other songs came between a song and its repeat."""
        last: dict[int, int] = {}
        found = []
        for place, song in enumerate(self.heard):
            if song in last:
                found.append(place - last[song] - 1)
            last[song] = place
        return found


def distances_from(point: ValenceArousal) -> np.ndarray:
    return np.hypot(*(INDEX.points.astype(np.float64) - point).T)


def songs_in(mask: np.ndarray) -> set[int]:
    return set(INDEX.song[mask].tolist())


@pytest.mark.parametrize("judges", [False, True])
def test_in_a_calm_and_positive_hour_repeats_are_spaced(judges: bool) -> None:
    """The thin region of DEAM: the feeling stands still there, and more songs than the radius holds are played."""
    listener = Listener(judges=judges)
    for _ in range(400):
        listener.hear(CALM_POSITIVE)
    distances = distances_from(CALM_POSITIVE)
    in_radius = songs_in(WHOLE & (distances <= RULE.radius))
    in_margin = songs_in(WHOLE & (distances <= RULE.margin))
    assert len(in_radius) < 10 < len(in_margin)
    assert max(distances[listener.rows]) <= RULE.radius + 2 * RULE.margin
    assert min(listener.gaps) >= (3 * len(in_margin) // 4 if judges else min(len(in_margin) - 1, RULE.spacing))


@pytest.mark.parametrize("seed", range(3))
def test_where_many_songs_fit_likes_bring_none_back_early(seed: int) -> None:
    """The middle of DEAM, where the radius holds most songs, and a feeling that wanders a little about it."""
    listener = Listener(judges=True, seed=seed)
    centre = np.array([0.0, 0.0])
    for _ in range(500):
        listener.hear(ValenceArousal(*(centre + listener.generator.normal(0, 0.02, 2))))
    assert min(listener.gaps) >= RULE.spacing


@pytest.mark.parametrize("judges", [False, True])
@pytest.mark.parametrize("goal", [CALM_GOAL, GUIDE_GOAL])
def test_a_thin_region_is_played_through_before_a_song_repeats(goal: ValenceArousal, judges: bool) -> None:
    """With likes, dislikes and skips, at least three quarters of it are."""
    playable = np.random.default_rng(5).random(INDEX.song_count) < 0.95
    listener = Listener(judges=judges, playable=playable)
    whole = WHOLE & playable[INDEX.song]
    distances = distances_from(goal)
    in_reach = songs_in(whole & (distances <= distances[whole].min() + RULE.margin))
    assert 50 < len(in_reach) <= RULE.spacing
    for _ in range(4 * len(in_reach)):
        listener.hear(goal)
    assert set(listener.heard) == in_reach
    once = len(in_reach)
    assert set(listener.heard[:once]) == in_reach
    assert min(listener.gaps) >= (once - 1 if not judges else 3 * once // 4)


def test_a_replay_of_likes_dislikes_and_skips_gives_the_same_songs() -> None:
    def songs(seed: int) -> list[int]:
        listener = Listener(judges=True, seed=seed)
        feelings = np.random.default_rng(7).normal(0, 0.1, (300, 2))
        for feeling in feelings:
            listener.hear(ValenceArousal(*feeling))
        return listener.heard

    assert songs(1) == songs(1)
    assert songs(1) != songs(2)
