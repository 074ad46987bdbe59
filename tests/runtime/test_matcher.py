"""The matcher keeps its stated rule: against a plain restatement of it, and case by case."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_choice import PlainChoice, PlainWindow
from sample_index import sample_index
from sklearn.neighbors import KDTree

from emomusic_edge.contracts import PlaybackStatus, Segment, ValenceArousal
from emomusic_edge.deam_index.audio_files import AudioRoots, playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.errors import IndexFileError
from emomusic_edge.paths import packaged_deam_index
from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.matcher import Matcher

FADE_S = 2.0
DWELL_S = 25.0
SILENCE = PlaybackStatus()


@dataclass
class Song:
    """A song for an index: windows of (start_s, valence, arousal)."""

    windows: list[tuple[float, float, float]]
    end_s: float = 45.0
    there: bool = True


def index_of(songs: list[Song]) -> MusicIndex:
    windows = [(row, *window) for row, song in enumerate(songs) for window in song.windows]
    start_s = np.array([window[1] for window in windows], np.float32)
    song_end_s = np.array([song.end_s for song in songs], np.float32)
    rows = np.array([window[0] for window in windows], np.int32)
    return sample_index(
        points=np.array([window[2:] for window in windows], np.float32),
        start_s=start_s,
        end_s=np.minimum(start_s + 10, song_end_s[rows]),
        song=rows,
        song_ids=tuple(f"s{row}" for row in range(len(songs))),
        titles=tuple("" if row == 0 else f"Song {row}" for row in range(len(songs))),
        files=tuple(f"s{row}.ogg" for row in range(len(songs))),
        song_end_s=song_end_s,
    )


def points(*places: tuple[float, float]) -> list[Song]:
    """A song of one window at 0 s for each place."""
    return [Song([(0.0, *place)]) for place in places]


def lay_out(songs: list[Song], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for row, song in enumerate(songs):
        if song.there:
            (folder / f"s{row}.ogg").touch()
    return folder


def rule_of(*, margin: float = 0.1, recent: int = 5, radius: float = 0.0, spacing: int = 0) -> ChoiceRule:
    """Without a radius and spacing, the nearest song is taken: most tests here are about the moment of the choice."""
    return ChoiceRule(radius=radius, margin=margin, recent=recent, spacing=spacing, dwell_s=DWELL_S, fade_s=FADE_S)


def matcher_at(index: MusicIndex, folder: Path, rule: ChoiceRule | None = None) -> Matcher:
    roots = AudioRoots(folder)
    return Matcher(index, roots, playable_files(index, roots), rule or ChoiceRule())


def matcher_of(songs: list[Song], folder: Path, *, margin: float = 0.1, recent: int = 5) -> Matcher:
    return matcher_at(index_of(songs), lay_out(songs, folder), rule_of(margin=margin, recent=recent))


@dataclass
class Deck:
    """What a player that never fails tells of the segment it was given."""

    segment: Segment | None = None
    since_s: float = 0.0
    paused: bool = False

    def play(self, segment: Segment | None, now_s: float) -> None:
        if segment is not None:
            self.segment, self.since_s = segment, now_s

    def status(self, now_s: float) -> PlaybackStatus:
        if self.segment is None:
            return SILENCE
        position_s = self.segment.start_s + now_s - self.since_s
        ended = position_s >= self.segment.song_end_s - FADE_S
        return PlaybackStatus(self.segment, position_s, ended=ended, paused=self.paused)


@dataclass
class Evening:
    """A matcher and a deck, stepped together."""

    matcher: Matcher
    deck: Deck = field(default_factory=Deck)
    now_s: float = 100.0

    def step(self, after_s: float, target: tuple[float, float] | None, *, skip: bool = False) -> str | None:
        """The id of the song that was chosen, if one was."""
        self.now_s += after_s
        point = None if target is None else ValenceArousal(*target)
        segment = self.matcher.choose(point, self.now_s, self.deck.status(self.now_s), skip=skip)
        self.deck.play(segment, self.now_s)
        return None if segment is None else segment.song_id


@pytest.fixture
def evening(tmp_path: Path) -> Evening:
    """s0 in the middle, s1 to its right, s2 far right, s3 far left."""
    return Evening(matcher_of(points((0.0, 0.0), (0.25, 0.0), (0.9, 0.0), (-0.9, 0.0)), tmp_path, recent=2))


def test_the_nearest_song_starts_at_once(evening: Evening, tmp_path: Path) -> None:
    segment = evening.matcher.choose(ValenceArousal(0.8, 0.1), 7.0, SILENCE)
    assert segment == Segment("s2", 0.0, 10.0, np.float32(0.9), 0.0, tmp_path / "s2.ogg", 45.0, "Song 2")


def test_a_song_without_title_is_called_by_its_id(evening: Evening) -> None:
    segment = evening.matcher.choose(ValenceArousal(0.0, 0.0), 7.0, SILENCE)
    assert segment is not None
    assert (segment.song_id, segment.title) == ("s0", "s0")


def test_nothing_sought_chooses_nothing(evening: Evening) -> None:
    assert evening.step(0, None) is None
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(44, None) is None
    assert evening.deck.status(evening.now_s).ended


def test_no_switch_before_the_dwell_then_at_once(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(0.1, (0.9, 0.0)) is None
    assert evening.step(24.8, (0.9, 0.0)) is None
    assert evening.step(0.2, (0.9, 0.0)) == "s2"


def test_after_the_dwell_what_fits_goes_on(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(30, (0.0, 0.0)) is None


def test_another_song_must_be_nearer_by_the_margin(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    # s0 at 0.16 and s1 at 0.09: nearer, by less than 0.1
    assert evening.step(30, (0.16, 0.0)) is None
    # 0.18 and 0.07
    assert evening.step(0, (0.18, 0.0)) == "s1"


def test_a_recent_song_is_not_returned_to_however_near(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(25, (0.9, 0.0)) == "s2"
    assert evening.step(25, (0.0, 0.0)) == "s1"  # s0 is among the last two
    assert evening.step(25, (0.0, 0.0)) == "s0"


def test_when_a_song_ends_another_starts_though_it_is_farther(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(42.9, (0.0, 0.0)) is None
    assert evening.step(0.1, (0.0, 0.0)) == "s1"
    assert evening.step(0.1, (0.0, 0.0)) is None


def test_skip_overrides_the_dwell_and_starts_it_anew(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(1, (0.0, 0.0), skip=True) == "s1"
    assert evening.step(24, (0.9, 0.0)) is None
    assert evening.step(1, (0.9, 0.0)) == "s2"


def test_skip_with_nothing_sought_stays_near_what_plays(evening: Evening) -> None:
    assert evening.step(0, None, skip=True) is None
    assert evening.step(0, (0.9, 0.0)) == "s2"
    assert evening.step(1, None, skip=True) == "s1"


def test_all_recent_plays_the_one_longest_ago(tmp_path: Path) -> None:
    evening = Evening(matcher_of(points((0.0, 0.0), (0.1, 0.0), (0.2, 0.0)), tmp_path, recent=5))
    played = [evening.step(43, (0.2, 0.0)) for _ in range(8)]
    assert played == ["s2", "s1", "s0"] * 2 + ["s2", "s1"]


def test_all_recent_does_not_break_into_a_song(tmp_path: Path) -> None:
    evening = Evening(matcher_of(points((0.0, 0.0), (0.9, 0.0)), tmp_path, recent=5))
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(43, (0.9, 0.0)) == "s1"
    assert evening.step(30, (0.0, 0.0)) is None
    assert evening.step(13, (0.9, 0.0)) == "s0"


def test_a_single_song_plays_again_when_it_ends_or_is_skipped(tmp_path: Path) -> None:
    evening = Evening(matcher_of(points((0.5, 0.5)), tmp_path))
    assert evening.step(0, (-1.0, -1.0)) == "s0"
    assert evening.step(30, (-1.0, -1.0)) is None
    assert evening.step(13, (-1.0, -1.0)) == "s0"
    assert evening.step(0.1, (-1.0, -1.0)) is None
    assert evening.step(5, (-1.0, -1.0), skip=True) == "s0"


def test_a_memory_of_no_songs_still_goes_on_to_another(tmp_path: Path) -> None:
    evening = Evening(matcher_of(points((0.0, 0.0), (0.1, 0.0), (0.9, 0.0)), tmp_path, recent=0))
    assert [evening.step(43, (0.0, 0.0)) for _ in range(4)] == ["s0", "s1", "s0", "s1"]


def test_a_start_that_leaves_less_than_dwell_and_fade_is_not_chosen_while_another_fits(tmp_path: Path) -> None:
    late, exact, far = (20.0, 0.0, 0.0), (18.0, 0.5, 0.0), (0.0, -0.9, 0.0)
    songs = [Song([late]), Song([exact]), Song([far])]
    evening = Evening(matcher_of(songs, tmp_path, recent=3))
    assert [evening.step(45, (0.0, 0.0)) for _ in range(4)] == ["s1", "s2", "s0", "s1"]


def test_within_a_song_the_start_that_fits_is_taken(tmp_path: Path) -> None:
    evening = Evening(matcher_of([Song([(0.0, 0.9, 0.9), (35.0, 0.0, 0.0)])], tmp_path))
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.deck.segment is not None
    assert evening.deck.segment.start_s == 0.0


@pytest.mark.parametrize("others", [0, 20])
def test_likes_decide_among_songs_that_fit_equally(tmp_path: Path, others: int) -> None:
    """None was played yet, so all are due; likes of songs of other indexes are passed over."""
    songs = points(*((0.001 * place, 0.0) for place in range(6)))
    evening = Evening(matcher_at(index_of(songs), lay_out(songs, tmp_path)))
    counts = {f"s{row}": Counts(dislikes=200) for row in range(6) if row != 4} | {"s4": Counts(likes=200)}
    evening.matcher.judge(counts | {f"of another index {number}": Counts(likes=1) for number in range(others)})
    assert evening.step(0, (0.0, 0.0)) == "s4"


def test_songs_without_audio_are_never_chosen(tmp_path: Path) -> None:
    songs = points((0.0, 0.0), (0.5, 0.0), (1.0, 0.0))
    songs[0].there = False
    evening = Evening(matcher_of(songs, tmp_path, recent=1))
    assert evening.matcher.playable_songs == 2
    assert [evening.step(43, (0.0, 0.0)) for _ in range(4)] == ["s1", "s2", "s1", "s2"]


def test_a_folder_instead_of_a_file_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "s0.ogg").mkdir()
    songs = points((0.0, 0.0), (0.5, 0.0))
    songs[0].there = False
    assert matcher_of(songs, tmp_path).playable_songs == 1


def test_no_audio_at_all_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match=r"none of the 3 songs of index 'sample' .*empty \(the first") as caught:
        matcher_at(sample_index(), tmp_path / "empty")
    assert "audio_dir" in caught.value.mend


def test_an_excluded_song_is_replaced_at_once_and_does_not_come_back(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    evening.matcher.exclude("s0")
    assert evening.matcher.playable_songs == 3
    # the player may tell of silence, or still of the song before
    assert evening.step(0.1, (0.0, 0.0)) == "s1"
    assert [evening.step(43, (0.0, 0.0)) for _ in range(3)] == ["s2", "s3", "s1"]


def test_an_included_song_may_be_chosen_again(evening: Evening) -> None:
    evening.matcher.exclude("s0")
    assert evening.step(0, (0.0, 0.0)) == "s1"
    evening.matcher.include("s0")
    evening.matcher.include("nobody knows it")
    assert evening.matcher.playable_songs == 4
    assert evening.step(0.1, (0.0, 0.0), skip=True) == "s0"


def test_an_included_song_is_as_recent_as_it_was(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    evening.matcher.exclude("s0")
    assert evening.step(0.1, (0.0, 0.0)) == "s1"
    evening.matcher.include("s0")
    assert evening.step(0.1, (0.0, 0.0), skip=True) == "s2"  # s0 and s1 are the last two
    assert evening.step(0.1, (0.0, 0.0), skip=True) == "s0"


def test_another_excluded_song_changes_nothing_that_plays(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    evening.matcher.exclude("s1")
    evening.matcher.exclude("nobody knows it")
    assert evening.step(0.1, (0.0, 0.0)) is None
    assert evening.step(43, (0.0, 0.0)) in ("s2", "s3")


def test_when_every_song_is_excluded_nothing_is_chosen(evening: Evening) -> None:
    for row in range(4):
        evening.matcher.exclude(f"s{row}")
    assert evening.matcher.playable_songs == 0
    assert evening.step(0, (0.0, 0.0)) is None
    assert evening.step(0, (0.0, 0.0), skip=True) is None


def test_a_choice_that_loads_slowly_is_not_chosen_over(evening: Evening) -> None:
    matcher = evening.matcher
    target = ValenceArousal(0.0, 0.0)
    first = matcher.choose(target, 0.0, SILENCE)
    assert first is not None
    assert matcher.choose(target, 3.0, SILENCE) is None  # still loading
    assert matcher.choose(target, 4.0, PlaybackStatus(first)) is None
    over = PlaybackStatus(first, 43.0, ended=True)
    second = matcher.choose(target, 47.0, over)
    assert second is not None
    assert matcher.choose(target, 47.1, over) is None  # the old song's end is told until the new one plays
    assert matcher.choose(target, 48.0, PlaybackStatus(second)) is None
    assert matcher.choose(target, 91.0, PlaybackStatus(second, 43.0, ended=True)) is not None


def test_a_choice_that_never_plays_is_given_up_after_the_dwell(evening: Evening) -> None:
    target = ValenceArousal(0.0, 0.0)
    first = evening.matcher.choose(target, 0.0, SILENCE)
    assert first is not None
    assert evening.matcher.choose(target, 24.9, SILENCE) is None
    again = evening.matcher.choose(target, 25.0, SILENCE)
    assert again is not None
    assert again.song_id != first.song_id


def test_a_late_start_that_ended_between_two_steps_is_seen(tmp_path: Path) -> None:
    evening = Evening(matcher_of([Song([(35.0, 0.0, 0.0)]), Song([(35.0, 0.5, 0.0)])], tmp_path))
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(8, (0.0, 0.0)) == "s1"


def test_an_end_that_came_between_two_steps_is_seen(evening: Evening) -> None:
    target = ValenceArousal(0.0, 0.0)
    first = evening.matcher.choose(target, 0.0, SILENCE)
    assert evening.matcher.choose(target, 60.0, PlaybackStatus(first, 43.0, ended=True)) is not None


def test_music_that_was_stopped_starts_at_once(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(1, (0.0, 0.0)) is None
    evening.deck.segment = None
    assert evening.step(1, None) is None
    assert evening.step(1, (0.0, 0.0)) == "s1"


def test_music_that_was_stopped_while_it_loaded_starts_at_once(evening: Evening) -> None:
    target = ValenceArousal(0.0, 0.0)
    assert evening.matcher.choose(target, 0.0, SILENCE) is not None
    assert evening.matcher.choose(None, 0.1, SILENCE) is None
    assert evening.matcher.choose(target, 0.2, SILENCE) is not None


def test_time_in_pause_is_no_dwell_and_nothing_is_chosen_in_it_but_by_skip(evening: Evening) -> None:
    assert evening.step(0, (0.0, 0.0)) == "s0"
    assert evening.step(10, (0.9, 0.0)) is None
    playing = evening.deck.status(evening.now_s)
    held = replace(playing, paused=True)
    target = ValenceArousal(0.9, 0.0)
    matcher, now_s = evening.matcher, evening.now_s
    for after_s in range(0, 600, 60):
        assert matcher.choose(target, now_s + after_s, held) is None
    # 540 s of pause were seen; 10 s of music before it
    assert matcher.choose(target, now_s + 540 + 14.9, playing) is None
    chosen = matcher.choose(target, now_s + 540 + 15, playing)
    assert chosen is not None
    assert chosen.song_id == "s2"
    assert matcher.choose(target, now_s + 556, held, skip=True) is not None


def test_a_song_that_plays_from_before_has_its_dwell_too(evening: Evening) -> None:
    playing = PlaybackStatus(Segment("s0", 0.0, 10.0, 0.0, 0.0, Path("s0.ogg"), 45.0), 5.0)
    target = ValenceArousal(0.9, 0.0)
    assert evening.matcher.choose(target, 50.0, playing) is None
    assert evening.matcher.choose(target, 74.9, playing) is None
    assert evening.matcher.choose(target, 75.0, playing) is not None


def test_a_song_of_no_index_gives_way_at_once(evening: Evening) -> None:
    playing = PlaybackStatus(Segment("unknown", 0.0, 10.0, 0.0, 0.0, Path("x.ogg"), 45.0), 5.0)
    assert evening.matcher.choose(ValenceArousal(0.9, 0.0), 50.0, playing) is not None


# When to choose, once more in plain words; which song: plain_choice.py.


@dataclass
class PlainMatcher:
    songs: list[Song]
    rule: ChoiceRule
    current: tuple[int, tuple[float, float]] | None = None
    since_s: float = 0.0

    def __post_init__(self) -> None:
        windows = [(song, window) for song, of_song in enumerate(self.songs) for window in of_song.windows]
        self.choice = PlainChoice(
            [
                PlainWindow(row, song, (valence, arousal), self.songs[song].end_s - start_s)
                for row, (song, (start_s, valence, arousal)) in enumerate(windows)
            ],
            {row for row, song in enumerate(self.songs) if song.there},
            self.rule,
        )

    def choose(
        self, target: tuple[float, float] | None, now_s: float, *, ended: bool, skip: bool
    ) -> tuple[int, float] | None:
        if target is None and skip and self.current is not None:
            target = self.current[1]
        if target is None:
            return None
        playing = None if self.current is None else self.current[0]
        if skip or ended or self.current is None:
            found = self.choice.choose(target, playing)
        elif now_s - self.since_s < DWELL_S:
            return None
        else:
            found = self.choice.choose(target, playing, math.dist(self.current[1], target) - self.rule.margin)
        if found is None:
            return None
        self.choice.take(found.song)
        self.current, self.since_s = (found.song, found.point), now_s
        return found.song, self.songs[found.song].end_s - found.left_s

    def exclude(self, row: int) -> None:
        self.choice.withdraw(row)
        if self.current is not None and self.current[0] == row:
            self.current = None


# Eighths: exact in binary, so that equal distances are equal, and frequent.
eighths = st.integers(-8, 8).map(lambda n: n / 8)
windows = st.lists(st.tuples(st.sampled_from([0.0, 10.0, 18.0, 20.0, 35.0]), eighths, eighths), min_size=1, max_size=4)
libraries = st.lists(
    st.builds(Song, windows, st.just(45.0), st.sampled_from([True, True, True, False])), min_size=1, max_size=9
).filter(lambda songs: any(song.there for song in songs))
steps = st.lists(
    st.tuples(
        st.sampled_from([0.1, 1.0, 12.5, 25.0, 30.0]),
        st.none() | st.tuples(eighths, eighths) | st.tuples(eighths, eighths),
        st.sampled_from([False, False, False, True]),
        st.none() | st.none() | st.none() | st.integers(0, 8),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None)
@given(
    libraries,
    steps,
    st.builds(
        rule_of,
        margin=st.sampled_from([0.0, 0.125, 0.5]),
        recent=st.integers(0, 6),
        radius=st.sampled_from([0.0, 0.03, 0.25]),
        spacing=st.integers(0, 9),
    ),
)
def test_it_chooses_as_the_plain_rule_does(
    tmp_path_factory: pytest.TempPathFactory,
    songs: list[Song],
    evening_steps: list[tuple[float, tuple[float, float] | None, bool, int | None]],
    rule: ChoiceRule,
) -> None:
    folder = tmp_path_factory.mktemp("audio")
    evening = Evening(matcher_at(index_of(songs), lay_out(songs, folder), rule))
    plain = PlainMatcher(songs, rule)
    for after_s, target, skip, failed in evening_steps:
        if failed is not None and failed < len(songs):
            if evening.deck.segment is not None and evening.deck.segment.song_id == f"s{failed}":
                evening.deck.segment = None
            evening.matcher.exclude(f"s{failed}")
            plain.exclude(failed)
        now_s = evening.now_s + after_s
        expected = plain.choose(target, now_s, ended=evening.deck.status(now_s).ended, skip=skip)
        found = evening.step(after_s, target, skip=skip)
        assert found == (None if expected is None else f"s{expected[0]}")
        if expected is not None:
            assert evening.deck.segment is not None
            assert evening.deck.segment.start_s == expected[1]


@settings(deadline=None)
@given(libraries, steps, st.integers(0, 6))
def test_its_promises_hold_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory,
    songs: list[Song],
    evening_steps: list[tuple[float, tuple[float, float] | None, bool, int | None]],
    recent: int,
) -> None:
    folder = lay_out(songs, tmp_path_factory.mktemp("audio"))
    evening = Evening(matcher_at(index_of(songs), folder, ChoiceRule(recent=recent)))
    there = {f"s{row}" for row, song in enumerate(songs) if song.there}
    played: list[str] = []
    since_s = -math.inf
    for after_s, target, skip, _ in evening_steps:
        ended = evening.deck.status(evening.now_s + after_s).ended
        song = evening.step(after_s, target, skip=skip)
        if song is None:
            continue
        assert song in there
        assert skip or ended or evening.now_s - since_s >= DWELL_S
        last = list(dict.fromkeys(reversed(played)))[:recent]
        assert song not in last or there <= set(last) | set(played[-1:])
        assert song not in played[-1:] or there == {song}
        played.append(song)
        since_s = evening.now_s


@pytest.fixture(scope="module")
def deam_audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty file for each song of DEAM."""
    folder = tmp_path_factory.mktemp("deam")
    for file in read_index(packaged_deam_index()).files:
        (folder / file).touch()
    return folder


def test_on_deam_it_finds_what_another_tree_finds(deam_audio: Path) -> None:
    """scikit-learn's KDTree as the oracle, all windows sorted by distance, the last five songs left out."""
    index = read_index(packaged_deam_index())
    matcher = matcher_at(index, deam_audio, ChoiceRule(radius=0.0, spacing=0))
    assert matcher.playable_songs == 1802
    whole = np.flatnonzero(index.song_end_s[index.song] - 2.0 - index.start_s >= 25.0)
    tree = KDTree(index.points[whole].astype(np.float64))
    generator = np.random.default_rng(4)
    played: list[str] = []
    # a random walk, so that the nearest songs are often recent ones
    target = np.zeros(2)
    for step in range(300):
        target = np.clip(target + generator.normal(0, 0.02, 2), -1, 1)
        segment = matcher.choose(ValenceArousal(*target), float(step), SILENCE, skip=True)
        assert segment is not None
        distances, found = tree.query([target], k=200)
        songs = [index.song_ids[index.song[whole[row]]] for row in found[0]]
        at = next(place for place, song in enumerate(songs) if song not in played[-5:])
        assert math.dist((segment.valence, segment.arousal), target) == pytest.approx(distances[0][at], abs=1e-12)
        assert segment.song_id not in played[-5:]
        played.append(segment.song_id)


def test_the_same_evening_twice_is_the_same(deam_audio: Path) -> None:
    index = read_index(packaged_deam_index())

    def songs() -> list[str | None]:
        evening = Evening(matcher_at(index, deam_audio))
        generator = np.random.default_rng(5)
        return [evening.step(9.0, tuple(generator.normal(0, 0.3, 2))) for _ in range(100)]

    first = songs()
    assert first == songs()
    assert len({song for song in first if song}) > 10
