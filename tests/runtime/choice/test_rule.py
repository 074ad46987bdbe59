"""The rule of the choice against a plain restatement of it, and its promises one by one."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plain_choice import PlainChoice, PlainWindow
from sample_index import sample_index

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.deam_index.window_grid import WindowGrid
from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.rule import ChoiceRule, SongChoice


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
# Few places and wide radii: a dozen songs or two in the radius, where likes have a choice.
crowds = st.builds(
    Library,
    st.lists(
        st.tuples(st.just(0.0), st.integers(0, 3).map(lambda n: n / 8), st.just(0.0)).map(lambda window: [window]),
        min_size=6,
        max_size=24,
    ),
)
crowd_rules = st.builds(
    ChoiceRule,
    radius=st.sampled_from([0.125, 0.25]),
    margin=st.sampled_from([0.0, 0.125]),
    recent=st.integers(0, 5),
    spacing=st.integers(0, 24),
)
opinions = st.sampled_from([Counts(likes=5), Counts(likes=1), Counts(dislikes=2), Counts(skips=3), Counts()])
crowd_steps = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 0.125, 0.25]), st.lists(st.tuples(st.integers(0, 23), opinions), max_size=4)),
    min_size=30,
    max_size=60,
)
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


@settings(max_examples=100)
@given(crowds, crowd_rules, crowd_steps, st.integers(0, 3))
def test_in_a_crowd_of_judged_songs_too(
    library: Library, rule: ChoiceRule, evening: list[tuple[float, list[tuple[int, Counts]]]], seed: int
) -> None:
    """Twenty songs fit, some are liked: the plain rule's song, none of the last `spacing` while another fits."""
    songs = len(library.songs)
    index = library.index()
    choice = SongChoice(index, np.ones(songs, np.bool_), rule, seed=seed)
    plain = library.plain(rule, set(range(songs)), seed)
    heard: list[int] = []
    for valence, learned in evening:
        plain.counts |= {song: known for song, known in learned if song < songs}
        choice.judge(dict(plain.counts))
        playing = heard[-1] if heard else None
        row = choice.choose(ValenceArousal(valence, 0.0), playing=playing)
        expected = plain.choose((valence, 0.0), playing)
        assert row is not None
        assert expected is not None
        assert row == expected.row
        song = int(index.song[row])
        # the promise by itself, from what was heard
        last = list(dict.fromkeys(reversed(heard)))
        fits = {other for other in range(songs) if abs(float(index.points[other][0]) - valence) <= rule.radius}
        for lately in (set(last[: rule.recent]), set(last[: max(rule.recent, rule.spacing)])):
            assert song not in lately or not fits - lately - {playing}
        heard.append(song)
        choice.played(song)
        plain.take(song)


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


@pytest.mark.parametrize("known", [Counts(likes=50), Counts(dislikes=50), Counts(skips=50)])
def test_a_fresh_song_comes_before_a_stale_one_however_liked(known: Counts) -> None:
    index = Library([[(0.0, 0.001 * place, 0.0)] for place in range(40)]).index()
    choice = SongChoice(index, np.ones(40, np.bool_), ChoiceRule(spacing=35))
    heard = []
    for place in range(200):
        row = choice.choose(ValenceArousal(0.0, 0.0), playing=heard[-1] if heard else None)
        assert row is not None
        song = int(index.song[row])
        assert song not in heard[-35:]
        heard.append(song)
        choice.played(song)
        choice.judge(dict.fromkeys(heard[place % 7 :: 7], known))


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


def test_where_thousands_are_equally_near_a_frame_asks_for_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the dwell each frame asks whether anything is nearer: ratings on few places must not make that slow."""
    asked: list[int] = []
    nearest = WindowGrid.nearest

    def counted(grid: WindowGrid, point: ValenceArousal, k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        asked.append(k)
        return nearest(grid, point, k)

    monkeypatch.setattr(WindowGrid, "nearest", counted)
    library = Library([[(0.0, (song % 3 - 1) / 4, 0.25)] for song in range(3000)])
    choice = SongChoice(library.index(), np.ones(3000, np.bool_), ChoiceRule())
    for song in range(0, 60, 3):
        choice.played(song)
    asked.clear()
    assert choice.choose(ValenceArousal(-0.25, 0.2), playing=57, nearer_than=0.02) is None
    assert max(asked) <= 128
    assert choice.nearest(ValenceArousal(-0.25, 0.2), playing=57) == pytest.approx(0.05)
    assert max(asked) <= 128
    assert choice.choose(ValenceArousal(-0.25, 0.2), playing=57, nearer_than=0.06) == 60
