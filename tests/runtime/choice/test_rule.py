"""The rule of the choice: against a plain restatement, its promises, its cost in variety on DEAM."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_choice import PlainChoice, PlainWindow
from sample_index import sample_index

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index import alignment as aligned
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.paths import packaged_deam_index
from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.rule import ChoiceRule, SongChoice
from emomusic_edge.runtime.targets import CALM_GOAL, GUIDE_GOAL


@dataclass
class Library:
    """Songs of 45 s; a window is (start_s, valence, arousal)."""

    songs: list[list[tuple[float, float, float]]]

    def index(self) -> MusicIndex:
        windows = [(row, *window) for row, song in enumerate(self.songs) for window in song]
        start_s = np.array([window[1] for window in windows], np.float32)
        count = len(self.songs)
        return sample_index(
            points=np.array([window[2:] for window in windows], np.float32),
            start_s=start_s,
            end_s=np.minimum(start_s + 10, 45).astype(np.float32),
            song=np.array([window[0] for window in windows], np.int32),
            song_ids=tuple(f"s{row}" for row in range(count)),
            titles=("",) * count,
            files=tuple(f"s{row}.ogg" for row in range(count)),
            song_end_s=np.full(count, 45, np.float32),
        )

    def plain(self, rule: ChoiceRule, playable: set[int], seed: int) -> PlainChoice:
        windows = [
            PlainWindow(row, song, (float(np.float32(v)), float(np.float32(a))), 45 - start_s)
            for row, (song, start_s, v, a) in enumerate(
                (song, *window) for song, windows in enumerate(self.songs) for window in windows
            )
        ]
        return PlainChoice(windows, playable, rule, seed)


# Eighths are exact in binary: equal distances are equal, and frequent; hundredths fill the radius.
places = st.integers(-8, 8).map(lambda n: n / 8) | st.integers(-9, 9).map(lambda n: n / 100)
windows = st.lists(st.tuples(st.sampled_from([0.0, 10.0, 18.0, 20.0, 35.0]), places, places), min_size=1, max_size=3)
libraries = st.builds(Library, st.lists(windows, min_size=1, max_size=12))
rules = st.builds(
    ChoiceRule,
    radius=st.sampled_from([0.0, 0.03, 0.125, 0.5]),
    margin=st.sampled_from([0.0, 0.1, 0.25]),
    recent=st.integers(0, 5),
    spacing=st.integers(0, 9),
)
counts = st.builds(Counts, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
steps = st.lists(
    st.tuples(
        st.tuples(places, places),
        st.sampled_from([math.inf, math.inf, 0.3, 0.05]),
        st.none() | st.tuples(st.integers(0, 11), counts),
        st.none() | st.none() | st.none() | st.integers(0, 11),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=300)
@given(libraries, rules, steps, st.integers(0, 3), st.data())
def test_the_chosen_window_is_the_best_under_the_stated_rule(
    library: Library,
    rule: ChoiceRule,
    evening: list[tuple[tuple[float, float], float, tuple[int, Counts] | None, int | None, bool]],
    seed: int,
    data: st.DataObject,
) -> None:
    songs = len(library.songs)
    playable = data.draw(st.sets(st.integers(0, songs - 1)))
    index = library.index()
    choice = SongChoice(index, np.array([song in playable for song in range(songs)]), rule, seed=seed)
    plain = library.plain(rule, set(playable), seed)
    playing: int | None = None
    for target, nearer_than, learned, withdrawn, back in evening:
        if learned is not None and learned[0] < songs:
            plain.counts[learned[0]] = learned[1]
            choice.judge(dict(plain.counts))
        if withdrawn is not None and withdrawn in plain.playable:
            plain.withdraw(withdrawn)
            choice.withdraw(withdrawn)
            if back:
                plain.playable.add(withdrawn)
                choice.allow(withdrawn)
        expected = plain.choose(target, playing, nearer_than)
        found = choice.choose(ValenceArousal(*target), playing=playing, nearer_than=nearer_than)
        assert found == (None if expected is None else expected.row)
        if found is None:
            continue
        song = int(index.song[found])
        assert song in plain.playable
        # the promises, apart from the restatement
        recent = plain.recent(playing)
        assert song not in recent or plain.playable <= recent
        choice.played(song)
        plain.take(song)
        playing = song


@settings(max_examples=200)
@given(libraries, rules, steps, st.integers(0, 3))
def test_what_is_known_of_songs_moves_the_choice_by_at_most_the_radius(
    library: Library,
    rule: ChoiceRule,
    evening: list[tuple[tuple[float, float], float, tuple[int, Counts] | None, int | None, bool]],
    seed: int,
) -> None:
    songs = len(library.songs)
    index = library.index()
    judged, plain = (SongChoice(index, np.ones(songs, np.bool_), rule, seed=seed) for _ in range(2))
    known: dict[int, Counts] = {}
    playing: int | None = None
    for target, nearer_than, learned, _, _ in evening:
        if learned is not None and learned[0] < songs:
            known[learned[0]] = learned[1]
            judged.judge(dict(known))
        point = ValenceArousal(*target)
        rows = [choice.choose(point, playing=playing, nearer_than=nearer_than) for choice in (judged, plain)]
        assert (rows[0] is None) == (rows[1] is None)
        if rows[0] is None:
            continue
        with_, without = (math.dist(index.points[row], target) for row in rows)
        assert abs(with_ - without) <= rule.radius + 1e-9
        playing = int(index.song[rows[0]])
        for choice in (judged, plain):
            choice.played(playing)


@pytest.mark.parametrize("known", [Counts(dislikes=1), Counts(skips=2), Counts(dislikes=99)])
def test_a_disliked_song_that_alone_fits_is_taken(known: Counts) -> None:
    index = Library([[(0.0, 0.0, 0.0)], [(0.0, 0.099, 0.0)]]).index()
    choice = SongChoice(index, np.ones(2, np.bool_), ChoiceRule())
    choice.judge({0: known, 1: Counts(likes=99)})
    assert choice.choose(ValenceArousal(0.0, 0.0)) == 0


def test_a_song_that_was_withdrawn_comes_back_where_it_was_in_the_order() -> None:
    index = Library([[(0.0, 0.001 * place, 0.0)] for place in range(6)]).index()
    choice = SongChoice(index, np.ones(6, np.bool_), ChoiceRule(recent=2))
    for song in (0, 1, 2, 3, 4, 5):
        choice.played(song)
    choice.withdraw(5)
    choice.allow(5)
    heard = []
    for _ in range(6):
        row = choice.choose(ValenceArousal(0.0, 0.0))
        assert row is not None
        heard.append(int(index.song[row]))
        choice.played(heard[-1])
    assert heard == [0, 1, 2, 3, 4, 5]


def test_inside_the_radius_each_plays_once_before_any_repeats() -> None:
    songs = [[(0.0, 0.003 * place, 0.0)] for place in range(8)] + [[(0.0, 0.5, 0.0)]]
    index = Library(songs).index()
    choice = SongChoice(index, np.ones(9, np.bool_), ChoiceRule(recent=2, spacing=0))
    heard = []
    for _ in range(24):
        row = choice.choose(ValenceArousal(0.0, 0.0), playing=heard[-1] if heard else None)
        assert row is not None
        heard.append(int(index.song[row]))
        choice.played(heard[-1])
    assert heard == list(range(8)) * 3


def test_a_liked_song_comes_more_often_a_disliked_one_less_and_neither_leaves_the_radius() -> None:
    songs = [[(0.0, 0.001 * place, 0.0)] for place in range(12)] + [[(0.0, 0.2, 0.0)]]
    index = Library(songs).index()
    choice = SongChoice(index, np.ones(13, np.bool_), ChoiceRule(recent=2, spacing=0), seed=3)
    choice.judge({1: Counts(likes=9), 2: Counts(dislikes=9), 12: Counts(likes=99)})
    heard: Counter[int] = Counter()
    for _ in range(600):
        row = choice.choose(ValenceArousal(0.0, 0.0))
        assert row is not None
        song = int(index.song[row])
        heard[song] += 1
        choice.played(song)
    assert heard[12] == 0
    others = [heard[song] for song in range(3, 12)]
    assert heard[1] > max(others)
    assert heard[2] < min(others)


def test_equal_seeds_give_equal_songs_and_others_do_not() -> None:
    index = Library([[(0.0, 0.001 * place, 0.0)] for place in range(12)]).index()

    def heard(seed: int) -> list[int]:
        choice = SongChoice(index, np.ones(12, np.bool_), ChoiceRule(recent=2, spacing=0), seed=seed)
        choice.judge({song: Counts(likes=1) for song in range(12)})
        songs = []
        for _ in range(60):
            row = choice.choose(ValenceArousal(0.0, 0.0))
            assert row is not None
            songs.append(int(index.song[row]))
            choice.played(songs[-1])
        return songs

    assert heard(1) == heard(1)
    assert heard(1) != heard(2)


def test_in_a_calm_and_positive_hour_repeats_are_spaced() -> None:
    """The thin region of DEAM: the feeling stands still there, and more songs than the radius holds are played."""
    index = read_index(packaged_deam_index())
    rule = ChoiceRule()
    choice = SongChoice(index, np.ones(index.song_count, np.bool_), rule)
    target = ValenceArousal(0.2, -0.15)
    whole = index.song_end_s[index.song] - index.start_s >= 27
    distances = np.hypot(*(index.points.astype(np.float64) - target).T)
    in_radius = len(set(index.song[whole & (distances <= rule.radius)].tolist()))
    in_margin = len(set(index.song[whole & (distances <= rule.margin)].tolist()))
    last: dict[int, int] = {}
    gaps = []
    for place in range(200):
        row = choice.choose(target)
        assert row is not None
        song = int(index.song[row])
        if song in last:
            gaps.append(place - last[song])
        last[song] = place
        choice.played(song)
        assert distances[row] <= rule.radius + 2 * rule.margin
    assert in_radius < 10 < in_margin
    assert min(gaps) >= min(in_margin, rule.spacing)


@pytest.mark.parametrize("goal", [CALM_GOAL, GUIDE_GOAL])
def test_in_a_thin_region_every_song_within_reach_plays_before_one_repeats(goal: ValenceArousal) -> None:
    index = read_index(packaged_deam_index())
    generator = np.random.default_rng(5)
    playable = generator.random(index.song_count) < 0.95
    rule = ChoiceRule()
    choice = SongChoice(index, playable, rule)
    whole = (index.song_end_s[index.song] - index.start_s >= 27) & playable[index.song]
    distances = np.hypot(*(index.points.astype(np.float64) - goal).T)
    reach = distances[whole].min() + rule.margin
    in_reach = set(index.song[whole & (distances <= reach)].tolist())
    assert 50 < len(in_reach) <= rule.spacing
    heard = []
    for _ in range(3 * len(in_reach)):
        row = choice.choose(goal, playing=heard[-1] if heard else None)
        assert row is not None
        heard.append(int(index.song[row]))
        choice.played(heard[-1])
    for first in range(len(heard) - len(in_reach) + 1):
        assert set(heard[first : first + len(in_reach)]) == in_reach


@pytest.mark.parametrize(
    ("dwell_s", "effective", "top_share", "mean_distance"),
    # all windows, as the index is judged; and the starts that leave 25 s and a fade of a 45-s excerpt, as it is run
    [(0.0, 1100, 0.12, 0.025), (25.0, 1000, 0.15, 0.025)],
)
def test_variety_on_deam_with_queries_like_findingemos(
    dwell_s: float, effective: float, top_share: float, mean_distance: float
) -> None:
    index = read_index(packaged_deam_index())
    generator = np.random.default_rng(0)

    def draw(mean: float, sd: float, low: float) -> np.ndarray:
        ratings = np.arange(7) + low
        weights = np.exp(-((ratings - mean) ** 2) / (2 * sd**2))
        return generator.choice(ratings, 20_000, p=weights / weights.sum()) + generator.normal(0, 0.3, 20_000)

    to_music = aligned.Alignment(index).to_music
    queries = np.column_stack([draw(0.39, 1.79, -3), draw(2.89, 1.63, 0)])
    choice = SongChoice(index, np.ones(index.song_count, np.bool_), ChoiceRule(dwell_s=dwell_s))
    plays: Counter[int] = Counter()
    distances = []
    for query in queries:
        target = to_music(ValenceArousal(*query))
        row = choice.choose(target)
        assert row is not None
        plays[int(index.song[row])] += 1
        choice.played(int(index.song[row]))
        distances.append(math.dist(index.points[row], target))
    shares = np.array(sorted(plays.values(), reverse=True)) / len(queries)
    assert np.exp(-(shares * np.log(shares)).sum()) >= effective
    assert shares[:20].sum() <= top_share
    assert np.mean(distances) <= mean_distance
